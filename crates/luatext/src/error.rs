//! What can be wrong with a pattern, a format or a packed structure, and what can stop the work on it.
//!
//! Here: the texts of Lua 5.1 and of struct 0.2, without the place that the host puts before them.

/// Why a function of the library raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The budget was used up; it is 0 then.
    #[error("pattern matching takes too long")]
    OutOfBudget,
    /// The result would be longer than the caller allows.
    #[error("resulting string too large")]
    TooLong,

    /// A `%` with nothing behind it.
    #[error("malformed pattern (ends with '%')")]
    EndsWithEscape,
    /// A set that does not end.
    #[error("malformed pattern (missing ']')")]
    MissingBracket,
    /// A frontier without its set.
    #[error("missing '[' after '%f' in pattern")]
    MissingFrontierSet,
    /// `%b` without its two bytes.
    #[error("unbalanced pattern")]
    Unbalanced,
    /// A `)` without its `(`.
    #[error("invalid pattern capture")]
    InvalidPatternCapture,
    /// A reference to a capture that does not exist or is not closed.
    #[error("invalid capture index")]
    InvalidCaptureIndex,
    /// A `(` without its `)`; raised when the value of the capture is asked for.
    #[error("unfinished capture")]
    UnfinishedCapture,
    /// More captures than [`CAPTURES_MAX`](crate::CAPTURES_MAX).
    #[error("too many captures")]
    TooManyCaptures,
    /// More parts than [`PARTS_MAX`](crate::PARTS_MAX).
    #[error("pattern too complex")]
    TooComplex,

    /// A directive for which there is no argument.
    #[error("no value")]
    NoValue,
    /// A directive with an unknown letter.
    #[error("invalid option '%{}' to 'format'", Letter(*.letter))]
    InvalidOption {
        /// The letter; 0 at the end of the format.
        letter: u8,
    },
    /// More than five flags.
    #[error("invalid format (repeated flags)")]
    RepeatedFlags,
    /// A width or a precision of more than two digits.
    #[error("invalid format (width or precision too long)")]
    WidthTooLong,

    /// A letter that no structure has.
    #[error("invalid format option '{}'", Letter(*.letter))]
    InvalidPackOption {
        /// The letter.
        letter: u8,
    },
    /// An integer of more bytes than 32.
    #[error("integral size {size} is larger than limit of 32")]
    IntegralSize {
        /// The size asked for.
        size: u32,
    },
    /// A number in the format that no integer of 32 bits holds.
    #[error("integral size overflow")]
    IntegralOverflow,
    /// An alignment that is no power of 2.
    #[error("alignment {alignment} is not a power of 2")]
    Alignment {
        /// The alignment asked for.
        alignment: u32,
    },
    /// A string that does not fill its place.
    #[error("string too short")]
    StringTooShort,
    /// The data ends before the format does.
    #[error("data string too short")]
    DataTooShort,
    /// A string in the data without the zero at its end.
    #[error("unfinished string in data")]
    UnfinishedString,
    /// `c0` without a number before it.
    #[error("format `c0' needs a previous size")]
    NoPreviousSize,
    /// The size of a format with `s`.
    #[error("option 's' has no fixed size")]
    StringSize,
    /// The size of a format with `c0`.
    #[error("option 'c0' has no fixed size")]
    CharsSize,
}

/// A byte as C's `%c` puts it into a text: nothing for 0.
struct Letter(u8);

impl std::fmt::Display for Letter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => Ok(()),
            letter => write!(formatter, "{}", char::from(letter)),
        }
    }
}
