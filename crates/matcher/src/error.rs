//! What can be wrong with a matcher expression. All texts begin as Heka's do.

/// An expression that is no matcher.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// A token that may not stand where it stands, or the end too early.
    #[error(
        "syntax error: last token: {token} pos: {read}; found at byte {position}, expected {expected}{hint}"
    )]
    Syntax {
        /// The token; empty at the end.
        token: String,
        /// Offset of its first byte.
        position: usize,
        /// Number of bytes read up to its end.
        read: usize,
        /// What may stand there.
        expected: &'static str,
        /// `; did you mean …?` or another piece of advice; empty if there is none.
        hint: String,
    },
    /// A regular expression that does not compile.
    #[error(
        "syntax error: last token: {token} pos: {read}; invalid regular expression at byte {position}"
    )]
    Regex {
        /// The expression with its slashes.
        token: String,
        /// Offset of the opening slash.
        position: usize,
        /// Number of bytes read up to its end.
        read: usize,
        /// What is wrong with it.
        source: heka_goregex::Error,
    },
    /// Parentheses within parentheses, too deep.
    #[error("syntax error: last token: ( pos: {position}; parentheses nest deeper than {max}")]
    TooDeep {
        /// Number of bytes read.
        position: usize,
        /// The greatest depth.
        max: usize,
    },
    /// An expression that is too long to be looked at.
    #[error(
        "syntax error: last token:  pos: 0; the expression has {bytes} bytes, at most {max} are accepted"
    )]
    TooLong {
        /// Length of the expression.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

impl ParseError {
    /// Offset of the first byte that is wrong.
    #[must_use]
    pub fn position(&self) -> usize {
        match self {
            Self::Syntax { position, .. }
            | Self::Regex { position, .. }
            | Self::TooDeep { position, .. } => *position,
            Self::TooLong { max, .. } => *max,
        }
    }
}
