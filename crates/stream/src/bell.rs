//! Waking a thread that works when there is something to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rung by many, waited for by one thread; rings while it works are not lost, and count as one.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    waiting: Mutex<()>,
    wake: Condvar,
}

impl Bell {
    /// Wakes the thread, or lets its next wait return at once.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Taken so that the thread is either before its look at `rung`, or asleep.
            drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_one();
        }
    }

    /// Waits until it was rung since the last wait, for at most so long. False if it was not.
    pub(crate) fn wait(&self, longest: Duration) -> bool {
        let guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |(): &mut ()| !self.rung.load(Ordering::Acquire);
        drop(self.wake.wait_timeout_while(guard, longest, silent));
        self.rung.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn rings_are_not_lost_and_count_as_one() {
        let bell = Arc::new(Bell::default());
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::from_secs(60)));
        assert!(!bell.wait(Duration::from_millis(1)));
        let other = Arc::clone(&bell);
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(5));
        bell.ring();
        assert!(thread.join().unwrap());
    }
}
