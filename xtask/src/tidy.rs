//! `cargo xtask tidy`: the rules of the house that a check can hold.
//!
//! Here: running all checks and showing what they found. Not here: what formatter, compiler and clippy check.
//! Invariant: all findings of all checks are shown together.

mod arrows;
mod code;
mod documents;
mod examples;
mod sources;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// One offence against one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    text: String,
}

impl Finding {
    fn new(file: impl AsRef<Path>, line: usize, text: impl Into<String>) -> Self {
        let file = file.as_ref().to_string_lossy().into_owned();
        Self { file, line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.file, self.text),
            line => write!(formatter, "{}:{line}: {}", self.file, self.text),
        }
    }
}

/// Runs all checks.
///
/// # Errors
/// If one found something, or a file cannot be read.
pub(crate) fn tidy() -> Result<()> {
    let workspace = Workspace::load()?;
    let mut findings = arrows::check(&workspace);
    findings.extend(sources::check(&workspace)?);
    findings.extend(documents::check(&workspace)?);
    findings.extend(examples::check(&workspace)?);
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    println!("tidy: {} packages, no findings", workspace.packages.len());
    Ok(())
}
