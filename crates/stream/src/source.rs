//! Appending to the stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use heka_matcher::Evaluation;
use heka_message::{Batch, Selection};

use crate::budget::{Budget, Permit};
use crate::consumer::{Consumer, Room};
use crate::delivery::Published;
use crate::durable::{DurableLog, Entering};
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
    chosen: Vec<Chosen>,
    durable: Vec<Chosen>,
    places: Vec<u32>,
    union: Vec<u64>,
    /// Those that have no room and do not wait, with the number of messages that they miss.
    refused: Vec<(Arc<Consumer>, u64)>,
    key: Option<Key>,
}

/// A batch on its way into the stream.
struct Coming {
    batch: Batch,
    end: u64,
    position: Option<Box<[u8]>>,
    permit: Permit,
}

/// A consumer, what it gets of a batch, and how many messages that are.
type Chosen = (Arc<Consumer>, Selection, u64);

/// A source whose positions are kept in the log.
#[derive(Debug)]
struct Key {
    name: Arc<str>,
    /// Progress at the begin of this run.
    base: u64,
    /// Up to this position batches are in the log already.
    logged_until: u64,
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
            durable: Vec::new(),
            places: Vec::new(),
            union: Vec::new(),
            refused: Vec::new(),
            key: None,
        }
    }

    /// Keeps the source's positions in the log, if the stream has one: those given to [`append`](Self::append) come
    /// back from [`DurableLog::resume`](crate::DurableLog::resume) in the next run. With `resumed`, the source goes on
    /// exactly where that said: what the log has from there on is then kept from durable consumers. Returns up to which
    /// `end` that is; batches must not reach across it.
    pub fn keep_positions(&mut self, key: &str, resumed: bool) -> u64 {
        let Some(log) = self.stream.log() else { return 0 };
        let name: Arc<str> = key.into();
        let known = log.inner.keep_positions(&name, &self.tracker, resumed);
        let logged_until = if resumed { known.logged.saturating_sub(known.settled) } else { 0 };
        self.key = Some(Key { name, base: known.settled, logged_until });
        logged_until
    }

    /// Says where the source begins, in its own words, for a crash before anything of it is settled. A source that
    /// cannot find that place again without doubt says nothing, and begins anew then.
    pub fn begins_at(&mut self, position: Box<[u8]>) {
        if self.key.is_some() {
            self.tracker.begin(position);
        }
    }

    /// True if positions given to [`append`](Self::append) are kept.
    #[must_use]
    pub fn keeps_positions(&self) -> bool {
        self.key.is_some()
    }

    /// Appends a batch; `end` is the source's own position behind it and comes back in [`Settled`].
    ///
    /// # Errors
    /// As [`append_at`](Self::append_at).
    pub async fn append(&mut self, batch: Batch, end: u64) -> Result<(), AppendError> {
        self.append_at(batch, end, None).await
    }

    /// Appends a batch that is settled for itself, whatever came before it: returns what tells when.
    ///
    /// For filters: what they made of one message may come back to them, and wait for what they made before.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_alone(&mut self, batch: Batch) -> Result<Settled, AppendError> {
        (self.tracker, self.end) = (Arc::default(), 0);
        self.append_at(batch, Settled::ALONE, None).await?;
        Ok(self.settled())
    }

    /// As [`append`](Self::append); `position` says where `end` is in the source's own words, for the log.
    ///
    /// Waits for the byte budget and for consumers that say `block`. Cancelled while it waits, nothing was
    /// appended.
    ///
    /// # Errors
    /// If `end` goes backwards.
    pub async fn append_at(
        &mut self,
        batch: Batch,
        end: u64,
        position: Option<Box<[u8]>>,
    ) -> Result<(), AppendError> {
        if end < self.end {
            return Err(AppendError::Backwards { end, previous: self.end });
        }
        let permit = match self.budget.try_take(batch.memory_bytes()) {
            Some(permit) => permit,
            None => {
                let _waiting = self.counts.wait(None);
                self.budget.take(batch.memory_bytes()).await
            }
        };
        let coming = Coming { batch, end, position, permit };
        let stream = self.stream.clone();
        loop {
            let routing = Arc::clone(&stream.inner.routing());
            let filtered = self.choose(&routing, &coming.batch, end);
            self.make_room().await;
            self.make_durable_room(coming.batch.memory_bytes()).await;
            // The guard is held while the batch goes out: once routes are replaced, nothing follows the old ones.
            let current = stream.inner.routing();
            if Arc::ptr_eq(&current, &routing) {
                self.publish(coming, filtered);
                return Ok(());
            }
        }
    }

    /// Gives a batch to the consumers that were chosen for it and have room.
    fn publish(&mut self, coming: Coming, filtered: usize) {
        let Coming { batch, end, position, permit } = coming;
        for (consumer, records) in self.refused.drain(..) {
            consumer.refuse(records);
        }
        self.end = end;
        self.counts.add(batch.len(), filtered, batch.raw().len());
        self.stream.inner.appended.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let position = position.filter(|_| self.key.is_some());
        let ticket = self.tracker.open(end, position);
        let (holders, durable) = (self.chosen.len(), self.durable.len());
        let settlement = Settlement::new(Arc::clone(&self.tracker), ticket, holders, durable);
        let settlement = Some(Arc::new(settlement));
        let published = Arc::new(Published { batch, settlement, _permit: permit });
        if let Some(log) = self.stream.log().filter(|_| durable > 0) {
            let wanted = union(&self.durable, published.batch.len());
            let source = self.key.as_ref().map(|key| (Arc::clone(&key.name), key.base + end));
            let chosen = &mut self.durable;
            let published = Arc::clone(&published);
            log.inner.enter(chosen, Entering { published, wanted, source });
        }
        for (consumer, selection, records) in self.chosen.drain(..) {
            consumer.push(&published, selection, records);
        }
    }

    /// Waits until each consumer without a log can take a batch. Those that drop it are left out.
    async fn make_room(&mut self) {
        let mut place = 0;
        while let Some((consumer, _, records)) = self.chosen.get(place) {
            if consumer.has_window() || {
                let _waiting = self.counts.wait(Some(consumer));
                consumer.make_room().await
            } {
                place += 1;
            } else {
                self.refused.push((Arc::clone(consumer), *records));
                self.chosen.remove(place);
            }
        }
    }

    /// Waits until each durable consumer, and the log, can take a batch. Those that drop it are left out.
    async fn make_durable_room(&mut self, bytes: usize) {
        let Some(log) = self.stream.log().filter(|_| !self.durable.is_empty()).cloned() else {
            return;
        };
        let mut place = 0;
        while let Some((consumer, _, records)) = self.durable.get(place) {
            let room = consumer.room(bytes);
            if room == Room::Yes && log.inner.has_room() || {
                let _waiting = self.counts.wait(Some(consumer));
                takes(consumer, &log, room).await
            } {
                place += 1;
            } else {
                self.refused.push((Arc::clone(consumer), *records));
                self.durable.remove(place);
            }
        }
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

    /// Fills `chosen` and `durable`; returns the number of messages that nobody wants.
    fn choose(&mut self, routing: &Routing, batch: &Batch, end: u64) -> usize {
        let is_logged = self.key.as_ref().is_some_and(|key| end <= key.logged_until);
        self.chosen.clear();
        self.durable.clear();
        self.refused.clear();
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
            let chosen = (Arc::clone(consumer), selection, records);
            match consumer.is_logged() {
                false => self.chosen.push(chosen),
                true if is_logged => {}
                true => self.durable.push(chosen),
            }
        }
        if everything {
            return 0;
        }
        let wanted: usize = self.union.iter().map(|word| word.count_ones() as usize).sum();
        batch.len() - wanted
    }
}

/// Waits until a durable consumer and its log can take a batch. False: it is to be dropped.
async fn takes(consumer: &Consumer, log: &DurableLog, first: Room) -> bool {
    let mut room = first;
    loop {
        match std::mem::replace(&mut room, consumer.room(0)) {
            Room::Closed => return true,
            Room::Patience(longest) => consumer.be_patient(longest).await,
            Room::Full => {
                if !consumer.wait_while_full().await {
                    return false;
                }
                continue;
            }
            Room::Yes => {}
        }
        if log.inner.make_room().await {
            return true;
        }
        if !consumer.wait_while_full().await {
            return false;
        }
    }
}

/// What any of the chosen consumers wants.
fn union(chosen: &[Chosen], records: usize) -> Selection {
    let [(_, first, _), rest @ ..] = chosen else { return Selection::None };
    if rest.is_empty() {
        return first.clone();
    }
    let mut all = vec![0_u64; records.div_ceil(64)];
    for (_, selection, _) in chosen {
        match selection {
            Selection::None => {}
            Selection::All => return Selection::All,
            Selection::Bits(bits) => all.iter_mut().zip(bits).for_each(|(all, bits)| *all |= bits),
        }
    }
    Selection::from_bits(&all, records)
}

pub(crate) fn only_signed(batch: &Batch, selection: &Selection, consumer: &Consumer) -> Selection {
    let Some(signer) = consumer.options().signer.as_deref() else { return selection.clone() };
    let mut bits = vec![0_u64; batch.len().div_ceil(64)];
    for index in selection.iter(batch.len()) {
        if batch.record(index).is_some_and(|record| record.signer() == signer) {
            bits[index / 64] |= 1 << (index % 64);
        }
    }
    Selection::from_bits(&bits, batch.len())
}
