//! Functions of Lua's base library that are ours: those that could get around the limits.
//!
//! Here: `pcall`, `xpcall`, `require`, `newproxy`, `print`; coroutines in `coroutine`. Invariants: what is final cannot be
//! caught; no script sets a finalizer, so that collecting garbage never runs one.

use std::ffi::c_int;

use mlua_sys::{LUA_MULTRET, lua_State, lua_error};

use crate::error::Raise;
use crate::function::entry;
use crate::host::Host;
use crate::limits;
use crate::lua::{GLOBALS, Lua, Type};

pub(crate) mod coroutine;
pub(crate) mod require;

/// Longest line that `print` logs, in bytes.
const PRINT_BYTES_MAX: usize = 8192;

/// Sets the functions in the table on top, which is that of globals.
pub(crate) fn open(lua: Lua<'_>, is_open: bool) {
    lua.set_functions(&[
        ("require", entry(require::require)),
        ("pcall", pcall),
        ("xpcall", xpcall),
        ("unpack", entry(unpack)),
        ("print", entry(print)),
    ]);
    if is_open {
        lua.set_functions(&[("newproxy", entry(newproxy)), ("rawset", entry(rawset))]);
        coroutine::open(lua);
        lua.raw_set_text(GLOBALS, "coroutine");
    }
}

/// As Lua's, but that what is final goes on.
///
/// # Safety
/// As Lua calls it. No frame here owns anything, so that errors may pass.
unsafe extern "C-unwind" fn pcall(state: *mut lua_State) -> c_int {
    // SAFETY: the stack has what is used here.
    unsafe {
        mlua_sys::luaL_checkany(state, 1);
        let arguments = mlua_sys::lua_gettop(state) - 1;
        let status = mlua_sys::lua_pcall(state, arguments, LUA_MULTRET, 0);
        caught(state, status);
        if mlua_sys::lua_checkstack(state, 1) == 0 {
            return no_room(state);
        }
        mlua_sys::lua_pushboolean(state, c_int::from(status == 0));
        mlua_sys::lua_insert(state, 1);
        mlua_sys::lua_gettop(state)
    }
}

/// What is final is raised again. After other errors there is room again for what comes next, if there can be.
///
/// # Safety
/// As `pcall`; the error is on top of the stack.
unsafe fn caught(state: *mut lua_State, status: c_int) {
    if status == 0 {
        return;
    }
    // SAFETY: by contract.
    unsafe {
        if limits::is_final(Host::of(state)) {
            lua_error(state);
        }
    }
    limits::relieve(state);
}

/// As Lua's, but that what is final goes on.
///
/// # Safety
/// As `pcall`.
unsafe extern "C-unwind" fn xpcall(state: *mut lua_State) -> c_int {
    // SAFETY: as `pcall`.
    unsafe {
        mlua_sys::luaL_checkany(state, 2);
        mlua_sys::lua_settop(state, 2);
        mlua_sys::lua_insert(state, 1);
        let status = mlua_sys::lua_pcall(state, 0, LUA_MULTRET, 1);
        caught(state, status);
        if mlua_sys::lua_checkstack(state, 1) == 0 {
            return no_room(state);
        }
        mlua_sys::lua_pushboolean(state, c_int::from(status == 0));
        mlua_sys::lua_replace(state, 1);
        mlua_sys::lua_gettop(state)
    }
}

/// The results of a protected call took all the room that there was: it counts as failed.
///
/// # Safety
/// As `pcall`.
#[cold]
unsafe fn no_room(state: *mut lua_State) -> c_int {
    // SAFETY: nothing is left on the stack, so that there is room.
    unsafe {
        mlua_sys::lua_settop(state, 0);
        mlua_sys::lua_pushboolean(state, 0);
        mlua_sys::lua_pushliteral(state, c"stack overflow");
    }
    2
}

/// As Lua's; charges what it copies.
fn unpack(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_table(1)?;
    let first = if lua.is_none_or_nil(2) { 1 } else { lua.check_int(2)? };
    // As Lua counts elements.
    let last = if lua.is_none_or_nil(3) { lua.len(1) as c_int } else { lua.check_int(3)? };
    if first > last {
        return Ok(0);
    }
    let too_many = || Raise::text("too many results to unpack");
    let count = last.checked_sub(first).and_then(|count| count.checked_add(1));
    let count = count.ok_or_else(too_many)?;
    lua.reserve_stack(count as usize).map_err(|_| too_many())?;
    lua.charge(count as usize / 4)?;
    (first..=last).for_each(|index| lua.raw_get_index(1, index));
    Ok(count)
}

/// Writes its arguments, separated by tabs, to the log at debug level.
fn print(lua: Lua<'_>) -> Result<c_int, Raise> {
    let mut line = Vec::new();
    for index in 1..=lua.top() {
        if index > 1 {
            line.push(b'\t');
        }
        match lua.type_of(index) {
            Type::String | Type::Number => {
                lua.push_value(index);
                line.extend_from_slice(lua.text(-1).unwrap_or_default());
                lua.pop(1);
            }
            Type::Boolean => {
                let text: &[u8] = if lua.boolean(index) { b"true" } else { b"false" };
                line.extend_from_slice(text);
            }
            Type::Nil => line.extend_from_slice(b"nil"),
            other => {
                let place = lua.pointer(index);
                line.extend_from_slice(format!("{}: {place:p}", other.name()).as_bytes());
            }
        }
        if line.len() > PRINT_BYTES_MAX {
            line.truncate(PRINT_BYTES_MAX);
            break;
        }
    }
    let text = String::from_utf8_lossy(&line).into_owned();
    let host = lua.host();
    match &mut host.printed {
        Some(printed) => printed.push(text),
        None => tracing::debug!(plugin = &*host.name, "{text}"),
    }
    Ok(0)
}

/// As Lua's; the metatable of a proxy refuses a finalizer.
fn newproxy(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.set_top(1);
    lua.push_userdata(0);
    match lua.type_of(1) {
        Type::None | Type::Nil => return Ok(1),
        Type::Boolean if !lua.boolean(1) => return Ok(1),
        Type::Boolean => {
            lua.push_table(0, 0);
            // Of the metatable, so that `__gc` goes by a function of ours.
            lua.push_table(0, 2);
            lua.push_function(entry(refuse_finalizer), 0);
            lua.raw_set_text(-2, "__newindex");
            lua.push_boolean(false);
            lua.raw_set_text(-2, "__metatable");
            lua.set_metatable(-2);
        }
        // All userdata without bytes is a proxy.
        Type::Userdata if lua.len(1) == 0 && lua.metatable(1) => {}
        _ => return Err(Raise::argument(1, "boolean or proxy expected")),
    }
    lua.set_metatable(2);
    Ok(1)
}

fn is_finalizer(lua: Lua<'_>, key: c_int) -> bool {
    lua.bytes(key) == Some(b"__gc")
}

fn refuse_finalizer(lua: Lua<'_>) -> Result<c_int, Raise> {
    if is_finalizer(lua, 2) {
        return Err(Raise::text("finalizers are not available"));
    }
    set_raw(lua)
}

/// As Lua's; a finalizer is refused.
fn rawset(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_table(1)?;
    lua.check_any(2)?;
    lua.check_any(3)?;
    if is_finalizer(lua, 2) {
        return Err(Raise::text("finalizers are not available"));
    }
    set_raw(lua)
}

fn set_raw(lua: Lua<'_>) -> Result<c_int, Raise> {
    match lua.type_of(2) {
        Type::Nil | Type::None => return Err(Raise::text("table index is nil")),
        Type::Number if lua.number(2).is_some_and(f64::is_nan) => {
            return Err(Raise::text("table index is NaN"));
        }
        _ => {}
    }
    lua.set_top(3);
    lua.raw_set(1);
    Ok(1)
}
