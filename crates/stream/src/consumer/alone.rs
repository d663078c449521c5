//! Messages for one consumer only, past the routes and the log: dead letters that are to be tried again.

use std::sync::Arc;

use heka_message::{Batch, Selection};

use crate::budget::Permit;
use crate::consumer::{Consumer, Entry};
use crate::delivery::Published;
use crate::routing::Stream;
use crate::settle::{Settled, Settlement, Tracker};

/// Sequence number of what is in no log.
const NOT_LOGGED: u64 = 0;

impl Entry {
    /// The log knows nothing of it.
    pub(super) fn is_alone(&self) -> bool {
        self.sequence == NOT_LOGGED
    }
}

impl Stream {
    /// Gives a batch to one consumer only, whatever its matcher and its `full_action` say; no other one gets it, and no
    /// log. Waits for memory and for room in its window; cancelled while it waits, nothing was given. Returns what tells
    /// when the consumer has answered for it; `None`: the consumer is closed.
    pub async fn give(&self, consumer: &Consumer, batch: Batch) -> Option<Settled> {
        let permit = self.inner.inject_budget.take(batch.memory_bytes()).await;
        consumer.push_alone(batch, permit).await
    }
}

impl Consumer {
    async fn push_alone(&self, batch: Batch, permit: Permit) -> Option<Settled> {
        let tracker: Arc<Tracker> = Arc::default();
        let ticket = tracker.open(Settled::ALONE, None);
        let settlement = Arc::new(Settlement::new(Arc::clone(&tracker), ticket, 1, 0));
        let records = batch.len() as u64;
        let published = Arc::new(Published {
            batch,
            settlement: Some(Arc::clone(&settlement)),
            _permit: permit,
        });
        let entry = Entry::new(&published, Some(settlement), Selection::All, (records, NOT_LOGGED));
        loop {
            let writable = self.writable.notified();
            tokio::pin!(writable);
            writable.as_mut().enable();
            {
                let mut state = self.lock();
                if state.closed {
                    return None;
                }
                if state.held_bytes < self.options.window_bytes {
                    self.counts.hold(records);
                    state.push(entry);
                    break;
                }
            }
            writable.await;
        }
        self.readable.notify_one();
        Some(Settled { tracker })
    }
}
