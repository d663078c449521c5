//! The library `cjson`: JSON to values of Lua and back.
//!
//! Here: what the binding keeps for a sandbox, the library's table, its options. In the folder: writing (`encode`),
//! reading (`decode`), the texts of numbers (`number`). Invariants: nothing here recurses; what is written stays below the
//! limit of output; each element and every few bytes are charged. Texts and leniencies are those of Lua CJSON 2.1 with the
//! changes of Heka's sandbox: sandbox.md of Heka's behaviour, section 8.5.

use std::ffi::c_int;

use crate::error::Raise;
use crate::function::entry;
use crate::lua::{Lua, Type};

mod decode;
mod encode;
mod number;

/// The version that scripts may ask for.
const VERSION: &str = "2.1.0";

/// Largest value of most options.
const OPTION_MAX: i64 = i32::MAX as i64;
/// Most significant digits of a number.
const PRECISION_MAX: i64 = 17;
/// Bytes that are as much work as an instruction.
const BYTES_A_STEP: usize = 32;

/// What becomes of numbers that JSON does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvalidNumbers {
    /// An error.
    Refused,
    /// `NaN`, `Infinity` and `-Infinity`.
    Written,
    /// `null`.
    Null,
}

/// What the binding keeps for a sandbox.
#[derive(Debug)]
pub(crate) struct CjsonState {
    sparse_converts: bool,
    sparse_ratio: i64,
    sparse_safe: i64,
    encode_depth_max: i64,
    decode_depth_max: i64,
    precision: i64,
    encode_invalid: InvalidNumbers,
    decode_invalid: bool,
    decode_null: bool,
    /// Containers that are being written or read; taken while in use.
    writing: Vec<encode::Frame>,
    reading: Vec<decode::Frame>,
}

impl Default for CjsonState {
    fn default() -> Self {
        Self {
            sparse_converts: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            precision: 14,
            encode_invalid: InvalidNumbers::Refused,
            decode_invalid: true,
            decode_null: false,
            writing: Vec::new(),
            reading: Vec::new(),
        }
    }
}

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 12);
    lua.set_functions(&[
        ("encode", entry(encode::encode)),
        ("decode", entry(decode::decode)),
        ("encode_sparse_array", entry(encode_sparse_array)),
        ("encode_max_depth", entry(encode_max_depth)),
        ("decode_max_depth", entry(decode_max_depth)),
        ("encode_number_precision", entry(encode_number_precision)),
        ("encode_invalid_numbers", entry(encode_invalid_numbers)),
        ("decode_invalid_numbers", entry(decode_invalid_numbers)),
        ("decode_null", entry(decode_null)),
    ]);
    push_null(lua);
    lua.raw_set_text(-2, "null");
    for (name, text) in [("_NAME", "cjson"), ("_VERSION", VERSION)] {
        lua.push_bytes(text.as_bytes());
        lua.raw_set_text(-2, name);
    }
    Ok(())
}

/// Pushes what stands for `null`.
fn push_null(lua: Lua<'_>) {
    lua.push_address::<u8>(std::ptr::null());
}

fn options<'a>(lua: Lua<'a>) -> &'a mut CjsonState {
    &mut lua.host().cjson
}

fn check_count(lua: Lua<'_>, most: c_int) -> Result<(), Raise> {
    if lua.top() > most {
        return Err(Raise::argument(most + 1, "found too many arguments"));
    }
    Ok(())
}

/// Argument `index` as an integer for an option, `None` for nil. The first argument must be there.
fn integer_option(lua: Lua<'_>, index: c_int, range: (i64, i64)) -> Result<Option<i64>, Raise> {
    match lua.type_of(index) {
        Type::Nil => return Ok(None),
        Type::None if index > 1 => return Ok(None),
        _ => {}
    }
    let number = lua.check_integer(index)?;
    if number < range.0 || number > range.1 {
        let text = format!("expected integer between {} and {}", range.0, range.1);
        return Err(Raise::argument(1, text));
    }
    Ok(Some(number))
}

/// Argument 1 as the place of a word among `words`, or as one of the first two by a boolean; `None` for nil.
fn word_option(lua: Lua<'_>, words: &[&str]) -> Result<Option<usize>, Raise> {
    match lua.type_of(1) {
        Type::Nil => Ok(None),
        Type::Boolean => Ok(Some(usize::from(lua.boolean(1)))),
        _ => {
            let given = lua.check_text(1)?;
            let place = words.iter().position(|word| word.as_bytes() == given);
            place.map(Some).ok_or_else(|| {
                let given = String::from_utf8_lossy(given);
                Raise::argument(1, format!("invalid option '{given}'"))
            })
        }
    }
}

fn flag_option(lua: Lua<'_>) -> Result<Option<bool>, Raise> {
    Ok(word_option(lua, &["off", "on"])?.map(|place| place == 1))
}

/// Sets an integer option and gives its value.
fn set_integer(
    lua: Lua<'_>,
    range: (i64, i64),
    option: impl Fn(&mut CjsonState) -> &mut i64,
) -> Result<c_int, Raise> {
    check_count(lua, 1)?;
    let given = integer_option(lua, 1, range)?;
    let option = option(options(lua));
    *option = given.unwrap_or(*option);
    lua.push_number(*option as f64);
    Ok(1)
}

/// Sets an option that is on or off and gives its value.
fn set_flag(lua: Lua<'_>, option: impl Fn(&mut CjsonState) -> &mut bool) -> Result<c_int, Raise> {
    check_count(lua, 1)?;
    let given = flag_option(lua)?;
    let option = option(options(lua));
    *option = given.unwrap_or(*option);
    lua.push_boolean(*option);
    Ok(1)
}

/// `encode_sparse_array(convert [, ratio [, safe]])`: what becomes of arrays that are mostly holes.
fn encode_sparse_array(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_count(lua, 3)?;
    let converts = flag_option(lua)?;
    let ratio = integer_option(lua, 2, (0, OPTION_MAX))?;
    let safe = integer_option(lua, 3, (0, OPTION_MAX))?;
    let state = options(lua);
    state.sparse_converts = converts.unwrap_or(state.sparse_converts);
    state.sparse_ratio = ratio.unwrap_or(state.sparse_ratio);
    state.sparse_safe = safe.unwrap_or(state.sparse_safe);
    let (converts, ratio, safe) = (state.sparse_converts, state.sparse_ratio, state.sparse_safe);
    lua.push_boolean(converts);
    lua.push_number(ratio as f64);
    lua.push_number(safe as f64);
    Ok(3)
}

fn encode_max_depth(lua: Lua<'_>) -> Result<c_int, Raise> {
    set_integer(lua, (1, OPTION_MAX), |state| &mut state.encode_depth_max)
}

fn decode_max_depth(lua: Lua<'_>) -> Result<c_int, Raise> {
    set_integer(lua, (1, OPTION_MAX), |state| &mut state.decode_depth_max)
}

fn encode_number_precision(lua: Lua<'_>) -> Result<c_int, Raise> {
    set_integer(lua, (1, PRECISION_MAX), |state| &mut state.precision)
}

fn decode_invalid_numbers(lua: Lua<'_>) -> Result<c_int, Raise> {
    set_flag(lua, |state| &mut state.decode_invalid)
}

fn decode_null(lua: Lua<'_>) -> Result<c_int, Raise> {
    set_flag(lua, |state| &mut state.decode_null)
}

fn encode_invalid_numbers(lua: Lua<'_>) -> Result<c_int, Raise> {
    check_count(lua, 1)?;
    let given = word_option(lua, &["off", "on", "null"])?;
    let option = &mut options(lua).encode_invalid;
    *option = match given {
        None => *option,
        Some(0) => InvalidNumbers::Refused,
        Some(1) => InvalidNumbers::Written,
        Some(_) => InvalidNumbers::Null,
    };
    match *option {
        InvalidNumbers::Refused => lua.push_boolean(false),
        InvalidNumbers::Written => lua.push_boolean(true),
        InvalidNumbers::Null => lua.push_bytes(b"null"),
    }
    Ok(1)
}
