//! Which of a source's batches are settled: the only thing that lets an input move its checkpoint.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Follows the batches of one source in order.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    state: Mutex<State>,
    watermark: AtomicU64,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Batches that are not settled, or wait for an older one: (end, settled).
    open: VecDeque<(u64, bool)>,
    /// Ticket of the first of `open`.
    first: u64,
}

impl Tracker {
    /// Registers the next batch; `end` is the source's position behind it.
    pub(crate) fn open(&self, end: u64) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open.push_back((end, false));
        state.first + state.open.len() as u64 - 1
    }

    fn settle(&self, ticket: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = ticket.checked_sub(state.first).and_then(|place| usize::try_from(place).ok());
        let Some(entry) = place.and_then(|place| state.open.get_mut(place)) else { return };
        entry.1 = true;
        let mut moved = false;
        while let Some(&(end, true)) = state.open.front() {
            state.open.pop_front();
            state.first += 1;
            self.watermark.store(end, Ordering::Release);
            moved = true;
        }
        drop(state);
        if moved {
            self.moved.notify_waiters();
        }
    }

    fn is_idle(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open.is_empty()
    }
}

/// How far a source's data is settled; a clone looks at the same source.
#[derive(Debug, Clone)]
pub struct Settled {
    pub(crate) tracker: Arc<Tracker>,
}

impl Settled {
    /// The position up to which everything is delivered, finally disposed of, or safe on disk.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.tracker.watermark.load(Ordering::Acquire)
    }

    /// True if nothing of the source is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tracker.is_idle()
    }

    /// Waits until the position is `end` or further.
    pub async fn reached(&self, end: u64) {
        loop {
            let moved = self.tracker.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.position() >= end {
                return;
            }
            moved.await;
        }
    }
}

/// Counts the consumers that still hold one batch.
#[derive(Debug)]
pub(crate) struct Settlement {
    tracker: Arc<Tracker>,
    ticket: u64,
    holders: AtomicUsize,
}

impl Settlement {
    pub(crate) fn new(tracker: Arc<Tracker>, ticket: u64, holders: usize) -> Self {
        if holders == 0 {
            tracker.settle(ticket);
        }
        Self { tracker, ticket, holders: AtomicUsize::new(holders) }
    }

    /// One consumer is done with the batch.
    pub(crate) fn release(&self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tracker.settle(self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_waits_for_the_oldest_batch() {
        let tracker = Arc::new(Tracker::default());
        let settled = Settled { tracker: Arc::clone(&tracker) };
        let first = Settlement::new(Arc::clone(&tracker), tracker.open(10), 2);
        let second = Settlement::new(Arc::clone(&tracker), tracker.open(25), 1);
        let third = Settlement::new(Arc::clone(&tracker), tracker.open(30), 1);
        second.release();
        first.release();
        assert_eq!(settled.position(), 0);
        first.release();
        assert_eq!(settled.position(), 25);
        third.release();
        assert_eq!(settled.position(), 30);
        assert!(settled.is_idle());
    }

    #[test]
    fn a_batch_that_nobody_wants_is_settled_at_once() {
        let tracker = Arc::new(Tracker::default());
        drop(Settlement::new(Arc::clone(&tracker), tracker.open(7), 0));
        assert_eq!(Settled { tracker }.position(), 7);
    }
}
