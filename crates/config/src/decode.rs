//! Typed decoding of a section: all of its problems at once, each with its place.
//!
//! Here: which key goes to which struct, and trying again without a faulty value until all faults
//! are known. `decode/de.rs` reads one struct, `decode/keys.rs` compares keys, `decode/fill.rs`
//! adds defaults of nested tables. Not here: what settings mean. Invariant: a value is returned
//! only if no error was added.

mod de;
mod error;
mod fill;
mod keys;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::plugin::{FieldProblems, PluginConfig, UnknownKeys};
use crate::problem::{Problem, Problems, Severity};
use crate::section::Section;
use crate::source::Span;
use crate::suggest::nearest;
use crate::value::{Data, Entry, Table, Value};

use de::{Finding, Sink};
use error::DecodeError;
use keys::Names;
pub(crate) use keys::{same_key, span_of};

/// Most errors, and most unknown keys, of a section that are shown.
const MAX_SECTION_ERRORS: usize = 100;

/// The setting that names a section's plugin type.
const TYPE_KEY: &str = "type";

/// Keys that Heka lets pass in every nested table, although they have no effect there.
const HARMLESS_NESTED_KEYS: [&str; 19] = [
    "type",
    "decoder",
    "splitter",
    "synchronous_decode",
    "send_decode_failures",
    "log_decode_failures",
    "can_exit",
    "ticker_interval",
    "retries",
    "message_matcher",
    "message_signer",
    "use_buffering",
    "buffering",
    "encoder",
    "use_framing",
    "keep_truncated",
    "use_message_bytes",
    "min_buffer_size",
    "deliver_incomplete_final",
];

/// What a table that is decoded belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// File it stands in, if any.
    pub file: Option<&'a str>,
    /// Name of its section.
    pub section: &'a str,
    /// Place for problems that belong to no setting.
    pub span: Span,
}

impl Scope<'_> {
    fn problem(&self, severity: Severity, span: Span, option: Option<String>) -> Problem {
        let span = if span == Span::NONE { self.span } else { span };
        Problem {
            severity,
            file: self.file.map(str::to_owned),
            line: span.line,
            column: span.column,
            section: Some(self.section.to_owned()),
            option,
            message: String::new(),
            suggestion: None,
        }
    }

    fn at(&self, entry: &Entry, message: String) -> Problem {
        let problem = self.problem(Severity::Error, entry.key_span, Some(entry.key.clone()));
        Problem { message, ..problem }
    }
}

/// Decodes a whole table that is no plugin section. All problems are added to `problems`; nothing
/// is returned if one of them is an error.
pub fn decode_table<T: PluginConfig>(
    table: &Table,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<T> {
    let names = Names::of::<T>();
    let mut found = Problems::new();
    let known = assign(table, &[&names], T::UNKNOWN_KEYS, &[], scope, &mut found);
    let decoded = decode_known::<T>(known.into_iter().next()?, table, scope, &mut found);
    let usable = !found.has_errors();
    problems.extend(found);
    decoded.filter(|_| usable)
}

/// Decodes common and own settings of a section.
pub(crate) fn decode_section<C: PluginConfig, T: PluginConfig>(
    section: &Section,
    problems: &mut Problems,
) -> Option<(C, T)> {
    let scope = Scope { file: section.file.as_deref(), section: &section.name, span: section.span };
    let (common, own) = (Names::of::<C>(), Names::of::<T>());
    let mut found = Problems::new();
    let table = &section.table;
    let known = assign(table, &[&common, &own], T::UNKNOWN_KEYS, &[TYPE_KEY], &scope, &mut found);
    let mut known = known.into_iter();
    let (common_keys, own_keys) = (known.next()?, known.next()?);
    let common = decode_known::<C>(common_keys, table, &scope, &mut found);
    let own = decode_known::<T>(own_keys, table, &scope, &mut found);
    let usable = !found.has_errors();
    dedupe(&mut found);
    problems.extend(found);
    common.zip(own).filter(|_| usable)
}

/// A key that common and own settings both know is checked twice, but is wrong only once.
fn dedupe(found: &mut Problems) {
    let mut kept = Problems::new();
    for problem in found.iter() {
        if !kept.iter().any(|other| other == problem) {
            kept.push(problem.clone());
        }
    }
    *found = kept;
}

/// Gives each key, under its declared name, to all structs that know it; the others are unknown.
/// `pass` are names that are known elsewhere.
fn assign(
    table: &Table,
    structs: &[&Names],
    unknown: UnknownKeys,
    pass: &[&'static str],
    scope: &Scope<'_>,
    found: &mut Problems,
) -> Vec<Table> {
    let mut tables = vec![Table::new(); structs.len()];
    let all: Vec<&'static str> =
        structs.iter().flat_map(|names| names.iter()).chain(pass.iter().copied()).collect();
    let mut used: BTreeSet<&'static str> = BTreeSet::new();
    for entry in table {
        let Some(name) = keys::resolve(&entry.key, &all) else {
            if found.len() < MAX_SECTION_ERRORS {
                found.push(unknown_key(entry, unknown, &all, scope));
            }
            continue;
        };
        if !used.insert(name) {
            found.push(scope.at(entry, format!("'{}' is set twice", entry.key)));
            continue;
        }
        for (names, table) in structs.iter().zip(&mut tables) {
            if names.iter().any(|known| known == name) {
                let copy = Entry { key: name.to_owned(), ..entry.clone() };
                let added = table.insert(copy);
                debug_assert!(added.is_ok(), "each name is used once");
            }
        }
    }
    tables
}

fn unknown_key(
    entry: &Entry,
    unknown: UnknownKeys,
    names: &[&'static str],
    scope: &Scope<'_>,
) -> Problem {
    let problem = scope.at(entry, format!("unknown option '{}'", entry.key));
    let suggestion = nearest(&entry.key, names.iter().copied()).map(str::to_owned);
    match unknown {
        UnknownKeys::Reject => Problem { suggestion, ..problem },
        UnknownKeys::Warn => {
            let message = format!("{}, it has no effect", problem.message);
            Problem { suggestion, severity: Severity::Warning, message, ..problem }
        }
    }
}

/// Decodes a table that holds only known keys. `given` is the table as the user wrote it.
fn decode_known<T: PluginConfig>(
    mut table: Table,
    given: &Table,
    scope: &Scope<'_>,
    found: &mut Problems,
) -> Option<T> {
    let schema = crate::describe::schema_of::<T>();
    let defaults = serde_json::to_value(T::default()).unwrap_or(Json::Null);
    let mut faulty = BTreeSet::new();
    check_schema(&table, &schema, scope, &mut faulty, found);
    fill::fill(&mut table, &schema, &defaults, scope.span);
    let decoded: T = decode_all(table, &defaults, scope, &mut faulty, found)?;
    let mut remarks = FieldProblems::new();
    decoded.validate(&mut remarks);
    for remark in remarks.list {
        let top = remark.key.split('.').next().unwrap_or_default();
        if faulty.contains(top) {
            continue;
        }
        let span = keys::span_with_aliases(given, &remark.key, &schema);
        let problem = scope.problem(remark.severity, span.unwrap_or(scope.span), None);
        let message = format!("'{}' {}", remark.key, remark.text);
        found.push(Problem { message, option: Some(remark.key), ..problem });
    }
    Some(decoded)
}

/// Reports settings that are needed but missing, and those that no longer have an effect.
fn check_schema(
    table: &Table,
    schema: &Json,
    scope: &Scope<'_>,
    faulty: &mut BTreeSet<String>,
    found: &mut Problems,
) {
    for (name, property) in crate::describe::properties(schema) {
        let entry = keys::given_name(table, name, property).and_then(|name| table.get(name));
        if entry.is_none() && crate::describe::is_required(schema, name, property) {
            let problem = scope.problem(Severity::Error, scope.span, Some(name.clone()));
            let message = format!("missing required option '{name}'");
            found.push(Problem { message, ..problem });
            faulty.insert(name.clone());
        }
        let reason = property.get("x-retired").and_then(Json::as_str);
        if let (Some(entry), Some(reason)) = (entry, reason) {
            let problem = scope.at(entry, format!("'{name}' has no effect here, because {reason}"));
            found.push(Problem { severity: Severity::Warning, ..problem });
        }
    }
}

/// Decodes, and on an error again without the value that caused it, until all errors are known.
fn decode_all<T: DeserializeOwned>(
    mut table: Table,
    defaults: &Json,
    scope: &Scope<'_>,
    faulty: &mut BTreeSet<String>,
    found: &mut Problems,
) -> Option<T> {
    // Missing settings without a default are reported; here they get a value, so that the others
    // are looked at.
    for name in faulty.iter() {
        if let Some(value) = defaults.get(name).and_then(|json| fill::from_json(json, scope.span)) {
            let entry = Entry { key: name.clone(), key_span: scope.span, value };
            let added = table.insert(entry);
            debug_assert!(added.is_ok(), "the setting is missing");
        }
    }
    let mut removed: BTreeSet<Vec<String>> = BTreeSet::new();
    for _ in 0..MAX_SECTION_ERRORS {
        let sink = Sink::default();
        let root = Value { data: Data::Table(table), span: scope.span };
        let decoded = T::deserialize(de::ValueDeserializer::new(&root, &sink));
        let Data::Table(rest) = root.data else { return None };
        table = rest;
        match decoded {
            Ok(decoded) => {
                report_findings(sink, scope, found);
                return Some(decoded);
            }
            Err(error) => {
                let path = error.path();
                if let Some(top) = path.first() {
                    faulty.insert(top.clone());
                }
                let expected = error.is_missing_field_of(&removed);
                if !expected {
                    found.push(error_problem(&error, &path, scope));
                }
                let Some(gone) = remove_path(&mut table, &path) else {
                    report_findings(sink, scope, found);
                    return None;
                };
                removed.insert(gone);
            }
        }
    }
    let problem = scope.problem(Severity::Error, scope.span, None);
    let message = "too many errors, the rest of the section is not checked".to_owned();
    found.push(Problem { message, ..problem });
    None
}

fn error_problem(error: &DecodeError, path: &[String], scope: &Scope<'_>) -> Problem {
    let option = (!path.is_empty()).then(|| path.join("."));
    let message = match &option {
        Some(option) => format!("'{option}': {}", error.message()),
        None => error.message().to_owned(),
    };
    let span = error.span().unwrap_or(scope.span);
    let problem = scope.problem(Severity::Error, span, option);
    Problem { message, suggestion: error.suggestion().map(str::to_owned), ..problem }
}

/// Unknown keys of nested tables, as the last, most complete attempt saw them.
fn report_findings(sink: Sink, scope: &Scope<'_>, found: &mut Problems) {
    for Finding { path, span, message, suggestion, key } in sink.into_findings() {
        let harmless = HARMLESS_NESTED_KEYS.iter().any(|name| same_key(name, &key));
        let severity = if harmless { Severity::Warning } else { Severity::Error };
        let message = if harmless { format!("{message}, it has no effect here") } else { message };
        let problem = scope.problem(severity, span, Some(path));
        found.push(Problem { message, suggestion, ..problem });
    }
}

/// Removes the value at the path, or the array or table that holds it if it stands in an array.
/// Returns the path of what was removed; none if there is nothing left to remove.
fn remove_path(table: &mut Table, path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    if let Some(Data::Table(inner)) = table.get_mut(first).map(|value| &mut value.data)
        && let Some(mut gone) = remove_path(inner, rest)
    {
        gone.insert(0, first.clone());
        return Some(gone);
    }
    table.remove(first).map(|entry| vec![entry.key])
}

#[cfg(test)]
mod tests;
