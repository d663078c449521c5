//! What the libraries of sets share: keys, arguments, errors.

use std::borrow::Cow;
use std::ffi::c_int;

use heka_sketches::{Error, Key};

use crate::error::Raise;
use crate::lua::{Lua, Type};
use crate::object::Object;

/// Bytes that are as much work to hash or to clear as an instruction.
pub(super) const BYTES_A_STEP: usize = 64;

/// The error of a call with too few or too many arguments, as Heka has it: of no argument.
pub(super) const ARGUMENTS: Raise =
    Raise::Argument(0, Cow::Borrowed("incorrect number of arguments"));

/// The error of an argument.
#[cold]
pub(super) fn wrong(index: c_int, error: &Error) -> Raise {
    match error {
        Error::Memory => Raise::Memory,
        _ => Raise::argument(index, error.to_string()),
    }
}

/// The error of a text that cannot be taken over.
#[cold]
pub(super) fn wrong_text(error: &Error) -> Raise {
    match error {
        Error::Memory => Raise::Memory,
        _ => Raise::text(error.to_string()),
    }
}

/// The set that a method was called on, with exactly so many arguments after it.
#[inline]
pub(super) fn check<'a, T: Object>(lua: Lua<'a>, arguments: c_int) -> Result<&'a mut T, Raise> {
    let set = lua.check_object::<T>(1)?;
    if lua.top() == arguments + 1 { Ok(set) } else { Err(ARGUMENTS) }
}

/// Argument 2 as a key, which is charged as often as it is hashed.
#[inline]
pub(super) fn check_key<'a>(lua: &'a Lua<'_>, hashes: usize) -> Result<Key<'a>, Raise> {
    match lua.type_of(2) {
        Type::String => {
            let text = lua.bytes(2).unwrap_or_default();
            lua.charge((1 + text.len() / BYTES_A_STEP) * hashes / 4)?;
            Ok(Key::from(text))
        }
        Type::Number => {
            lua.charge(hashes / 4)?;
            Ok(Key::from(lua.number(2).unwrap_or_default()))
        }
        _ => Err(Raise::argument(2, "must be a string or number")),
    }
}

/// Argument `index` as a count.
pub(super) fn check_count(lua: Lua<'_>, index: c_int) -> Result<u64, Raise> {
    Ok(u64::try_from(lua.check_integer(index)?).unwrap_or(0))
}

/// Asks for the memory of a set, `None` if there can be none so large, and charges the work of clearing it.
pub(super) fn ask(lua: Lua<'_>, bytes: Option<usize>) -> Result<(), Raise> {
    let bytes = bytes.ok_or(Raise::Memory)?;
    lua.ask_memory(bytes)?;
    lua.charge(bytes / BYTES_A_STEP)
}
