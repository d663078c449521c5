//! Appending to the stream.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use heka_matcher::Evaluation;
use heka_message::{Batch, Selection};

use crate::budget::Budget;
use crate::consumer::Consumer;
use crate::delivery::Published;
use crate::ledger::SourceCounts;
use crate::routing::{Routing, Stream};
use crate::settle::{Settled, Settlement, Tracker};

/// A batch could not be appended.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AppendError {
    /// The position behind the batch lies before that of an earlier one.
    #[error("position {end} lies before {previous}")]
    Backwards {
        /// Position behind the batch.
        end: u64,
        /// Position behind the batch before.
        previous: u64,
    },
}

/// One ordered origin of batches: a connection, a file stream, a socket, a filter.
#[derive(Debug)]
pub struct Source {
    stream: Stream,
    counts: Arc<SourceCounts>,
    budget: Budget,
    tracker: Arc<Tracker>,
    evaluation: Evaluation,
    end: u64,
    chosen: Vec<(Arc<Consumer>, Selection, u64)>,
    places: Vec<u32>,
    union: Vec<u64>,
}

impl Source {
    pub(crate) fn new(stream: Stream, counts: Arc<SourceCounts>, budget: Budget) -> Self {
        Self {
            stream,
            counts,
            budget,
            tracker: Arc::default(),
            evaluation: Evaluation::default(),
            end: 0,
            chosen: Vec::new(),
            places: Vec::new(),
            union: Vec::new(),
        }
    }

    /// Appends a batch; `end` is the source's own position behind it and comes back in [`Settled`].
    ///
    /// Waits for the byte budget and for consumers that say `block`. Cancelled while it waits, nothing was
    /// appended.
    ///
    /// # Errors
    /// If `end` goes backwards.
    pub async fn append(&mut self, batch: Batch, end: u64) -> Result<(), AppendError> {
        if end < self.end {
            return Err(AppendError::Backwards { end, previous: self.end });
        }
        let permit = self.budget.take(batch.memory_bytes()).await;
        let routing = {
            let routing = self.stream.inner.routing.read();
            Arc::clone(&routing.unwrap_or_else(PoisonError::into_inner))
        };
        let filtered = self.choose(&routing, &batch);
        let mut place = 0;
        while let Some((consumer, _, records)) = self.chosen.get(place) {
            if consumer.make_room().await {
                place += 1;
            } else {
                consumer.refuse(*records);
                self.chosen.remove(place);
            }
        }

        self.end = end;
        self.counts.add(batch.len(), filtered, batch.raw().len());
        self.stream.inner.appended.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let ticket = self.tracker.open(end);
        let settlement = Settlement::new(Arc::clone(&self.tracker), ticket, self.chosen.len());
        let published = Arc::new(Published { batch, settlement, _permit: permit });
        for (consumer, selection, records) in self.chosen.drain(..) {
            consumer.push(&published, selection, records);
        }
        Ok(())
    }

    /// How far the appended batches are settled.
    #[must_use]
    pub fn settled(&self) -> Settled {
        Settled { tracker: Arc::clone(&self.tracker) }
    }

    /// The stream that it appends to.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Fills `chosen`; returns the number of messages that nobody wants.
    fn choose(&mut self, routing: &Routing, batch: &Batch) -> usize {
        self.chosen.clear();
        self.union.clear();
        self.union.resize(batch.len().div_ceil(64), 0);
        let Some(set) = routing.set.as_ref().filter(|_| !batch.is_empty()) else {
            return batch.len();
        };
        set.evaluate(batch, &mut self.evaluation);
        let mut everything = false;
        // In the order of the routes: a consumer that injects what it makes of a message comes after those that only
        // take messages, so that these see the cause before the effect.
        self.places.clear();
        self.places.extend_from_slice(self.evaluation.selected());
        self.places.sort_unstable();
        for &place in &self.places {
            let place = place as usize;
            let Some(consumer) = routing.consumers.get(place) else { continue };
            let mut selection = self.evaluation.take(place);
            if routing.signed.contains(&place) {
                selection = only_signed(batch, &selection, consumer);
            }
            match &selection {
                Selection::None => continue,
                Selection::All => everything = true,
                Selection::Bits(bits) => {
                    self.union.iter_mut().zip(bits).for_each(|(all, bits)| *all |= bits);
                }
            }
            let records = selection.count(batch.len()) as u64;
            self.chosen.push((Arc::clone(consumer), selection, records));
        }
        if everything {
            return 0;
        }
        let wanted: usize = self.union.iter().map(|word| word.count_ones() as usize).sum();
        batch.len() - wanted
    }
}

fn only_signed(batch: &Batch, selection: &Selection, consumer: &Consumer) -> Selection {
    let Some(signer) = consumer.options().signer.as_deref() else { return selection.clone() };
    let mut bits = vec![0_u64; batch.len().div_ceil(64)];
    for index in selection.iter(batch.len()) {
        if batch.record(index).is_some_and(|record| record.signer() == signer) {
            bits[index / 64] |= 1 << (index % 64);
        }
    }
    Selection::from_bits(&bits, batch.len())
}
