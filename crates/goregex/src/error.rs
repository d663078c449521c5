//! What can be wrong with a pattern. Positions are byte offsets into the text that the user wrote.

use regex_automata::meta::BuildError;

/// A pattern that cannot be used, where it fails, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An escape sequence that Go does not know.
    #[error(
        "invalid escape {text:?} at byte {position} of the pattern; to match a letter or digit itself write it \
         without the backslash"
    )]
    Escape {
        /// Offset of the backslash.
        position: usize,
        /// The sequence.
        text: String,
    },
    /// A reference to an earlier group (`\1`).
    #[error(
        "back-reference {text:?} at byte {position} of the pattern is not supported; an octal code needs two or \
         three digits"
    )]
    BackReference {
        /// Offset of the backslash.
        position: usize,
        /// The sequence.
        text: String,
    },
    /// The pattern ends in a lone backslash.
    #[error(
        "trailing backslash at byte {position} of the pattern; write `\\\\` to match a backslash"
    )]
    TrailingBackslash {
        /// Offset of the backslash.
        position: usize,
    },
    /// A bracket class without its closing bracket.
    #[error("missing closing `]` for the class that opens at byte {position} of the pattern")]
    UnclosedClass {
        /// Offset of the opening bracket.
        position: usize,
    },
    /// A range whose end lies before its start, or an unknown class name.
    #[error(
        "invalid range or class name {text:?} at byte {position} of the pattern; a range runs from low to high, a \
         name is one of alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit"
    )]
    ClassRange {
        /// Offset of the range.
        position: usize,
        /// The range as written.
        text: String,
    },
    /// A `\p` class with a name that is neither a general category nor a script.
    #[error(
        "unknown Unicode class {text:?} at byte {position} of the pattern; use a category such as `\\pL` or a script \
         such as `\\p{{Greek}}`"
    )]
    UnicodeClass {
        /// Offset of the backslash.
        position: usize,
        /// The class as written.
        text: String,
    },
    /// An opening parenthesis without its partner.
    #[error("missing closing `)` for the group that opens at byte {position} of the pattern")]
    UnclosedGroup {
        /// Offset of the opening parenthesis.
        position: usize,
    },
    /// A closing parenthesis without its partner.
    #[error("unexpected `)` at byte {position} of the pattern; write `\\)` to match a parenthesis")]
    UnopenedGroup {
        /// Offset of the parenthesis.
        position: usize,
    },
    /// `(?` followed by something that is no flag, name or `:`.
    #[error(
        "unsupported group syntax {text:?} at byte {position} of the pattern; look-around, atomic groups and \
         conditionals do not exist, the flags are i, m, s and U"
    )]
    GroupSyntax {
        /// Offset of the opening parenthesis.
        position: usize,
        /// What was read of the group's head.
        text: String,
    },
    /// A group name with characters other than letters, digits and `_`.
    #[error(
        "invalid group name {text:?} at byte {position} of the pattern; a name consists of letters, digits and `_`"
    )]
    GroupName {
        /// Offset of the opening parenthesis.
        position: usize,
        /// The name as written.
        text: String,
    },
    /// A repetition operator with nothing in front of it.
    #[error(
        "nothing to repeat before {text:?} at byte {position} of the pattern; escape it with a backslash to match it \
         literally"
    )]
    NothingToRepeat {
        /// Offset of the operator.
        position: usize,
        /// The operator.
        text: String,
    },
    /// A repetition operator right after another one.
    #[error(
        "repetition {text:?} at byte {position} of the pattern follows another repetition; put the first one in \
         `(?:` and `)`"
    )]
    NestedRepeat {
        /// Offset of the second operator.
        position: usize,
        /// The operator.
        text: String,
    },
    /// A repetition count that is too large or in the wrong order.
    #[error(
        "repetition {text:?} at byte {position} of the pattern: counts must rise and must not exceed {max}, nested \
         ones multiplied"
    )]
    RepeatCount {
        /// Offset of the operator.
        position: usize,
        /// The operator.
        text: String,
        /// The greatest count.
        max: u32,
    },
    /// Groups within groups, too deep.
    #[error(
        "groups nest deeper than {max} at byte {position} of the pattern; write it with fewer groups"
    )]
    TooDeep {
        /// Offset of the group that is one too deep.
        position: usize,
        /// The greatest depth.
        max: usize,
    },
    /// A pattern that is too long to be looked at.
    #[error(
        "the pattern has {bytes} bytes, at most {max} are accepted; split it into several patterns"
    )]
    TooLong {
        /// Length of the pattern.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A pattern whose automaton does not fit, or that the regex engine refuses for another reason.
    #[error(
        "the pattern as a whole cannot be compiled within {bytes_max} bytes; lower its repetition counts or split it"
    )]
    Build {
        /// The limit on the automaton.
        bytes_max: usize,
        /// What the engine says.
        source: Box<BuildError>,
    },
}
