//! The library `lpeg`: patterns of `heka_lpeg` as values of Lua.
//!
//! Here: what the binding keeps for a sandbox, the library's table, functions that make no pattern. In the folder:
//! patterns as objects and what becomes one (`pattern`), how they keep Lua's values alive (`keys`), functions and
//! operators that make patterns (`build`), grammars (`grammar`), matching (`matching`). Semantics and error texts are
//! those of LPeg 1.0.2, which knows all that 0.12 does; `version` says 0.12, which is what scripts of Heka expect.

use std::ffi::c_int;

use heka_lpeg::{CharSet, Matcher, Pattern, STACK_MAX};
use mlua_sys::lua_CFunction;

use crate::error::Raise;
use crate::function::entry;
use crate::lua::{GLOBALS, Lua};
use pattern::PatternObject;

mod build;
mod grammar;
mod keys;
mod matching;
mod pattern;

/// The version that scripts may ask for.
const VERSION: &str = "0.12";

/// What the binding keeps for a sandbox.
#[derive(Debug)]
pub(crate) struct LpegState {
    /// Buffers of matches that do not run now.
    matchers: Vec<Buffers>,
    /// Most choices and calls that may be pending in a match.
    stack_max: usize,
    /// The last key that was given to a value.
    last_key: u64,
    /// Address of Lua's own `tonumber`, of which a call can be spared; 0 if it is not known.
    tonumber: usize,
}

/// Buffers of a match.
#[derive(Debug, Default)]
struct Buffers {
    matcher: Matcher,
    /// Bytes of memory that were charged for them.
    charged: usize,
}

impl Default for LpegState {
    fn default() -> Self {
        Self { matchers: Vec::new(), stack_max: STACK_MAX, last_key: 0, tonumber: 0 }
    }
}

/// Looks where Lua's own functions are, before a script can have changed them.
pub(crate) fn learn(lua: Lua<'_>) {
    lua.raw_get_text(GLOBALS, "tonumber");
    lua.host().lpeg.tonumber = lua.c_function(-1);
    lua.pop(1);
}

/// The library's functions, which are the methods of patterns too.
fn functions() -> Vec<(&'static str, lua_CFunction)> {
    let mut functions = build::functions();
    functions.extend([
        ("match", entry(matching::match_pattern)),
        ("type", entry(type_of)),
        ("version", entry(version)),
        ("setmaxstack", entry(set_max_stack)),
        ("locale", entry(locale)),
        ("pcode", entry(debug_only)),
        ("ptree", entry(debug_only)),
    ]);
    functions
}

/// Pushes the library, which as in LPeg is where patterns have their methods.
pub(crate) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    keys::open(lua);
    lua.push_metatable::<PatternObject>();
    lua.raw_get_text(-1, "__index");
    lua.remove(-2);
    Ok(())
}

fn type_of(lua: Lua<'_>) -> Result<c_int, Raise> {
    match lua.object::<PatternObject>(1) {
        Some(_) => lua.push_bytes(b"pattern"),
        None => lua.push_nil(),
    }
    Ok(1)
}

fn version(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_bytes(VERSION.as_bytes());
    Ok(1)
}

fn set_max_stack(lua: Lua<'_>) -> Result<c_int, Raise> {
    let limit = c_int::try_from(lua.check_integer(1)?).ok().filter(|limit| *limit > 0);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    lua.host().lpeg.stack_max = limit.ok_or_else(|| Raise::argument(1, "out of range"))?;
    Ok(0)
}

fn debug_only(_: Lua<'_>) -> Result<c_int, Raise> {
    Err(Raise::text("function only implemented in debug mode"))
}

/// Sets a pattern for each class of characters, in a table or a new one. As in C's own locale.
fn locale(lua: Lua<'_>) -> Result<c_int, Raise> {
    type Class = fn(&u8) -> bool;
    let classes: [(&str, Class); 11] = [
        ("alnum", u8::is_ascii_alphanumeric),
        ("alpha", u8::is_ascii_alphabetic),
        ("cntrl", u8::is_ascii_control),
        ("digit", u8::is_ascii_digit),
        ("graph", u8::is_ascii_graphic),
        ("lower", u8::is_ascii_lowercase),
        ("print", |byte| matches!(byte, b' '..=b'~')),
        ("punct", u8::is_ascii_punctuation),
        ("space", |byte| matches!(byte, b' ' | b'\t'..=b'\r')),
        ("upper", u8::is_ascii_uppercase),
        ("xdigit", u8::is_ascii_hexdigit),
    ];
    if lua.is_none_or_nil(1) {
        lua.set_top(0);
        lua.push_table(0, classes.len());
    } else {
        lua.check_table(1)?;
        lua.set_top(1);
    }
    for (name, belongs) in classes {
        pattern::push_plain(lua, Pattern::set(&CharSet::from_fn(|byte| belongs(&byte))))?;
        lua.raw_set_text(1, name);
    }
    Ok(1)
}

/// Puts what a table has for the key on top in its place; a table with a metatable is asked as Lua does.
fn get(lua: Lua<'_>, table: c_int) -> Result<(), Raise> {
    if !lua.metatable(table) {
        lua.raw_get(table);
        return Ok(());
    }
    lua.pop(1);
    let table = lua.absolute(table);
    lua.push_function(get_indexed, 0);
    lua.insert(-2);
    lua.push_value(table);
    lua.call(2, 1)
}

/// The entry of a table, as Lua finds it, for a key and the table.
///
/// # Safety
/// As Lua calls it; nothing here has a destructor.
unsafe extern "C-unwind" fn get_indexed(state: *mut mlua_sys::lua_State) -> c_int {
    // SAFETY: the two arguments are there.
    unsafe {
        mlua_sys::lua_pushvalue(state, 1);
        mlua_sys::lua_gettable(state, 2);
    }
    1
}
