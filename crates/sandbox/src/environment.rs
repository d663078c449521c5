//! What a script finds when it starts.
//!
//! Here: the globals of each kind, from Lua's base library and ours. Not here: the functions themselves. Source: sandbox.md
//! of Heka's behaviour, section 2.

use std::ffi::c_int;

use crate::error::Raise;
use crate::lua::{GLOBALS, Lua, REGISTRY, Type};
use crate::{api, base};

/// Globals of Lua's base library that no script gets.
const REMOVED: [&str; 8] =
    ["dofile", "load", "loadfile", "loadstring", "print", "coroutine", "newproxy", "require"];

/// Globals that only open kinds get.
const ONLY_OPEN: [&str; 1] = ["collectgarbage"];

/// Opens base library and package library, and puts ours in their place.
pub(crate) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    open_native(lua, mlua_sys::luaopen_base)?;
    open_native(lua, mlua_sys::luaopen_package)?;
    crate::libraries::lpeg::learn(lua);
    let is_open = lua.host().kind.is_open();
    for name in REMOVED {
        remove(lua, GLOBALS, name);
    }
    if !is_open {
        for name in ONLY_OPEN {
            remove(lua, GLOBALS, name);
        }
    }
    // What `require` gives again; the library of coroutines is ours, `package` is an empty table.
    lua.raw_get_text(REGISTRY, "_LOADED");
    remove(lua, -1, "coroutine");
    // With a metatable, so that it is no data.
    lua.push_table(0, 0);
    lua.push_table(0, 0);
    lua.set_metatable(-2);
    lua.push_value(-1);
    lua.raw_set_text(GLOBALS, "package");
    lua.raw_set_text(-2, "package");
    lua.pop(1);

    lua.push_value(GLOBALS);
    lua.push_table(0, 0);
    lua.set_metatable(-2);
    base::open(lua, is_open);
    api::open(lua);
    lua.pop(1);
    Ok(())
}

/// Runs the opening function of a library of Lua's.
pub(crate) fn open_native(
    lua: Lua<'_>,
    open: unsafe extern "C-unwind" fn(*mut mlua_sys::lua_State) -> c_int,
) -> Result<(), Raise> {
    let top = lua.top();
    lua.push_function(open, 0);
    let host = lua.host();
    let exempt = host.memory.exempt;
    // SAFETY: the function is on top; errors do not come past this. Nothing of the library calls what is the script's.
    let status = unsafe { mlua_sys::lua_pcall(lua.state(), 0, 1, 0) };
    lua.host().memory.exempt = exempt;
    if status != 0 {
        return Err(Raise::Value);
    }
    lua.set_top(top);
    Ok(())
}

fn remove(lua: Lua<'_>, table: c_int, name: &str) {
    debug_assert_eq!(lua.type_of(table), Type::Table);
    let table = lua.absolute(table);
    lua.push_nil();
    lua.raw_set_text(table, name);
}
