//! The library of coroutines, under the limits of the call that runs them.
//!
//! Here: Lua's functions with their texts. Invariants: a coroutine takes its steps from the same budget; coroutines inside
//! each other are bounded, since each of them begins to count C calls anew; the watchdog knows which thread runs.

use std::ffi::c_int;

use mlua_sys::{LUA_YIELD, lua_State, lua_resume_, lua_status, lua_xmove};

use crate::error::Raise;
use crate::function::{Outcome, entry};
use crate::limits;
use crate::lua::{Lua, Type};

/// Coroutines that may be inside each other.
const NESTED_MAX: usize = 100;
/// Bytes of the thread's stack after which none is resumed inside another one.
const STACK_BYTES_MAX: usize = 1 << 20;
/// Steps that making or resuming one takes beside what it does.
const SWITCH_STEPS: usize = 4;

/// Pushes the library.
pub(crate) fn open(lua: Lua<'_>) {
    lua.push_table(0, 6);
    lua.set_functions(&[
        ("create", entry(create)),
        ("resume", entry(resume)),
        ("running", entry(running)),
        ("status", entry(status)),
        ("wrap", entry(wrap)),
        ("yield", entry(yield_values)),
    ]);
}

fn create(lua: Lua<'_>) -> Result<c_int, Raise> {
    let is_lua = lua.type_of(1) == Type::Function
        // SAFETY: any index is allowed.
        && unsafe { mlua_sys::lua_iscfunction(lua.state(), 1) } == 0;
    if !is_lua {
        return Err(Raise::argument(1, "Lua function expected"));
    }
    lua.charge(SWITCH_STEPS)?;
    lua.ask_memory(1024)?;
    let thread = lua.push_thread();
    lua.push_value(1);
    // SAFETY: one value is moved to a thread of the same state, which has room.
    unsafe { lua_xmove(lua.state(), thread, 1) };
    Ok(1)
}

fn wrap(lua: Lua<'_>) -> Result<c_int, Raise> {
    create(lua)?;
    lua.push_function(entry(resume_wrapped), 1);
    Ok(1)
}

fn resume(lua: Lua<'_>) -> Result<c_int, Raise> {
    let thread = lua.thread(1);
    if thread.is_null() {
        return Err(Raise::argument(1, "coroutine expected"));
    }
    match switch(lua, thread, lua.top() - 1)? {
        Ok(results) => {
            lua.push_boolean(true);
            lua.insert(-results - 1);
            Ok(results + 1)
        }
        Err(()) => {
            lua.push_boolean(false);
            lua.insert(-2);
            Ok(2)
        }
    }
}

fn resume_wrapped(lua: Lua<'_>) -> Result<c_int, Raise> {
    let thread = lua.thread(Lua::upvalue(1));
    match switch(lua, thread, lua.top())? {
        Ok(results) => Ok(results),
        Err(()) => {
            if let Some(text) = lua.bytes(-1) {
                let text = [lua.position(1).as_bytes(), text].concat();
                lua.push_bytes(&text);
            }
            Err(Raise::Value)
        }
    }
}

/// Resumes a thread with the topmost values. Its results, or its error, are then on top.
fn switch(
    lua: Lua<'_>,
    thread: *mut lua_State,
    arguments: c_int,
) -> Result<Result<c_int, ()>, Raise> {
    let state = lua.state();
    lua.charge(SWITCH_STEPS)?;
    let found = status_of(lua, thread);
    if found != "suspended" {
        lua.push_bytes(format!("cannot resume {found} coroutine").as_bytes());
        return Ok(Err(()));
    }
    let here = 0_u8;
    let stack = lua.host().stack_base.abs_diff((&raw const here).addr());
    if lua.host().coroutines >= NESTED_MAX || stack > STACK_BYTES_MAX {
        lua.push_bytes(b"C stack overflow");
        return Ok(Err(()));
    }
    // SAFETY: as `Lua` allows it; the thread is one of this state.
    if unsafe { mlua_sys::lua_checkstack(thread, arguments) } == 0 {
        return Err(Raise::text("too many arguments to resume"));
    }
    let host = lua.host();
    host.coroutines += 1;
    host.meter.settle(state);
    host.meter.arm(thread);
    host.watch.switches_to(thread);
    host.memory.exempt = false;
    // SAFETY: the arguments are on top; errors are returned, not raised.
    let status = unsafe {
        lua_xmove(state, thread, arguments);
        lua_resume_(thread, arguments)
    };
    let host = lua.host();
    host.memory.exempt = true;
    host.watch.switches_to(state);
    host.meter.settle(thread);
    host.meter.arm(state);
    host.coroutines -= 1;
    if status != 0 && status != LUA_YIELD {
        // SAFETY: the error is on top of the thread's stack.
        unsafe { lua_xmove(thread, state, 1) };
        // What is final goes on.
        return if limits::is_final(host) { Err(Raise::Value) } else { Ok(Err(())) };
    }
    // SAFETY: the thread is valid.
    let results = unsafe { mlua_sys::lua_gettop(thread) };
    lua.reserve_stack(results as usize + 1)
        .map_err(|_| Raise::text("too many results to resume"))?;
    // SAFETY: there are so many, and room for them.
    unsafe { lua_xmove(thread, state, results) };
    Ok(Ok(results))
}

fn yield_values(lua: Lua<'_>) -> Result<Outcome, Raise> {
    Ok(Outcome::Yield(lua.top()))
}

fn status(lua: Lua<'_>) -> Result<c_int, Raise> {
    let thread = lua.thread(1);
    if thread.is_null() {
        return Err(Raise::argument(1, "coroutine expected"));
    }
    lua.push_bytes(status_of(lua, thread).as_bytes());
    Ok(1)
}

fn status_of(lua: Lua<'_>, thread: *mut lua_State) -> &'static str {
    if thread == lua.state() {
        return "running";
    }
    // SAFETY: the thread is one of this state; an all-zero record is valid to be filled.
    unsafe {
        match lua_status(thread) {
            LUA_YIELD => "suspended",
            0 => {
                let mut record: mlua_sys::lua_Debug = std::mem::zeroed();
                if mlua_sys::lua_getstack(thread, 0, &raw mut record) > 0 {
                    "normal"
                } else if mlua_sys::lua_gettop(thread) == 0 {
                    "dead"
                } else {
                    "suspended"
                }
            }
            _ => "dead",
        }
    }
}

fn running(lua: Lua<'_>) -> Result<c_int, Raise> {
    // SAFETY: it pushes one value.
    if unsafe { mlua_sys::lua_pushthread(lua.state()) } != 0 {
        lua.push_nil();
    }
    Ok(1)
}
