//! `%ENV[NAME]` substitution in the raw text of a file, before it is parsed.
//!
//! Here: finding references and putting values in. Not here: parsing. Invariants: values go in
//! as they are, comments included, and are not scanned again; a faulty reference stays as it is.

use std::ffi::OsString;

use crate::parse::{Fault, MAX_FILE_PROBLEMS};
use crate::source::Source;

/// What begins a reference.
const OPENING: &str = "%ENV[";

/// Longest text that substitution may grow a file to, in bytes.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// Looks a variable up; none if it is not set.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The text of a file with all references replaced, and what was wrong with them.
pub(crate) fn substitute<'a>(
    text: &'a str,
    environment: Environment<'_>,
) -> (Source<'a>, Vec<Fault>) {
    let places = Source::verbatim(text);
    let mut source = Source::new(text);
    let mut faults = Vec::new();
    let mut copied = 0;
    while let Some(found) = text.get(copied..).and_then(|rest| rest.find(OPENING)) {
        let start = copied + found;
        source.push_verbatim(copied, start);
        let rest = text.get(start..).unwrap_or_default();
        let (length, value) = match reference(rest) {
            Ok((name, length)) => (length, value_of(name, text, start, environment)),
            Err(message) => (OPENING.len(), Err(Fault::error(message))),
        };
        match value {
            Ok(value) => source.push_substitute(start, &value),
            Err(mut fault) => {
                if fault.is_error() {
                    source.push_verbatim(start, start + length);
                }
                fault.span = places.file_span(start);
                faults.push(fault);
            }
        }
        copied = start + length;
        if source.text().len() > MAX_TEXT_BYTES {
            faults.push(Fault { span: places.file_span(start), ..too_long() });
            return (Source::new(text), faults);
        }
        if faults.len() >= MAX_FILE_PROBLEMS {
            break;
        }
    }
    source.push_verbatim(copied, text.len());
    (source, faults)
}

fn too_long() -> Fault {
    Fault::error(format!("with its variables the file is longer than {MAX_TEXT_BYTES} bytes"))
}

/// Name and whole length of the reference that `rest` begins with.
fn reference(rest: &str) -> Result<(&str, usize), &'static str> {
    const MISSING: &str = "missing closing delimiter of %ENV[";
    let after = rest.get(OPENING.len()..).unwrap_or_default();
    let end = after.find(']').ok_or(MISSING)?;
    let name = after.get(..end).unwrap_or_default();
    if name.contains([' ', '\t', '\r', '\n', '\0', '=']) || name.contains(OPENING) {
        return Err("invalid characters in environment variable of %ENV[, is a ']' missing?");
    }
    Ok((name, OPENING.len() + end + 1))
}

/// The value to put in. One that is not set is empty; outside comments that is worth a warning.
fn value_of(
    name: &str,
    text: &str,
    start: usize,
    environment: Environment<'_>,
) -> Result<String, Fault> {
    match environment(name).map(OsString::into_string) {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) => {
            Err(Fault::error(format!("environment variable '{name}' holds invalid UTF-8")))
        }
        None if in_comment(text, start) => Ok(String::new()),
        None => Err(Fault::warning(format!(
            "environment variable '{name}' is not set, an empty text stands for it"
        ))),
    }
}

/// True if a `#` stands before `start` on its line: good enough to leave out a warning.
fn in_comment(text: &str, start: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.contains('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<OsString> {
        match name {
            "HOST" => Some("example.org".into()),
            "SELF" => Some("%ENV[HOST]".into()),
            "BIG" => Some("x".repeat(1 << 20).into()),
            _ => None,
        }
    }

    fn check(text: &str) -> (String, Vec<String>) {
        let (source, faults) = substitute(text, &lookup);
        let faults = faults
            .iter()
            .map(|fault| format!("{}:{} {}", fault.span.line, fault.span.column, fault.message));
        (source.text().to_owned(), faults.collect())
    }

    #[test]
    fn values_go_in_raw_and_are_not_scanned_again() {
        let none: Vec<String> = Vec::new();
        assert_eq!(
            check("[%ENV[HOST]] # %ENV[HOST]"),
            ("[example.org] # example.org".into(), none.clone())
        );
        assert_eq!(check("%%ENV[HOST] % %ENV"), ("%example.org % %ENV".into(), none.clone()));
        assert_eq!(check("%ENV[SELF]"), ("%ENV[HOST]".into(), none));
    }

    #[test]
    fn an_unset_variable_is_empty_and_warned_about_outside_comments() {
        assert_eq!(check("# %ENV[NO]"), ("# ".into(), vec![]));
        let (text, faults) = check("a = 1\nb = '%ENV[NO]'");
        assert_eq!(text, "a = 1\nb = ''");
        let expected = "2:6 environment variable 'NO' is not set, an empty text stands for it";
        assert_eq!(faults, [expected]);
        assert!(!substitute("%ENV[NO]", &lookup).1[0].is_error());
    }

    #[test]
    fn faulty_references_are_errors_and_stay() {
        for text in ["%ENV[A B]", "%ENV[A\tB]", "%ENV[A\nB]", "%ENV[A\r]", "%ENV[A%ENV[B]"] {
            let (source, faults) = substitute(text, &lookup);
            assert!(faults[0].message.starts_with("invalid characters"), "{text}");
            assert!(faults[0].is_error() && source.text().starts_with("%ENV[A"), "{text}");
        }
        let (text, faults) = check("x %ENV[HOST");
        assert_eq!(text, "x %ENV[HOST");
        assert_eq!(faults, ["1:3 missing closing delimiter of %ENV["]);
    }

    #[test]
    fn substitution_cannot_grow_a_file_without_limit() {
        let text = "%ENV[BIG]".repeat(100);
        let (source, faults) = substitute(&text, &lookup);
        assert!(source.text().is_empty());
        assert!(faults[0].message.contains("longer than"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(%ENV\\[|HOST\\]|\\]|%|é| |#|\n|SELF\\]){0,30}") {
            let (source, faults) = substitute(&text, &lookup);
            proptest::prop_assert!(faults.len() <= MAX_FILE_PROBLEMS);
            if !text.contains(OPENING) {
                proptest::prop_assert_eq!(source.text(), &text);
            }
        }
    }
}
