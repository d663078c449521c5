//! The programs beside the daemon: `heka-sbmgr` and `heka-sbmgrload`.
//!
//! Here: their command lines and settings, the control messages, the connection. Not here: what the daemon's
//! SandboxManagerFilter does with the messages. Invariant: everything that can be wrong is looked at before anything is
//! sent.

mod args;
mod control;
mod filter_file;
mod load;
mod manage;
mod send;
mod settings;

pub use load::load;
pub use manage::manage;

use std::io::Write;
use std::process::ExitCode;

use args::Usage;

/// How a program ends: it has done its work, or it says why not.
fn finish(program: &str, result: Result<String, Failure>) -> ExitCode {
    match result {
        Ok(text) => say(&text),
        // Help that was asked for is a result, not an error.
        Err(Failure::Usage(Usage { text, code: 0 })) => say(&text),
        Err(Failure::Usage(Usage { text, code })) => {
            tell(&text);
            ExitCode::from(code)
        }
        Err(Failure::Error(error)) => {
            tell(&format!("{program}: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; a reader that went away is no error.
fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Writes to standard error; where that is gone nobody can be told anything.
fn tell(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// Why a program did not do what it does.
enum Failure {
    /// Help was asked for, or the command line is wrong.
    Usage(Usage),
    /// It could not.
    Error(anyhow::Error),
}

impl From<Usage> for Failure {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}
