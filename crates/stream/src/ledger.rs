//! The ledger: every message ends in exactly one state, and each state has a counter.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::consumer::Consumer;

/// Why a consumer finally gave up a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Its window was full and `full_action` is `drop`.
    Full,
    /// The plugin or its encoder refused this message for ever.
    Rejected,
    /// The plugin failed on it again and again.
    Poison,
    /// The plugin stopped, or the deadline of the shutdown passed.
    Stopped,
    /// It was on disk and could not be read any more.
    Damaged,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 5] =
        [Self::Full, Self::Rejected, Self::Poison, Self::Stopped, Self::Damaged];

    /// The name used in reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Rejected => "rejected",
            Self::Poison => "poison",
            Self::Stopped => "stopped",
            Self::Damaged => "damaged",
        }
    }
}

/// What became of the messages of an input, or of those that a filter injected.
#[derive(Debug, Default)]
pub struct SourceCounts {
    received: AtomicU64,
    filtered: AtomicU64,
    bytes: AtomicU64,
    batches: AtomicU64,
    waits: Mutex<Waits>,
}

/// Appends that wait now, and what they wait for.
#[derive(Debug, Default)]
struct Waits {
    waiting: usize,
    since: Option<Instant>,
    total: Duration,
    consumer: Option<Arc<Consumer>>,
}

/// What sources wait for.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// For how long at least one has been waiting.
    pub lasts: Duration,
    /// The consumer without room; `None`: the memory budget.
    pub consumer: Option<Arc<Consumer>>,
}

impl SourceCounts {
    /// What sources wait for now; `None` if none waits.
    #[must_use]
    pub fn waiting(&self) -> Option<Waiting> {
        let waits = self.waits();
        let lasts = waits.since?.elapsed();
        Some(Waiting { lasts, consumer: waits.consumer.clone() })
    }

    /// For how long sources have waited in all, counted while at least one does.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let waits = self.waits();
        waits.total + waits.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Until the guard is dropped a source waits.
    pub(crate) fn wait(self: &Arc<Self>, consumer: Option<&Arc<Consumer>>) -> WaitGuard {
        let mut waits = self.waits();
        waits.waiting += 1;
        waits.since.get_or_insert_with(Instant::now);
        waits.consumer = consumer.cloned();
        WaitGuard { counts: Arc::clone(self) }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages appended to the stream.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Messages that no consumer matched.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.filtered.load(Ordering::Relaxed)
    }

    /// Bytes that the batches held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Batches appended.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, received: usize, filtered: usize, bytes: usize) {
        self.received.fetch_add(received as u64, Ordering::Relaxed);
        self.filtered.fetch_add(filtered as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }
}

/// A source that waits.
#[derive(Debug)]
pub(crate) struct WaitGuard {
    counts: Arc<SourceCounts>,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let mut waits = self.counts.waits();
        waits.waiting -= 1;
        if waits.waiting == 0 {
            let lasted = waits.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            waits.total += lasted;
            waits.consumer = None;
        }
    }
}

/// What became of the messages that a consumer matched.
#[derive(Debug, Default)]
pub struct ConsumerCounts {
    matched: AtomicU64,
    delivered: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    held: AtomicU64,
    redelivered: AtomicU64,
}

/// The ledger of a consumer does not add up.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{matched} matched, but {delivered} delivered + {dropped} dropped + {held} held")]
pub struct LedgerError {
    /// Messages matched.
    pub matched: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages dropped, for all reasons.
    pub dropped: u64,
    /// Messages that the consumer still holds.
    pub held: u64,
}

impl ConsumerCounts {
    /// Messages that its matcher selected.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    /// Messages delivered.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Messages dropped for a reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// Messages dropped for any reason.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        DropReason::ALL.iter().map(|&reason| self.dropped(reason)).sum()
    }

    /// Messages waiting for it or in its hands.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Messages handed out again after the plugin failed; not a state, they are still held.
    #[must_use]
    pub fn redelivered(&self) -> u64 {
        self.redelivered.load(Ordering::Relaxed)
    }

    /// Checks that every matched message is in exactly one state; exact only while nothing moves.
    ///
    /// # Errors
    /// If the numbers do not add up.
    pub fn balance(&self) -> Result<(), LedgerError> {
        let (matched, delivered) = (self.matched(), self.delivered());
        let (dropped, held) = (self.dropped_in_all(), self.held());
        if matched == delivered + dropped + held {
            return Ok(());
        }
        Err(LedgerError { matched, delivered, dropped, held })
    }

    pub(crate) fn hold(&self, records: u64) {
        self.matched.fetch_add(records, Ordering::Relaxed);
        self.held.fetch_add(records, Ordering::Relaxed);
    }

    /// Messages that are held will be counted anew.
    pub(crate) fn forget(&self, records: u64) {
        self.matched.fetch_sub(records, Ordering::Relaxed);
        self.held.fetch_sub(records, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, records: u64, reason: DropReason) {
        self.matched.fetch_add(records, Ordering::Relaxed);
        self.dropped[reason as usize].fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn deliver(&self, records: u64, rejected: u64) {
        let rejected = rejected.min(records);
        self.held.fetch_sub(records, Ordering::Relaxed);
        self.delivered.fetch_add(records - rejected, Ordering::Relaxed);
        self.dropped[DropReason::Rejected as usize].fetch_add(rejected, Ordering::Relaxed);
    }

    pub(crate) fn give_up(&self, records: u64, reason: DropReason) {
        self.held.fetch_sub(records, Ordering::Relaxed);
        self.dropped[reason as usize].fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn redeliver(&self, records: u64) {
        self.redelivered.fetch_add(records, Ordering::Relaxed);
    }
}
