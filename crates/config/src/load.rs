//! Reads a configuration file or directory into globals and sections.
//!
//! Here: which files, in which order, and what wins. Not here: what a section means. Invariants:
//! whole top-level tables are merged, the later one wins; a section comes from one file only.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::{self, Scope};
use crate::env::{self, Environment};
use crate::globals::Globals;
use crate::parse::{Fault, decode_utf8, parse_source};
use crate::problem::{Problem, Problems};
use crate::section::{Category, Section};
use crate::source::{Source, Span};
use crate::value::{Data, Entry, Table};

/// Longest configuration file, in bytes.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// Most files read from one directory.
pub const MAX_DIRECTORY_FILES: usize = 4096;

/// Name of the section with the settings of the daemon.
const GLOBALS_SECTION: &str = "hekad";

/// How the names of configuration files in a directory end.
const EXTENSION: &str = ".toml";

/// What a configuration holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Settings of the daemon.
    pub globals: Globals,
    /// Plugin sections in the order of files and lines; each name once per kind of plugin.
    pub sections: Vec<Section>,
}

impl Config {
    /// Adds a section with defaults for the type `name`, unless a section of that name exists,
    /// whatever its type. True if it was added.
    pub fn add_implicit(&mut self, name: &str) -> bool {
        let missing = self.sections.iter().all(|section| section.name != name);
        if missing {
            self.sections.push(Section::implicit(name));
        }
        missing
    }
}

/// Reads the file or directory at `path` with the environment of the process.
///
/// The configuration holds all that could be read; it must not be run if the problems hold an
/// error. Problems are in the order of their places.
pub fn load(path: &Path) -> (Config, Problems) {
    load_with_environment(path, &|name| std::env::var_os(name))
}

/// Like [`load`], with variables from elsewhere.
pub fn load_with_environment(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> (Config, Problems) {
    let mut loader = Loader::default();
    for file in files(path, &mut loader.problems) {
        match read(&file) {
            Ok(bytes) => loader.add_file(&bytes, &file.to_string_lossy(), environment),
            Err(error) => {
                loader.problems.push(file_problem(&file, format!("cannot read: {error}")));
            }
        }
    }
    if loader.sections.is_empty() && !loader.problems.has_errors() {
        let message = "empty configuration, it has no plugin section";
        loader.problems.push(file_problem(path, message.to_owned()));
    }
    loader.finish()
}

/// Reads one configuration from a text; `name` stands for its file in problems. `%ENV[...]` is
/// left as it is, and a text without any section is fine.
pub fn parse_config(text: &str, name: &str) -> (Config, Problems) {
    let mut loader = Loader::default();
    loader.add_source(&Source::verbatim(text), Vec::new(), name);
    loader.finish()
}

/// The files to read, in order.
fn files(path: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return vec![path.to_owned()],
        Err(error) => {
            problems.push(file_problem(path, format!("cannot read: {error}")));
            return Vec::new();
        }
    }
    let entries = fs::read_dir(path).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<PathBuf>>>()
    });
    let mut found = entries.unwrap_or_else(|error| {
        problems.push(file_problem(path, format!("cannot list the directory: {error}")));
        Vec::new()
    });
    found.retain(|file| {
        let name = file.file_name().unwrap_or_default();
        name.as_encoded_bytes().ends_with(EXTENSION.as_bytes())
    });
    found.sort_by(|left, right| {
        let bytes = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
        bytes(left).cmp(&bytes(right))
    });
    if found.len() > MAX_DIRECTORY_FILES {
        let message = format!("more than {MAX_DIRECTORY_FILES} configuration files");
        problems.push(file_problem(path, message));
        found.truncate(MAX_DIRECTORY_FILES);
    }
    // Anything but a plain file is an error: a directory as in Heka, a pipe because it would block.
    found.retain(|file| {
        let message = match fs::metadata(file) {
            Ok(metadata) if metadata.is_file() => return true,
            Ok(metadata) if metadata.is_dir() => "is a directory, expected a file".to_owned(),
            Ok(_) => "is no plain file".to_owned(),
            Err(error) => format!("cannot read: {error}"),
        };
        problems.push(file_problem(file, message));
        false
    });
    found
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("the file is longer than {MAX_FILE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn file_problem(path: &Path, message: String) -> Problem {
    Problem { file: Some(path.to_string_lossy().into_owned()), ..Problem::error(message) }
}

/// The `[hekad]` table that wins so far.
struct GlobalTable {
    file: Arc<str>,
    span: Span,
    table: Table,
}

/// What the files read so far come to.
#[derive(Default)]
struct Loader {
    globals: Option<GlobalTable>,
    /// In order; those that were replaced are gone.
    sections: Vec<Option<Section>>,
    /// Where a section of that name and kind stands.
    positions: BTreeMap<(String, Option<Category>), usize>,
    problems: Problems,
}

impl Loader {
    fn add_file(&mut self, bytes: &[u8], name: &str, environment: Environment<'_>) {
        match decode_utf8(bytes) {
            Ok(text) => {
                let (source, faults) = env::substitute(text, environment);
                self.add_source(&source, faults, name);
            }
            Err(fault) => self.problems.push(fault.into_problem(Some(name))),
        }
    }

    fn add_source(&mut self, source: &Source<'_>, mut faults: Vec<Fault>, name: &str) {
        let (table, found) = parse_source(source);
        faults.extend(found);
        for fault in faults {
            self.problems.push(fault.into_problem(Some(name)));
        }
        let file: Arc<str> = name.into();
        for entry in &table {
            self.add_entry(entry, &file);
        }
    }

    fn add_entry(&mut self, entry: &Entry, file: &Arc<str>) {
        let place = |problem: Problem| Problem {
            file: Some(file.as_ref().to_owned()),
            line: entry.key_span.line,
            column: entry.key_span.column,
            ..problem
        };
        let Data::Table(table) = &entry.value.data else {
            let message = match &entry.value.data {
                Data::Array(_) => format!("'{}' is an array, expected a section", entry.key),
                _ => format!("setting '{}' stands outside of any section", entry.key),
            };
            self.problems.push(place(Problem::error(message)));
            return;
        };
        if entry.key == GLOBALS_SECTION {
            self.add_globals(entry, table, file);
            return;
        }
        if entry.key.eq_ignore_ascii_case(GLOBALS_SECTION) {
            let problem = Problem::error(format!("unknown section [{}]", entry.key));
            let suggestion = Some(GLOBALS_SECTION.to_owned());
            self.problems.push(place(Problem { suggestion, ..problem }));
            return;
        }
        self.add_section(entry, table, file);
    }

    fn add_globals(&mut self, entry: &Entry, table: &Table, file: &Arc<str>) {
        let globals =
            GlobalTable { file: file.clone(), span: entry.key_span, table: table.clone() };
        if let Some(earlier) = self.globals.replace(globals) {
            let message = format!(
                "replaces all of [{GLOBALS_SECTION}] of {}:{}, settings are not merged",
                earlier.file, earlier.span.line
            );
            self.problems.push(Problem {
                file: Some(file.as_ref().to_owned()),
                line: entry.key_span.line,
                column: entry.key_span.column,
                section: Some(GLOBALS_SECTION.to_owned()),
                ..Problem::warning(message)
            });
        }
    }

    fn add_section(&mut self, entry: &Entry, table: &Table, file: &Arc<str>) {
        let mut section = Section {
            name: entry.key.clone(),
            plugin_type: entry.key.clone(),
            span: entry.key_span,
            file: Some(file.clone()),
            table: table.clone(),
        };
        if let Some(kind) = table.get_any_case("type") {
            match kind.value.as_str() {
                Some("") => {}
                Some(text) => section.plugin_type = text.to_owned(),
                None => {
                    let found = kind.value.type_name();
                    let message = format!("'type' must be a string, found {found}");
                    self.problems.push(section.error_at("type", message));
                    return;
                }
            }
        }
        let key = (section.name.clone(), section.category());
        let earlier = self.positions.insert(key, self.sections.len());
        let earlier = earlier.and_then(|index| self.sections.get_mut(index)).and_then(Option::take);
        if let Some(earlier) = earlier {
            let file = earlier.file.as_deref().unwrap_or_default();
            let message = format!(
                "replaces all of [{}] of {file}:{}, settings are not merged",
                earlier.name, earlier.span.line
            );
            self.problems.push(section.warning(message));
        }
        self.sections.push(Some(section));
    }

    fn finish(mut self) -> (Config, Problems) {
        let globals = match &self.globals {
            Some(found) => {
                let scope =
                    Scope { file: Some(&found.file), section: GLOBALS_SECTION, span: found.span };
                decode::decode_table(&found.table, &scope, &mut self.problems)
            }
            None => None,
        };
        self.problems.sort();
        let sections = self.sections.into_iter().flatten().collect();
        (Config { globals: globals.unwrap_or_default(), sections }, self.problems)
    }
}

#[cfg(test)]
mod tests;
