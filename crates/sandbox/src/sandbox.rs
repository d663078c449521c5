//! A script with its state: started, called, ended.
//!
//! Here: the life of a sandbox and the calls of its plugin. Not here: what the script may use (`environment`, `api`),
//! saving (`preserve`). Invariants: a call ends within the limits; after an error the state is gone at once; what the
//! caller lends for a call is out of reach when the call returns.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::Arc;

use heka_message::Record;
use mlua_sys::{lua_State, lua_close, lua_newstate};

use crate::environment;
use crate::error::{Ended, PreserveError, Raise, Report, StartError};
use crate::exchange::Exchange;
use crate::host::{Host, Output};
use crate::libraries::cjson::CjsonState;
use crate::libraries::lpeg::LpegState;
use crate::limits::{Meter, Usage};
use crate::lua::{GLOBALS, Lua, Type};
use crate::memory::{Memory, allocate};
use crate::profile::Profile;
use crate::settings::{Script, Settings};
use crate::watchdog::Watch;
use crate::{layout, limits, preserve, traceback};

/// Longest text of an error, in bytes.
const ERROR_BYTES_MAX: usize = 255;
/// First byte of precompiled code.
const PRECOMPILED: u8 = 0x1B;

/// Calls between two looks at how much garbage may gather.
const CALLS_PER_TUNE: u32 = 256;
/// Garbage is collected when this many hundredths of what was in use are: Lua's own default, and where memory is plenty.
const PAUSE_MIN: usize = 200;
const PAUSE_MAX: usize = 400;

/// Where what each call needs lies on the stack.
const TRACEBACK: c_int = 1;
const PROCESS_MESSAGE: c_int = 2;
const TIMER_EVENT: c_int = 3;

/// What a call said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Status 0.
    Done,
    /// A negative status, and what was said with it.
    Refused {
        /// The status.
        status: i32,
        /// The text, or nothing.
        text: String,
    },
}

/// A script in its state.
pub struct Sandbox {
    state: *mut lua_State,
    host: NonNull<Host>,
    source: Script,
}

// SAFETY: Lua's state and the host belong to the sandbox alone, and neither knows threads; what other threads may touch is
// in the `Watch`, which is made for it.
unsafe impl Send for Sandbox {}

/// Stops a sandbox from another thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Watch>);

impl Stopper {
    /// Ends the script at its next instruction with the error `shutting down`; calls that are inside the C library are not
    /// interrupted.
    pub fn stop(&self) {
        self.0.request_stop();
    }

    /// True once it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.is_stopping()
    }
}

/// Clears what was lent for a call.
struct Lent(NonNull<Host>);

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: the host outlives every call.
        let host = unsafe { self.0.as_mut() };
        host.exchange = None;
        host.record = None;
    }
}

impl Sandbox {
    /// Makes a state, runs the script in it, and restores what an earlier one preserved.
    ///
    /// `exchange` is what the script's chunk may inject into.
    ///
    /// # Errors
    /// If the script cannot be run, or its data cannot be restored.
    pub fn start(
        settings: &Settings,
        script: &Script,
        preserved: Option<&[u8]>,
        exchange: &mut dyn Exchange,
    ) -> Result<Self, StartError> {
        if script.source.first() == Some(&PRECOMPILED) {
            return Err(StartError::Precompiled { name: script.name.clone() });
        }
        let mut sandbox = Self::new(settings, script)?;
        sandbox.run_chunk(exchange).map_err(StartError::Script)?;
        if let Some(preserved) = preserved {
            sandbox.restore(preserved).map_err(StartError::Restore)?;
        }
        Ok(sandbox)
    }

    fn new(settings: &Settings, script: &Script) -> Result<Self, StartError> {
        let host = Box::new(Host {
            kind: settings.kind,
            name: settings.name.as_str().into(),
            config: settings.config.clone(),
            modules: settings.modules.clone(),
            library: settings.library,
            memory: Memory { limit: settings.limits.memory, exempt: true, ..Memory::default() },
            meter: Meter::new(settings.limits.instructions),
            watch: Watch::new(settings.limits.instructions),
            usage: Usage::default(),
            output: Output { limit: settings.limits.output, ..Output::default() },
            exchange: None,
            record: None,
            next_field: 0,
            calls: 0,
            random: fastrand::Rng::new(),
            stack_base: 0,
            coroutines: 0,
            traceback: String::new(),
            panicked: None,
            lpeg: LpegState::default(),
            cjson: CjsonState::default(),
            scratch: Vec::new(),
            patterns: None,
            profile: settings.profile.then(Box::default),
            printed: settings.keep_printed.then(Vec::new),
            salvages: settings.salvage,
            salvaged: None,
        });
        let host = NonNull::from(Box::leak(host));
        // SAFETY: the allocator is made for this host, which lives until the state is closed.
        let state = unsafe { lua_newstate(allocate, host.as_ptr().cast()) };
        let sandbox = Self { state, host, source: script.clone() };
        if state.is_null() {
            return Err(StartError::State);
        }
        // SAFETY: the state is new.
        unsafe { layout::learn(state) };
        sandbox.lua().host().watch.runs(state);
        let lua = sandbox.lua();
        lua.push_function(traceback::handler, 0);
        lua.push_bytes(b"process_message");
        lua.push_bytes(b"timer_event");
        limits::keep_texts(lua);
        environment::open(lua).map_err(|_| StartError::State)?;
        lua.set_top(TIMER_EVENT);
        Ok(sandbox)
    }

    /// The stack, outside of calls.
    fn lua(&self) -> Lua<'_> {
        // SAFETY: the state is valid while it is not null, which callers see to; outside of calls nothing is refused.
        unsafe { Lua::new(self.state) }
    }

    fn host(&mut self) -> &mut Host {
        // SAFETY: the host is ours alone while no call runs.
        unsafe { self.host.as_mut() }
    }

    fn run_chunk(&mut self, exchange: &mut dyn Exchange) -> Result<(), Report> {
        let script = self.source.clone();
        if self.lua().load(&script.source, &format!("@{}", script.name)).is_err() {
            return Err(self.failed("", Raise::Value));
        }
        self.call(0, 0, None, exchange).map_err(|raise| self.failed("", raise))
    }

    /// Calls `process_message` with a message that cannot change, or, without one, with what `exchange` shows.
    ///
    /// # Errors
    /// If the sandbox has ended.
    pub fn process_message(
        &mut self,
        record: Option<&Record<'_>>,
        exchange: &mut dyn Exchange,
    ) -> Result<Outcome, Ended> {
        self.call_process(0, record, exchange)
    }

    /// As [`process_message`](Self::process_message), with arguments, which the scripts of Heka's successor get.
    ///
    /// # Errors
    /// If the sandbox has ended.
    pub fn process_message_with(
        &mut self,
        arguments: &[crate::ConfigValue],
        record: Option<&Record<'_>>,
        exchange: &mut dyn Exchange,
    ) -> Result<Outcome, Ended> {
        if !self.state.is_null() {
            self.lua().push_nil(); // The place of the function.
            for argument in arguments {
                crate::api::push_config_value(self.lua(), argument);
            }
        }
        self.call_process(arguments.len() + 1, record, exchange)
    }

    /// `pushed`: values on the stack, an empty place for the function first.
    fn call_process(
        &mut self,
        pushed: usize,
        record: Option<&Record<'_>>,
        exchange: &mut dyn Exchange,
    ) -> Result<Outcome, Ended> {
        const NAME: &str = "process_message()";
        let arguments = pushed.saturating_sub(1);
        self.push_global(PROCESS_MESSAGE, pushed, NAME)?;
        if let Err(raise) = self.call(arguments, 2, record, exchange) {
            return Err(Ended::Failed(self.failed("process_message() ", raise)));
        }
        let lua = self.lua();
        if lua.type_of(-2) != Type::Number {
            let text = "process_message() must return a numeric status code";
            return Err(self.ended(text));
        }
        let status = status_of(lua.number(-2).unwrap_or_default());
        let text = match lua.type_of(-1) {
            Type::Nil => String::new(),
            Type::String => String::from_utf8_lossy(lua.bytes(-1).unwrap_or_default()).into_owned(),
            _ => {
                let text = "process_message() must return a nil or string error message";
                return Err(self.ended(text));
            }
        };
        lua.set_top(TIMER_EVENT);
        match status {
            0 => Ok(Outcome::Done),
            1.. => Err(Ended::Status { status, text: cut(text) }),
            _ => Ok(Outcome::Refused { status, text: cut(text) }),
        }
    }

    /// Calls `timer_event` with the time in ns, and collects the garbage.
    ///
    /// # Errors
    /// If the sandbox has ended.
    pub fn timer_event(&mut self, ns: i64, exchange: &mut dyn Exchange) -> Result<(), Ended> {
        self.timer_event_with(ns, None, exchange)
    }

    /// As [`timer_event`](Self::timer_event); `shutdown` is the second argument that the scripts of Heka's successor get.
    ///
    /// # Errors
    /// If the sandbox has ended.
    pub fn timer_event_with(
        &mut self,
        ns: i64,
        shutdown: Option<bool>,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Ended> {
        self.push_global(TIMER_EVENT, 0, "timer_event()")?;
        self.lua().push_number(ns as f64);
        if let Some(shutdown) = shutdown {
            self.lua().push_boolean(shutdown);
        }
        let arguments = 1 + usize::from(shutdown.is_some());
        if let Err(raise) = self.call(arguments, 0, None, exchange) {
            return Err(Ended::Failed(self.failed("timer_event() ", raise)));
        }
        let lua = self.lua();
        lua.set_top(TIMER_EVENT);
        lua.collect();
        Ok(())
    }

    /// True if the script defines a function of that name.
    pub fn has_function(&self, name: &str) -> bool {
        if self.state.is_null() {
            return false;
        }
        let lua = self.lua();
        lua.raw_get_text(GLOBALS, name);
        let is_function = lua.type_of(-1) == Type::Function;
        lua.pop(1);
        is_function
    }

    /// Puts the global function whose name lies at `name` on top, or into the place that was left for it.
    fn push_global(&mut self, name: c_int, pushed: usize, shown: &str) -> Result<(), Ended> {
        if self.state.is_null() {
            return Err(Ended::Failed(Report {
                text: "the script has ended".to_owned(),
                ..Report::default()
            }));
        }
        let lua = self.lua();
        lua.push_value(name);
        lua.raw_get(GLOBALS);
        if lua.type_of(-1) != Type::Function {
            return Err(self.ended(&format!("{shown} function was not found")));
        }
        if pushed > 0 {
            lua.replace(TIMER_EVENT + 1);
        }
        Ok(())
    }

    /// Calls the function below so many arguments, within the limits.
    fn call(
        &mut self,
        arguments: usize,
        results: c_int,
        record: Option<&Record<'_>>,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Raise> {
        let state = self.state;
        let here = 0_u8;
        let lent = Lent(self.host);
        let host = self.host();
        // SAFETY: only lifetimes change; both are taken back by `lent` before this returns.
        unsafe {
            host.exchange = Some(NonNull::from(std::mem::transmute::<
                &mut dyn Exchange,
                &mut (dyn Exchange + 'static),
            >(exchange)));
            host.record =
                record.map(|record| std::mem::transmute::<Record<'_>, Record<'static>>(*record));
        }
        host.next_field = 0;
        host.stack_base = (&raw const here).addr();
        host.coroutines = 0;
        host.meter.begin(state);
        if host.profile.is_some() {
            let mask = mlua_sys::LUA_MASKCOUNT | mlua_sys::LUA_MASKLINE;
            crate::limits::set_hook(state, mask, 1000);
        }
        host.watch.begin();
        (host.memory.exempt, host.memory.ending) = (false, false);
        let arguments = c_int::try_from(arguments).unwrap_or(c_int::MAX);
        // SAFETY: function and arguments are on the stack, the handler at its place.
        let status = unsafe { mlua_sys::lua_pcall(state, arguments, results, TRACEBACK) };
        let host = self.host();
        host.memory.exempt = true;
        host.watch.end();
        host.watch.runs_main(state);
        host.usage.instructions = host.meter.end(state);
        host.usage.instructions_max = host.usage.instructions_max.max(host.usage.instructions);
        if let Some(profile) = &mut host.profile {
            profile.pause();
        }
        host.calls = host.calls.wrapping_add(1);
        if host.calls.is_multiple_of(CALLS_PER_TUNE) {
            tune(host, state);
        }
        drop(lent);
        if status == 0 { Ok(()) } else { Err(Raise::Value) }
    }

    /// The call failed with what is on top of the stack: the state is given up.
    #[cold]
    fn failed(&mut self, prefix: &str, _: Raise) -> Report {
        let lua = self.lua();
        let text = match lua.type_of(-1) {
            Type::String | Type::Number => {
                String::from_utf8_lossy(lua.text(-1).unwrap_or_default()).into_owned()
            }
            _ => "(null)".to_owned(),
        };
        let traceback = std::mem::take(&mut self.host().traceback);
        if let Some(panic) = self.host().panicked.take() {
            tracing::error!(plugin = &*self.host().name, panic, "a function for scripts panicked");
        }
        let source_line = self.source_line(&text);
        self.salvage();
        self.close();
        Report { text: cut(format!("{prefix}{text}")), traceback, source_line }
    }

    /// The script broke a rule: the state is given up.
    #[cold]
    fn ended(&mut self, text: &str) -> Ended {
        self.salvage();
        self.close();
        Ended::Failed(Report { text: cut(text.to_owned()), ..Report::default() })
    }

    /// Keeps the data as the failed call left it, where that is wanted.
    fn salvage(&mut self) {
        if !self.host().salvages {
            return;
        }
        self.host().salvaged = self.preserve().ok();
    }

    /// What the script's data was when it failed, if it is kept; see [`Settings::salvage`](crate::Settings::salvage).
    pub fn take_salvaged(&mut self) -> Option<Vec<u8>> {
        self.host().salvaged.take()
    }

    /// The line of the script that an error's text begins with the place of.
    fn source_line(&self, text: &str) -> Option<String> {
        let mut parts = text.splitn(3, ':');
        let (source, number) = (parts.next()?, parts.next()?.trim().parse::<usize>().ok()?);
        // Long names are cut by Lua.
        let is_script = self.source.name.ends_with(source.trim_start_matches('.'));
        if !is_script {
            return None;
        }
        let line = self.source.source.split(|&byte| byte == b'\n').nth(number.checked_sub(1)?)?;
        Some(String::from_utf8_lossy(line).trim_end().to_owned())
    }

    /// The script's data as statements that restore it.
    ///
    /// # Errors
    /// If it cannot be saved, or the sandbox has ended by an error.
    pub fn preserve(&mut self) -> Result<Vec<u8>, PreserveError> {
        if self.state.is_null() {
            return Err(PreserveError::Gone);
        }
        let lua = self.lua();
        let saved = preserve::save(lua);
        lua.set_top(TIMER_EVENT);
        saved
    }

    /// Runs statements that [`preserve`](Self::preserve) gave, or those of a file of Heka's.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn restore(&mut self, preserved: &[u8]) -> Result<(), String> {
        if self.state.is_null() {
            return Err(PreserveError::Gone.to_string());
        }
        let lua = self.lua();
        let restored = preserve::restore(lua, preserved);
        lua.set_top(TIMER_EVENT);
        restored
    }

    /// Its figures.
    pub fn usage(&self) -> Usage {
        // SAFETY: the host lives as long as the sandbox; no call runs.
        let host = unsafe { self.host.as_ref() };
        Usage {
            memory: host.memory.used,
            memory_max: host.memory.most,
            output_max: host.output.most,
            ..host.usage
        }
    }

    /// Bytes in its output buffer.
    pub fn pending_output(&self) -> usize {
        // SAFETY: as in `usage`.
        unsafe { self.host.as_ref() }.output.bytes.len()
    }

    /// What it cost by lines, if it was asked to count.
    pub fn profile(&self) -> Option<&Profile> {
        // SAFETY: as in `usage`.
        unsafe { self.host.as_ref() }.profile.as_deref()
    }

    /// What it printed since this was asked last, if that is kept.
    pub fn take_printed(&mut self) -> Vec<String> {
        self.host().printed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Something that stops it from another thread.
    pub fn stopper(&self) -> Stopper {
        // SAFETY: as in `usage`.
        Stopper(Arc::clone(&unsafe { self.host.as_ref() }.watch))
    }

    /// True if its state is gone.
    pub fn is_closed(&self) -> bool {
        self.state.is_null()
    }

    /// For tests: the allocation of that number from now on fails.
    #[doc(hidden)]
    pub fn fail_allocation(&mut self, number: u64) {
        self.host().memory.fail_at = Some(number);
    }

    fn close(&mut self) {
        if self.state.is_null() {
            return;
        }
        self.lua().host().watch.runs(std::ptr::null_mut());
        // SAFETY: the state is valid and no call runs; afterwards it is not used again.
        unsafe { lua_close(self.state) };
        self.state = std::ptr::null_mut();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.close();
        // SAFETY: it was leaked by `new` and nothing refers to it any more.
        drop(unsafe { Box::from_raw(self.host.as_ptr()) });
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sandbox({})", self.source.name)
    }
}

/// Lets more garbage gather where there is room for it, since collecting costs as much as is alive.
#[cold]
fn tune(host: &Host, state: *mut lua_State) {
    let (used, limit) = (host.memory.used.max(1), host.memory.limit);
    let room = if limit == 0 { PAUSE_MIN } else { limit / 2 * 100 / used };
    let pause = c_int::try_from(room.clamp(PAUSE_MIN, PAUSE_MAX)).unwrap_or(c_int::MAX);
    // SAFETY: the state is valid and at rest; it only sets a number.
    unsafe { mlua_sys::lua_gc(state, mlua_sys::LUA_GCSETPAUSE, pause) };
}

/// Statuses are cut toward zero, as a C `int`.
fn status_of(number: f64) -> i32 {
    number as i32
}

fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        let mut end = ERROR_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
