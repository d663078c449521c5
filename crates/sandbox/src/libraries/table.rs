//! The library `table`; sorting in `sort`.
//!
//! Results and errors are those of Lua 5.1.5. Invariant: each element that is looked at or moved is charged.

use std::ffi::c_int;

use mlua_sys::{
    LUA_TFUNCTION, LUA_TTABLE, lua_State, lua_call, lua_next, lua_objlen, lua_pushnil,
    lua_pushnumber, lua_pushvalue, lua_rawgeti_, lua_settop, lua_type, luaL_checktype,
};

use super::text::BYTES_PER_STEP;
use crate::error::Raise;
use crate::function::entry;
use crate::limits::charge_or_raise;
use crate::lua::{Lua, Type};

mod sort;

/// Pushes the library.
pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 9);
    lua.set_functions(&[
        ("concat", entry(concat)),
        ("foreach", for_each),
        ("foreachi", for_each_index),
        ("getn", entry(getn)),
        ("insert", entry(insert)),
        ("maxn", entry(maxn)),
        ("remove", entry(remove)),
        ("setn", entry(setn)),
        ("sort", entry(sort::sort)),
    ]);
    Ok(())
}

/// The border of the table that is argument 1.
#[inline]
fn border(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_table(1)?;
    // As Lua counts elements.
    Ok(lua.len(1) as c_int)
}

fn getn(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_number(border(lua)?.into());
    Ok(1)
}

fn setn(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_table(1)?;
    Err(Raise::text("'setn' is obsolete"))
}

fn maxn(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_table(1)?;
    let mut greatest = 0.0;
    lua.push_nil();
    while lua.next(1) {
        lua.charge(1)?;
        lua.pop(1);
        if lua.type_of(-1) == Type::Number {
            let key = lua.number(-1).unwrap_or_default();
            // Not `max`: a comparison, as Lua makes it.
            greatest = if key > greatest { key } else { greatest };
        }
    }
    lua.push_number(greatest);
    Ok(1)
}

fn insert(lua: Lua<'_>) -> Result<c_int, Raise> {
    let end = border(lua)?.wrapping_add(1);
    match lua.top() {
        2 => lua.raw_set_index(1, end),
        3 => {
            let place = lua.check_int(2)?;
            move_up(lua, place, end)?;
            lua.raw_set_index(1, place);
        }
        _ => return Err(Raise::text("wrong number of arguments to 'insert'")),
    }
    Ok(0)
}

/// Moves the elements from `place` to before `end` one place up.
fn move_up(lua: Lua<'_>, place: c_int, end: c_int) -> Result<(), Raise> {
    let count = i64::from(end) - i64::from(place);
    lua.charge(usize::try_from(count).unwrap_or(0))?;
    for index in (place..end).rev() {
        lua.raw_get_index(1, index);
        lua.raw_set_index(1, index + 1);
    }
    Ok(())
}

fn remove(lua: Lua<'_>) -> Result<c_int, Raise> {
    let end = border(lua)?;
    let place = if lua.is_none_or_nil(2) { end } else { lua.check_int(2)? };
    if !(1..=end).contains(&place) {
        return Ok(0);
    }
    lua.charge((end - place) as usize)?;
    lua.raw_get_index(1, place);
    for index in place..end {
        lua.raw_get_index(1, index + 1);
        lua.raw_set_index(1, index);
    }
    lua.push_nil();
    lua.raw_set_index(1, end);
    Ok(1)
}

fn concat(lua: Lua<'_>) -> Result<c_int, Raise> {
    let separator = if lua.is_none_or_nil(2) { b"" } else { lua.check_text(2)? };
    lua.check_table(1)?;
    let first = if lua.is_none_or_nil(3) { 1 } else { lua.check_int(3)? };
    let last = if lua.is_none_or_nil(4) { border(lua)? } else { lua.check_int(4)? };
    lua.build(|out| {
        for index in first..=last {
            append(lua, index, out)?;
            if index != last {
                out.extend_from_slice(separator);
            }
            lua.charge(1 + separator.len() / BYTES_PER_STEP)?;
            lua.ask_memory(out.len())?;
        }
        Ok(())
    })
}

#[inline]
fn append(lua: Lua<'_>, index: c_int, out: &mut Vec<u8>) -> Result<(), Raise> {
    lua.raw_get_index(1, index);
    if let Some(bytes) = lua.bytes(-1) {
        lua.charge(bytes.len() / BYTES_PER_STEP)?;
        lua.ask_memory(out.len().saturating_add(bytes.len()))?;
        out.extend_from_slice(bytes);
    } else if lua.type_of(-1) == Type::Number {
        heka_luatext::lua_number(lua.number(-1).unwrap_or_default(), out);
    } else {
        let name = lua.type_of(-1).name();
        let text = format!("invalid value ({name}) at index {index} in table for 'concat'");
        return Err(Raise::text(text));
    }
    lua.pop(1);
    Ok(())
}

/// Calls a function with each key and value until it gives something.
///
/// # Safety
/// As Lua calls it. No frame here owns anything, so that errors may pass.
unsafe extern "C-unwind" fn for_each(state: *mut lua_State) -> c_int {
    // SAFETY: the stack has what is used here, and room for four values more.
    unsafe {
        luaL_checktype(state, 1, LUA_TTABLE);
        luaL_checktype(state, 2, LUA_TFUNCTION);
        lua_pushnil(state);
        while lua_next(state, 1) != 0 {
            charge_or_raise(state, 1);
            lua_pushvalue(state, 2);
            lua_pushvalue(state, -3);
            lua_pushvalue(state, -3);
            lua_call(state, 2, 1);
            if !is_nil(state) {
                return 1;
            }
            lua_settop(state, -3);
        }
    }
    0
}

/// Calls a function with each index and element until it gives something.
///
/// # Safety
/// As `for_each`.
unsafe extern "C-unwind" fn for_each_index(state: *mut lua_State) -> c_int {
    // SAFETY: as in `for_each`.
    unsafe {
        luaL_checktype(state, 1, LUA_TTABLE);
        let last = lua_objlen(state, 1) as c_int;
        luaL_checktype(state, 2, LUA_TFUNCTION);
        for index in 1..=last {
            charge_or_raise(state, 1);
            lua_pushvalue(state, 2);
            lua_pushnumber(state, index.into());
            lua_rawgeti_(state, 1, index);
            lua_call(state, 2, 1);
            if !is_nil(state) {
                return 1;
            }
            lua_settop(state, -2);
        }
    }
    0
}

/// # Safety
/// The state is valid, with a value on its stack.
unsafe fn is_nil(state: *mut lua_State) -> bool {
    // SAFETY: by contract.
    unsafe { lua_type(state, -1) == mlua_sys::LUA_TNIL }
}
