//! The tasks of this repository: `cargo xtask tidy|reference|bench|test`.
//!
//! Here: the command line. Not here: the tasks. Output of tasks goes to people, hence to standard output.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people at a terminal"
)]

mod bench;
mod reference;
mod suite;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// What can be said.
const USAGE: &str = "\
usage: cargo xtask TASK

  test                 everything a change must pass: tidy, reference --check, cargo test
  tidy                 the rules of the house that a check can hold
  reference [--check]  writes docs/reference from the code, or compares it
  bench [CASE…]        throughput of the daemon; --help lists cases and options
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test"] => suite::test(),
        ["tidy"] => tidy::tidy(),
        ["reference"] => reference::reference(false),
        ["reference", "--check"] => reference::reference(true),
        ["bench", options @ ..] => bench::bench(options),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [] => bail!("which task?\n{USAGE}"),
        other => bail!("unknown task: {}\n{USAGE}", other.join(" ")),
    }
}
