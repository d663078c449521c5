//! Which member of the workspace may depend on which, and what members are called.
//!
//! Here: the one table of allowed arrows. Not here: dependencies from outside.

use super::Finding;
use crate::workspace::{Arrow, Package, Workspace};

/// What each library may depend on; one that is not listed may not exist.
const CRATES: &[(&str, &[&str])] = &[
    ("message", &[]),
    ("goregex", &[]),
    ("datetime", &[]),
    ("lpeg", &[]),
    ("luatext", &[]),
    ("circular-buffer", &["luatext"]),
    ("sketches", &["luatext"]),
    ("config", &[]),
    ("matcher", &["message", "goregex"]),
    ("wire", &["message"]),
    ("sandbox", &["message", "wire", "datetime", "lpeg", "luatext", "circular-buffer", "sketches"]),
    ("stream", &["message", "matcher"]),
    ("logstream", &["goregex"]),
    ("plugin", &["message", "matcher", "config", "stream", "datetime"]),
    ("engine", &["message", "matcher", "config", "wire", "stream", "plugin"]),
    ("testkit", &["message", "matcher", "config", "wire", "stream", "plugin", "engine"]),
];

/// The libraries that a plugin may depend on: the contracts, and formats that several plugins share.
const FOR_PLUGINS: &[&str] =
    &["plugin", "message", "config", "wire", "datetime", "goregex", "logstream", "sandbox"];

/// The libraries that tests of plugins may use as well.
const FOR_PLUGIN_TESTS: &[&str] = &["testkit", "engine", "stream", "matcher"];

/// All arrows that are not allowed.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    workspace.packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", package.folder);
    let name = package.folder.strip_prefix("crates/");
    if let Some(name) = name.filter(|name| CRATES.iter().all(|(listed, _)| listed != name)) {
        let text = format!("crate {name} is not in the table of arrows (xtask/src/tidy/arrows.rs)");
        return vec![Finding::new(manifest, 0, text)];
    }
    let wanted = package_name(&package.folder);
    if wanted.as_ref().is_some_and(|wanted| *wanted != package.name) {
        let text = format!("is called {}, not {}", package.name, wanted.unwrap_or_default());
        return vec![Finding::new(manifest, 0, text)];
    }
    let forbidden = package.arrows.iter().filter(|arrow| !is_allowed(&package.folder, arrow));
    let finding = |arrow: &Arrow| {
        let text = format!("{} must not depend on {}", package.folder, arrow.to);
        Finding::new(&manifest, 0, text)
    };
    forbidden.map(finding).collect()
}

/// What the package in a folder is called; none where the folder does not tell.
fn package_name(folder: &str) -> Option<String> {
    match folder.split_once('/')? {
        ("crates", name) => Some(format!("heka-{name}")),
        ("plugins", name) => Some(format!("heka-plugin-{name}")),
        _ => None,
    }
}

fn is_allowed(from: &str, arrow: &Arrow) -> bool {
    let Some((kind, name)) = from.split_once('/') else {
        // Of the members only xtask lies at the top. It uses libraries, and the daemon as one.
        return arrow.to.starts_with("crates/") || arrow.to == "bin/daemon";
    };
    let library = arrow.to.strip_prefix("crates/");
    match (kind, library) {
        ("crates", Some(library)) => {
            let listed = CRATES.iter().find(|(listed, _)| *listed == name);
            // Tests may look down from wherever they are; cargo refuses circles that matter.
            arrow.dev || listed.is_some_and(|(_, allowed)| allowed.contains(&library))
        }
        ("plugins", Some(library)) => {
            FOR_PLUGINS.contains(&library) || (arrow.dev && FOR_PLUGIN_TESTS.contains(&library))
        }
        // A test may run one program against another.
        ("bin", _) => {
            library.is_some()
                || arrow.to.starts_with("plugins/")
                || arrow.dev && arrow.to.starts_with("bin/")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(from: &str, to: &str) -> bool {
        is_allowed(from, &Arrow { to: to.to_owned(), dev: false })
    }

    fn allowed_in_tests(from: &str, to: &str) -> bool {
        is_allowed(from, &Arrow { to: to.to_owned(), dev: true })
    }

    #[test]
    fn libraries_look_up_the_list_only() {
        assert!(allowed("crates/stream", "crates/message"));
        assert!(!allowed("crates/message", "crates/stream"));
        assert!(!allowed("crates/config", "crates/message"));
        assert!(!allowed("crates/engine", "plugins/core"));
        assert!(!allowed_in_tests("crates/engine", "plugins/core"));
    }

    #[test]
    fn plugins_know_the_contracts_and_no_other_plugin() {
        assert!(allowed("plugins/net", "crates/plugin"));
        assert!(!allowed("plugins/net", "plugins/core"));
        assert!(!allowed_in_tests("plugins/net", "plugins/core"));
        assert!(!allowed("plugins/net", "crates/engine"));
        assert!(allowed_in_tests("plugins/net", "crates/testkit"));
    }

    #[test]
    fn programs_use_everything_and_nothing_uses_xtask() {
        assert!(allowed("bin/daemon", "plugins/core"));
        assert!(allowed("xtask", "bin/daemon"));
        assert!(!allowed("bin/daemon", "xtask"));
        assert!(!allowed("crates/engine", "bin/daemon"));
    }

    #[test]
    fn packages_are_called_as_their_folder_says() {
        let package = |name: &str, folder: &str| Package {
            name: name.to_owned(),
            folder: folder.to_owned(),
            arrows: Vec::new(),
            features: Vec::new(),
        };
        assert!(check_package(&package("heka-wire", "crates/wire")).is_empty());
        assert!(check_package(&package("hekad", "bin/daemon")).is_empty());
        assert_eq!(check_package(&package("wire", "crates/wire")).len(), 1);
        assert_eq!(check_package(&package("heka-net", "plugins/net")).len(), 1);
    }

    #[test]
    fn a_library_that_is_not_listed_is_a_finding() {
        let folder = "crates/novel".to_owned();
        let package =
            Package { name: "heka-novel".into(), folder, arrows: Vec::new(), features: Vec::new() };
        assert_eq!(check_package(&package).len(), 1);
    }
}
