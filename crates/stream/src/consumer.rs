//! A consumer: its cursor over the batches that it matched, its window, its counters.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heka_message::Selection;
use tokio::sync::Notify;

use crate::delivery::{Ack, Delivery, Published};
use crate::ledger::{ConsumerCounts, DropReason};

/// What happens when a consumer's window is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullAction {
    /// The sources whose messages it matches wait.
    #[default]
    Block,
    /// New messages are dropped for it, and counted.
    Drop,
    /// As `Drop`, and the daemon is asked to shut down.
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
}

#[derive(Debug)]
struct Entry {
    /// `None` once it is done, so that the bytes are free even while an older entry is not.
    published: Option<Arc<Published>>,
    selection: Selection,
    records: u64,
    bytes: usize,
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
        })
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &ConsumerOptions {
        &self.options
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
            if entry.blamed >= panics_max {
                drop(state);
                self.finish(number, true, |counts, records| {
                    counts.give_up(records, DropReason::Poison);
                });
                continue;
            }
            entry.place = Place::Out;
            let selection = entry.selection.clone();
            let published = entry.published.clone();
            drop(state);
            let Some(published) = published else { continue };
            let ack = Ack { consumer: Arc::clone(self), number, rejected: 0, answered: false };
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

    /// Gives up all that waits or is out; returns the number of messages. With `settle` their source may move
    /// on; without, as at a shutdown, it will read them again.
    pub fn give_up(&self, reason: DropReason, settle: bool) -> u64 {
        let mut lost = 0;
        loop {
            let state = self.lock();
            let Some(place) = state.entries.iter().position(|entry| entry.place != Place::Done)
            else {
                return lost;
            };
            let number = state.first + place as u64;
            lost += state.entries[place].records;
            drop(state);
            self.finish(number, settle, |counts, records| counts.give_up(records, reason));
        }
    }

    /// Bytes of the batches that it holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.lock().held_bytes
    }

    /// Number of deliveries waiting or out.
    #[must_use]
    pub fn held_deliveries(&self) -> usize {
        self.lock().entries.len()
    }

    /// Waits until a message was dropped because the window was full.
    pub async fn overflowed(&self) {
        self.full.notified().await;
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
            if self.options.full_action != FullAction::Block {
                self.full.notify_one();
                return false;
            }
            writable.await;
        }
    }

    pub(crate) fn push(&self, published: &Arc<Published>, selection: Selection, records: u64) {
        let bytes = published.batch.memory_bytes();
        let published = Some(Arc::clone(published));
        self.counts.hold(records);
        let mut state = self.lock();
        state.held_bytes += bytes;
        state.entries.push_back(Entry {
            published,
            selection,
            records,
            bytes,
            blamed: 0,
            returned: false,
            place: Place::Waiting,
        });
        drop(state);
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
        if entry.place != Place::Out {
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

    /// Takes an entry out of the books exactly once, whoever is first.
    fn finish(&self, number: u64, settle: bool, count: impl FnOnce(&ConsumerCounts, u64)) {
        let mut state = self.lock();
        let Some(place) = place_of(&state, number) else { return };
        let Some(entry) = state.entries.get_mut(place) else { return };
        if entry.place == Place::Done {
            return;
        }
        entry.place = Place::Done;
        let (records, bytes) = (entry.records, entry.bytes);
        let published = entry.published.take();
        state.held_bytes -= bytes;
        while state.entries.front().is_some_and(|entry| entry.place == Place::Done) {
            state.entries.pop_front();
            state.first += 1;
            state.next = state.next.saturating_sub(1);
        }
        drop(state);
        count(&self.counts, records);
        if let Some(published) = published.filter(|_| settle) {
            published.settlement.release();
        }
        self.writable.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place_of(state: &State, number: u64) -> Option<usize> {
    usize::try_from(number.checked_sub(state.first)?).ok()
}
