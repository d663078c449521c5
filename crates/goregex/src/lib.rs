//! Go regular expressions, translated for the regex crates.
//!
//! Here: reading Go's (RE2) pattern syntax, writing the same pattern in the syntax of the Rust regex crates, and
//! compiling it under size limits. Not here: searching (`regex_automata` does that) and the users of patterns.
//!
//! Invariants: no input panics; flags are resolved while reading, so the written pattern depends on no flag set
//! outside of it and needs no option but "bytes, Unicode, leftmost-first"; the n-th group stays the n-th group.
//! On valid UTF-8 a pattern matches what it matches in Go, but for what `emit` and [`compile`] say. An invalid byte
//! acts as U+FFFD, as in Go.

mod ast;
mod class;
mod emit;
mod error;
mod literal;
mod parse;
mod pattern;

pub use error::Error;
pub use literal::LiteralForm;
pub use pattern::{Pattern, compile, compile_set, translate};
