//! The allocator of Lua states, which counts and refuses.
//!
//! Here: `lua_Alloc` and its account. Not here: who sets the limit. Invariants: while a function of ours runs
//! (`exempt`), no allocation of Lua's is refused, so that no error of Lua's jumps over its frames; such a function asks
//! for memory before it takes much, and its end checks the limit.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::ffi::c_void;
use std::ptr;

use crate::host::Host;

/// Bytes that a state uses.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Bytes in use: Lua's own and what its objects hold elsewhere.
    pub(crate) used: usize,
    /// Most bytes that were in use.
    pub(crate) most: usize,
    /// Most bytes that may be in use; 0: no limit.
    pub(crate) limit: usize,
    /// Bytes that were in use after the last collection for want of room.
    pub(crate) kept: usize,
    /// A function of ours runs: nothing is refused.
    pub(crate) exempt: bool,
    /// The call is being ended, which must not fail: nothing is refused. No instruction runs any more.
    pub(crate) ending: bool,
    /// For tests: the allocation of that number from now on is refused once.
    pub(crate) fail_at: Option<u64>,
}

impl Memory {
    /// True if more is in use than may be.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.limit != 0 && self.used > self.limit && !self.ending
    }

    /// True if so many more bytes may be taken.
    #[inline]
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.limit == 0 || self.used.saturating_add(bytes) <= self.limit
    }

    /// Counts bytes that an object holds outside of Lua's own memory.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.used += bytes;
        self.most = self.most.max(self.used);
    }

    /// Counts bytes as given back.
    pub(crate) fn give(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    fn refuses(&mut self, more: usize) -> bool {
        if self.exempt || self.ending {
            return false;
        }
        if let Some(left) = &mut self.fail_at {
            if *left == 0 {
                self.fail_at = None;
                return true;
            }
            *left -= 1;
        }
        !self.has_room(more)
    }
}

/// Alignment of all blocks: that of the strictest type in them.
const ALIGNMENT: usize = 16;

fn layout(bytes: usize) -> Layout {
    // Lua asks for less than half of the address space; a request that is larger is refused below as a null block.
    Layout::from_size_align(bytes, ALIGNMENT).unwrap_or(Layout::new::<u128>())
}

/// `lua_Alloc` over the process's allocator, with an account.
///
/// # Safety
/// As Lua calls it: `user` is the host, `block` is null or has `old` bytes and came from here.
pub(crate) unsafe extern "C" fn allocate(
    user: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the user pointer of all our states is their host; only its account is touched.
    let memory = unsafe { &mut (*user.cast::<Host>()).memory };
    if new == 0 {
        memory.give(old);
        if !block.is_null() {
            // SAFETY: it came from here with this size, by contract.
            unsafe { dealloc(block.cast(), layout(old)) };
        }
        return ptr::null_mut();
    }
    if new > old && memory.refuses(new - old) || isize::try_from(new + ALIGNMENT).is_err() {
        return ptr::null_mut();
    }
    let moved = if block.is_null() && memory.used == 0 {
        // The state itself, of which `layout` reads more than Lua writes.
        // SAFETY: the layout is not empty.
        unsafe { alloc_zeroed(layout(new)) }
    } else if block.is_null() {
        // SAFETY: the layout is not empty.
        unsafe { alloc(layout(new)) }
    } else {
        // SAFETY: it came from here with this size, by contract, and `new` is no overflow.
        unsafe { realloc(block.cast(), layout(old), new) }
    };
    if !moved.is_null() {
        memory.used = (memory.used + new).saturating_sub(old);
        memory.most = memory.most.max(memory.used);
    }
    moved.cast()
}
