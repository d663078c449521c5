//! `cargo xtask test`: everything that a change must pass, one after another.
//!
//! Here: the order, and the summary. Not here: formatting and clippy, which `.ci/run` adds.

use std::process::ExitStatus;

use anyhow::{Context, Result, bail};

use crate::workspace::cargo;
use crate::{reference, tidy};

/// A part of it, with its name.
type Step = (&'static str, fn() -> Result<()>);

/// Runs tidy, the comparison of the reference, and all tests of the workspace; all of them even if one fails.
///
/// # Errors
/// If one of them failed.
pub(crate) fn test() -> Result<()> {
    let steps: [Step; 3] = [
        ("tidy", tidy::tidy),
        ("reference --check", || reference::reference(true)),
        ("cargo test --workspace", tests),
    ];
    let mut failed = Vec::new();
    for (name, step) in steps {
        println!("== {name}");
        if let Err(error) = step() {
            eprintln!("{error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("== all passed: {}", steps.map(|(name, _)| name).join(", "));
    Ok(())
}

fn tests() -> Result<()> {
    let status: ExitStatus = cargo()
        .args(["test", "--workspace", "--no-fail-fast"])
        .status()
        .context("cannot run cargo test")?;
    if !status.success() {
        bail!("cargo test: {status}");
    }
    Ok(())
}
