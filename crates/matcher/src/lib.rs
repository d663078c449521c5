//! The message matcher language, compiled to batch selections.
//!
//! Here: reading the language, testing one message, and testing a batch against all matchers of a configuration
//! at once. Not here: patterns (`heka-goregex`), what is matched (`heka-message`), signers (a matter of the route).
//!
//! Invariants: no input panics; [`MatcherSet::evaluate`] selects exactly the records for which
//! [`Matcher::matches`] is true; a matcher whose guard did not fire costs nothing; nothing is allocated for a
//! record.

mod ast;
mod error;
mod evaluation;
mod formula;
mod index;
mod lexer;
mod matcher;
mod parser;
mod set;
mod test;
mod trigger;
mod warning;

pub use error::ParseError;
pub use evaluation::Evaluation;
pub use matcher::Matcher;
pub use set::{CompileError, MatcherSet};
pub use warning::{Warning, WarningKind};
