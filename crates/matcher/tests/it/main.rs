//! The matcher language as a whole: the cases observed on Heka, warnings and errors, sets against single matchers.

mod conformance;
mod messages;
mod parsing;
mod sets;
