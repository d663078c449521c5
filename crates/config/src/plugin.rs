//! What a plugin's settings must be able to do, and how it says what is wrong with them.
//!
//! Here: the trait and its collector. Not here: places in files; the caller of `validate` adds
//! them.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Severity;

/// What happens to keys that a settings struct does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKeys {
    /// They are errors.
    Reject,
    /// They are warnings: Heka accepted anything for types without a settings structure.
    Warn,
}

/// The settings of a plugin or of a part of it.
///
/// Derive `Serialize`, `Deserialize`, `JsonSchema` and put `#[serde(default,
/// deny_unknown_fields)]` on the struct; defaults live in `impl Default`. Extensions that are
/// understood on a field: `#[schemars(extend("x-required" = true))]` makes leaving it out an
/// error, `"x-retired" = "reason"` warns that it has no effect, `"x-aliases" = ["name"]` names
/// its serde aliases in the reference.
pub trait PluginConfig: DeserializeOwned + Serialize + JsonSchema + Default {
    /// What happens to keys of the section that nobody knows.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Reject;

    /// Checks what types cannot say. Touches nothing outside memory.
    fn validate(&self, _problems: &mut FieldProblems) {}
}

/// A remark of `validate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    pub(crate) severity: Severity,
    /// Keys joined with dots.
    pub(crate) key: String,
    pub(crate) text: String,
}

/// Collects what `validate` finds; each remark belongs to a key.
#[derive(Debug, Default)]
pub struct FieldProblems {
    pub(crate) list: Vec<FieldProblem>,
    prefix: String,
}

impl FieldProblems {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// An error unless `condition` holds. `text` goes on after the key: "must lie in 1..=9".
    pub fn require(&mut self, condition: bool, key: &str, text: impl Into<String>) {
        if !condition {
            self.error(key, text);
        }
    }

    /// An error at `key`; a nested key is written with dots.
    pub fn error(&mut self, key: &str, text: impl Into<String>) {
        self.push(Severity::Error, key, text.into());
    }

    /// A warning at `key`; a nested key is written with dots.
    pub fn warn(&mut self, key: &str, text: impl Into<String>) {
        self.push(Severity::Warning, key, text.into());
    }

    /// Runs a check of a nested table; its keys are taken as those of the table `key`.
    pub fn nested(&mut self, key: &str, check: impl FnOnce(&mut FieldProblems)) {
        let length = self.prefix.len();
        self.prefix.push_str(key);
        self.prefix.push('.');
        check(self);
        self.prefix.truncate(length);
    }

    /// True if nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What was found: severity, key and text.
    pub fn iter(&self) -> impl Iterator<Item = (Severity, &str, &str)> {
        self.list.iter().map(|found| (found.severity, found.key.as_str(), found.text.as_str()))
    }

    fn push(&mut self, severity: Severity, key: &str, text: String) {
        let key = format!("{}{key}", self.prefix);
        self.list.push(FieldProblem { severity, key, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_remarks_carry_their_whole_key() {
        let mut problems = FieldProblems::new();
        problems.require(true, "fine", "must hold");
        assert!(problems.is_empty());
        problems.nested("a", |problems| {
            problems.nested("b", |problems| problems.require(false, "c", "must hold"));
            problems.warn("d", "is odd");
        });
        problems.error("e", "is wrong");
        let found: Vec<_> = problems.iter().collect();
        let expected = [
            (Severity::Error, "a.b.c", "must hold"),
            (Severity::Warning, "a.d", "is odd"),
            (Severity::Error, "e", "is wrong"),
        ];
        assert_eq!(found, expected);
    }
}
