//! The workspace as cargo describes it, and the files in it.
//!
//! Here: packages, their arrows to each other, paths, source files. Not here: what is checked about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Folders with Rust sources of ours.
const SOURCE_FOLDERS: [&str; 4] = ["crates", "plugins", "bin", "xtask"];

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// All members.
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name in cargo: `heka-message`, `hekad`.
    pub(crate) name: String,
    /// Its folder, relative to the root: `crates/message`.
    pub(crate) folder: String,
    /// Its arrows to other members.
    pub(crate) arrows: Vec<Arrow>,
    /// Names of its cargo features.
    pub(crate) features: Vec<String>,
}

/// A dependency on another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrow {
    /// Folder of the member it points to.
    pub(crate) to: String,
    /// True for a dependency of tests only.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// If cargo cannot be run, or does not understand the manifests.
    pub(crate) fn load() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("cannot run cargo metadata")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo metadata failed: {said}");
        let json = serde_json::from_slice(&output.stdout).context("cannot read cargo metadata")?;
        Self::from_metadata(&json)
    }

    fn from_metadata(json: &Value) -> Result<Self> {
        let path = |key: &str| {
            json[key].as_str().map(PathBuf::from).with_context(|| format!("metadata lacks {key}"))
        };
        let (root, target) = (path("workspace_root")?, path("target_directory")?);
        let packages = array(&json["packages"])
            .iter()
            .map(|package| Package::from_metadata(package, &root))
            .collect::<Result<_>>()?;
        Ok(Self { root, target, packages })
    }

    /// All Rust sources of members, relative to the root, sorted.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub(crate) fn sources(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for folder in SOURCE_FOLDERS {
            found.extend(self.files(folder, "rs")?);
        }
        Ok(found)
    }

    /// The files below `folder` whose names end in `.extension`, relative to the root, sorted.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub(crate) fn files(&self, folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        collect(&self.root.join(folder), extension, &mut found)?;
        found.sort();
        let root = &self.root;
        found.iter().map(|path| Ok(path.strip_prefix(root)?.to_path_buf())).collect()
    }

    /// Reads a file by its path relative to the root.
    ///
    /// # Errors
    /// If it cannot be read, or is not UTF-8.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = path.as_ref();
        fs::read_to_string(self.root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))
    }
}

impl Package {
    fn from_metadata(json: &Value, root: &Path) -> Result<Self> {
        let name = json["name"].as_str().context("a package has no name")?.to_owned();
        let manifest = json["manifest_path"].as_str().context("a package has no manifest")?;
        let folder = relative(Path::new(manifest).parent(), root)
            .with_context(|| format!("package {name} lies outside of the workspace"))?;
        let arrows = array(&json["dependencies"])
            .iter()
            .filter_map(|dependency| {
                let to = relative(dependency["path"].as_str().map(Path::new), root)?;
                Some(Arrow { to, dev: dependency["kind"].as_str() == Some("dev") })
            })
            .collect();
        let features = json["features"].as_object();
        let features = features.map(|it| it.keys().cloned().collect()).unwrap_or_default();
        Ok(Self { name, folder, arrows, features })
    }
}

/// The cargo that runs us, or the one in the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn relative(path: Option<&Path>, root: &Path) -> Option<String> {
    Some(path?.strip_prefix(root).ok()?.to_string_lossy().into_owned())
}

fn array(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot list the folder {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, found)?;
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_are_dependencies_that_lie_in_the_workspace() {
        let json = serde_json::json!({
            "workspace_root": "/w", "target_directory": "/w/target",
            "packages": [{
                "name": "heka-wire", "manifest_path": "/w/crates/wire/Cargo.toml",
                "features": {"fast": []},
                "dependencies": [
                    {"name": "memchr", "kind": null, "path": null},
                    {"name": "heka-message", "kind": null, "path": "/w/crates/message"},
                    {"name": "heka-testkit", "kind": "dev", "path": "/w/crates/testkit"},
                ],
            }],
        });
        let workspace = Workspace::from_metadata(&json).unwrap();
        let arrow = |to: &str, dev| Arrow { to: to.to_owned(), dev };
        assert_eq!(
            workspace.packages,
            [Package {
                name: "heka-wire".to_owned(),
                folder: "crates/wire".to_owned(),
                arrows: vec![arrow("crates/message", false), arrow("crates/testkit", true)],
                features: vec!["fast".to_owned()],
            }]
        );
    }
}
