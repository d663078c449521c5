//! Group commit: the thread that writes batches, cursors and positions, and lets go of what is not needed any more.
//!
//! Invariant: what a record says about a source's progress is true once the record and those before it are on disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use heka_message::Selection;

use super::{Inner, Pending, Queue};
use crate::log::CursorState;
use crate::log::{Group, LogError, LogState, LogWriter, RecordKind, RecordMeta, put_progress};

/// How long a thread without work sleeps at most.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Cursors and positions without batches are made safe from a power cut this often.
const STATE_SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// First and longest wait before a write that failed is tried again.
const RETRY_WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The thread wakes so often in a commit interval; a batch waits for one of these parts at least, and for two at most.
const COMMIT_PARTS: u32 = 2;
/// While a write is waited for, delivered batches are let go of this often.
const RETRY_SPARE_INTERVAL: Duration = Duration::from_millis(5);
/// Free space of the disk is looked at after so many bytes written, and with every retry.
const FLOOR_CHECK_BYTES: u64 = 16 << 20;
/// A batch of which durable consumers want less than one part in so many is written without the rest.
const SPARSE_PART: usize = 2;
/// Batches with fewer bytes are written whole, whatever is wanted of them.
const SPARSE_BYTES_MIN: usize = 4 << 10;

/// The committing thread's own.
pub(super) struct Committer {
    inner: Arc<Inner>,
    writer: LogWriter,
    /// What the files say, once the last write is safe.
    state: LogState,
    group: Group,
    unsynced_since: Option<Instant>,
    /// Bytes written since the disk's free space was looked at.
    unchecked_bytes: u64,
    retry: Option<Duration>,
    /// Changes that could not be written yet.
    carried: LogState,
    /// When what waits for consumers whose cursors stand still was last written.
    figures_at: Instant,
    /// A cursor has moved by less than its `cursor_update_count`, and is written a little later.
    is_behind: bool,
}

/// What one commit does.
struct Work {
    /// Batches to write.
    batches: Vec<Pending>,
    /// Cursors and positions to write.
    change: LogState,
}

impl Committer {
    pub(super) fn new(inner: Arc<Inner>, writer: LogWriter, state: LogState) -> Self {
        let group = writer.group();
        let unchecked_bytes = FLOOR_CHECK_BYTES;
        let committer = Self {
            inner,
            writer,
            state,
            group,
            unsynced_since: None,
            unchecked_bytes,
            retry: None,
            carried: LogState::default(),
            figures_at: Instant::now(),
            is_behind: false,
        };
        committer.count_segments();
        committer
    }

    pub(super) fn run(mut self) {
        loop {
            self.wait();
            let ending = self.inner.is_ending();
            let work = self.gather(ending);
            let outcome = self.commit(&work);
            match outcome {
                Ok(()) => self.committed(&work),
                Err(error) => self.failed(&error, work.change.clone()),
            }
            self.release_segments();
            self.count_segments();
            let all_done = work.batches.is_empty() && self.inner.queue().pending.is_empty();
            if ending && (all_done || self.retry.is_some_and(|wait| wait >= RETRY_WAITS.1)) {
                return;
            }
        }
    }

    /// Waits for something to write, then for more of it.
    fn wait(&mut self) {
        let inner = Arc::clone(&self.inner);
        let settings = &inner.settings;
        if inner.is_ending() {
            return;
        }
        if let Some(wait) = self.retry {
            let until = Instant::now() + wait;
            loop {
                let rest = until.saturating_duration_since(Instant::now());
                if rest.is_zero() || inner.is_ending() {
                    return;
                }
                // What is delivered meanwhile needs no disk.
                std::thread::sleep(rest.min(settings.commit_interval.max(RETRY_SPARE_INTERVAL)));
                self.let_go(false);
            }
        }
        if self.has_first_position() {
            return;
        }
        let has_more = self.unsynced_since.is_some() || self.is_behind;
        let idle = if has_more { STATE_SYNC_INTERVAL } else { SLEEP_MAX };
        inner.commit.wait(idle);
        let bytes = inner.queue().pending_bytes as u64;
        if bytes < settings.commit_bytes && !inner.is_ending() {
            inner.urgent.wait(settings.commit_interval / COMMIT_PARTS);
        }
    }

    /// True if a source without a position in the log has one now: until it is there, a crash makes all that the log
    /// has of the source come again.
    fn has_first_position(&self) -> bool {
        let known = |key: &str| {
            self.state.positions.get(key).is_some_and(|known| !known.position.is_empty())
        };
        let queue = self.inner.queue();
        queue.sources.iter().any(|source| !known(&source.key) && source.tracker.has_position())
    }

    /// Lets go of batches that every durable consumer has answered for, unless they are to be kept.
    fn let_go(&mut self, keep: bool) {
        if keep {
            return;
        }
        let inner = Arc::clone(&self.inner);
        let spared = {
            let mut queue = inner.queue();
            let spared = spare(&mut queue, &mut self.carried);
            if spared > 0 {
                queue.spared_at = Some(Instant::now());
            }
            spared
        };
        if spared > 0 {
            inner.counts.spared_batches.fetch_add(spared, Ordering::Relaxed);
            inner.room.notify_waiters();
        }
    }

    /// Finds what is to be written, and lets go of batches that need not be.
    fn gather(&mut self, ending: bool) -> Work {
        let inner = Arc::clone(&self.inner);
        self.let_go(inner.settings.keeps_delivered() && self.retry.is_none());
        let change = std::mem::take(&mut self.carried);
        let mut work = Work { batches: Vec::new(), change };
        let mut queue = inner.queue();
        queue.answered.drain().for_each(|(key, progress)| work.change.logged(&key, progress));
        let wait = inner.settings.commit_interval / COMMIT_PARTS;
        let is_urgent = ending
            || self.retry.is_some()
            || queue.pending_bytes as u64 >= inner.settings.commit_bytes;
        let mut bytes = 0;
        for pending in &queue.pending {
            if !is_urgent && pending.entered.elapsed() < wait {
                // It may be delivered before it has to be written.
                inner.commit.ring();
                break;
            }
            if bytes > 0 && bytes + pending.bytes as u64 > inner.settings.commit_bytes {
                inner.commit.ring();
                break;
            }
            bytes += pending.bytes as u64;
            work.batches.push(pending.clone());
        }
        let now_ns = inner.clock.now_ns();
        let figures_due = ending || self.figures_at.elapsed() >= STATE_SYNC_INTERVAL;
        if figures_due {
            self.figures_at = Instant::now();
        }
        self.is_behind = false;
        work.change.cursors.append(&mut queue.left);
        for consumer in &queue.consumers {
            let cursor = consumer.cursor(queue.next, now_ns);
            let name = &*consumer.options().name;
            let is_due = figures_due || consumer.take_cursor_due();
            let is_news = |known: &CursorState| {
                (known.sequence, known.messages, known.bytes)
                    != (cursor.sequence, cursor.messages, cursor.bytes)
            };
            let known = self.state.cursors.get(name);
            if known.is_some_and(is_news) && !is_due {
                self.is_behind = true;
            } else if known.is_none_or(is_news) {
                work.change.cursors.insert(name.to_owned(), cursor);
            }
        }
        for source in &queue.sources {
            let Some((end, position)) = source.tracker.take_position() else { continue };
            let settled = source.base + end;
            work.change.logged(&source.key, settled);
            if let Some(changed) = work.change.positions.get_mut(&*source.key) {
                (changed.settled, changed.position) = (settled, position.into());
            }
        }
        work.change.next_sequence = queue.next;
        drop(queue);
        self.complete(&mut work.change);
        self.forget_orphans(&mut work.change, now_ns);
        work
    }

    /// A progress that came without a position keeps the position that is known.
    fn complete(&self, change: &mut LogState) {
        for (key, changed) in &mut change.positions {
            let Some(known) = self.state.positions.get(key) else { continue };
            changed.logged = changed.logged.max(known.logged);
            if changed.position.is_empty() {
                changed.settled = known.settled;
                changed.position.clone_from(&known.position);
            }
        }
    }

    fn forget_orphans(&self, change: &mut LogState, now_ns: i64) {
        let mut recovered = self.inner.recovered();
        let limit = i64::try_from(self.inner.settings.forget_after.as_nanos()).unwrap_or(i64::MAX);
        let old: Vec<String> = recovered
            .cursors
            .iter()
            .filter(|(_, cursor)| now_ns.saturating_sub(cursor.seen_ns) > limit)
            .map(|(name, _)| name.clone())
            .collect();
        for name in old {
            tracing::warn!(
                plugin = name,
                "not in the configuration any more: its cursor is given up"
            );
            recovered.cursors.remove(&name);
            change.remove_cursor(&name);
        }
    }

    fn commit(&mut self, work: &Work) -> Result<(), LogError> {
        self.group.clear();
        let now_ns = self.inner.clock.now_ns();
        if !work.change.is_empty() {
            self.group.push_state(RecordKind::StateChange, &work.change, now_ns);
        }
        let is_new = |name: &String| !self.state.cursors.contains_key(name);
        if work.change.cursors.keys().any(is_new) {
            // A consumer whose cursor is lost begins behind the last batch on disk: it must not be written before.
            self.check_floor()?;
            self.writer.write(&self.group, &self.state, now_ns)?;
            self.writer.sync()?;
            self.group.clear();
        }
        for pending in &work.batches {
            push_batch(&mut self.group, pending);
        }
        let due = self.unsynced_since.is_some_and(|since| since.elapsed() >= STATE_SYNC_INTERVAL);
        if self.group.is_empty() {
            return if due || self.inner.is_ending() { self.sync() } else { Ok(()) };
        }
        self.check_floor()?;
        self.writer.write(&self.group, &self.state, now_ns)?;
        self.unchecked_bytes += self.group.bytes();
        self.inner.counts.written_bytes.fetch_add(self.group.bytes(), Ordering::Relaxed);
        if work.batches.is_empty() && !due && !self.inner.is_ending() {
            self.unsynced_since.get_or_insert_with(Instant::now);
            return Ok(());
        }
        self.sync()
    }

    fn sync(&mut self) -> Result<(), LogError> {
        if self.unsynced_since.is_some() || !self.group.is_empty() {
            self.writer.sync()?;
            self.inner.counts.syncs.fetch_add(1, Ordering::Relaxed);
            self.unsynced_since = None;
        }
        Ok(())
    }

    fn check_floor(&mut self) -> Result<(), LogError> {
        let floor = self.inner.settings.disk_floor_bytes;
        if floor == 0 || self.unchecked_bytes < FLOOR_CHECK_BYTES {
            return Ok(());
        }
        let directory = self.writer.directory();
        let free = self.inner.storage.free_bytes(directory);
        let free = free.map_err(LogError::io("find the free space of", directory))?;
        if free < floor {
            return Err(LogError::Floor { free, floor });
        }
        self.unchecked_bytes = 0;
        Ok(())
    }

    /// The batches are safe: who waits for that is told.
    fn committed(&mut self, work: &Work) {
        let inner = Arc::clone(&self.inner);
        self.state.apply(work.change.clone());
        for pending in &work.batches {
            if let Some((key, progress)) = &pending.source {
                self.state.logged(key, *progress);
            }
        }
        if self.retry.take().is_some() {
            tracing::info!("the log can be written again");
        }
        let mut queue = inner.queue();
        queue.stuck = None;
        // Those that were answered for meanwhile are gone already.
        let behind = work.batches.last().map_or(0, |pending| pending.sequence + 1);
        while let Some(pending) = queue.pending.pop_front_if(|it| it.sequence < behind) {
            queue.pending_bytes -= pending.bytes;
        }
        queue.written = queue.pending.front().map_or(queue.next, |pending| pending.sequence);
        queue.tail = self.writer.tail();
        drop(queue);
        for pending in &work.batches {
            if let Some(settlement) = &pending.published.settlement {
                settlement.stored();
            }
        }
        inner.counts.written_batches.fetch_add(work.batches.len() as u64, Ordering::Relaxed);
        if !work.batches.is_empty() {
            inner.room.notify_waiters();
        }
        inner.catch_up.ring();
    }

    fn failed(&mut self, error: &LogError, change: LogState) {
        self.carried = change;
        let first = self.retry.is_none();
        let wait = self.retry.map_or(RETRY_WAITS.0, |wait| (wait * 2).min(RETRY_WAITS.1));
        self.retry = Some(wait);
        self.unchecked_bytes = FLOOR_CHECK_BYTES;
        if first {
            tracing::error!(%error, "the log cannot be written; tried again until it can");
        }
        self.inner.queue().stuck = Some(error.to_string());
        self.inner.room.notify_waiters();
    }

    /// The first batch that somebody needs, and the number of the next one. Cursors that could not be written count too:
    /// that they can be may need the very space that what they have passed takes.
    fn needed(&self) -> (u64, u64) {
        let carried = &self.carried.cursors;
        let known = self.state.cursors.iter().filter(|(name, _)| !carried.contains_key(*name));
        let cursors = known.chain(carried).map(|(_, cursor)| cursor.sequence);
        let pending = self.inner.queue().pending.front().map(|first| first.sequence);
        let next = self.state.next_sequence.max(self.carried.next_sequence);
        (cursors.chain(pending).min().unwrap_or(next), next)
    }

    /// Removes segments that no consumer needs any more and that are not kept for other reasons.
    fn release_segments(&mut self) {
        let inner = Arc::clone(&self.inner);
        let (needed, next) = self.needed();
        let short_of_space = self.retry.is_some();
        loop {
            let segments: Vec<_> = self.writer.segments().copied().collect();
            let [oldest, rest @ ..] = &segments[..] else { return };
            let is_delivered = match rest.first() {
                Some(second) => second.first() <= needed,
                // The only one is given up only where its space is needed.
                None => short_of_space && needed >= next,
            };
            let closed_ns = rest.first().map_or(i64::MAX, |second| second.created_ns);
            let age = inner.clock.now_ns().saturating_sub(closed_ns).max(0).unsigned_abs();
            let settings = &inner.settings;
            let is_kept = self.writer.bytes() - oldest.bytes < settings.retain_bytes
                || u128::from(age) < settings.retain_time.as_nanos();
            if !is_delivered || (is_kept && !short_of_space) {
                return;
            }
            if let Err(error) = self.writer.remove_oldest() {
                tracing::warn!(%error, "a segment that is not needed any more stays");
                return;
            }
            if rest.is_empty() {
                self.inner.queue().tail = self.writer.tail();
                return;
            }
        }
    }

    fn count_segments(&self) {
        let counts = &self.inner.counts;
        counts.bytes.store(self.writer.bytes(), Ordering::Relaxed);
        counts.segments.store(self.writer.segments().len() as u64, Ordering::Relaxed);
    }
}

impl super::DurableSettings {
    /// Delivered batches are to be on disk too.
    pub(super) fn keeps_delivered(&self) -> bool {
        self.retain_bytes > 0 || !self.retain_time.is_zero()
    }
}

/// Takes batches out that every durable consumer has answered for; returns how many. Their sources' progress is said
/// by the batch before them that is still to be written, else by `change`.
fn spare(queue: &mut Queue, change: &mut LogState) -> u64 {
    let mut spared = 0;
    let mut freed = 0;
    let mut trailing: HashMap<Arc<str>, u64> = HashMap::new();
    for pending in queue.pending.iter_mut().rev() {
        // Looked at once: an answer may come at any moment.
        pending.spared = !pending.is_needed();
        if pending.spared {
            spared += 1;
            freed += pending.bytes;
        }
        let Some((key, progress)) = &mut pending.source else { continue };
        if pending.spared {
            let later = trailing.entry(Arc::clone(key)).or_default();
            *later = (*later).max(*progress);
        } else if let Some(later) = trailing.remove(key) {
            *progress = later.max(*progress);
        }
    }
    if spared > 0 {
        queue.pending.retain(|pending| !pending.spared);
        queue.pending_bytes -= freed;
        queue.written = queue.pending.front().map_or(queue.next, |pending| pending.sequence);
    }
    trailing.into_iter().for_each(|(key, progress)| change.logged(&key, progress));
    spared
}

fn push_batch(group: &mut Group, pending: &Pending) {
    let batch = &pending.published.batch;
    let wanted = pending.wanted.count(batch.len());
    let sparse = !matches!(pending.wanted, Selection::All)
        && wanted * SPARSE_PART < batch.len()
        && batch.memory_bytes() >= SPARSE_BYTES_MIN;
    let compact = sparse.then(|| batch.compact(&pending.wanted));
    let batch = compact.as_ref().unwrap_or(batch);
    let meta = RecordMeta {
        kind: RecordKind::Batch,
        messages: batch.len(),
        sequence: pending.sequence,
        time_ns: pending.time_ns,
    };
    group.push(meta, batch.raw(), |out| {
        batch.write_stored(out);
        let source = pending.source.as_ref().map(|(key, progress)| (&**key, *progress));
        put_progress(out, source);
    });
}
