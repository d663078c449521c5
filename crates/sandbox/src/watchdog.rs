//! Ends calls that take too much of a processor without looking at the meter.
//!
//! Here: what is shared with such a call, the thread that looks at all of them, and how other threads stop one. The meter
//! counts instructions and steps of library functions; what remains are single instructions over megabytes (joining or
//! comparing long strings). Invariants: the thread sets a hook and nothing else; a state is not freed while it does;
//! time is that of the thread that runs the call, so that a busy machine ends nothing.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use mlua_sys::{LUA_MASKCOUNT, lua_State};

use crate::limits::set_hook;

/// How often calls are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Time of a processor that a call may take at least, in ns.
const CALL_NS_MIN: u64 = 100_000_000;
/// Time of a processor that each instruction of the limit may take, in ns: many times what the slowest usual one does.
/// Functions of ours are several times slower where they are not optimised.
const NS_PER_INSTRUCTION: u64 = if cfg!(debug_assertions) { 1500 } else { 150 };

/// What other threads see of a sandbox.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Number of the call; odd while one runs.
    call: AtomicU64,
    /// Clock of the thread that runs it.
    clock: AtomicI32,
    /// Number of the call that takes too long.
    overdue: AtomicU64,
    /// Time of a processor that a call may take, in ns; 0: any.
    limit_ns: u64,
    /// It is to end.
    pub(crate) stop: AtomicBool,
    /// A coroutine was switched to in this call.
    in_coroutine: AtomicBool,
    /// The thread of Lua's that runs; null once the state is gone. Taken by whoever uses or changes it from outside.
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running(AtomicPtr<lua_State>);

/// A call as the watchdog knows it.
struct Seen {
    watch: Weak<Watch>,
    call: u64,
    began_ns: u64,
}

static WATCHED: OnceLock<Mutex<Vec<Seen>>> = OnceLock::new();

impl Watch {
    /// A watch for calls with that many instructions; 0: calls may take as long as they like.
    pub(crate) fn new(instruction_limit: u64) -> Arc<Self> {
        let limit_ns = match instruction_limit {
            0 => 0,
            limit => limit.saturating_mul(NS_PER_INSTRUCTION).max(CALL_NS_MIN),
        };
        let watch = Arc::new(Self {
            call: AtomicU64::new(0),
            clock: AtomicI32::new(0),
            overdue: AtomicU64::new(0),
            limit_ns,
            stop: AtomicBool::new(false),
            in_coroutine: AtomicBool::new(false),
            running: Mutex::new(Running(AtomicPtr::new(ptr::null_mut()))),
        });
        if limit_ns > 0 {
            register(&watch);
        }
        watch
    }

    /// A call begins on this thread.
    #[inline]
    pub(crate) fn begin(&self) {
        if self.limit_ns > 0 {
            self.clock.store(thread_clock(), Ordering::Relaxed);
            let call = self.call.load(Ordering::Relaxed);
            self.call.store(call + 1, Ordering::Release);
        }
    }

    /// The call ended.
    #[inline]
    pub(crate) fn end(&self) {
        if self.limit_ns > 0 {
            let call = self.call.load(Ordering::Relaxed);
            self.call.store(call + 1, Ordering::Release);
        }
    }

    /// Another thread of Lua's runs from now on.
    pub(crate) fn runs(&self, state: *mut lua_State) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.0.store(state, Ordering::Relaxed);
    }

    /// The call ended: the main thread of Lua's is the one that runs next.
    #[inline]
    pub(crate) fn runs_main(&self, state: *mut lua_State) {
        if self.in_coroutine.swap(false, Ordering::Relaxed) {
            self.runs(state);
        }
    }

    /// A coroutine runs from now on, or the one that resumed it again.
    pub(crate) fn switches_to(&self, state: *mut lua_State) {
        self.in_coroutine.store(true, Ordering::Relaxed);
        self.runs(state);
    }

    /// True if the current call takes too long.
    pub(crate) fn is_overdue(&self) -> bool {
        let call = self.call.load(Ordering::Relaxed);
        call % 2 == 1 && self.overdue.load(Ordering::Relaxed) == call
    }

    /// True if it is to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the script at its next instruction, and each later call at once.
    pub(crate) fn request_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.interrupt();
    }

    fn interrupt(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let state = running.0.load(Ordering::Relaxed);
        if !state.is_null() {
            set_hook(state, LUA_MASKCOUNT, 1);
        }
    }
}

#[allow(clippy::cast_possible_wrap)]
fn thread_clock() -> i32 {
    thread_local! {
        static CLOCK: i32 = own_clock();
    }
    CLOCK.with(|clock| *clock)
}

fn own_clock() -> i32 {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the calling thread is valid, and so is the place of the result.
    let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
    if failed == 0 { clock } else { 0 }
}

/// Time of a processor that a thread has taken, in ns; `None` if the thread is gone.
fn time_of(clock: i32) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place of the result is valid; a clock that is none makes the call fail.
    let failed = clock == 0 || unsafe { libc::clock_gettime(clock, &raw mut time) } != 0;
    if failed {
        return None;
    }
    let seconds = u64::try_from(time.tv_sec).ok()?;
    Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?)
}

fn register(watch: &Arc<Watch>) {
    let watched = WATCHED.get_or_init(|| {
        let thread = std::thread::Builder::new().name("lua-watchdog".to_owned());
        if let Err(error) = thread.spawn(run) {
            tracing::error!(%error, "no watchdog: scripts are limited by instructions only");
        }
        Mutex::default()
    });
    let seen = Seen { watch: Arc::downgrade(watch), call: 0, began_ns: 0 };
    watched.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
}

fn run() {
    loop {
        let mut busy = false;
        if let Some(watched) = WATCHED.get() {
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.retain_mut(|seen| match seen.watch.upgrade() {
                Some(watch) => {
                    busy |= look(&watch, seen);
                    true
                }
                None => false,
            });
        }
        // An idle daemon must cost nothing that shows: the sleep is longer where no call ran.
        std::thread::sleep(if busy { LOOK_INTERVAL } else { 5 * LOOK_INTERVAL });
    }
}

/// Looks at one sandbox; true if a call runs.
fn look(watch: &Watch, seen: &mut Seen) -> bool {
    let call = watch.call.load(Ordering::Acquire);
    if call.is_multiple_of(2) {
        return false;
    }
    let Some(now_ns) = time_of(watch.clock.load(Ordering::Relaxed)) else { return true };
    if seen.call != call {
        (seen.call, seen.began_ns) = (call, now_ns);
        return true;
    }
    if now_ns.saturating_sub(seen.began_ns) > watch.limit_ns {
        watch.overdue.store(call, Ordering::Relaxed);
        watch.interrupt();
    }
    true
}
