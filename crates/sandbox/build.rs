//! Writes the list of the scripts in `lua/` that go into the binary, as `include_bytes!` of each.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// What of the folder is shipped.
const FOLDERS: [&str; 4] = ["lua_decoders", "lua_encoders", "lua_filters", "lua_modules"];

fn main() -> std::io::Result<()> {
    let root =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../lua");
    let mut list = String::from("&[\n");
    for folder in FOLDERS {
        let mut names = Vec::new();
        collect(&root.join(folder), folder, &mut names)?;
        names.sort();
        for name in names {
            let path = root.join(&name).canonicalize()?;
            // Written as a Rust string, so that any path is one.
            if writeln!(list, "    ({name:?}, include_bytes!({path:?})),").is_err() {
                return Err(std::io::Error::other("the list cannot be written"));
            }
        }
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
    }
    list.push(']');
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("library.rs"), list)
}

fn collect(folder: &Path, name: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let name = format!("{name}/{}", file.to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &name, names)?;
        } else if name.ends_with(".lua") {
            names.push(name);
        }
    }
    Ok(())
}
