//! A model of LPeg to test the engine against: patterns as Lua would write them, values, a matcher that tries
//! everything in the plainest way. The fuzz target uses it too.

pub(crate) mod expr;
pub(crate) mod host;
pub(crate) mod naive;
pub(crate) mod parse;
pub(crate) mod random;
pub(crate) mod value;
