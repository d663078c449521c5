//! A filter's section and script, as they are given to `heka-sbmgr`.
//!
//! The manager says nothing back, so what can be seen to be wrong is told here.

use std::path::Path;

use anyhow::bail;
use heka_config::{MAX_FILE_BYTES, Problems};
use heka_matcher::Matcher;

use crate::settings::{read_file, told};

/// The only type that a manager loads.
const FILTER_TYPE: &str = "SandboxFilter";
/// First byte of compiled Lua, which no sandbox loads.
const COMPILED_LUA: u8 = 0x1b;

/// A filter to load.
pub(crate) struct FilterFile {
    /// Name of its section.
    pub(crate) name: String,
    /// The section as it was written.
    pub(crate) config: String,
    /// The script.
    pub(crate) script: Vec<u8>,
}

impl FilterFile {
    /// Reads section and script.
    ///
    /// # Errors
    /// If one of them cannot be read, or no manager would take the section.
    pub(crate) fn read(
        script: &Path,
        config: &Path,
        message_bytes_max: usize,
    ) -> anyhow::Result<Self> {
        let name = config.display().to_string();
        let Ok(text) = String::from_utf8(read_file(config, MAX_FILE_BYTES)?) else {
            bail!("{name} is not UTF-8");
        };
        let section = check(&text, &name)?;
        let script = read_script(script, message_bytes_max)?;
        Ok(Self { name: section, config: text, script })
    }
}

fn read_script(path: &Path, message_bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let script = read_file(path, message_bytes_max as u64)?;
    if script.is_empty() {
        bail!("{} is empty", path.display());
    }
    if script.first() == Some(&COMPILED_LUA) {
        bail!("{} is compiled Lua; sandboxes load source only", path.display());
    }
    Ok(script)
}

/// Checks a section file; returns the name of its section.
fn check(text: &str, file: &str) -> anyhow::Result<String> {
    let (config, mut problems): (_, Problems) = heka_config::parse_config(text, file);
    let mut name = None;
    for (place, section) in config.sections.iter().enumerate() {
        if place > 0 {
            problems.push(
                section.error("is a second section, and a manager looks at the first one only"),
            );
            continue;
        }
        if section.plugin_type != FILTER_TYPE {
            let text = format!(
                "is a {}, and a manager loads nothing but {FILTER_TYPE}",
                section.plugin_type
            );
            problems.push(section.error_at("type", text));
        }
        let entry = section.table.get_any_case("message_matcher");
        match entry.and_then(|entry| entry.value.as_str()) {
            None if entry.is_some() => {
                problems.push(section.error_at("message_matcher", "must be a text"));
            }
            None => problems.push(section.error("missing message_matcher")),
            Some(matcher) => {
                if let Err(error) = Matcher::parse(matcher) {
                    let text = format!("cannot read message_matcher: {error}");
                    problems.push(section.error_at("message_matcher", text));
                }
            }
        }
        name = Some(section.name.clone());
    }
    told(problems)?;
    let Some(name) = name else { bail!("{file} has no section") };
    Ok(name)
}
