//! A consumer: its cursor over the batches that it matched, its window, its counters.
//!
//! A consumer with a log that does not keep up is *behind*: from a sequence number on its batches are not in its window
//! but in the log only, and come back into the window when there is room. Invariant: every batch that it selected and
//! has not answered for is either in the window or at or above the number from which it is behind, never in both.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use heka_message::Selection;
use tokio::sync::Notify;

use crate::delivery::{Ack, Delivery, Published};
use crate::ledger::{ConsumerCounts, DropReason};
use crate::letters::{DeadLetters, LetterMeta};
use crate::settle::Settlement;

mod alone;
mod durable;

pub use durable::DurableOptions;
pub(crate) use durable::{Logged, Room, Want};

/// What happens when a consumer's window, or what it may have in the log, is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullAction {
    /// The sources whose messages it matches wait.
    #[default]
    Block,
    /// New messages are dropped for it, and counted.
    Drop,
    /// As `Block`, and the daemon is asked to shut down.
    Shutdown,
}

/// How a consumer behaves.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Section name.
    pub name: Box<str>,
    /// What happens when the window is full.
    pub full_action: FullAction,
    /// Bytes of batches that it may hold before it counts as full.
    pub window_bytes: usize,
    /// Only messages with this verified signer are for it; `None`: all.
    pub signer: Option<Box<[u8]>>,
    /// How often the plugin may panic over a delivery before it is given up as poison.
    pub panics_max: u8,
    /// How its messages are kept on disk; `None`: they are not.
    pub durable: Option<DurableOptions>,
    /// Where messages go that it gives up for good; `None`: nowhere.
    pub letters: Option<DeadLetters>,
}

impl ConsumerOptions {
    /// Bytes of batches that a consumer may hold unless said otherwise.
    pub const WINDOW_BYTES: usize = 32 << 20;
    /// How often a plugin may panic over a delivery, unless said otherwise.
    pub const PANICS_MAX: u8 = 3;

    /// The usual behaviour.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            full_action: FullAction::default(),
            window_bytes: Self::WINDOW_BYTES,
            signer: None,
            panics_max: Self::PANICS_MAX,
            durable: None,
            letters: None,
        }
    }
}

/// One reader of the stream.
pub struct Consumer {
    options: ConsumerOptions,
    counts: ConsumerCounts,
    state: Mutex<State>,
    /// Something to read, or the end.
    readable: Notify,
    /// Room in the window, or the end.
    writable: Notify,
    full: Notify,
    log: OnceLock<Logged>,
    trouble: Mutex<Option<Box<str>>>,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first: u64,
    /// Place of the first entry that may be waiting.
    next: usize,
    held_bytes: usize,
    closed: bool,
    log: durable::LogState,
}

#[derive(Debug)]
struct Entry {
    /// `None` once its bytes are not needed any more, so that they are free even while an older entry is not.
    published: Option<Arc<Published>>,
    /// `None` for a batch that was read from the log, and once it is done.
    settlement: Option<Arc<Settlement>>,
    selection: Selection,
    records: u64,
    bytes: usize,
    /// Sequence number in the log; 0 without one.
    sequence: u64,
    /// How often the plugin panicked with it in its hands.
    blamed: u8,
    /// It was handed out and came back.
    returned: bool,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting,
    Out,
    Done,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Consumer({}, {:?})", self.options.name, self.counts)
    }
}

impl Consumer {
    /// A consumer that nothing was routed to yet.
    #[must_use]
    pub fn new(options: ConsumerOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            counts: ConsumerCounts::default(),
            state: Mutex::default(),
            readable: Notify::new(),
            writable: Notify::new(),
            full: Notify::new(),
            log: OnceLock::new(),
            trouble: Mutex::default(),
        })
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &ConsumerOptions {
        &self.options
    }

    /// True if its messages are kept on disk.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.options.durable.is_some()
    }

    /// What became of its messages.
    #[must_use]
    pub fn counts(&self) -> &ConsumerCounts {
        &self.counts
    }

    /// The next delivery in order; waits for one. `None` once it is closed and nothing waits any more.
    pub async fn next(self: &Arc<Self>) -> Option<Delivery> {
        loop {
            let readable = self.readable.notified();
            match self.try_next() {
                Some(delivery) => return Some(delivery),
                None if self.is_closed() => return None,
                None => readable.await,
            }
        }
    }

    /// The next delivery in order, if one is waiting.
    pub fn try_next(self: &Arc<Self>) -> Option<Delivery> {
        loop {
            let mut state = self.lock();
            while state.entries.get(state.next)?.place != Place::Waiting {
                state.next += 1;
            }
            let place = state.next;
            let number = state.first + place as u64;
            state.next += 1;
            let panics_max = self.options.panics_max;
            let entry = state.entries.get_mut(place)?;
            let selection = entry.selection.clone();
            let Some(published) = entry.published.clone() else { continue };
            let sequence = entry.sequence;
            let is_poison = entry.blamed >= panics_max;
            if !is_poison {
                entry.place = Place::Out;
            }
            drop(state);
            if is_poison {
                self.poisoned(&published, &selection);
                self.finish(number, true, |counts, records| {
                    counts.give_up(records, DropReason::Poison);
                });
                continue;
            }
            let ack =
                Ack { consumer: Arc::clone(self), number, sequence, rejected: 0, answered: false };
            return Some(Delivery { published, selection, ack });
        }
    }

    /// Ends it: sources no longer append, what waits is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.readable.notify_one();
        self.writable.notify_waiters();
    }

    /// True after [`close`](Self::close).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The plugin panicked: what came back from it counts one panic more.
    pub fn blame(&self) {
        self.forget_returns(1);
    }

    /// The plugin failed without a panic: what came back from it is not at fault.
    pub fn forgive(&self) {
        self.forget_returns(0);
    }

    fn forget_returns(&self, panics: u8) {
        let mut state = self.lock();
        for entry in state.entries.iter_mut().filter(|entry| entry.returned) {
            entry.returned = false;
            entry.blamed = entry.blamed.saturating_add(panics);
        }
    }

    /// Why the plugin cannot deliver at the moment, for those who wait for it; `None`: it can.
    pub fn set_trouble(&self, why: Option<&str>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why.map(Into::into);
    }

    /// Why the plugin cannot deliver at the moment.
    #[must_use]
    pub fn trouble(&self) -> Option<Box<str>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives up all that waits or is out in memory; returns the number of messages. With `settle` their source may
    /// move on, and what the plugin only owes an answer for stays owed; without, as at a shutdown, it will read them
    /// again.
    pub fn give_up(&self, reason: DropReason, settle: bool) -> u64 {
        let mut lost = 0;
        loop {
            let state = self.lock();
            let is_lost = |entry: &Entry| match entry.place {
                Place::Done => false,
                Place::Waiting => true,
                Place::Out => !settle || entry.published.is_some(),
            };
            let Some(place) = state.entries.iter().position(is_lost) else { return lost };
            let number = state.first + place as u64;
            lost += state.entries[place].records;
            drop(state);
            self.finish(number, settle, |counts, records| counts.give_up(records, reason));
        }
    }

    /// Bytes of the batches that it holds in memory.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.lock().held_bytes
    }

    /// Number of deliveries waiting or out.
    #[must_use]
    pub fn held_deliveries(&self) -> usize {
        self.lock().entries.len()
    }

    /// True while sources with a message for it have to wait, or to drop it: its window is full, or with a log what may
    /// wait on disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let state = self.lock();
        match self.options.durable {
            Some(durable) => {
                durable.buffer_bytes_max.is_some_and(|most| state.waiting_bytes() > most)
            }
            None => state.held_bytes >= self.options.window_bytes,
        }
    }

    /// Waits until something could not be taken because it was full.
    pub async fn overflowed(&self) {
        self.full.notified().await;
    }

    /// True if the window has room now.
    pub(crate) fn has_window(&self) -> bool {
        let state = self.lock();
        !state.closed && state.held_bytes < self.options.window_bytes
    }

    /// Waits until the window has room. False: there is none and the message is to be dropped, or it is closed.
    pub(crate) async fn make_room(&self) -> bool {
        loop {
            let writable = self.writable.notified();
            tokio::pin!(writable);
            writable.as_mut().enable();
            {
                let state = self.lock();
                if state.closed {
                    return false;
                }
                if state.held_bytes < self.options.window_bytes {
                    return true;
                }
            }
            if !self.waits_when_full() {
                return false;
            }
            writable.await;
        }
    }

    /// Something does not fit: asks for what its `full_action` says. True: whoever brings it is to wait.
    fn waits_when_full(&self) -> bool {
        if self.options.full_action != FullAction::Block {
            self.full.notify_one();
        }
        self.options.full_action != FullAction::Drop
    }

    pub(crate) fn push(&self, published: &Arc<Published>, selection: Selection, records: u64) {
        self.counts.hold(records);
        let settlement = published.settlement.clone();
        self.lock().push(Entry::new(published, settlement, selection, (records, 0)));
        self.readable.notify_one();
    }

    pub(crate) fn refuse(&self, records: u64) {
        let reason = if self.is_closed() { DropReason::Stopped } else { DropReason::Full };
        self.counts.refuse(records, reason);
    }

    pub(crate) fn acknowledge(&self, number: u64, rejected: u64) {
        self.finish(number, true, |counts, records| counts.deliver(records, rejected));
    }

    pub(crate) fn take_back(&self, number: u64) {
        let mut state = self.lock();
        let Some(place) = place_of(&state, number) else { return };
        let Some(entry) = state.entries.get_mut(place) else { return };
        if entry.place != Place::Out || entry.published.is_none() {
            return;
        }
        entry.place = Place::Waiting;
        entry.returned = true;
        let records = entry.records;
        state.next = state.next.min(place);
        drop(state);
        self.counts.redeliver(records);
        self.readable.notify_one();
    }

    /// The plugin has all it needs of a delivery, but cannot answer for it yet: its bytes are free.
    pub(crate) fn free_bytes_of(&self, number: u64) {
        let mut state = self.lock();
        let Some(place) = place_of(&state, number) else { return };
        let Some(entry) = state.entries.get_mut(place) else { return };
        if entry.place != Place::Out {
            return;
        }
        let (published, bytes) = (entry.published.take(), std::mem::take(&mut entry.bytes));
        state.held_bytes -= bytes;
        drop(state);
        drop(published);
        self.has_room();
    }

    /// Takes an entry out of the books exactly once, whoever is first.
    fn finish(&self, number: u64, settle: bool, count: impl FnOnce(&ConsumerCounts, u64)) {
        let mut state = self.lock();
        let Some(place) = place_of(&state, number) else { return };
        let Some(entry) = state.entries.get_mut(place) else { return };
        if entry.place == Place::Done {
            return;
        }
        entry.place = Place::Done;
        let is_alone = entry.is_alone();
        let (records, bytes) = (entry.records, entry.bytes);
        let published = entry.published.take();
        let settlement = entry.settlement.take();
        state.held_bytes -= bytes;
        state.forget_done();
        state.log.count_answer();
        drop(state);
        count(&self.counts, records);
        let mut last = false;
        if let Some(settlement) = settlement.filter(|_| settle) {
            match &self.options.durable {
                Some(_) if is_alone => settlement.release(),
                // Its state has to be made anew from the log, so the batch has to get there.
                Some(durable) if durable.keeps_state => {}
                Some(_) => last = settlement.answered(),
                None => settlement.release(),
            }
        }
        drop(published);
        if last && let Some(log) = self.log.get().and_then(|log| log.inner.upgrade()) {
            log.answered();
        }
        if let Some(log) = self.log.get() {
            log.commit.ring();
        }
        self.has_room();
    }

    /// Bytes were freed: who waits for room is told.
    fn has_room(&self) {
        self.writable.notify_waiters();
        if let Some(log) = self.log.get()
            && self.wants_more()
        {
            log.catch_up.ring();
        }
    }

    fn poisoned(&self, published: &Published, selection: &Selection) {
        if let Some(letters) = &self.options.letters {
            let why = "the plugin panicked over it again and again";
            let batch = &published.batch;
            for record in selection.iter(batch.len()).filter_map(|index| batch.record(index)) {
                letters.send(&LetterMeta { plugin: &self.options.name, why, input: None }, &record);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets go of what is done at the begin.
    fn forget_done(&mut self) {
        while self.entries.pop_front_if(|entry| entry.place == Place::Done).is_some() {
            self.first += 1;
            self.next = self.next.saturating_sub(1);
        }
    }

    fn push(&mut self, entry: Entry) {
        self.held_bytes += entry.bytes;
        self.entries.push_back(entry);
    }
}

impl Entry {
    fn new(
        published: &Arc<Published>,
        settlement: Option<Arc<Settlement>>,
        selection: Selection,
        (records, sequence): (u64, u64),
    ) -> Self {
        Self {
            bytes: published.batch.memory_bytes(),
            published: Some(Arc::clone(published)),
            settlement,
            selection,
            records,
            sequence,
            blamed: 0,
            returned: false,
            place: Place::Waiting,
        }
    }
}

fn place_of(state: &State, number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(state.first)?).ok()
}
