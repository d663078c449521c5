//! Reading back: the thread that gives consumers that are behind their batches from the log, one after another, as they
//! have room.
//!
//! Invariant: a consumer gets every batch at or above the number from which it is behind, once and in order, whether from
//! files or from what is not written yet; it is no longer behind only while nothing can be appended.

use std::sync::Arc;
use std::time::Duration;

use heka_matcher::{Evaluation, MatcherSet};
use heka_message::{Batch, Selection};

use super::{Inner, tell_damage};
use crate::budget::Permit;
use crate::consumer::Consumer;
use crate::delivery::Published;
use crate::log::{LogError, LogReader, StoredRecord, take_progress};
use crate::source::only_signed;

/// How long the thread sleeps at most: it is woken when there is something to read and room for it.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Wait after the log could not be read at all.
const ERROR_WAIT: Duration = Duration::from_secs(1);

/// A consumer, and where its reading is.
#[derive(Debug)]
pub(super) struct Reading {
    consumer: Arc<Consumer>,
    set: MatcherSet,
    evaluation: Evaluation,
    reader: Option<LogReader>,
}

pub(super) fn run(inner: &Arc<Inner>) {
    let mut readings: Vec<Reading> = Vec::new();
    loop {
        inner.catch_up.wait(SLEEP_MAX);
        let mut progress = true;
        while progress && !inner.is_ending() {
            progress = false;
            readings.append(&mut inner.new_readings());
            // One that is closed takes nothing from the log any more.
            readings.retain(|reading| !reading.consumer.is_closed());
            for reading in readings.iter_mut() {
                match reading.step(inner) {
                    Ok(moved) => progress |= moved,
                    Err(error) => {
                        let plugin = &*reading.consumer.options().name;
                        tracing::error!(plugin, %error, "cannot read from the log; tried again");
                        reading.reader = None;
                        std::thread::sleep(ERROR_WAIT);
                        inner.catch_up.ring();
                    }
                }
            }
        }
        if inner.is_ending() {
            return;
        }
    }
}

impl Reading {
    pub(super) fn new(consumer: Arc<Consumer>, set: MatcherSet) -> Self {
        Self { consumer, set, evaluation: Evaluation::default(), reader: None }
    }

    /// Gives the consumer one batch more, if it wants one. False if there was nothing to do.
    fn step(&mut self, inner: &Inner) -> Result<bool, LogError> {
        let Some(from) = self.consumer.wants_from() else { return Ok(false) };
        let (written, tail) = {
            let queue = inner.queue();
            (queue.written, queue.tail)
        };
        if from >= written {
            self.reader = None;
            return Ok(self.take_pending(inner, from));
        }
        let reader = match &mut self.reader {
            Some(reader) if reader.from() <= from => reader,
            reader => {
                let directory = &inner.settings.directory;
                reader.insert(LogReader::new(Arc::clone(&inner.storage), directory, from))
            }
        };
        reader.skip_to(from);
        let record = match tail {
            Some(_) => reader.next_before(tail)?,
            None => None,
        };
        for damage in reader.take_damage() {
            tell_damage(&inner.counts, &damage);
        }
        match record {
            Some(record) if record.header.sequence < written => self.give(inner, from, record),
            _ => self.consumer.passed((from, written)),
        }
        Ok(true)
    }

    fn give(&mut self, inner: &Inner, from: u64, record: StoredRecord) {
        let next = record.header.sequence + 1;
        let batch = match decode(inner, record) {
            Ok(batch) => batch,
            Err(error) => {
                let plugin = &*self.consumer.options().name;
                tracing::error!(plugin, sequence = next - 1, %error, "a batch of the log is lost");
                self.consumer.passed((from, next));
                return;
            }
        };
        let selection = self.select(&batch);
        let permit = Permit::counted(&inner.counts.read_bytes, batch.memory_bytes() as u64);
        let published = Arc::new(Published { batch, settlement: None, _permit: permit });
        self.consumer.push_from_log((from, next), &published, None, selection);
    }

    fn select(&mut self, batch: &Batch) -> Selection {
        self.set.evaluate(batch, &mut self.evaluation);
        if self.evaluation.selected().is_empty() {
            return Selection::None;
        }
        let selection = self.evaluation.take(0);
        match self.consumer.options().signer {
            Some(_) => only_signed(batch, &selection, &self.consumer),
            None => selection,
        }
    }

    /// Everything in the files was given: gives what is not written yet, after which the consumer keeps up again.
    /// False if more was written meanwhile, or the consumer has moved.
    fn take_pending(&mut self, inner: &Inner, from: u64) -> bool {
        let mut queue = inner.queue();
        if queue.written > from || self.consumer.wants_from() != Some(from) {
            return true;
        }
        let mut from = from;
        for place in 0..queue.pending.len() {
            let Some(pending) = queue.pending.get_mut(place) else { break };
            if pending.sequence < from {
                continue;
            }
            let mine = |want: &crate::consumer::Want| Arc::ptr_eq(&want.consumer, &self.consumer);
            let next = pending.sequence + 1;
            let published = Arc::clone(&pending.published);
            let (settlement, selection) = match pending.behind.iter().position(mine) {
                Some(place) => {
                    let want = pending.behind.swap_remove(place);
                    (published.settlement.clone(), want.selection)
                }
                // It may have answered for it before; the batch goes to disk if it did not.
                None if self.consumer.gets_again(pending.sequence) => {
                    (None, self.select(&published.batch))
                }
                None => continue,
            };
            self.consumer.push_from_log((from, next), &published, settlement, selection);
            from = next;
        }
        self.consumer.caught_up();
        true
    }
}

fn decode(inner: &Inner, record: StoredRecord) -> Result<Batch, LogError> {
    let mut body = record.body;
    take_progress(&mut body)?;
    Batch::from_stored(body, &inner.names.snapshot())
        .map_err(|error| LogError::Content(error.to_string()))
}
