//! Logging of what may happen a million times a second: the first at once, then a count now and then.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Nanoseconds between two lines about the same thing.
const INTERVAL_NS: i64 = 10_000_000_000;

/// Decides which of many equal events get a log line.
#[derive(Debug)]
pub struct LimitedLog {
    next_at: AtomicI64,
    suppressed: AtomicU64,
}

impl Default for LimitedLog {
    fn default() -> Self {
        Self { next_at: AtomicI64::new(i64::MIN), suppressed: AtomicU64::new(0) }
    }
}

impl LimitedLog {
    /// An event at `now_ns`: `Some(n)` if it gets a line, `n` events having had none since the last line.
    #[must_use]
    pub fn event(&self, now_ns: i64) -> Option<u64> {
        let next_at = self.next_at.load(Ordering::Relaxed);
        let due = now_ns >= next_at
            && self
                .next_at
                .compare_exchange(
                    next_at,
                    now_ns.saturating_add(INTERVAL_NS),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if due {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_and_then_one_an_interval_get_a_line() {
        let log = LimitedLog::default();
        assert_eq!(log.event(5), Some(0));
        assert_eq!(log.event(6), None);
        assert_eq!(log.event(7), None);
        assert_eq!(log.event(5 + INTERVAL_NS), Some(2));
        assert_eq!(log.event(6 + INTERVAL_NS), None);
    }
}
