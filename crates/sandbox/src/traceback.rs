//! Where an error was that nobody caught.
//!
//! Invariant: the handler raises nothing, whatever limit was reached: Lua would call it again for its own error, and the
//! first one would be lost.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua_sys::lua_State;

use crate::lua::Lua;

/// Functions that are told, from each end.
const ENDS: usize = 10;
/// Functions that are looked at.
const LEVELS_MAX: c_int = 200;

/// Keeps where the error was; leaves the error as it is.
///
/// # Safety
/// As Lua calls it, with a state of a sandbox.
pub(crate) unsafe extern "C-unwind" fn handler(state: *mut lua_State) -> c_int {
    // SAFETY: Lua passes a valid state; nothing here makes values of Lua's.
    let lua = unsafe { Lua::new(state) };
    if catch_unwind(AssertUnwindSafe(|| take(lua))).is_err() {
        lua.host().panicked = Some("taking a traceback".to_owned());
    }
    lua.set_top(1);
    1
}

fn take(lua: Lua<'_>) {
    let levels: Vec<String> = (1..=LEVELS_MAX).map_while(|level| lua.function_at(level)).collect();
    let traceback = &mut lua.host().traceback;
    traceback.clear();
    for (index, text) in levels.iter().enumerate() {
        if index < ENDS || index + ENDS >= levels.len() {
            traceback.push_str(text);
            traceback.push('\n');
        } else if index == ENDS {
            traceback.push_str("...\n");
        }
    }
}
