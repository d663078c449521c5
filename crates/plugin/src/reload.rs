//! The wish that plugins look at their files again: how they see it, and how they wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts how often the daemon was asked to load scripts and the like anew; a clone is the same counter.
///
/// Reading it costs what reading a number costs, so a plugin may do that for each delivery or record.
#[derive(Debug, Clone, Default)]
pub struct Reload(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    generation: AtomicU64,
    moved: Notify,
}

impl Reload {
    /// Grows with each wish.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Relaxed)
    }

    /// Asks for it once more.
    pub fn bump(&self) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        self.0.moved.notify_waiters();
    }

    /// Waits until the generation is above `seen`, and returns it.
    pub async fn past(&self, seen: u64) -> u64 {
        loop {
            let moved = self.0.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let generation = self.0.generation.load(Ordering::Acquire);
            if generation > seen {
                return generation;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_by_the_next_wish_and_by_one_that_was_made_before() {
        let reload = Reload::default();
        assert_eq!(reload.generation(), 0);
        let waiting = tokio::spawn({
            let reload = reload.clone();
            async move { reload.past(0).await }
        });
        tokio::task::yield_now().await;
        reload.bump();
        assert_eq!(waiting.await.unwrap(), 1);
        reload.bump();
        assert_eq!(reload.past(1).await, 2);
        assert_eq!(reload.generation(), 2);
    }
}
