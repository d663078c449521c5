//! What can be wrong with a pattern, and what can stop a match. The texts are those of LPeg 1.0.2 where it has one.

/// A pattern that cannot be built or compiled, or a match that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `p^n` with a `p` that matches the empty string.
    #[error("loop body may accept empty string")]
    EmptyLoop,
    /// The same, seen only when the rules of a grammar are known.
    #[error("empty loop in rule '{rule}'")]
    EmptyLoopInRule {
        /// Name of the rule.
        rule: String,
    },
    /// A grammar without rules.
    #[error("grammar has no initial rule")]
    NoInitialRule,
    /// More rules than [`RULES_MAX`](crate::RULES_MAX).
    #[error("grammar has too many rules")]
    TooManyRules,
    /// A rule that calls itself before anything is consumed.
    #[error("rule '{rule}' may be left recursive")]
    LeftRecursion {
        /// Name of a rule of the circle.
        rule: String,
    },
    /// A reference to a rule that the grammar does not have.
    #[error("rule '{rule}' undefined in given grammar")]
    UndefinedRule {
        /// Name in the reference.
        rule: String,
    },
    /// A reference to a rule in a pattern that is no grammar.
    #[error("rule '{rule}' used outside a grammar")]
    RuleOutsideGrammar {
        /// Name in the reference.
        rule: String,
    },
    /// Look-behind needs to know how far.
    #[error("pattern may not have fixed length")]
    NoFixedLength,
    /// Look-behind takes no captures.
    #[error("pattern have captures")]
    HasCaptures,
    /// Look-behind over more than [`BEHIND_MAX`](crate::BEHIND_MAX) bytes.
    #[error("pattern too long to look behind")]
    TooLongToLookBehind,
    /// The pattern has more parts than [`NODES_MAX`](crate::NODES_MAX), or its code would have too many instructions.
    #[error("pattern too large (limit is {limit} parts)")]
    TooLarge {
        /// The limit that was met.
        limit: usize,
    },
    /// The parts of the pattern lie deeper in one another than [`DEPTH_MAX`](crate::DEPTH_MAX).
    #[error("pattern nesting too deep (limit is {limit})")]
    TooDeep {
        /// The limit that was met.
        limit: u32,
    },
    /// A code point range that is none.
    #[error("invalid code point range")]
    CodePoints,
    /// More pending calls and choices than the limit of the match.
    #[error("backtrack stack overflow (current limit is {limit})")]
    StackOverflow {
        /// The limit.
        limit: usize,
    },
    /// More captures than the limit of the match.
    #[error("too many captures")]
    TooManyCaptures,
    /// More values than the host's stack can hold.
    #[error("too many results in match-time capture")]
    TooManyResults,
    /// The budget was used up.
    #[error("pattern matching takes too long")]
    OutOfBudget,
    /// The program would take more memory than it may.
    #[error("not enough memory")]
    OutOfMemory,
    /// The subject is longer than 4 GiB.
    #[error("subject too long")]
    SubjectTooLong,
    /// A match-time capture gave a position before the current one or after the end.
    #[error("invalid position returned by match-time capture")]
    InvalidPosition,
    /// Captures in captures, 200 deep.
    #[error("subcapture nesting too deep")]
    SubcaptureDepth,
    /// A back reference without its group.
    #[error("back reference '{name}' not found")]
    BackReference {
        /// Name in the reference.
        name: String,
    },
    /// `p / n` with fewer than `n` values.
    #[error("no capture '{index}'")]
    NoCapture {
        /// The number asked for.
        index: u32,
    },
    /// `Carg(n)` with fewer than `n` extra arguments.
    #[error("reference to absent extra argument #{index}")]
    AbsentArgument {
        /// The number asked for.
        index: u32,
    },
    /// A fold without a first value.
    #[error("no initial value for fold capture")]
    NoInitialValue,
    /// `%n` in a replacement string with fewer captures.
    #[error("invalid capture index ({index})")]
    CaptureIndex {
        /// The number asked for.
        index: u8,
    },
    /// `%n` in a replacement string where that capture has no value.
    #[error("no values in capture index {index}")]
    NoValues {
        /// The number asked for.
        index: u8,
    },
    /// A value that cannot become part of a string.
    #[error("invalid {what} value (a {found})")]
    NotText {
        /// `capture` or `replacement`.
        what: &'static str,
        /// The type of the value, in the host's words.
        found: &'static str,
    },
}

/// Why a match stopped without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchError<E> {
    /// The engine's own reasons.
    Engine(Error),
    /// What a method of the host gave as its error, unchanged.
    Host(E),
}

impl<E> From<Error> for MatchError<E> {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}
