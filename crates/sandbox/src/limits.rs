//! Steps of a call: granted, charged, used up.
//!
//! Here: the meter, the hook that Lua calls every so many instructions, and what a breach does. Not here: memory, and
//! calls that do not look at the meter at all (`watchdog`). Invariants: all work is charged to one budget, be it
//! instructions of the machine or steps of a library function; a breach that was caught once is final the next time, and
//! a final one cannot be caught.

use std::ffi::c_int;
use std::sync::atomic::Ordering;

use heka_lpeg::Budget;
use mlua_sys::{
    LUA_MASKCOUNT, LUA_MASKLINE, lua_Debug, lua_State, lua_error, lua_pushlstring_, lua_sethook,
};

use crate::host::Host;
use crate::layout;
use crate::lua::{Lua, REGISTRY};

/// Instructions between two looks at the meter; a look costs as much as a few of them.
const INSTRUCTIONS_PER_LOOK: u64 = 1000;

/// Bytes in use that a step of a collection looks at.
const BYTES_PER_STEP: usize = 256;

/// Breaches that a script may catch in one call and go on with as many steps again, as it could in Heka.
const CAUGHT_MAX: u32 = 1;

/// Why a call is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// More instructions than `instruction_limit`.
    Instructions,
    /// The call took too much time of a processor.
    Time,
    /// The plugin is to stop.
    Stopping,
}

impl Breach {
    /// The error's text.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Instructions => "instruction_limit exceeded",
            Self::Time => "instruction_limit exceeded (processor time)",
            Self::Stopping => "shutting down",
        }
    }
}

/// Keeps the texts of breaches among Lua's strings, so that raising one takes no memory, of which there may be none.
pub(crate) fn keep_texts(lua: Lua<'_>) {
    for breach in [Breach::Instructions, Breach::Time, Breach::Stopping] {
        lua.push_boolean(true);
        lua.raw_set_text(REGISTRY, breach.text());
    }
}

/// The steps of a call.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Steps left.
    pub(crate) budget: Budget,
    /// Steps of a call; 0: no limit.
    pub(crate) limit: u64,
    /// Instructions until the next look.
    look_after: u64,
    /// Breaches in this call.
    breaches: u32,
    /// The breach that cannot be caught.
    pub(crate) last: Option<Breach>,
}

/// Highest figures of a sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use now.
    pub memory: usize,
    /// Most bytes in use.
    pub memory_max: usize,
    /// Most instructions of one call.
    pub instructions_max: u64,
    /// Instructions of the last call.
    pub instructions: u64,
    /// Most bytes in the output buffer.
    pub output_max: usize,
}

impl Meter {
    pub(crate) fn new(limit: u64) -> Self {
        Self { budget: Budget::new(0), limit, look_after: 0, breaches: 0, last: None }
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, state: *mut lua_State) {
        self.budget = Budget::new(if self.limit == 0 { u64::MAX } else { self.limit });
        (self.breaches, self.last) = (0, None);
        self.arm(state);
    }

    /// A call ended; gives the steps that it took.
    pub(crate) fn end(&mut self, state: *mut lua_State) -> u64 {
        self.settle(state);
        let granted = if self.limit == 0 { u64::MAX } else { self.limit };
        let again = u64::from(self.breaches.min(CAUGHT_MAX)) * self.limit;
        (granted - self.budget.left()).saturating_add(again)
    }

    /// Charges the instructions since the last look, as far as they are known.
    pub(crate) fn settle(&mut self, state: *mut lua_State) {
        if self.look_after == 0 {
            return;
        }
        // SAFETY: the state is valid.
        let to_go = unsafe { layout::hook_count(state) }.unwrap_or(self.look_after);
        self.charge(self.look_after.saturating_sub(to_go));
        self.look_after = to_go;
    }

    /// Takes steps as far as there are any.
    fn charge(&mut self, steps: u64) {
        // What it says is asked for where it matters: whether there are steps left.
        if self.budget.charge(usize::try_from(steps).unwrap_or(usize::MAX)).is_err() {
            self.budget = Budget::new(0);
        }
    }

    /// Sets the hook of a thread of Lua's to the next look.
    pub(crate) fn arm(&mut self, state: *mut lua_State) {
        if self.limit == 0 {
            self.look_after = 0;
            return;
        }
        self.look_after = INSTRUCTIONS_PER_LOOK.min(self.budget.left().max(1));
        if self.last.is_some() {
            self.look_after = 1;
        }
        set_hook(state, LUA_MASKCOUNT, self.look_after);
    }

    /// No steps are left: the next error, and whether it is final.
    pub(crate) fn breach(&mut self, breach: Breach) {
        self.breaches += 1;
        if breach == Breach::Instructions && self.breaches <= CAUGHT_MAX {
            self.budget = Budget::new(self.limit);
        } else {
            self.last = Some(breach);
        }
    }
}

/// Sets the hook of a thread of Lua's.
pub(crate) fn set_hook(state: *mut lua_State, mask: c_int, count: u64) {
    let count = c_int::try_from(count).unwrap_or(c_int::MAX);
    // SAFETY: the state is valid; the hook may be set at any time, also from another thread (lua.h on lua_sethook; it is
    // made to be called from signal handlers).
    unsafe { lua_sethook(state, Some(on_hook), mask, count) };
}

/// Looks at the meter, and at what others want of this state.
///
/// # Safety
/// As Lua calls it.
unsafe extern "C-unwind" fn on_hook(state: *mut lua_State, activation: *mut lua_Debug) {
    // SAFETY: Lua passes a state of ours; nothing else refers to the host while Lua runs.
    let host = unsafe { Host::of(state) };
    // SAFETY: Lua passes a valid activation record.
    let event = unsafe { (*activation).event };
    if event == mlua_sys::LUA_HOOKLINE {
        crate::profile::on_line(host, state, activation);
        return;
    }
    let breach = look(host, state);
    if breach.is_none() {
        relieve(state);
    }
    if let Some(breach) = breach {
        let text = breach.text();
        // Nothing here has a destructor.
        // SAFETY: the state is valid; hooks have some stack to use.
        unsafe {
            lua_pushlstring_(state, text.as_ptr().cast(), text.len());
            lua_error(state);
        }
    }
}

fn look(host: &mut Host, state: *mut lua_State) -> Option<Breach> {
    let meter = &mut host.meter;
    meter.charge(meter.look_after);
    let wanted = if host.watch.is_stopping() {
        Some(Breach::Stopping)
    } else if host.watch.is_overdue() {
        Some(Breach::Time)
    } else if meter.limit != 0 && meter.budget.left() == 0 {
        Some(Breach::Instructions)
    } else {
        None
    };
    if let Some(breach) = wanted {
        meter.breach(meter.last.unwrap_or(breach));
        host.memory.ending = meter.last.is_some();
    }
    let mask = if host.profile.is_some() { LUA_MASKCOUNT | LUA_MASKLINE } else { LUA_MASKCOUNT };
    meter.look_after = match (meter.last, meter.limit) {
        (Some(_), _) => 1,
        (None, 0) => INSTRUCTIONS_PER_LOOK,
        (None, _) => INSTRUCTIONS_PER_LOOK.min(meter.budget.left().max(1)),
    };
    set_hook(state, mask, meter.look_after);
    wanted
}

/// Collects garbage where little room for memory is left, so that a script does not fail for want of what it does not use:
/// Lua itself collects by how much is in use, and knows no limit.
pub(crate) fn relieve(state: *mut lua_State) {
    // SAFETY: the state is valid, and nothing else refers to its host while Lua's code runs.
    let host = unsafe { Host::of(state) };
    let (used, limit) = (host.memory.used, host.memory.limit);
    let is_short = limit != 0 && used >= limit / 8 * 7 && used >= host.memory.kept + limit / 16;
    if !is_short {
        return;
    }
    host.meter.charge((used / BYTES_PER_STEP) as u64);
    // SAFETY: finalizers are ours and raise nothing.
    unsafe {
        mlua_sys::lua_gc(state, mlua_sys::LUA_GCCOLLECT, 0);
        let memory = &mut Host::of(state).memory;
        memory.kept = memory.used;
    }
}

/// A step was refused by a library function: as when the hook finds it.
pub(crate) fn breach_of(host: &mut Host, state: *mut lua_State) -> Breach {
    let breach = if host.watch.is_stopping() {
        Breach::Stopping
    } else if host.watch.is_overdue() {
        Breach::Time
    } else {
        Breach::Instructions
    };
    host.meter.breach(breach);
    host.memory.ending = host.meter.last.is_some();
    host.meter.arm(state);
    breach
}

/// Charges steps in a function of ours that owns nothing; raises where there are no more.
///
/// # Safety
/// The state is one of a sandbox that runs. No frame between here and Lua owns anything.
#[inline]
pub(crate) unsafe fn charge_or_raise(state: *mut lua_State, steps: usize) {
    // SAFETY: by contract; nothing else refers to the host now.
    let host = unsafe { Host::of(state) };
    if host.meter.budget.charge(steps).is_ok() {
        return;
    }
    let text = breach_of(host, state).text();
    // SAFETY: by contract; such a function leaves room for a value.
    unsafe {
        lua_pushlstring_(state, text.as_ptr().cast(), text.len());
        lua_error(state);
    }
}

/// True if an error is on its way that nobody may catch.
pub(crate) fn is_final(host: &Host) -> bool {
    host.meter.last.is_some() || host.watch.stop.load(Ordering::Relaxed)
}
