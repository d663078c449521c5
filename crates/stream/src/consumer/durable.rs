//! The side of a consumer that its log sees: what is on disk only, the cursor, room and patience.

use std::sync::{Arc, Weak};
use std::time::Duration;

use heka_message::Selection;

use crate::bell::Bell;
use crate::consumer::{Consumer, Entry, Place, State};
use crate::delivery::Published;
use crate::ledger::DropReason;
use crate::log::CursorState;

/// How a consumer's messages are kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableOptions {
    /// Bytes that may wait for it on disk; `None`: as many as the disk holds.
    pub buffer_bytes_max: Option<u64>,
    /// The cursor is written once so many deliveries were answered for.
    pub cursor_update_count: u32,
    /// It keeps state of its own, and its cursor moves with that only, see [`Consumer::pin`].
    pub keeps_state: bool,
}

/// How a consumer reaches its log.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) inner: Weak<crate::durable::Inner>,
    /// Cursors or batches are to be written.
    pub(crate) commit: Arc<Bell>,
    /// A consumer has room for batches from the log.
    pub(crate) catch_up: Arc<Bell>,
    /// Bytes of batches from the log that it may hold.
    pub(crate) ahead_bytes: usize,
}

/// What waits on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Backlog {
    messages: u64,
    bytes: u64,
}

/// A consumer's books about its log.
#[derive(Debug, Default)]
pub(super) struct LogState {
    /// From this sequence number on its batches are in the log only.
    behind: Option<u64>,
    /// Of this run, counted as held.
    backlog: Backlog,
    /// What lies below `recount_below`, counted once it is read.
    earlier: Backlog,
    /// Batches below this number were not counted yet when they are read: they came in an earlier run, or come again.
    recount_below: u64,
    /// Deliveries answered for since the cursor was written.
    answers: u32,
    /// Where the cursor stays until the state that it belongs to is saved.
    pinned: Option<u64>,
    /// How long sources may still wait for it instead of leaving it behind.
    patience: Duration,
}

/// A batch that a consumer was behind for when it came.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) selection: Selection,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// What a source is to do with a batch for a durable consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Yes,
    /// Wait a little, it may take its batches faster than a disk could.
    Patience(Duration),
    /// Its disk buffer is full.
    Full,
    Closed,
}

/// Waiting for a consumer may cost a source what writing the batch to a disk of this speed would.
const PATIENCE_BYTES_PER_SECOND: u64 = 150_000_000;
/// Patience that a consumer can have saved up.
const PATIENCE_MAX: Duration = Duration::from_millis(100);

impl LogState {
    /// Counts an answer.
    pub(super) fn count_answer(&mut self) {
        self.answers = self.answers.saturating_add(1);
    }
}

impl Consumer {
    /// The log takes it on: it goes on at `cursor`, or with what comes from now on.
    pub(crate) fn attach(&self, log: Logged, cursor: Option<CursorState>, next: u64) {
        if self.log.set(log).is_err() {
            return;
        }
        let mut state = self.lock();
        let start = cursor.map_or(next, |cursor| cursor.sequence);
        state.log.recount_below = next;
        if let Some(cursor) = cursor.filter(|cursor| cursor.sequence < next) {
            state.log.behind = Some(start);
            state.log.earlier = Backlog { messages: cursor.messages, bytes: cursor.bytes };
        }
        if self.options.durable.is_some_and(|durable| durable.keeps_state) {
            state.log.pinned = Some(start);
        }
    }

    /// It is gone for good: what waits for it is left to the log. Returns its cursor.
    pub(crate) fn leave_log(&self, next: u64, now_ns: i64) -> CursorState {
        self.close();
        let cursor = self.cursor(next, now_ns);
        let mut state = self.lock();
        let mut left = Vec::new();
        let mut freed = 0;
        for entry in &mut state.entries {
            if entry.place == Place::Waiting && !entry.is_alone() {
                entry.place = Place::Done;
                freed += std::mem::take(&mut entry.bytes);
                left.push((entry.published.take(), entry.settlement.take()));
            }
        }
        state.held_bytes -= freed;
        state.forget_done();
        state.log.backlog = Backlog::default();
        state.log.earlier = Backlog { messages: cursor.messages, bytes: cursor.bytes };
        drop(state);
        drop(left);
        cursor
    }

    /// True if its messages go through the log.
    pub(crate) fn is_logged(&self) -> bool {
        self.log.get().is_some()
    }

    /// The consumer has saved what it made of everything below `sequence`: the log need not keep that for it.
    pub fn pin(&self, sequence: u64) {
        self.lock().log.pinned = Some(sequence);
        if let Some(log) = self.log.get() {
            log.commit.ring();
        }
    }

    /// Where its cursor stays until the next [`pin`](Self::pin); `None` if it keeps no state.
    #[must_use]
    pub fn pinned(&self) -> Option<u64> {
        self.lock().log.pinned
    }

    /// It gets everything from `sequence` on again, as far as the log has it; `next` is the number of the next batch.
    /// What is in the plugin's hands stays there.
    pub(crate) fn rewind(&self, sequence: u64, next: u64) {
        let mut state = self.lock();
        let mut again = 0;
        let mut alone = Vec::new();
        while state.entries.back().is_some_and(|entry| entry.place != Place::Out) {
            let Some(entry) = state.entries.pop_back() else { break };
            if entry.is_alone() && entry.place == Place::Waiting {
                alone.push(entry);
                continue;
            }
            state.held_bytes -= entry.bytes;
            if entry.place == Place::Waiting {
                again += entry.records;
            }
        }
        state.next = state.next.min(state.entries.len());
        state.entries.extend(alone.into_iter().rev());
        let end = state.log.behind.unwrap_or(next);
        // What is read below this number is counted then; what waits above it was counted when it came.
        state.log.recount_below = state.log.recount_below.max(end);
        state.log.behind = (sequence < next).then_some(sequence);
        if state.log.pinned.is_some() {
            state.log.pinned = Some(sequence.min(next));
        }
        drop(state);
        self.counts.forget(again);
        if let Some(log) = self.log.get() {
            log.catch_up.ring();
            log.commit.ring();
        }
    }

    /// Messages and bytes that wait for it on disk only.
    #[must_use]
    pub fn backlog(&self) -> (u64, u64) {
        let state = self.lock();
        let (now, earlier) = (state.log.backlog, state.log.earlier);
        (now.messages + earlier.messages, now.bytes + earlier.bytes)
    }

    /// True while it reads from the log.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.lock().log.behind.is_some()
    }

    /// Where it is; `next` is the number of the next batch.
    pub(crate) fn cursor(&self, next: u64, now_ns: i64) -> CursorState {
        let state = self.lock();
        let is_open = |entry: &&Entry| entry.place != Place::Done && !entry.is_alone();
        let waiting = || state.entries.iter().filter(is_open);
        let first = waiting().map(|entry| entry.sequence).min();
        let sequence = first.or(state.log.behind).unwrap_or(next);
        let (now, earlier) = (state.log.backlog, state.log.earlier);
        CursorState {
            sequence: state.log.pinned.map_or(sequence, |pinned| pinned.min(sequence)),
            messages: now.messages
                + earlier.messages
                + waiting().map(|entry| entry.records).sum::<u64>(),
            bytes: now.bytes
                + earlier.bytes
                + waiting().map(|entry| entry.bytes as u64).sum::<u64>(),
            seen_ns: now_ns,
        }
    }

    /// True once for every `cursor_update_count` answers.
    pub(crate) fn take_cursor_due(&self) -> bool {
        let count = self.options.durable.map_or(1, |durable| durable.cursor_update_count.max(1));
        let mut state = self.lock();
        let is_due = state.log.answers >= count || state.log.pinned.is_some();
        if is_due {
            state.log.answers = 0;
        }
        is_due
    }

    /// What a source with a batch for it is to do.
    pub(crate) fn room(&self, bytes: usize) -> Room {
        let mut state = self.lock();
        if state.closed {
            return Room::Closed;
        }
        let limit = self.options.durable.and_then(|durable| durable.buffer_bytes_max);
        if limit.is_some_and(|limit| state.waiting_bytes() > limit) {
            return Room::Full;
        }
        let earned = bytes as u64 * 1_000_000_000 / PATIENCE_BYTES_PER_SECOND;
        state.log.patience = (state.log.patience + Duration::from_nanos(earned)).min(PATIENCE_MAX);
        if state.log.behind.is_none()
            && state.held_bytes >= self.options.window_bytes
            && !state.log.patience.is_zero()
        {
            return Room::Patience(state.log.patience);
        }
        Room::Yes
    }

    /// Waits for room in the window for at most as long as its patience lasts.
    pub(crate) async fn be_patient(&self, longest: Duration) {
        let began = std::time::Instant::now();
        let wait = async {
            loop {
                let writable = self.writable.notified();
                tokio::pin!(writable);
                writable.as_mut().enable();
                {
                    let state = self.lock();
                    if state.closed || state.held_bytes < self.options.window_bytes {
                        return;
                    }
                }
                writable.await;
            }
        };
        // Out of patience or not: what happens next is decided by the window.
        drop(tokio::time::timeout(longest, wait).await);
        let mut state = self.lock();
        state.log.patience = state.log.patience.saturating_sub(began.elapsed());
    }

    /// Waits until something is freed. False: it is not to be waited for.
    pub(crate) async fn wait_while_full(&self) -> bool {
        if !self.waits_when_full() {
            return false;
        }
        let writable = self.writable.notified();
        tokio::pin!(writable);
        writable.as_mut().enable();
        let changed = self.is_closed();
        if !changed {
            // The log frees room as well, without telling each consumer.
            drop(tokio::time::timeout(Duration::from_millis(20), writable).await);
        }
        true
    }

    /// A batch that the log numbered. `None` if it is in the window; else it waits in the log, and so do those that
    /// are returned: batches that were in the window and were not taken yet.
    pub(crate) fn push_logged(
        self: &Arc<Self>,
        sequence: u64,
        published: &Arc<Published>,
        (selection, records): (Selection, u64),
    ) -> Vec<(u64, Want)> {
        self.counts.hold(records);
        let mut state = self.lock();
        let mut left = Vec::new();
        if state.log.behind.is_none() && state.held_bytes >= self.options.window_bytes {
            // It cannot keep up: what it did not take yet need not lie in memory either.
            let is_in_log = |entry: &Entry| entry.place == Place::Waiting && !entry.is_alone();
            while state.entries.back().is_some_and(is_in_log) {
                let Some(entry) = state.entries.pop_back() else { break };
                state.held_bytes -= entry.bytes;
                state.log.behind = Some(entry.sequence);
                let want = self.want(entry.selection, entry.records, entry.bytes);
                if entry.sequence < state.log.recount_below {
                    // Once more it is counted when it is read.
                    state.log.earlier.add(&want);
                    self.counts.forget(entry.records);
                } else {
                    state.log.backlog.add(&want);
                }
                left.push((entry.sequence, want));
            }
            state.next = state.next.min(state.entries.len());
            state.log.behind.get_or_insert(sequence);
        }
        if state.log.behind.is_some() {
            let share = published.batch.memory_bytes() as u64 * records
                / published.batch.len().max(1) as u64;
            let want = self.want(selection, records, share as usize);
            state.log.backlog.add(&want);
            left.push((sequence, want));
            return left;
        }
        let settlement = published.settlement.clone();
        state.push(Entry::new(published, settlement, selection, (records, sequence)));
        drop(state);
        self.readable.notify_one();
        left
    }

    fn want(self: &Arc<Self>, selection: Selection, records: u64, bytes: usize) -> Want {
        Want { consumer: Arc::clone(self), selection, records, bytes: bytes as u64 }
    }

    /// True if it is behind and has room for batches from the log.
    pub(crate) fn wants_more(&self) -> bool {
        self.wants_from().is_some()
    }

    /// The number from which on it wants batches from the log, if it has room for some.
    pub(crate) fn wants_from(&self) -> Option<u64> {
        let log = self.log.get()?;
        let state = self.lock();
        state.log.behind.filter(|_| !state.closed && state.held_bytes < log.ahead_bytes)
    }

    /// A batch came back from the log, or out of what the log has not written yet, for the consumer that was behind
    /// from `from` on; it is now behind from `next` on. No effect if it was set back meanwhile. `Selection::None`:
    /// nothing of it is for this consumer.
    pub(crate) fn push_from_log(
        &self,
        (from, next): (u64, u64),
        published: &Arc<Published>,
        settlement: Option<Arc<crate::settle::Settlement>>,
        selection: Selection,
    ) {
        let records = selection.count(published.batch.len()) as u64;
        let sequence = next - 1;
        let mut state = self.lock();
        if state.log.behind != Some(from) {
            return;
        }
        state.log.behind = Some(next);
        if records == 0 {
            return;
        }
        let entry = Entry::new(published, settlement, selection, (records, sequence));
        let share = entry.bytes as u64 * records / published.batch.len().max(1) as u64;
        if sequence < state.log.recount_below {
            state.log.earlier.take(records, share);
            self.counts.hold(records);
        } else {
            state.log.backlog.take(records, share);
        }
        state.push(entry);
        drop(state);
        self.readable.notify_one();
    }

    /// True if a batch came before the consumer was set back.
    pub(crate) fn gets_again(&self, sequence: u64) -> bool {
        sequence < self.lock().log.recount_below
    }

    /// Nothing from `from` to `next` is in the log for it.
    pub(crate) fn passed(&self, (from, next): (u64, u64)) {
        let mut state = self.lock();
        if state.log.behind == Some(from) {
            state.log.behind = Some(next.max(from));
        }
    }

    /// It has all that the log has: batches go to its window again. Messages that should have been in the log and
    /// were not are lost.
    pub(crate) fn caught_up(&self) {
        let mut state = self.lock();
        state.log.behind = None;
        let lost = std::mem::take(&mut state.log.backlog).messages;
        state.log.earlier = Backlog::default();
        drop(state);
        if lost > 0 {
            self.counts.give_up(lost, DropReason::Damaged);
        }
        self.writable.notify_waiters();
    }
}

impl State {
    /// Bytes that wait in memory and on disk.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.log.backlog.bytes + self.log.earlier.bytes + self.held_bytes as u64
    }
}

impl Backlog {
    fn add(&mut self, want: &Want) {
        self.messages += want.records;
        self.bytes += want.bytes;
    }

    fn take(&mut self, messages: u64, bytes: u64) {
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
        if self.messages == 0 {
            self.bytes = 0;
        }
    }
}
