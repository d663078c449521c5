//! How patterns refer to Lua's values (functions, tables, constants, names) and keep them alive.
//!
//! A value has a number, its *key*, and equal values have equal keys, whatever pattern they come from; so patterns can be
//! joined without a look at their keys. The value lies in a *box*, the table `{value, key}`. Two weak tables in the
//! registry find the box of a value and that of a key; they keep nothing alive. What keeps boxes alive is the *holder*
//! of each pattern, its environment: none where the pattern has no keys, a box, or a table of holders. Joining two
//! patterns makes one table for their two holders, however many keys they have. A pattern whose holders outnumber its
//! nodes, since parts were dropped on the way, gets a holder of just what it uses (`pattern`).
//!
//! Invariants: a box lives as long as a pattern with its key; all links are between plain tables, so that circles (a
//! function of a pattern that knows the pattern) are collected like others; keys are never used again.

use std::ffi::c_int;

use crate::lua::{Lua, REGISTRY, Type};

/// Boxes by value, in the registry.
const OF_VALUES: &str = "lpeg.boxes.values";
/// Boxes by key, in the registry.
const OF_KEYS: &str = "lpeg.boxes.keys";

/// Where a box has its value and its key.
const VALUE: c_int = 1;
const KEY: c_int = 2;

/// Stands for a value of Lua's in patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u64);

impl Key {
    /// The key of nil, which has no box.
    const NIL: Self = Self(0);
}

/// Makes the tables of boxes.
pub(super) fn open(lua: Lua<'_>) {
    for (name, mode) in [(OF_VALUES, "kv"), (OF_KEYS, "v")] {
        lua.raw_get_text(REGISTRY, name);
        let is_there = lua.type_of(-1) == Type::Table;
        lua.pop(1);
        if is_there {
            continue;
        }
        lua.push_table(0, 0);
        lua.push_table(0, 1);
        lua.push_bytes(mode.as_bytes());
        lua.raw_set_text(-2, "__mode");
        lua.set_metatable(-2);
        lua.raw_set_text(REGISTRY, name);
    }
}

/// The key of a value; pushes its box, or nil for nil.
pub(super) fn intern(lua: Lua<'_>, index: c_int) -> Key {
    let index = lua.absolute(index);
    if lua.is_none_or_nil(index) {
        lua.push_nil();
        return Key::NIL;
    }
    if !is_shared(lua, index) {
        return make(lua, index);
    }
    lua.raw_get_text(REGISTRY, OF_VALUES);
    lua.push_value(index);
    lua.raw_get(-2);
    if lua.type_of(-1) == Type::Table {
        lua.remove(-2);
        lua.raw_get_index(-1, KEY);
        let key = lua.number(-1).unwrap_or_default();
        lua.pop(1);
        return Key(key as u64);
    }
    lua.pop(1);
    let key = make(lua, index);
    lua.push_value(index);
    lua.push_value(-2);
    lua.raw_set(-4);
    lua.remove(-2);
    key
}

/// False for numbers that cannot be told by looking them up: what is no number, and the zero below zero.
fn is_shared(lua: Lua<'_>, index: c_int) -> bool {
    let number = match lua.type_of(index) {
        Type::Number => lua.number(index).unwrap_or_default(),
        _ => return true,
    };
    !(number.is_nan() || number == 0.0 && number.is_sign_negative())
}

/// Pushes a new box.
fn make(lua: Lua<'_>, index: c_int) -> Key {
    let host = lua.host();
    host.lpeg.last_key += 1;
    let key = Key(host.lpeg.last_key);
    lua.push_table(2, 0);
    lua.push_value(index);
    lua.raw_set_index(-2, VALUE);
    push_number(lua, key);
    lua.raw_set_index(-2, KEY);
    lua.raw_get_text(REGISTRY, OF_KEYS);
    push_number(lua, key);
    lua.push_value(-3);
    lua.raw_set(-3);
    lua.pop(1);
    key
}

/// Keys are counted up by work that is charged: they stay far below what a number holds exactly.
fn push_number(lua: Lua<'_>, key: Key) {
    lua.push_number(key.0 as f64);
}

/// Pushes the box of a key; nil for that of nil.
pub(super) fn push_box(lua: Lua<'_>, key: Key) {
    lua.raw_get_text(REGISTRY, OF_KEYS);
    push_number(lua, key);
    lua.raw_get(-2);
    lua.remove(-2);
}

/// Pushes the value of a key that some pattern holds.
pub(super) fn push_value(lua: Lua<'_>, key: Key) {
    push_box(lua, key);
    if lua.type_of(-1) == Type::Table {
        lua.raw_get_index(-1, VALUE);
        lua.remove(-2);
    }
}

/// Text of a key's value, for errors.
pub(super) fn describe(lua: Lua<'_>, key: Key) -> String {
    push_value(lua, key);
    let text = text_of(lua, -1);
    lua.pop(1);
    text
}

/// Text of a name, for errors; a number at the index becomes a string.
pub(super) fn text_of(lua: Lua<'_>, index: c_int) -> String {
    match lua.text(index) {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => format!("(a {})", lua.type_of(index).name()),
    }
}

/// Makes one holder of the two on top; gives the number of links added.
pub(super) fn join(lua: Lua<'_>) -> usize {
    let is_single = lua.type_of(-1) == Type::Nil || lua.raw_equal(-1, -2);
    if is_single {
        lua.pop(1);
    } else if lua.type_of(-2) == Type::Nil {
        lua.remove(-2);
    } else {
        lua.push_table(2, 0);
        lua.insert(-3);
        lua.raw_set_index(-3, 2);
        lua.raw_set_index(-2, 1);
        return 1;
    }
    0
}
