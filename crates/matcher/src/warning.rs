//! What an accepted expression says that has no effect.
//!
//! Heka reads on silently in these cases; existing configurations may rely on the result but hardly mean it.

use std::fmt;

/// Longest part of an ignored text that is shown, in characters.
const SHOWN_CHARACTERS_MAX: usize = 80;

/// A part of an expression that is ignored, or not read as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Offset of its first byte.
    pub position: usize,
    /// The text.
    pub text: String,
    /// Why.
    pub kind: WarningKind,
}

/// Why a part of an expression has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningKind {
    /// Another expression follows; only the last one counts.
    EarlierExpression,
    /// The text begins with a capitalised word that means nothing; it ends the expression.
    UnknownWord,
    /// A line break ends the expression.
    AfterNewline,
    /// A NUL ends the expression.
    AfterNul,
    /// A string without its closing quote ends the expression.
    UnterminatedString,
    /// A regular expression without its closing slash ends the expression.
    UnterminatedRegex,
    /// A regular expression that does not compile ends the expression.
    InvalidRegex,
    /// `Fields` without well-formed brackets ends the expression.
    MalformedField,
    /// `=`, `|`, `&` or `!` alone.
    LoneOperator,
    /// A number that cannot be read; it counts as 0.
    InvalidNumber,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, position) = (Shown(&self.text), self.position);
        let advice = match self.kind {
            WarningKind::EarlierExpression => {
                "another expression follows and only the last one counts; join them with && or ||"
            }
            WarningKind::UnknownWord => {
                "it begins with an unknown word, which ends the expression; \"and\" is &&, \"or\" is ||"
            }
            WarningKind::AfterNewline => "a line break ends the expression; write it on one line",
            WarningKind::AfterNul => "a NUL ends the expression",
            WarningKind::UnterminatedString => "its closing quote is missing",
            WarningKind::UnterminatedRegex => "its closing slash is missing",
            WarningKind::InvalidRegex => "it is no valid regular expression",
            WarningKind::MalformedField => {
                "a field is written Fields[name], Fields[name][0] or Fields[name][0][0]"
            }
            WarningKind::LoneOperator => "a single character of this kind means nothing",
            WarningKind::InvalidNumber => {
                return write!(
                    formatter,
                    "{text:?} at byte {position} is no valid number and counts as 0"
                );
            }
        };
        write!(formatter, "{text:?} at byte {position} is ignored: {advice}")
    }
}

/// A text, cut if it is long.
struct Shown<'t>(&'t str);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_CHARACTERS_MAX) {
            Some((end, _)) => write!(formatter, "{:?}…", self.0.get(..end).unwrap_or("")),
            None => write!(formatter, "{:?}", self.0),
        }
    }
}
