//! The matcher language as a whole: the cases observed on Heka, warnings and errors, sets against single matchers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod conformance;
mod messages;
mod parsing;
mod sets;
