//! Parsing expression grammars as LPeg has them: patterns are values that operators join, a compiler makes programs of
//! them, a matcher runs these and keeps captures.
//!
//! Here: all of LPeg but Lua. Functions, constants, names and the values of captures belong to a [`Host`]; patterns
//! know them by keys. Not here: how a script's values become keys and back. Semantics and error texts are those of
//! LPeg 1.0.2. Invariants: no pattern, subject or grammar overflows the stack, and all work is charged to a [`Budget`].

mod analysis;
mod build;
mod charset;
mod compile;
mod entry;
mod error;
mod evaluate;
mod facts;
mod grammar;
mod host;
mod machine;
mod program;
mod tree;
mod utf8;

pub use charset::CharSet;
pub use error::{Error, MatchError};
pub use grammar::RULES_MAX;
pub use host::{Budget, CAPTURES_MAX, Host, Limits, STACK_MAX, Verdict};
pub use machine::{Matched, Matcher};
pub use program::{CODE_MAX, Program};
pub use tree::{BEHIND_MAX, DEPTH_MAX, NODES_MAX, Pattern};
