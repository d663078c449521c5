//! Which of a source's batches are settled: the only thing that lets an input move its checkpoint.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;

use crate::bell::Bell;

/// Follows the batches of one source in order.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    state: Mutex<State>,
    watermark: AtomicU64,
    moved: Notify,
    /// Rung when the watermark of a source moves whose position is kept in the log.
    bell: OnceLock<Arc<Bell>>,
}

#[derive(Debug, Default)]
struct State {
    /// Batches that are not settled, or wait for an older one.
    open: VecDeque<Open>,
    /// Ticket of the first of `open`.
    first: u64,
    /// The newest settled position that was given in words, and its number, until someone takes it.
    position: Option<(u64, Box<[u8]>)>,
}

#[derive(Debug)]
struct Open {
    /// The source's own number behind the batch.
    end: u64,
    /// The source's own words for it.
    position: Option<Box<[u8]>>,
    settled: bool,
}

impl Tracker {
    /// Registers the next batch; `end` is the source's position behind it.
    pub(crate) fn open(&self, end: u64, position: Option<Box<[u8]>>) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open.push_back(Open { end, position, settled: false });
        state.first + state.open.len() as u64 - 1
    }

    /// The source begins here.
    pub(crate) fn begin(&self, position: Box<[u8]>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.position.get_or_insert((0, position));
    }

    /// From now on `bell` is rung when the watermark moves.
    pub(crate) fn ring(&self, bell: Arc<Bell>) {
        self.bell.get_or_init(|| bell);
    }

    /// True if the settled position moved since it was last taken.
    pub(crate) fn has_position(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).position.is_some()
    }

    /// The newest settled position, if it moved since the last call.
    pub(crate) fn take_position(&self) -> Option<(u64, Box<[u8]>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).position.take()
    }

    fn settle(&self, ticket: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = ticket.checked_sub(state.first).and_then(|place| usize::try_from(place).ok());
        let Some(entry) = place.and_then(|place| state.open.get_mut(place)) else { return };
        entry.settled = true;
        let mut moved = false;
        while let Some(front) = state.open.pop_front_if(|front| front.settled) {
            state.first += 1;
            self.watermark.store(front.end, Ordering::Release);
            if let Some(position) = front.position {
                state.position = Some((front.end, position));
            }
            moved = true;
        }
        let ring = moved && state.position.is_some();
        drop(state);
        if moved {
            self.moved.notify_waiters();
        }
        if ring && let Some(bell) = self.bell.get() {
            bell.ring();
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
    /// Position behind a batch that was appended alone.
    pub const ALONE: u64 = 1;

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

/// Who still holds one batch: consumers without a log one by one, those with a log together.
#[derive(Debug)]
pub(crate) struct Settlement {
    tracker: Arc<Tracker>,
    ticket: u64,
    holders: AtomicUsize,
    /// Durable consumers that have not answered for it.
    unanswered: AtomicUsize,
    /// The durable ones hold it no longer: all have answered, or it is safe on disk.
    safe: AtomicBool,
}

impl Settlement {
    /// A batch that `holders` consumers without and `durable` consumers with a log hold.
    pub(crate) fn new(tracker: Arc<Tracker>, ticket: u64, holders: usize, durable: usize) -> Self {
        let holders = holders + usize::from(durable > 0);
        if holders == 0 {
            tracker.settle(ticket);
        }
        Self {
            tracker,
            ticket,
            holders: AtomicUsize::new(holders),
            unanswered: AtomicUsize::new(durable),
            safe: AtomicBool::new(durable == 0),
        }
    }

    /// One consumer without a log is done with the batch.
    pub(crate) fn release(&self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.tracker.settle(self.ticket);
        }
    }

    /// One durable consumer is done with the batch; true if it was the last one.
    pub(crate) fn answered(&self) -> bool {
        let is_last = self.unanswered.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last {
            self.stored();
        }
        is_last
    }

    /// The batch is safe on disk.
    pub(crate) fn stored(&self) {
        if !self.safe.swap(true, Ordering::AcqRel) {
            self.release();
        }
    }

    /// True while a durable consumer has not answered.
    pub(crate) fn is_awaited(&self) -> bool {
        self.unanswered.load(Ordering::Acquire) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(tracker: &Arc<Tracker>) -> Settled {
        Settled { tracker: Arc::clone(tracker) }
    }

    fn batch(tracker: &Arc<Tracker>, end: u64, holders: usize, durable: usize) -> Settlement {
        let ticket = tracker.open(end, Some(end.to_le_bytes().into()));
        Settlement::new(Arc::clone(tracker), ticket, holders, durable)
    }

    #[test]
    fn the_watermark_waits_for_the_oldest_batch() {
        let tracker = Arc::new(Tracker::default());
        let first = batch(&tracker, 10, 2, 0);
        let second = batch(&tracker, 20, 1, 0);
        let position = || settled(&tracker).position();
        second.release();
        assert_eq!(position(), 0);
        first.release();
        assert_eq!(position(), 0);
        assert!(!settled(&tracker).is_idle());
        first.release();
        assert_eq!(position(), 20);
        assert!(settled(&tracker).is_idle());
        assert_eq!(tracker.take_position().unwrap(), (20, 20_u64.to_le_bytes().into()));
        assert_eq!(tracker.take_position(), None);
    }

    #[test]
    fn a_batch_that_nobody_wants_is_settled_at_once() {
        let tracker = Arc::new(Tracker::default());
        batch(&tracker, 7, 0, 0);
        assert_eq!(settled(&tracker).position(), 7);
    }

    #[test]
    fn durable_consumers_hold_a_batch_until_all_answered_or_it_is_on_disk() {
        let tracker = Arc::new(Tracker::default());
        let answered = batch(&tracker, 10, 0, 2);
        answered.answered();
        assert!(answered.is_awaited());
        assert_eq!(settled(&tracker).position(), 0);
        answered.answered();
        assert_eq!(settled(&tracker).position(), 10);
        let stored = batch(&tracker, 20, 1, 1);
        stored.stored();
        assert_eq!(settled(&tracker).position(), 10, "one without a log holds it");
        stored.release();
        assert_eq!(settled(&tracker).position(), 20);
        assert!(stored.is_awaited(), "it is to be written for the one that has not answered");
        stored.answered();
        stored.stored();
        assert_eq!(settled(&tracker).position(), 20);
    }
}
