//! How functions fail, and how a script ends.

use std::borrow::Cow;
use std::ffi::c_int;
use std::path::PathBuf;

/// What a function of ours raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raise {
    /// A text, with the place of the caller before it.
    Text(Cow<'static, str>),
    /// An argument is wrong: its number, 0 where none is named, and how.
    Argument(c_int, Cow<'static, str>),
    /// What is on top of the stack.
    Value,
    /// The limit of memory.
    Memory,
    /// The limit of steps.
    Breach,
}

impl Raise {
    /// A text, with the place of the caller before it.
    pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }

    /// An argument is wrong.
    pub(crate) fn argument(number: c_int, how: impl Into<Cow<'static, str>>) -> Self {
        Self::Argument(number, how.into())
    }
}

/// A sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The script cannot be read.
    #[error("cannot open {}: {}", path.display(), cause_text(source))]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The script is byte code, which could do anything.
    #[error("{name}: precompiled scripts are not loaded")]
    Precompiled {
        /// Its name.
        name: String,
    },
    /// The script has an error, or raised one.
    #[error("{0}")]
    Script(Report),
    /// The saved state could not be restored.
    #[error("lsb_restore_global_data {0}")]
    Restore(String),
    /// There is no memory for a state.
    #[error("no memory for a Lua state")]
    State,
}

/// What the system says, as the C library has it: without the number.
pub(crate) fn cause_text(source: &std::io::Error) -> String {
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// How a script failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What Heka says of it, 255 bytes at most.
    pub text: String,
    /// Where it was, function by function, innermost first.
    pub traceback: String,
    /// The line of the script that the text names, if it does.
    pub source_line: Option<String>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The sandbox ended by itself: its state is of no more use, but for [`Ended::Status`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// An error, or a limit.
    Failed(Report),
    /// The script said so by its status; its state can still be saved.
    Status {
        /// The status.
        status: i32,
        /// What the script said.
        text: String,
    },
}

impl Ended {
    /// What is said of it.
    pub fn text(&self) -> &str {
        match self {
            Self::Failed(report) => &report.text,
            Self::Status { text, .. } => text,
        }
    }
}

/// The state could not be saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreserveError {
    /// A key of a table that has no text.
    #[error("serialize_data cannot preserve type '{0}'")]
    Key(&'static str),
    /// Tables in tables, too many.
    #[error("serialize_data tables are nested deeper than {0}")]
    Depth(usize),
    /// More text than there may be.
    #[error("serialize_data makes more than {0} bytes")]
    Size(usize),
    /// The sandbox has ended with an error.
    #[error("the script has ended with an error")]
    Gone,
}
