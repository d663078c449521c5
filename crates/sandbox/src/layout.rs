//! Where Lua keeps the count of instructions until the next hook.
//!
//! Here: finding that place, once a process, by trying it. Lua has no function that tells it, and the figure makes the
//! count of a call exact. Invariant: a place is only read that was seen to hold the count for several different counts;
//! where none is found, calls are charged by whole looks.

use std::ffi::c_int;
use std::sync::OnceLock;

use mlua_sys::{LUA_MASKCOUNT, lua_Debug, lua_State, lua_sethook};

/// Bytes of a state that may be looked at: less than any build of Lua 5.1 has for 64 bits.
const STATE_BYTES: usize = 160;
/// Counts to try: no other member of a new state has such a value.
const COUNTS: [c_int; 3] = [0x2A3B_4C5D, 0x1C2D_3E4F, 0x3A4B_5C6D];

static OFFSET: OnceLock<Option<usize>> = OnceLock::new();

unsafe extern "C-unwind" fn no_hook(_: *mut lua_State, _: *mut lua_Debug) {}

/// Learns the place from a new state that runs nothing; its hook is off afterwards.
///
/// # Safety
/// `state` is the main thread of a valid state, at rest.
pub(crate) unsafe fn learn(state: *mut lua_State) {
    OFFSET.get_or_init(|| {
        let mut places: Vec<usize> = (0..STATE_BYTES / size_of::<c_int>() - 1).collect();
        for count in COUNTS {
            // SAFETY: setting a hook is allowed at any time; it cannot fire, nothing runs.
            unsafe { lua_sethook(state, Some(no_hook), LUA_MASKCOUNT, count) };
            places.retain(|&place| {
                let words = state.cast::<c_int>();
                // SAFETY: the main thread is the first member of a larger allocation (with Lua's global state) of several
                // hundred bytes that Lua has initialised; the places looked at lie inside.
                unsafe { *words.add(place) == count && *words.add(place + 1) == count }
            });
        }
        // SAFETY: as above.
        unsafe { lua_sethook(state, None, 0, 0) };
        // The count that hooks are reset to stands before the one that is counted down.
        (places.len() == 1).then(|| places[0] + 1)
    });
}

/// Instructions until the next hook of this thread of Lua's, if that can be known.
///
/// # Safety
/// `state` is a valid state or thread of one.
#[inline]
pub(crate) unsafe fn hook_count(state: *mut lua_State) -> Option<u64> {
    let place = OFFSET.get().copied().flatten()?;
    // SAFETY: all threads have the layout that was learned.
    let count = unsafe { *state.cast::<c_int>().add(place) };
    u64::try_from(count).ok()
}
