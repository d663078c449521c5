//! All streams of one configuration, and when to look at which.
//!
//! Here: making streams of listings, journals, the schedule, the bound on open files. Not here: how a stream reads
//! (`stream`). Invariants: a stream once made stays, with its index; streams found by whatever scan are all announced by
//! `poll`; a quiet stream costs nothing between its watch and its turn in the slow round.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::catalog::{Catalog, EnterHook, Listing};
use crate::error::Error;
use crate::identity::FileId;
use crate::journal::{JournalStore, Position, Record};
use crate::pattern::Rules;
use crate::settings::{Now, Settings};
use crate::stream::{ReadEvent, Start, Stream};
use crate::watcher::Watcher;

/// Every stream is looked at this often even if inotify says nothing, as on network file systems.
const SAFETY_INTERVAL: Duration = Duration::from_secs(5);
/// In how many portions a round over all streams is made.
const ROUND_PORTIONS: u32 = 16;
/// Shortest time between two scans that directory events ask for.
const SCAN_GAP_MIN: Duration = Duration::from_millis(100);
/// A scan that took long is not repeated before so many times its duration.
const SCAN_GAP_FACTOR: u32 = 10;
/// How often to look for a log directory that does not exist.
const DIRECTORY_RETRY: Duration = Duration::from_secs(1);
/// The share of open files that is closed at once when there are too many.
const CLOSE_SHARE: usize = 8;

/// Names a stream of one [`LogStreams`]; streams are never removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(usize);

impl StreamId {
    /// Counts from 0 in the order of discovery.
    pub fn index(self) -> usize {
        self.0
    }
}

/// All streams of one configuration.
///
/// Methods that take a [`StreamId`] expect one that the same object gave, and panic for an index it does not have.
pub struct LogStreams {
    settings: Settings,
    catalog: Catalog,
    store: Box<dyn JournalStore>,
    slots: Vec<Slot>,
    by_name: HashMap<String, usize>,
    /// Files of streams that consist of too old files only, with their sizes.
    aged: HashMap<String, Vec<(FileId, u64)>>,
    absorbed: u64,
    fresh: Vec<StreamId>,
    changed: Vec<StreamId>,
    watcher: Option<Watcher>,
    /// Whether single files are watched; given up when the kernel has no room.
    watches_files: bool,
    schedule: Schedule,
    open_files: usize,
    clock: u64,
    problems: Vec<Error>,
}

struct Slot {
    stream: Stream,
    /// What the watch was set for.
    watched: Option<(u64, Option<FileId>)>,
    is_idle: bool,
    /// When it last gave data, on a clock that counts reads.
    active: u64,
}

#[derive(Debug, Default)]
struct Schedule {
    scan_wanted: bool,
    scan_took: Duration,
    round_at: Option<Instant>,
    round_next: usize,
}

impl LogStreams {
    /// Prepares streams; looks at no file before the first [`LogStreams::rescan`] or [`LogStreams::poll`]. The first
    /// problem of unusable settings is the error.
    pub fn new(settings: Settings, store: Box<dyn JournalStore>) -> Result<Self, Error> {
        if let Some(problem) = settings.validate().into_iter().next() {
            return Err(problem);
        }
        let rules = Rules::new(&settings);
        let mut problems = rules.warnings(&settings);
        let mut watcher = None;
        if settings.use_inotify && settings.check_data_interval.is_some() {
            match Watcher::open() {
                Ok(opened) => watcher = Some(opened),
                Err(source) => problems.push(Error::Watch { source }),
            }
        }
        let on_enter: EnterHook = match &watcher {
            Some(watcher) => {
                let directories = watcher.directories();
                Box::new(move |path| directories.watch(path))
            }
            None => Box::new(|_| {}),
        };
        Ok(Self {
            catalog: Catalog::new(&settings, rules, on_enter),
            settings,
            store,
            slots: Vec::new(),
            by_name: HashMap::new(),
            aged: HashMap::new(),
            absorbed: 0,
            fresh: Vec::new(),
            changed: Vec::new(),
            watches_files: watcher.is_some(),
            watcher,
            schedule: Schedule::default(),
            open_files: 0,
            clock: 0,
            problems,
        })
    }

    /// Looks for files now, and returns the streams found for the first time. `poll` names these too.
    pub fn rescan(&mut self, now: Now) -> Vec<StreamId> {
        let known = self.fresh.len();
        let begin = Instant::now();
        self.catalog.scan(now);
        self.schedule.scan_took = begin.elapsed();
        self.schedule.scan_wanted = false;
        self.absorb();
        self.fresh[known.min(self.fresh.len())..].to_vec()
    }

    /// Takes what inotify tells, looks for files when it is time to, and appends to `ready` the streams that should be
    /// read now, each once.
    pub fn poll(&mut self, now: Now, ready: &mut Vec<StreamId>) {
        self.take_changes(now);
        if self.scan_in(now).is_some_and(|time| time.is_zero()) {
            self.rescan(now);
        }
        self.round(now);
        let start = ready.len();
        ready.append(&mut self.fresh);
        ready.append(&mut self.changed);
        let mut added = ready.split_off(start);
        added.sort_unstable();
        added.dedup();
        ready.append(&mut added);
    }

    /// How long nothing needs to be done unless the descriptor becomes readable; `None` if for ever.
    pub fn sleep_time(&self, now: Now) -> Option<Duration> {
        if !self.fresh.is_empty() || !self.changed.is_empty() {
            return Some(Duration::ZERO);
        }
        [self.scan_in(now), self.round_in(now)].into_iter().flatten().min()
    }

    /// Readable when inotify has something to tell; `None` where streams are polled.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(Watcher::as_fd)
    }

    /// Sleeps until `timeout` is over, inotify has something to tell, or `wake` becomes readable; returns whether one of
    /// the latter happened.
    pub fn wait(&self, timeout: Duration, wake: Option<BorrowedFd<'_>>) -> io::Result<bool> {
        let mut fds: Vec<PollFd<'_>> = self
            .as_fd()
            .into_iter()
            .chain(wake)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // Rounded up, so that the caller does not spin through the last fraction of a millisecond.
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match nix::poll::poll(&mut fds, timeout) {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads on in a stream; see [`ReadEvent`] for what the caller owes. An error is given once and changes no position.
    pub fn read(&mut self, id: StreamId, buf: &mut [u8], now: Now) -> Result<ReadEvent, Error> {
        let event = self.read_once(id, buf, now)?;
        if event != ReadEvent::Idle || !self.watch(id) {
            return Ok(event);
        }
        // What was written before the watch was set makes no event.
        self.read_once(id, buf, now)
    }

    fn read_once(&mut self, id: StreamId, buf: &mut [u8], now: Now) -> Result<ReadEvent, Error> {
        let slot = &mut self.slots[id.0];
        let was_open = slot.stream.is_open();
        let result = slot.stream.read(&mut self.catalog, buf, now);
        slot.is_idle = matches!(result, Ok(ReadEvent::Idle) | Err(_));
        if !slot.is_idle {
            self.clock += 1;
            slot.active = self.clock;
            slot.watched = None;
        }
        match (was_open, slot.stream.is_open()) {
            (false, true) => self.open_files += 1,
            (true, false) => self.open_files -= 1,
            (true, true) | (false, false) => {}
        }
        self.problems.append(&mut slot.stream.take_problems());
        self.save_start(id);
        self.absorb();
        if self.open_files > self.settings.open_files_max.max(1) {
            self.close_idle(id);
        }
        result
    }

    /// Moves the consumed position of a stream over `bytes`, which must directly follow what was consumed before, and
    /// returns it. Copies at most 500 bytes: call it per chunk.
    pub fn consume(&mut self, id: StreamId, bytes: &[u8]) -> Position {
        self.slots[id.0].stream.consume(bytes)
    }

    /// Writes `position` to the journal. Positions older than the last one written are ignored.
    pub fn checkpoint(&mut self, id: StreamId, position: &Position) -> Result<(), Error> {
        let stream = &mut self.slots[id.0].stream;
        let Some(record) = stream.to_save(position) else { return Ok(()) };
        let failed = |source| Error::JournalWrite { stream: stream.name().to_owned(), source };
        let journal = record.to_json().map_err(|error| failed(error.into()))?;
        self.store.replace(stream.name(), &journal).map_err(failed)?;
        stream.saved(position);
        Ok(())
    }

    fn save_start(&mut self, id: StreamId) {
        if let Some(position) = self.slots[id.0].stream.take_unsaved_start()
            && let Err(problem) = self.checkpoint(id, &position)
        {
            self.problems.push(problem);
        }
    }

    /// The stream.
    pub fn stream(&self, id: StreamId) -> &Stream {
        &self.slots[id.0].stream
    }

    /// All streams in the order of discovery.
    pub fn ids(&self) -> impl Iterator<Item = StreamId> + use<> {
        (0..self.slots.len()).map(StreamId)
    }

    /// Files that are open now.
    pub fn open_files(&self) -> usize {
        self.open_files
    }

    /// What went wrong without stopping anything, since the last call; each once, not once a scan.
    pub fn take_problems(&mut self) -> Vec<Error> {
        self.problems.append(&mut self.catalog.take_problems());
        std::mem::take(&mut self.problems)
    }

    /// Takes over what scans found, whoever asked for them.
    fn absorb(&mut self) {
        if self.absorbed == self.catalog.generation() {
            return;
        }
        self.absorbed = self.catalog.generation();
        let mut aged = HashMap::new();
        let mut created = Vec::new();
        for (name, listing) in self.catalog.listings() {
            if let Some(&index) = self.by_name.get(name) {
                let slot = &mut self.slots[index];
                if slot.stream.is_news(listing) {
                    self.changed.push(StreamId(index));
                }
                slot.stream.update(listing);
            } else if listing.iter().all(|entry| entry.aged) {
                let sizes = listing.iter().map(|entry| (entry.id, entry.bytes)).collect();
                aged.insert(name.to_owned(), sizes);
            } else {
                created.push((name.to_owned(), Arc::clone(listing)));
            }
        }
        for (name, listing) in created {
            let sizes = self.aged.get(&name).map_or(&[][..], Vec::as_slice);
            let (start, problem) =
                start_of(&name, &listing, &self.settings, self.store.as_ref(), sizes);
            self.problems.extend(problem);
            self.add(name, listing, start);
        }
        self.aged = aged;
    }

    fn add(&mut self, name: String, listing: Listing, start: Start) {
        let index = self.slots.len();
        self.by_name.insert(name.clone(), index);
        let stream = Stream::new(name, listing, start);
        self.slots.push(Slot { stream, watched: None, is_idle: false, active: 0 });
        self.fresh.push(StreamId(index));
    }

    fn take_changes(&mut self, now: Now) {
        let Some(watcher) = &mut self.watcher else { return };
        let changes = match watcher.take() {
            Ok(changes) => changes,
            Err(source) => {
                self.problems.push(Error::Watch { source });
                self.watcher = None;
                self.watches_files = false;
                return;
            }
        };
        if let Some(source) = watcher.take_failure() {
            self.problems.push(Error::Watch { source });
            self.watches_files = false;
            self.schedule.round_at = Some(now.steady);
        }
        for index in changes.streams {
            self.slots[index].watched = None;
            self.changed.push(StreamId(index));
        }
        let mut names = changes.names.iter();
        self.schedule.scan_wanted |=
            names.any(|(path, is_directory)| *is_directory || self.catalog.concerns(path));
        if changes.overflow {
            self.schedule.scan_wanted = true;
            self.slots.iter_mut().for_each(|slot| slot.watched = None);
            self.changed.extend((0..self.slots.len()).map(StreamId));
        }
    }

    /// Time until the next scan is due.
    fn scan_in(&self, now: Now) -> Option<Duration> {
        let Some(last) = self.catalog.last_scan() else { return Some(Duration::ZERO) };
        let interval = self.settings.rescan_interval?;
        let elapsed = now.steady.saturating_duration_since(last);
        let mut interval = interval;
        if self.schedule.scan_wanted {
            let gap = SCAN_GAP_MIN.max(self.schedule.scan_took * SCAN_GAP_FACTOR);
            interval = interval.min(gap);
        }
        if !self.catalog.is_resolved() {
            interval = interval.min(DIRECTORY_RETRY);
        }
        Some(interval.saturating_sub(elapsed))
    }

    /// How long a round over all streams takes; `None` where each is read only once.
    fn round_time(&self) -> Option<Duration> {
        let interval = self.settings.check_data_interval?;
        Some(if self.watches_files { SAFETY_INTERVAL.max(interval) } else { interval })
    }

    fn round_in(&self, now: Now) -> Option<Duration> {
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return None;
        }
        let portion = self.round_time()? / count.min(ROUND_PORTIONS);
        let since = self.schedule.round_at.unwrap_or(now.steady);
        Some(portion.saturating_sub(now.steady.saturating_duration_since(since)))
    }

    /// Adds the streams whose turn it is, whether or not anything is known of them.
    fn round(&mut self, now: Now) {
        let since = *self.schedule.round_at.get_or_insert(now.steady);
        if self.round_in(now).is_none_or(|time| !time.is_zero()) {
            return;
        }
        let (count, time) = (self.slots.len(), self.round_time().unwrap_or(SAFETY_INTERVAL));
        let elapsed = now.steady.saturating_duration_since(since);
        let share = elapsed.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE);
        // Saturates; at least one, else nobody's turn would ever come.
        let due = ((share * count as f64) as usize).clamp(1, count);
        for _ in 0..due {
            self.schedule.round_next = (self.schedule.round_next + 1) % count;
            self.changed.push(StreamId(self.schedule.round_next));
        }
        self.schedule.round_at = Some(now.steady);
    }

    /// Watches the file of an idle stream; whether a watch was set that was not there before.
    fn watch(&mut self, id: StreamId) -> bool {
        let slot = &mut self.slots[id.0];
        let wanted = slot.stream.watch_key();
        let (Some(watcher), true) = (&mut self.watcher, self.watches_files) else { return false };
        if slot.watched == Some(wanted) {
            return false;
        }
        let mut added = false;
        for (fd, path) in slot.stream.watch_targets() {
            added |= watcher.watch_file(id.0, fd, path);
        }
        slot.watched = Some(wanted);
        added
    }

    /// Closes the files of streams that are idle for the longest time.
    fn close_idle(&mut self, except: StreamId) {
        let mut idle: Vec<(u64, usize)> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(index, slot)| slot.is_idle && slot.stream.is_open() && *index != except.0)
            .map(|(index, slot)| (slot.active, index))
            .collect();
        idle.sort_unstable();
        let limit = self.settings.open_files_max.max(1);
        let count = (limit / CLOSE_SHARE).max(self.open_files - limit);
        for (_, index) in idle.into_iter().take(count) {
            let stream = &mut self.slots[index].stream;
            stream.close();
            self.open_files -= usize::from(!stream.is_open());
        }
    }
}

/// Where a new stream begins; a journal that cannot be used is a problem and no journal.
pub(crate) fn start_of(
    name: &str,
    listing: &Listing,
    settings: &Settings,
    store: &dyn JournalStore,
    aged: &[(FileId, u64)],
) -> (Start, Option<Error>) {
    let loaded = store.load(name).and_then(|journal| match journal {
        Some(journal) => Record::parse(&journal).map_err(io::Error::from),
        None => Ok(None),
    });
    let problem = match loaded {
        Ok(Some(record)) => return (Start::Journal(record), None),
        Ok(None) => None,
        Err(source) => Some(Error::JournalRead { stream: name.to_owned(), source }),
    };
    if settings.initial_tail {
        return (Start::Tail, problem);
    }
    let newest_aged = listing.iter().rev().find_map(|entry| {
        aged.iter().find(|(id, _)| *id == entry.id).map(|(id, bytes)| Start::Aged(*id, *bytes))
    });
    (newest_aged.unwrap_or(Start::Oldest), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_positions_may_move_to_the_thread_that_drives_them() {
        fn is_send<T: Send>() {}
        is_send::<LogStreams>();
        is_send::<Position>();
    }
}
