//! Running a plugin so that neither its errors nor its panics reach anyone else.

use std::time::Duration;

use heka_config::Retries;
use heka_plugin::Stop;
use tokio::task::JoinError;

/// Waits between attempts: the first wait, doubled each time up to a cap, and a random part on top.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    jitter: Duration,
    limit: Option<u64>,
    next: Duration,
    attempts: u64,
}

/// First wait before a failed delivery is tried again.
const DELIVERY_FIRST: Duration = Duration::from_millis(10);
/// Longest wait before a failed delivery is tried again.
const DELIVERY_CAP: Duration = Duration::from_secs(1);
/// Largest random part of a wait before a failed delivery is tried again.
const DELIVERY_JITTER: Duration = Duration::from_millis(100);

/// A plugin that ran for so long was healthy.
const HEALTHY_RUN: Duration = Duration::from_secs(60);

impl Backoff {
    /// As a section's `retries` say.
    pub(crate) fn of(retries: &Retries) -> Self {
        let first = retries.delay.get();
        Self {
            first,
            cap: retries.max_delay.get(),
            jitter: retries.max_jitter.get(),
            limit: retries.limit(),
            next: first,
            attempts: 0,
        }
    }

    /// For deliveries that failed: for ever, from short waits to a second.
    pub(crate) fn delivery() -> Self {
        Self {
            first: DELIVERY_FIRST,
            cap: DELIVERY_CAP,
            jitter: DELIVERY_JITTER,
            limit: None,
            next: DELIVERY_FIRST,
            attempts: 0,
        }
    }

    /// The next wait; `None` if all attempts are used up.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        if self.limit.is_some_and(|limit| self.attempts >= limit) {
            return None;
        }
        self.attempts += 1;
        let wait = self.next;
        self.next = (self.next * 2).min(self.cap).max(self.first.min(self.cap));
        Some(wait + self.jitter.mul_f64(fastrand::f64()))
    }

    /// An instance ran for so long before it failed: after a good while its failure is a first one again.
    pub(crate) fn ran_for(&mut self, ran: Duration) {
        if ran >= HEALTHY_RUN {
            self.next = self.first;
            self.attempts = 0;
        }
    }

    /// Number of attempts since it last worked.
    pub(crate) fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Waits before the next attempt. False if there is none, or the daemon stops.
    pub(crate) async fn wait(&mut self, stop: &mut Stop) -> bool {
        let Some(wait) = self.next() else { return false };
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = stop.wait() => false,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "cancelled".to_owned() };
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

/// Calls `start`, turning a panic in it into an error text.
pub(crate) fn start_guarded<T>(
    start: impl FnOnce() -> Result<T, heka_plugin::StartError>,
) -> Result<T, heka_plugin::StartError> {
    // The instance is not there yet, so nothing half done can be seen afterwards.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(start)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(heka_plugin::StartError::new(format!("panicked: {}", text.unwrap_or_default())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(limit: Option<u64>) -> Backoff {
        let first = Duration::from_millis(100);
        let cap = Duration::from_millis(300);
        Backoff { first, cap, jitter: Duration::ZERO, limit, next: first, attempts: 0 }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_start_over_after_success() {
        let mut backoff = backoff(None);
        let waits: Vec<_> =
            (0..4).filter_map(|_| backoff.next()).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [100, 200, 300, 300]);
        backoff.ran_for(Duration::from_secs(1));
        assert_eq!(backoff.next(), Some(Duration::from_millis(300)));
        backoff.ran_for(HEALTHY_RUN);
        assert_eq!(backoff.next(), Some(Duration::from_millis(100)));
    }

    #[test]
    fn attempts_end_at_the_limit() {
        let mut backoff = backoff(Some(2));
        assert_eq!((0..5).filter_map(|_| backoff.next()).count(), 2);
        assert_eq!(self::backoff(Some(0)).next(), None);
    }
}
