//! Where a script's time goes, line by line.
//!
//! Here: counts and times of lines, while a script is tried out. Not here: who shows them. A line's time is that from its
//! beginning to the next line's, so that what a function takes that it calls in C or Rust is its own.

use std::collections::HashMap;
use std::ffi::CStr;
use std::time::{Duration, Instant};

use mlua_sys::{lua_Debug, lua_State};

use crate::host::Host;

/// Most lines that are told apart.
const LINES_MAX: usize = 100_000;

/// What lines cost so far.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    lines: HashMap<(Box<str>, i32), (u64, Duration)>,
    current: Option<(Box<str>, i32)>,
    since: Option<Instant>,
}

/// A line of a script and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Name of the script or module.
    pub source: String,
    /// Number of the line, from 1.
    pub number: i32,
    /// Times that it began.
    pub count: u64,
    /// Time that it took.
    pub time: Duration,
}

impl Profile {
    /// All lines that ran, the most expensive first.
    pub fn lines(&self) -> Vec<Line> {
        let line = |(place, cost): (&(Box<str>, i32), &(u64, Duration))| Line {
            source: place.0.to_string(),
            number: place.1,
            count: cost.0,
            time: cost.1,
        };
        let mut lines: Vec<Line> = self.lines.iter().map(line).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.time));
        lines
    }

    /// The call ended: its last line does too.
    pub(crate) fn pause(&mut self) {
        let now = Instant::now();
        if let (Some(place), Some(since)) = (self.current.take(), self.since.take())
            && let Some(cost) = self.lines.get_mut(&place)
        {
            cost.1 += now - since;
        }
    }

    fn begin(&mut self, source: &str, number: i32) {
        self.pause();
        let place: (Box<str>, i32) = (source.into(), number);
        if self.lines.len() < LINES_MAX || self.lines.contains_key(&place) {
            self.lines.entry(place.clone()).or_default().0 += 1;
            self.current = Some(place);
        }
        self.since = Some(Instant::now());
    }
}

/// A line begins.
pub(crate) fn on_line(host: &mut Host, state: *mut lua_State, activation: *mut lua_Debug) {
    let Some(profile) = &mut host.profile else { return };
    // SAFETY: Lua passes a valid record to hooks; these letters do not raise.
    let (source, number) = unsafe {
        mlua_sys::lua_getinfo(state, c"S".as_ptr(), activation);
        (CStr::from_ptr((*activation).short_src.as_ptr()), (*activation).currentline)
    };
    profile.begin(&source.to_string_lossy(), number);
}
