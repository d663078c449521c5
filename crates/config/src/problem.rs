//! Problems found in a configuration: collected, ordered, shown one a line.
//!
//! Here: the collector and its text and machine-readable forms. Not here: finding problems.
//! Invariant: a problem shows neither the value of a secret setting nor text that came from a
//! variable; its finder leaves them out.

use std::fmt::{self, Write};

use serde::Serialize;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be run.
    Error,
    /// The configuration can be run, but probably does not do what its author thinks.
    Warning,
}

/// One thing that is wrong, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// Path of the file as it was given; none for settings that came from no file.
    pub file: Option<String>,
    /// Line, from 1; 0 when the problem has no place inside the file.
    pub line: u32,
    /// Column in characters, from 1; 0 when the problem has no place inside the file.
    pub column: u32,
    /// Name of the section it belongs to, if any.
    pub section: Option<String>,
    /// Setting it belongs to, nested ones with dots (`tls.min_version`), if any.
    pub option: Option<String>,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// The valid name or value that was probably meant.
    pub suggestion: Option<String>,
}

impl Problem {
    /// An error without a place; fill in the other fields as far as they are known.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: None,
            line: 0,
            column: 0,
            section: None,
            option: None,
            message: message.into(),
            suggestion: None,
        }
    }

    /// A warning without a place; fill in the other fields as far as they are known.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Key that orders problems: by place first, errors before warnings at the same place.
    fn order(&self) -> (Option<&str>, u32, u32, Severity) {
        (self.file.as_deref(), self.line, self.column, self.severity)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write_plain(out, file)?;
            if self.line > 0 {
                write!(out, ":{}:{}", self.line, self.column)?;
            }
            out.write_str(": ")?;
        }
        if self.severity == Severity::Warning {
            out.write_str("warning: ")?;
        }
        if let Some(section) = &self.section {
            out.write_str("[")?;
            write_plain(out, section)?;
            out.write_str("] ")?;
        }
        write_plain(out, &self.message)?;
        if let Some(suggestion) = &self.suggestion {
            out.write_str(", did you mean '")?;
            write_plain(out, suggestion)?;
            out.write_str("'?")?;
        }
        Ok(())
    }
}

/// Writes text from a file so that it stays on one line and cannot steer a terminal.
fn write_plain(out: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|character| match character {
        control if control.is_control() => write!(out, "{}", control.escape_default()),
        plain => out.write_char(plain),
    })
}

/// All problems found so far. Collecting never stops at the first one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one problem.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Adds all problems of `other`.
    pub fn extend(&mut self, other: Problems) {
        self.list.extend(other.list);
    }

    /// True if at least one is an error, so that the configuration must not be run.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Number of errors, warnings not counted.
    pub fn error_count(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// True if there is neither an error nor a warning.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Number of errors and warnings.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The problems in the order in which they stand; call [`Problems::sort`] first to order them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// Orders by file, line, column, severity; equal ones keep the order in which they were found.
    pub fn sort(&mut self) {
        self.list.sort_by(|left, right| left.order().cmp(&right.order()));
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One problem a line, ordered by place.
impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ordered: Vec<&Problem> = self.list.iter().collect();
        ordered.sort_by(|left, right| left.order().cmp(&right.order()));
        ordered.into_iter().try_for_each(|problem| writeln!(out, "{problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32, message: &str) -> Problem {
        Problem { file: Some("app.toml".into()), line, column, ..Problem::error(message) }
    }

    #[test]
    fn a_problem_shows_its_place_section_and_suggestion() {
        let mut problem = at(12, 3, "unknown option 'adress'");
        problem.section = Some("syslog_in".into());
        problem.suggestion = Some("address".into());
        let expected =
            "app.toml:12:3: [syslog_in] unknown option 'adress', did you mean 'address'?";
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn warnings_say_so_and_missing_places_are_left_out() {
        assert_eq!(Problem::warning("odd").to_string(), "warning: odd");
        let whole_file = Problem { file: Some("a.toml".into()), ..Problem::error("cannot read") };
        assert_eq!(whole_file.to_string(), "a.toml: cannot read");
    }

    #[test]
    fn control_characters_are_shown_as_escapes() {
        let mut problem = at(1, 1, "odd '\u{1b}[0m'");
        problem.section = Some("a\nb\"é".into());
        assert_eq!(problem.to_string(), "app.toml:1:1: [a\\nb\"é] odd '\\u{1b}[0m'");
    }

    #[test]
    fn problems_are_shown_in_the_order_of_their_places() {
        let mut problems = Problems::new();
        problems.push(at(10, 1, "third"));
        problems.push(at(2, 7, "second"));
        problems.push(at(2, 3, "first"));
        let shown = problems.to_string();
        problems.sort();
        let texts: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(texts, ["first", "second", "third"]);
        assert_eq!(shown, problems.to_string());
    }

    #[test]
    fn only_errors_make_a_configuration_unusable() {
        let mut problems = Problems::new();
        problems.push(Problem::warning("odd"));
        assert!(!problems.has_errors() && !problems.is_empty());
        problems.push(Problem::error("bad"));
        assert!(problems.has_errors());
        assert_eq!((problems.error_count(), problems.len()), (1, 2));
    }

    #[test]
    fn problems_serialize_for_machines() {
        let mut problems = Problems::new();
        problems.push(at(1, 2, "bad"));
        let json = serde_json::to_value(&problems).unwrap();
        assert_eq!(json[0]["severity"], "error");
        assert_eq!(json[0]["line"], 1);
    }
}
