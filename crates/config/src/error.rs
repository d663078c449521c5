//! Why a text is no duration, size or other unit. Not here: problems with a place (`problem`).

/// A text or number that is not what its unit asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not of the form number and unit, repeated.
    #[error("'{text}' is no duration, expected for example '250ms' or '1h30m'")]
    Duration {
        /// The text.
        text: String,
    },
    /// A number without a unit.
    #[error("duration '{text}' has no unit, expected for example '{text}s' or '{text}ms'")]
    DurationUnit {
        /// The text.
        text: String,
    },
    /// Below zero where only zero and above make sense.
    #[error("'{text}' must not be negative")]
    Negative {
        /// The text.
        text: String,
    },
    /// Larger than can be held.
    #[error("'{text}' is too large, at most {largest}")]
    TooLarge {
        /// The text.
        text: String,
        /// The largest that is accepted.
        largest: &'static str,
    },
    /// Neither a number of bytes nor number and unit.
    #[error("'{text}' is no size, expected a number of bytes or for example '10kB' or '64MiB'")]
    Size {
        /// The text.
        text: String,
    },
    /// Not one to four octal digits.
    #[error("'{text}' is no octal permission, expected for example '644'")]
    Octal {
        /// The text.
        text: String,
    },
}
