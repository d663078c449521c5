//! Texts as Lua 5.1 handles them: patterns, formats, the texts of numbers and packed structures, without Lua.
//!
//! Here: the work behind the libraries `string` and `struct`, on byte strings and numbers. Not here: arguments, results
//! and errors of a script. Semantics and error texts are those of Lua 5.1.5 in the C locale and of struct 0.2.
//! Invariants: all work on patterns is charged to a budget, nothing recurses, and what grows has a limit that the
//! caller sets or can know before.

mod bytes;
mod error;
mod escape;
mod format;
mod number;
mod pack;
mod pattern;

pub use bytes::{ByteSet, lower, reverse, upper};
pub use error::Error;
pub use escape::append_escaped;
pub use format::{Conversion, Directive, Directives, FORM_MAX, ITEM_BYTES_MAX, Piece};
pub use number::{
    NUMBER_BYTES_MAX, general_number, heka_literal, heka_number, lua_number, to_int32, to_signed,
    to_unsigned,
};
pub use pack::{PackFormat, PackItem, UnpackItem, Unpacked, pack_size};
pub use pattern::{
    CAPTURES_MAX, Cache, Capture, Found, Kind, Matcher, PARTS_MAX, Pattern, Substitution,
    find_plain,
};
