//! `require`: built-in libraries, files of the module directories, modules in the binary.
//!
//! Native modules (`.so`) are not loaded: nothing would limit them. Source of order and texts: sandbox.md of Heka's
//! behaviour, section 2.3.

use std::ffi::c_int;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::error::Raise;
use crate::libraries::{self, Found};
use crate::library;
use crate::lua::{GLOBALS, Lua, REGISTRY, Type};

/// Longest module, in bytes.
const MODULE_BYTES_MAX: u64 = 16 << 20;

/// A module's text and what its errors call it.
struct Source {
    text: Vec<u8>,
    name: String,
}

pub(super) fn require(lua: Lua<'_>) -> Result<c_int, Raise> {
    let name = String::from_utf8_lossy(lua.check_text(1)?).into_owned();
    lua.set_top(1);
    let kind = lua.host().kind;
    let library = libraries::find(&name);
    let is_closed = matches!(library, Some(Found::OnlyOpen(_))) && !kind.is_open();
    if is_closed || name == "debug" {
        return Err(Raise::text(format!("module '{name}' disabled")));
    }
    lua.raw_get_text(REGISTRY, "_LOADED");
    lua.raw_get_text(2, &name);
    if lua.type_of(3) != Type::Nil {
        if is_sentinel(lua, 3) {
            let text = format!("loop or previous error loading module '{name}'");
            return Err(Raise::text(text));
        }
        return Ok(1);
    }
    lua.set_top(2);
    if let Some(Found::Builtin(open) | Found::OnlyOpen(open)) = library {
        open(lua)?;
        lua.push_value(3);
        lua.raw_set_text(GLOBALS, &name);
        return finish(lua, &name);
    }
    // A module beside a built-in one of its name is the operator's wish.
    match search(lua, &name)? {
        Some(source) => load(lua, &name, source)?,
        None => match library {
            Some(Found::Native(open)) => {
                open(lua)?;
                lua.push_value(3);
                lua.raw_set_text(GLOBALS, &name);
            }
            _ => return Err(not_found(lua, &name)),
        },
    }
    finish(lua, &name)
}

/// The result is on top, over the table of loaded modules.
fn finish(lua: Lua<'_>, name: &str) -> Result<c_int, Raise> {
    if lua.type_of(-1) == Type::Table && !lua.metatable(-1) {
        // Marks it as no data, for preservation.
        lua.push_table(0, 0);
        lua.set_metatable(-2);
    } else if lua.type_of(-1) == Type::Table {
        lua.set_top(3);
    }
    lua.set_top(3);
    lua.push_value(3);
    lua.raw_set_text(2, name);
    Ok(1)
}

/// Marks a module that is being loaded.
static SENTINEL: u8 = 0;

fn is_sentinel(lua: Lua<'_>, index: c_int) -> bool {
    lua.type_of(index) == Type::LightUserdata
        && std::ptr::eq(lua.userdata(index).cast::<u8>(), &raw const SENTINEL)
}

fn is_valid(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

fn search(lua: Lua<'_>, name: &str) -> Result<Option<Source>, Raise> {
    if !is_valid(name) {
        return Err(Raise::text(format!("invalid module name '{name}'")));
    }
    let relative = format!("{}.lua", name.replace('.', "/"));
    let host = lua.host();
    for folder in &host.modules {
        let path = folder.join(&relative);
        match read(&path) {
            Ok(Some(text)) => {
                return Ok(Some(Source { text, name: path.display().to_string() }));
            }
            Ok(None) => {}
            Err(error) => {
                let text = format!(
                    "error loading module '{name}' from file '{}':\n\t{error}",
                    path.display()
                );
                return Err(Raise::text(text));
            }
        }
    }
    if host.library
        && let Some(text) = library::embedded(&format!("lua_modules/{relative}"))
    {
        let name = format!("lua_modules/{relative}");
        return Ok(Some(Source { text: text.into_owned(), name }));
    }
    Ok(None)
}

fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MODULE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MODULE_BYTES_MAX {
        return Err(std::io::Error::other("the file is too large"));
    }
    Ok(Some(text))
}

fn load(lua: Lua<'_>, name: &str, source: Source) -> Result<(), Raise> {
    lua.charge(source.text.len() / 64)?;
    lua.ask_memory(source.text.len())?;
    let chunk = format!("@{}", source.name);
    if lua.load(without_shebang(&source.text), &chunk).is_err() {
        let reason = String::from_utf8_lossy(lua.text(-1).unwrap_or_default()).into_owned();
        let file = source.name;
        return Err(Raise::text(format!(
            "error loading module '{name}' from file '{file}':\n\t{reason}"
        )));
    }
    drop(source);
    lua.push_address(&raw const SENTINEL);
    lua.raw_set_text(2, name);
    lua.push_bytes(name.as_bytes());
    if let Err(error) = lua.call(1, 1) {
        lua.push_nil();
        lua.raw_set_text(2, name);
        return Err(error);
    }
    if lua.type_of(3) == Type::Nil {
        lua.set_top(2);
        // `module` sets it itself.
        lua.raw_get_text(2, name);
        if is_sentinel(lua, 3) {
            lua.set_top(2);
            lua.push_boolean(true);
        }
    }
    Ok(())
}

/// A script may begin with `#!`; the line stays, so that numbers hold.
pub(crate) fn without_shebang(text: &[u8]) -> &[u8] {
    if text.first() != Some(&b'#') {
        return text;
    }
    memchr::memchr(b'\n', text).map_or(&[], |end| &text[end..])
}

/// The files that were looked for, as Lua lists them.
fn not_found(lua: Lua<'_>, name: &str) -> Raise {
    let path = name.replace('.', "/");
    let mut text = format!("module '{name}' not found:");
    let mut add = |path: PathBuf| text.push_str(&format!("\n\tno file '{}'", path.display()));
    let folders = &lua.host().modules;
    folders.iter().for_each(|folder| add(folder.join(format!("{path}.lua"))));
    folders.iter().for_each(|folder| add(folder.join(format!("{path}.so"))));
    if let Some((root, _)) = name.split_once('.') {
        folders.iter().for_each(|folder| add(folder.join(format!("{root}.so"))));
    }
    Raise::text(text)
}
