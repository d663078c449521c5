//! What a check found.

use std::fmt;

/// A contract that a plugin does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Type name of the plugin.
    pub plugin: String,
    /// What is wrong.
    pub text: String,
}

impl Fault {
    pub(crate) fn new(plugin: &str, text: impl Into<String>) -> Self {
        Self { plugin: plugin.to_owned(), text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.plugin, self.text)
    }
}
