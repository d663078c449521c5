//! The durable side of the stream: which batches go to the log, when they are safe, and how consumers that are behind get
//! them back.
//!
//! Here: numbering of batches, what is not written yet, the start and end of the two threads. Not here: how it lies in
//! files (`log`), committing (`commit`), reading back (`catch_up`). Invariants: batches are numbered and given to their
//! durable consumers under one lock, so that each sees them in the order of the log; a batch leaves `pending` only when
//! it is safe on disk or every durable consumer has answered for it.

mod catch_up;
mod commit;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use heka_matcher::{CompileError, Matcher, MatcherSet};
use heka_message::{NameRegistry, Selection};
use tokio::sync::Notify;

use crate::bell::Bell;
use crate::clock::Clock;
use crate::consumer::{Consumer, Logged, Want};
use crate::delivery::Published;
use crate::ledger::DropReason;
use crate::log::{
    CursorState, Damage, LogError, LogSettings, LogState, LogWriter, PositionState, Tail,
};
use crate::settle::Tracker;
use crate::storage::Storage;

use catch_up::Reading;
use commit::Committer;

/// How the log of a stream behaves.
#[derive(Debug, Clone)]
pub struct DurableSettings {
    /// Its directory, which holds nothing else.
    pub directory: PathBuf,
    /// A segment is followed by another one once it has so many bytes.
    pub segment_bytes: u64,
    /// A batch waits for so long before it is written: those that are delivered by then need not be.
    pub commit_interval: Duration,
    /// So many bytes are written without waiting.
    pub commit_bytes: u64,
    /// Delivered segments are kept while the log has no more bytes than this.
    pub retain_bytes: u64,
    /// Delivered segments are kept for so long.
    pub retain_time: Duration,
    /// Nothing is written while the disk has less free space than this.
    pub disk_floor_bytes: u64,
    /// Bytes of batches that may wait to be written.
    pub pending_bytes_max: usize,
    /// Bytes of batches read back that consumers may hold together.
    pub catch_up_bytes: usize,
    /// The cursor of a consumer that is not in the configuration any more keeps its batches for so long.
    pub forget_after: Duration,
}

/// Figures of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DurableFigures {
    /// Bytes of its segments.
    pub bytes: u64,
    /// Number of its segments.
    pub segments: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Batches written since the start.
    pub written_batches: u64,
    /// Batches that were delivered before they had to be written.
    pub spared_batches: u64,
    /// Times that the disk was asked to make things safe.
    pub syncs: u64,
    /// Bytes that could not be read as records.
    pub damaged_bytes: u64,
    /// Batches and bytes that wait to be written.
    pub pending: (u64, u64),
    /// Why nothing can be written at the moment.
    pub stuck: Option<String>,
}

/// The log of a stream; a clone is the same one.
#[derive(Debug, Clone)]
pub struct DurableLog {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    id: [u8; 16],
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    names: Arc<NameRegistry>,
    settings: DurableSettings,
    queue: Mutex<Queue>,
    /// Cursors and positions that an earlier run left; those of consumers and sources that came since are taken out.
    recovered: Mutex<LogState>,
    commit: Arc<Bell>,
    /// So much waits, or it is the end: the commit does not wait any longer.
    urgent: Bell,
    catch_up: Arc<Bell>,
    /// `pending` became shorter.
    room: Notify,
    /// Those of consumers that the reading thread has not seen yet.
    new_readings: Mutex<Vec<Reading>>,
    ending: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    segments: AtomicU64,
    written_bytes: AtomicU64,
    written_batches: AtomicU64,
    spared_batches: AtomicU64,
    syncs: AtomicU64,
    damaged_bytes: AtomicU64,
    /// Bytes of batches read back that are in memory.
    read_bytes: Arc<AtomicU64>,
}

/// What appending, committing and reading back have in common.
#[derive(Debug)]
struct Queue {
    next: u64,
    /// Batches that are not safe yet, in order.
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    /// Everything below is in the files, or needs not be.
    written: u64,
    /// Where the files end.
    tail: Option<Tail>,
    consumers: Vec<Arc<Consumer>>,
    /// Cursors of consumers that have gone, not written yet.
    left: BTreeMap<String, CursorState>,
    sources: Vec<KeyedSource>,
    stuck: Option<String>,
    /// When a batch was last let go of without being written.
    spared_at: Option<Instant>,
    /// Progress of sources behind batches that were answered for before they had to be written.
    answered: HashMap<Arc<str>, u64>,
}

#[derive(Debug, Clone)]
struct Pending {
    sequence: u64,
    time_ns: i64,
    entered: Instant,
    published: Arc<Published>,
    /// What durable consumers want of it.
    wanted: Selection,
    /// Whose it is, and the source's progress behind it.
    source: Option<(Arc<str>, u64)>,
    /// Consumers that have it from here only.
    behind: Vec<Want>,
    bytes: usize,
    /// Every durable consumer has answered for it.
    spared: bool,
}

#[derive(Debug)]
struct KeyedSource {
    key: Arc<str>,
    /// Progress at the begin of this run.
    base: u64,
    tracker: Arc<Tracker>,
}

/// What an earlier run left of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The source's own words for where to go on.
    pub position: Vec<u8>,
    /// So many bytes (or whatever the source counts) from there on are in the log already: durable consumers must not
    /// get them again.
    pub logged_ahead: u64,
}

/// While nothing can be written, sources wait for consumers that took something so short ago.
const STUCK_PATIENCE: Duration = Duration::from_millis(200);
/// How long an ending log may take to write what is pending.
const END_POLL: Duration = Duration::from_millis(5);

impl DurableLog {
    /// Opens the log, and starts its threads.
    ///
    /// # Errors
    /// If the directory cannot be used.
    pub fn open(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        names: Arc<NameRegistry>,
        settings: DurableSettings,
    ) -> Result<Self, LogError> {
        let log = LogSettings {
            directory: settings.directory.clone(),
            segment_bytes: settings.segment_bytes,
        };
        let (writer, recovered) = LogWriter::open(Arc::clone(&storage), log)?;
        let counts = Counts::default();
        recovered.damage.iter().for_each(|damage| tell_damage(&counts, damage));
        if let Some(torn) = &recovered.torn {
            tracing::info!(at = %torn, "cut off what a crash left of the last write to the log");
        }
        let next = recovered.state.next_sequence.max(1);
        let cursors = recovered.state.cursors.values().map(|cursor| cursor.sequence);
        let next = cursors.fold(next, u64::max);
        let queue = Queue {
            next,
            pending: VecDeque::new(),
            pending_bytes: 0,
            written: next,
            tail: writer.tail(),
            consumers: Vec::new(),
            left: BTreeMap::new(),
            sources: Vec::new(),
            stuck: None,
            spared_at: None,
            answered: HashMap::new(),
        };
        let inner = Arc::new(Inner {
            id: writer.id(),
            storage,
            clock,
            names,
            settings,
            queue: Mutex::new(queue),
            recovered: Mutex::new(recovered.state.clone()),
            commit: Arc::default(),
            urgent: Bell::default(),
            catch_up: Arc::default(),
            room: Notify::new(),
            new_readings: Mutex::default(),
            ending: AtomicBool::new(false),
            threads: Mutex::default(),
            counts,
        });
        let state = LogState { next_sequence: next, ..recovered.state };
        inner.start(Committer::new(Arc::clone(&inner), writer, state))?;
        Ok(Self { inner })
    }

    /// Takes on a consumer, at the cursor that it had or else with what comes from now on. Before anything is appended;
    /// later on, [`Stream::set_routes`](crate::Stream::set_routes) does it.
    ///
    /// # Errors
    /// If its matcher cannot be compiled.
    pub fn register(
        &self,
        consumer: &Arc<Consumer>,
        matcher: &Matcher,
    ) -> Result<(), CompileError> {
        let inner = &self.inner;
        let set = MatcherSet::compile(std::slice::from_ref(matcher), &inner.names)?;
        let mut queue = inner.queue();
        let cursor = inner.recovered().cursors.remove(&*consumer.options().name);
        let part = inner.settings.catch_up_bytes / (queue.consumers.len() + 1);
        let logged = Logged {
            inner: Arc::downgrade(inner),
            commit: Arc::clone(&inner.commit),
            catch_up: Arc::clone(&inner.catch_up),
            ahead_bytes: part.max(1),
        };
        consumer.attach(logged, cursor, queue.next);
        queue.consumers.push(Arc::clone(consumer));
        drop(queue);
        inner.new_readings().push(Reading::new(Arc::clone(consumer), set));
        inner.catch_up.ring();
        Ok(())
    }

    /// Lets a consumer go to which nothing is routed any more. What it has not answered for stays on disk, for the next
    /// one of its name, or until it is given up as that of any consumer that is no more. The next one also gets what the log
    /// happens to have of what came meanwhile.
    pub fn retire(&self, consumer: &Arc<Consumer>) {
        let inner = &self.inner;
        let now_ns = inner.clock.now_ns();
        let mut queue = inner.queue();
        let count = queue.consumers.len();
        queue.consumers.retain(|known| !Arc::ptr_eq(known, consumer));
        if queue.consumers.len() == count {
            return;
        }
        let name = consumer.options().name.to_string();
        let cursor = consumer.leave_log(queue.next, now_ns);
        queue.left.insert(name.clone(), cursor);
        inner.recovered().cursors.insert(name, cursor);
        drop(queue);
        // What lies in no log is lost.
        consumer.give_up(DropReason::Stopped, true);
        inner.commit.ring();
        inner.catch_up.ring();
    }

    /// A consumer gets everything from `sequence` on again, as far as the log has it.
    pub fn rewind(&self, consumer: &Consumer, sequence: u64) {
        let queue = self.inner.queue();
        consumer.rewind(sequence, queue.next);
    }

    /// Everything below this number a consumer has answered for, or need not get.
    #[must_use]
    pub fn cursor(&self, consumer: &Consumer) -> u64 {
        let queue = self.inner.queue();
        consumer.cursor(queue.next, 0).sequence
    }

    /// Consumers of earlier runs that are not registered, with what waits for them.
    #[must_use]
    pub fn orphans(&self) -> BTreeMap<String, crate::log::CursorState> {
        self.inner.recovered().cursors.clone()
    }

    /// Where a source was when an earlier run ended.
    #[must_use]
    pub fn resume(&self, key: &str) -> Option<Resume> {
        let recovered = self.inner.recovered();
        let state = recovered.positions.get(key)?;
        if state.position.is_empty() {
            return None;
        }
        let logged_ahead = state.logged.saturating_sub(state.settled);
        Some(Resume { position: state.position.clone(), logged_ahead })
    }

    /// Its figures.
    #[must_use]
    pub fn figures(&self) -> DurableFigures {
        let counts = &self.inner.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let queue = self.inner.queue();
        DurableFigures {
            bytes: read(&counts.bytes),
            segments: read(&counts.segments),
            written_bytes: read(&counts.written_bytes),
            written_batches: read(&counts.written_batches),
            spared_batches: read(&counts.spared_batches),
            syncs: read(&counts.syncs),
            damaged_bytes: read(&counts.damaged_bytes),
            pending: (queue.pending.len() as u64, queue.pending_bytes as u64),
            stuck: queue.stuck.clone(),
        }
    }

    /// Bytes in memory of batches that were read back, and how many that may be.
    #[must_use]
    pub fn read_back_bytes(&self) -> (u64, u64) {
        let bytes = self.inner.counts.read_bytes.load(Ordering::Relaxed);
        (bytes, self.inner.settings.catch_up_bytes as u64)
    }

    /// What tells it from other logs, also after it was removed and made anew.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.inner.id
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.settings.directory
    }

    /// Writes what is still needed, with all cursors and positions, and ends. Blocks, for at most so long; false if
    /// not all could be written.
    #[must_use]
    pub fn close(&self, longest: Duration) -> bool {
        self.inner.ending.store(true, Ordering::Release);
        self.inner.commit.ring();
        self.inner.urgent.ring();
        self.inner.catch_up.ring();
        let threads =
            std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let deadline = Instant::now() + longest;
        for thread in threads {
            while !thread.is_finished() {
                if Instant::now() >= deadline {
                    return false;
                }
                std::thread::sleep(END_POLL);
            }
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
                return false;
            }
        }
        self.inner.queue().pending.iter().all(|pending| !pending.is_needed())
    }
}

impl Pending {
    fn is_needed(&self) -> bool {
        self.published.settlement.as_ref().is_some_and(|settlement| settlement.is_awaited())
    }
}

/// A batch on its way into the log.
pub(crate) struct Entering {
    pub(crate) published: Arc<Published>,
    pub(crate) wanted: Selection,
    pub(crate) source: Option<(Arc<str>, u64)>,
}

impl Inner {
    /// Numbers a batch, gives it to the `chosen` durable consumers and leaves it for the next commit.
    pub(crate) fn enter(
        &self,
        chosen: &mut Vec<(Arc<Consumer>, Selection, u64)>,
        entering: Entering,
    ) {
        let time_ns = self.clock.now_ns();
        let bytes = entering.published.batch.memory_bytes();
        let mut queue = self.queue();
        let sequence = queue.next;
        queue.next += 1;
        let mut behind = Vec::new();
        let mut catching_up = false;
        for (consumer, selection, records) in chosen.drain(..) {
            let left = consumer.push_logged(sequence, &entering.published, (selection, records));
            for (at, want) in left {
                catching_up = true;
                if at == sequence {
                    behind.push(want);
                } else if let Some(pending) = queue.find(at) {
                    pending.behind.push(want);
                }
            }
        }
        queue.pending_bytes += bytes;
        let urgent = queue.pending_bytes as u64 >= self.settings.commit_bytes;
        queue.pending.push_back(Pending {
            sequence,
            time_ns,
            entered: Instant::now(),
            published: entering.published,
            wanted: entering.wanted,
            source: entering.source,
            behind,
            bytes,
            spared: false,
        });
        drop(queue);
        self.commit.ring();
        if urgent {
            self.urgent.ring();
        }
        if catching_up {
            self.catch_up.ring();
        }
    }

    /// The last durable consumer has answered for a batch: lets go of the oldest ones that need not be written, so that
    /// their memory is used again while it is warm.
    pub(crate) fn answered(&self) {
        if self.settings.keeps_delivered() {
            return;
        }
        let mut freed = 0_u64;
        let mut queue = self.queue();
        while let Some(pending) = queue.pending.pop_front_if(|pending| !pending.is_needed()) {
            queue.pending_bytes -= pending.bytes;
            freed += 1;
            if let Some((key, progress)) = pending.source {
                let known = queue.answered.entry(key).or_default();
                *known = progress.max(*known);
            }
        }
        if freed == 0 {
            return;
        }
        queue.written = queue.pending.front().map_or(queue.next, |pending| pending.sequence);
        queue.spared_at = Some(Instant::now());
        drop(queue);
        self.counts.spared_batches.fetch_add(freed, Ordering::Relaxed);
        self.room.notify_waiters();
    }

    /// True if there is room for another batch now.
    pub(crate) fn has_room(&self) -> bool {
        self.queue().pending_bytes < self.settings.pending_bytes_max
    }

    /// Waits until there is room for another batch. False: nothing can be written, and that will not change soon.
    pub(crate) async fn make_room(&self) -> bool {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let queue = self.queue();
                if queue.pending_bytes < self.settings.pending_bytes_max {
                    return true;
                }
                let moves = queue.spared_at.is_some_and(|at| at.elapsed() < STUCK_PATIENCE);
                if queue.stuck.is_some() && !moves {
                    return false;
                }
            }
            // Nobody tells when nothing is spared any more.
            drop(tokio::time::timeout(STUCK_PATIENCE, room).await);
        }
    }

    /// A source whose positions are kept. Unless it resumed where an earlier run left it, it begins anew.
    pub(crate) fn keep_positions(
        &self,
        key: &Arc<str>,
        tracker: &Arc<Tracker>,
        resumed: bool,
    ) -> PositionState {
        tracker.ring(Arc::clone(&self.commit));
        let known = self.recovered().positions.remove(&**key).unwrap_or_default();
        // Progress only grows, or older records of the log would be taken for newer ones.
        let base = if resumed { known.settled } else { known.settled.max(known.logged) };
        let known = PositionState { settled: base, ..known };
        let tracker = Arc::clone(tracker);
        let mut queue = self.queue();
        queue.sources.retain(|source| source.key != *key);
        queue.sources.push(KeyedSource { key: Arc::clone(key), base, tracker });
        known
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recovered(&self) -> MutexGuard<'_, LogState> {
        self.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_readings(&self) -> MutexGuard<'_, Vec<Reading>> {
        self.new_readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Starts the two threads.
    fn start(self: &Arc<Self>, committer: Committer) -> Result<(), LogError> {
        let reader = Arc::clone(self);
        let failed = LogError::io("start the threads of", &self.settings.directory);
        let started = spawn("heka-log-write", move || committer.run()).and_then(|writing| {
            let reading = spawn("heka-log-read", move || catch_up::run(&reader));
            Ok([writing, reading?])
        });
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.extend(started.map_err(failed)?);
        Ok(())
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

impl Queue {
    fn find(&mut self, sequence: u64) -> Option<&mut Pending> {
        let place = self.pending.binary_search_by_key(&sequence, |pending| pending.sequence);
        place.ok().and_then(|place| self.pending.get_mut(place))
    }
}

fn tell_damage(counts: &Counts, damage: &Damage) {
    counts.damaged_bytes.fetch_add(damage.to - damage.from, Ordering::Relaxed);
    tracing::error!(at = %damage, "part of the log is damaged and was passed over");
}
