//! What can be wrong with the formats that a configuration sets.

use heka_datetime::DatetimeError;

/// Why a format or option was refused when a plugin started.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// A log format in which neither language shows.
    #[error("log_format has neither a $variable of nginx nor a %directive of Apache")]
    NoVariable,
    /// An Apache directive that is not known.
    #[error("unknown variable: {code}")]
    Directive {
        /// Its letter.
        code: char,
    },
    /// A `%` without a directive behind it.
    #[error("log_format has a lone % at byte {offset}")]
    LonePercent {
        /// Where it stands.
        offset: usize,
    },
    /// A `{` without its `}`.
    #[error("log_format has a {{ without }} behind byte {offset}")]
    UnclosedArgument {
        /// Where its directive begins.
        offset: usize,
    },
    /// A backslash before something else than `t`, `n`, `"`, `\` or three digits.
    #[error("log_format has an unknown escape at byte {offset}")]
    Escape {
        /// Where its backslash stands.
        offset: usize,
    },
    /// A strftime format or layout that cannot be read by.
    #[error("cannot use the time format: {0}")]
    TimeFormat(#[source] DatetimeError),
    /// A zone that is not known.
    #[error("cannot use tz: {0}")]
    Zone(#[source] DatetimeError),
    /// A message member that an encoder does not know.
    #[error("no member of a message is called {name:?}")]
    Member {
        /// The name as configured.
        name: String,
    },
}
