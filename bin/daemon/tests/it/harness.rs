//! What the tests drive the daemon with.
//!
//! Here: a directory with a configuration, the running process, sinks, numbered lines. Invariants: every wait has
//! a deadline and says what it waited for; a process and a sink end with their owner.

mod arrivals;
mod daemon;
mod judge;
mod lines;
mod net;
mod report;
pub(crate) mod sections;
mod sink;
mod world;
mod writers;

use std::time::{Duration, Instant};

pub(crate) use arrivals::{Arrivals, Expect, LINE_BYTES, line_block};
pub(crate) use daemon::{Daemon, Ended, run};
pub(crate) use judge::{JudgeSink, Judged, Tail};
pub(crate) use lines::{Numbered, assert_all_in_order, framed_messages, line, numbers};
pub(crate) use net::{Port, free_udp_port};
pub(crate) use report::ReportText;
pub(crate) use sink::TcpSink;
pub(crate) use world::{World, real_logs};
pub(crate) use writers::{Datagrams, GrowingLog, Peer, Writer};

/// Nothing that is waited for takes so long on a machine that works, however busy it is.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Waits until `holds` says so; false if the deadline passes first.
pub(crate) fn wait(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

/// Looks at `holds` for a while: for what must not happen.
pub(crate) fn during(time: Duration, mut check: impl FnMut()) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        check();
        std::thread::sleep(POLL);
    }
}

/// A number that the environment sets.
pub(crate) fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
