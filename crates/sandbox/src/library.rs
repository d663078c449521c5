//! The scripts that are built in, so that a bare binary has them.

use std::borrow::Cow;

/// Paths below the share directory and contents, sorted by path within each folder.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// The script that is built in under a path such as `lua_filters/http_status.lua`.
pub fn embedded(path: &str) -> Option<Cow<'static, [u8]>> {
    let path = path.strip_prefix("./").unwrap_or(path);
    FILES.iter().find(|(name, _)| *name == path).map(|(_, source)| Cow::Borrowed(*source))
}

/// Paths of all scripts that are built in.
pub fn embedded_files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}
