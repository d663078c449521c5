//! What a Lua state belongs to: everything that its functions, its allocator and its hook need.
//!
//! Here: the structure and how it is found from a state. Not here: what uses it. Invariants: a host is boxed and never
//! moves while its state lives; the allocator's user pointer is the host; only the thread that runs the state touches it,
//! but for the [`Watch`](crate::watchdog::Watch), which is made to be shared.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use heka_message::Record;
use mlua_sys::{lua_State, lua_getallocf};

use crate::exchange::Exchange;
use crate::libraries::cjson::CjsonState;
use crate::libraries::lpeg::LpegState;
use crate::libraries::string::Patterns;
use crate::limits::{Meter, Usage};
use crate::memory::Memory;
use crate::settings::{ConfigValue, Kind};
use crate::watchdog::Watch;

/// The owner of a Lua state.
pub(crate) struct Host {
    /// Which functions the script has.
    pub(crate) kind: Kind,
    /// Name of the plugin, for log lines.
    pub(crate) name: Box<str>,
    /// What `read_config` reads.
    pub(crate) config: Vec<(Box<[u8]>, ConfigValue)>,
    /// Where `require` looks.
    pub(crate) modules: Vec<std::path::PathBuf>,
    /// `require` finds the modules that are built in.
    pub(crate) library: bool,
    /// Bytes in use and their limit.
    pub(crate) memory: Memory,
    /// Steps of the current call and their limit.
    pub(crate) meter: Meter,
    /// What the watchdog may look at.
    pub(crate) watch: Arc<Watch>,
    /// Highest figures so far.
    pub(crate) usage: Usage,
    /// The payload being built, and messages being encoded.
    pub(crate) output: Output,
    /// The world outside, during a call.
    pub(crate) exchange: Option<NonNull<dyn Exchange>>,
    /// The current message, where it cannot change; valid during a call only.
    pub(crate) record: Option<Record<'static>>,
    /// Where `read_next_field` stands in the current message.
    pub(crate) next_field: usize,
    /// Calls so far.
    pub(crate) calls: u32,
    /// Random numbers of the script, and of the messages that it makes.
    pub(crate) random: fastrand::Rng,
    /// Where the stack of the thread stood when the call began.
    pub(crate) stack_base: usize,
    /// Coroutines that are inside each other now.
    pub(crate) coroutines: usize,
    /// The last traceback that was taken.
    pub(crate) traceback: String,
    /// The error of the last call could not be caught.
    pub(crate) panicked: Option<String>,
    /// What the binding of LPeg keeps.
    pub(crate) lpeg: LpegState,
    /// What the binding of JSON keeps.
    pub(crate) cjson: CjsonState,
    /// Text being made by a library function; taken while in use.
    pub(crate) scratch: Vec<u8>,
    /// Compiled patterns of the library `string`; taken while in use.
    pub(crate) patterns: Option<Box<Patterns>>,
    /// Counts of lines, while profiled.
    pub(crate) profile: Option<Box<crate::profile::Profile>>,
    /// Whether data is kept when the script fails.
    pub(crate) salvages: bool,
    /// Data of a script that failed.
    pub(crate) salvaged: Option<Vec<u8>>,
    /// What scripts printed, where somebody listens.
    pub(crate) printed: Option<Vec<String>>,
}

/// The output buffer of a sandbox.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
    /// `output_limit`; 0: none.
    pub(crate) limit: usize,
    /// Most bytes that it held.
    pub(crate) most: usize,
}

impl Host {
    /// The host of a state.
    ///
    /// # Safety
    /// `state` is a state that [`Lua`](crate::lua::Lua) made, and no other reference to its host is in use.
    #[inline]
    pub(crate) unsafe fn of<'h>(state: *mut lua_State) -> &'h mut Self {
        // SAFETY: by contract; the host lives as long as its state.
        unsafe { &mut *Self::at(state) }
    }

    /// Where the host of a state is.
    ///
    /// # Safety
    /// `state` is a state that [`Lua`](crate::lua::Lua) made.
    #[inline]
    pub(crate) unsafe fn at(state: *mut lua_State) -> *mut Self {
        let mut user: *mut c_void = ptr::null_mut();
        // SAFETY: the state is valid, and its allocator's user pointer is its host.
        unsafe { lua_getallocf(state, &raw mut user) };
        user.cast()
    }
}
