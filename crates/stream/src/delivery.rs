//! What a consumer is handed: records of a batch, and the duty to answer for them.

use std::sync::Arc;

use heka_message::{Batch, Record, Selection};

use crate::budget::Permit;
use crate::consumer::Consumer;
use crate::settle::Settlement;

/// A batch in the stream; its bytes are free again when the last consumer lets go of it.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) batch: Batch,
    /// `None` for a batch that was read from the log.
    pub(crate) settlement: Option<Arc<Settlement>>,
    /// Held for its drop.
    pub(crate) _permit: Permit,
}

/// The records of a batch that one consumer gets.
#[derive(Debug)]
pub struct Delivery {
    pub(crate) published: Arc<Published>,
    pub(crate) selection: Selection,
    /// Answers for the delivery.
    pub ack: Ack,
}

impl Delivery {
    /// The batch; look only at the selected records.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.published.batch
    }

    /// Which of its records were selected.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The selected records in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let batch = self.batch();
        self.selection.iter(batch.len()).filter_map(|index| batch.record(index))
    }

    /// Number of selected records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.selection.count(self.published.batch.len())
    }

    /// True if no record was selected; such a delivery is never made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the delivery apart: something that keeps the batch's bytes alive, and the ack.
    #[must_use]
    pub fn split(self) -> (Keep, Ack) {
        (Keep { published: self.published }, self.ack)
    }
}

/// Keeps a batch's bytes alive.
#[derive(Debug, Clone)]
pub struct Keep {
    published: Arc<Published>,
}

impl Keep {
    /// The batch.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.published.batch
    }
}

/// The duty to answer for a delivery: [`delivered`](Self::delivered) says yes, dropped in any other way says no
/// and the consumer gets the delivery again.
#[derive(Debug)]
pub struct Ack {
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) number: u64,
    pub(crate) sequence: u64,
    pub(crate) rejected: u64,
    pub(crate) answered: bool,
}

impl Ack {
    /// The batch's number in the log; 0 where the consumer has none.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The plugin has all it needs, but what it made of it is not safe yet: the bytes are free, and the duty to answer
    /// stays. Dropped without an answer, the delivery stays unanswered; it does not come again in this run.
    pub fn owe(mut self) -> Owed {
        self.answered = true;
        self.consumer.free_bytes_of(self.number);
        Owed { consumer: Arc::clone(&self.consumer), number: self.number, rejected: self.rejected }
    }

    /// All records are where they belong, those rejected before left out.
    pub fn delivered(mut self) {
        self.answered = true;
        self.consumer.acknowledge(self.number, self.rejected);
    }

    /// One record of the delivery will never be delivered. The rest may be.
    pub fn reject(&mut self) {
        self.rejected += 1;
    }

    /// Number of records rejected so far.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if !self.answered {
            self.consumer.take_back(self.number);
        }
    }
}

/// An answer that is still owed, see [`Ack::owe`].
#[derive(Debug)]
#[must_use]
pub struct Owed {
    consumer: Arc<Consumer>,
    number: u64,
    rejected: u64,
}

impl Owed {
    /// What the plugin made of the delivery is safe now.
    pub fn delivered(self) {
        self.consumer.acknowledge(self.number, self.rejected);
    }
}
