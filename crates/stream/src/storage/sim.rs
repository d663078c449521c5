//! A simulated file system for tests: it loses what was not synced, tears writes, fills up, fails and rots.
//!
//! Here: files as a page cache over a disk, power cuts, faults, an operation counter. Not here: what is in the files.
//! Invariants: all that is left open follows from the seeds; what was synced survives every power cut as it is,
//! unless a sync failed before or bits were flipped on purpose; no name that was synced vanishes unless removed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Durability, GrowingFile, Storage};

/// Bytes that a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// Random numbers from a seed, the same on every machine (SplitMix64).
#[derive(Debug, Clone)]
pub struct SimRandom(u64);

impl SimRandom {
    /// Numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below a limit; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        // The bias is far below what a test could notice.
        (self.word() % (limit as u64).max(1)) as usize
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimOperation {
    /// Appending, replacing, creating.
    Write,
    /// Making safe.
    Sync,
    /// Cutting to a length.
    Truncate,
    /// Removing.
    Remove,
    /// Reading from an open file or a whole one.
    Read,
}

/// Where in an operation the machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimStop {
    /// Nothing of it is done.
    Before,
    /// A part of it is done.
    Middle,
    /// All of it is done, but the caller never hears of it.
    After,
}

/// A simulated file system. Clones are the same one; [`kill`](Self::kill) and [`crash`](Self::crash) give another.
#[derive(Debug, Clone)]
pub struct SimStorage {
    shared: Arc<Mutex<World>>,
}

type InodeId = usize;

#[derive(Debug, Clone)]
struct World {
    random: SimRandom,
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Name>,
    /// Operations that change something, so far.
    operations: u64,
    stop: Option<(u64, SimStop)>,
    stopped: bool,
    /// Bytes that can still be written.
    room: Option<u64>,
    /// How many operations of a kind go well before one fails.
    failing: BTreeMap<SimOperation, BTreeSet<u64>>,
    counts: BTreeMap<SimOperation, u64>,
}

/// What a path stands for.
#[derive(Debug, Clone, Default)]
struct Name {
    durable: Option<InodeId>,
    /// What it came to stand for since then.
    pending: Vec<Option<InodeId>>,
}

impl Name {
    fn current(&self) -> Option<InodeId> {
        self.pending.last().copied().unwrap_or(self.durable)
    }
}

#[derive(Debug, Clone, Default)]
struct Inode {
    /// What reads show.
    current: Vec<u8>,
    /// What the disk is known to hold.
    durable: Vec<u8>,
    /// What was done since then.
    pending: Vec<Change>,
    /// Sectors that a failed sync dropped: the cache shows them, and no later sync writes them.
    dropped: BTreeSet<usize>,
    /// Bytes that no read gets over.
    unreadable: Vec<Range<usize>>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

fn sectors(from: usize, to: usize) -> Range<usize> {
    from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES)
}

/// Copies a sector, as far as it lies below both ends of `target`; what `source` has not is zero.
fn copy_sector(target: &mut [u8], source: &[u8], sector: usize) {
    let start = sector * SECTOR_BYTES;
    let end = (start + SECTOR_BYTES).min(target.len());
    for (at, byte) in target.iter_mut().enumerate().take(end).skip(start) {
        *byte = source.get(at).copied().unwrap_or(0);
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(bytes);
            }
            Self::Truncate(len) => content.truncate(*len),
        }
    }
}

impl Inode {
    fn append(&mut self, bytes: &[u8]) {
        let offset = self.current.len();
        self.current.extend_from_slice(bytes);
        // The whole sector is dirty again, and written by the next sync.
        for sector in sectors(offset, self.current.len()) {
            if self.dropped.remove(&sector) {
                let start = sector * SECTOR_BYTES;
                let end = (start + SECTOR_BYTES).min(offset);
                let bytes = self.current[start.min(end)..end].to_vec();
                self.pending.push(Change::Write { offset: start, bytes });
            }
        }
        self.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    fn truncate(&mut self, len: usize) {
        if len < self.current.len() {
            self.current.truncate(len);
            self.dropped.retain(|&sector| sector * SECTOR_BYTES < len);
            self.pending.push(Change::Truncate(len));
        }
    }

    fn dirty(&self) -> BTreeSet<usize> {
        let range = |change: &Change| match change {
            Change::Write { offset, bytes } => sectors(*offset, offset + bytes.len()),
            Change::Truncate(len) => sectors(*len, *len),
        };
        self.pending.iter().flat_map(range).collect()
    }

    fn sync(&mut self) {
        let mut durable = self.current.clone();
        for &sector in &self.dropped {
            copy_sector(&mut durable, &self.durable, sector);
        }
        self.durable = durable;
        self.pending.clear();
    }

    /// The kernel tried to write, failed on some sectors, and calls all of them clean.
    fn fail_sync(&mut self, random: &mut SimRandom) {
        let lost: Vec<_> = self.dirty().into_iter().filter(|_| !random.once_in(3)).collect();
        self.dropped.extend(lost);
        self.sync();
    }

    /// What the disk holds after a power cut.
    fn after_power_cut(&self, random: &mut SimRandom) -> Vec<u8> {
        let mut versions = vec![self.durable.clone()];
        for change in &self.pending {
            let mut next = versions.last().cloned().unwrap_or_default();
            change.apply(&mut next);
            versions.push(next);
        }
        let newest = versions.len() - 1;
        let at = if random.once_in(3) { newest } else { random.below(versions.len()) };
        let mut content = versions[at].clone();
        if let Some(next) = versions.get(at + 1).filter(|next| next.len() > content.len()) {
            let more = content.len() + random.below(next.len() - content.len() + 1);
            content.extend_from_slice(&next[content.len()..more]);
        }
        // One time in three the disk wrote in order, else each sector has its own fate.
        if !random.once_in(3) {
            let whole = 1 + random.below(8);
            for sector in self.dirty() {
                if random.once_in(whole) {
                    let version = random.below(versions.len());
                    copy_sector(&mut content, &versions[version], sector);
                }
            }
        }
        for &sector in &self.dropped {
            copy_sector(&mut content, &self.durable, sector);
        }
        content
    }
}

fn broken() -> io::Error {
    io::Error::other("a simulated fault of the disk")
}

impl World {
    /// Counts an operation; says how much of it is to be done, and what the caller is told.
    fn begin(&mut self, operation: SimOperation) -> (Extent, io::Result<()>) {
        if self.stopped {
            return (Extent::Nothing, Err(io::Error::other("the machine is off")));
        }
        let count = self.counts.entry(operation).or_default();
        *count += 1;
        let fails = self.failing.get_mut(&operation).is_some_and(|at| at.remove(count));
        if operation != SimOperation::Read {
            self.operations += 1;
            if let Some((_, stop)) = self.stop.filter(|&(at, _)| at == self.operations) {
                self.stopped = true;
                let extent = match stop {
                    SimStop::Before => Extent::Nothing,
                    SimStop::Middle => Extent::Part,
                    SimStop::After => Extent::Everything,
                };
                return (extent, Err(io::Error::other("the machine went off")));
            }
        }
        if fails { (Extent::Part, Err(broken())) } else { (Extent::Everything, Ok(())) }
    }

    fn inode_of(&self, path: &Path) -> Option<InodeId> {
        self.names.get(path)?.current()
    }

    fn link(&mut self, path: &Path, inode: Option<InodeId>) {
        self.names.entry(path.to_path_buf()).or_default().pending.push(inode);
    }

    /// Makes the names in the directory of a path as safe as they are.
    fn sync_directory(&mut self, path: &Path) {
        let beside = |other: &Path| other.parent() == path.parent();
        for (_, name) in self.names.iter_mut().filter(|(other, _)| beside(other)) {
            (name.durable, name.pending) = (name.current(), Vec::new());
        }
    }

    /// Takes room for bytes; fewer than wanted if there is not enough.
    fn take_room(&mut self, wanted: usize) -> usize {
        let Some(room) = &mut self.room else { return wanted };
        let taken = usize::try_from(*room).unwrap_or(usize::MAX).min(wanted);
        *room -= taken as u64;
        taken
    }

    fn give_room(&mut self, bytes: usize) {
        if let Some(room) = &mut self.room {
            *room += bytes as u64;
        }
    }

    fn append(&mut self, inode: InodeId, bytes: &[u8]) -> io::Result<()> {
        let (extent, outcome) = self.begin(SimOperation::Write);
        let wanted = match extent {
            Extent::Nothing => 0,
            Extent::Part => self.random.below(bytes.len() + 1),
            Extent::Everything => bytes.len(),
        };
        let fits = self.take_room(wanted);
        self.inodes[inode].append(&bytes[..fits]);
        if fits < wanted && outcome.is_ok() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        outcome
    }

    /// `path` if its directory is to be synced too.
    fn sync(&mut self, inode: InodeId, path: Option<&Path>) -> io::Result<()> {
        let (extent, outcome) = self.begin(SimOperation::Sync);
        match extent {
            // In the middle of it all is as open as before it.
            Extent::Part if self.stopped => {}
            Extent::Part => self.inodes[inode].fail_sync(&mut self.random),
            Extent::Nothing => {}
            Extent::Everything => {
                self.inodes[inode].sync();
                path.inspect(|path| self.sync_directory(path));
            }
        }
        outcome
    }

    fn replace(&mut self, path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
        let (extent, outcome) = self.begin(SimOperation::Write);
        let done = match extent {
            Extent::Nothing => false,
            Extent::Part => self.stopped && self.random.once_in(2),
            Extent::Everything => true,
        };
        if !done {
            return outcome;
        }
        let old = self.inode_of(path).map_or(0, |inode| self.inodes[inode].current.len());
        let fits = self.take_room(content.len());
        if fits < content.len() {
            self.give_room(fits);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.give_room(old);
        let mut inode = Inode::default();
        inode.append(content);
        if durability == Durability::PowerCut {
            inode.sync();
        }
        self.inodes.push(inode);
        let inode = self.inodes.len() - 1;
        self.link(path, Some(inode));
        if durability == Durability::PowerCut && outcome.is_ok() {
            self.sync_directory(path);
        }
        outcome
    }
}

/// How much of an operation is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Nothing,
    Part,
    Everything,
}

impl SimStorage {
    /// An empty file system; the seed decides what is left open while it runs.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let world = World {
            random: SimRandom::new(seed),
            inodes: Vec::new(),
            names: BTreeMap::new(),
            operations: 0,
            stop: None,
            stopped: false,
            room: None,
            failing: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        Self { shared: Arc::new(Mutex::new(world)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, path: &Path, inode: InodeId) -> Box<dyn GrowingFile> {
        let (shared, unsynced_name) = (Arc::clone(&self.shared), Some(path.to_path_buf()));
        Box::new(SimFile { shared, inode, unsynced_name })
    }

    /// The files as the next process finds them after this one was killed: nothing of what was written is lost. No
    /// fault is left to come.
    #[must_use]
    pub fn kill(&self) -> Self {
        let old = self.world();
        let next = Self::new(old.random.clone().word());
        let mut world = next.world();
        (world.inodes, world.names) = (old.inodes.clone(), old.names.clone());
        drop(world);
        next
    }

    /// The files as they are found after a power cut. No fault is left to come.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let next = Self::new(seed);
        let old = self.world();
        let mut guard = next.world();
        let world = &mut *guard;
        for inode in &old.inodes {
            let content = inode.after_power_cut(&mut world.random);
            world.inodes.push(Inode {
                current: content.clone(),
                durable: content,
                unreadable: inode.unreadable.clone(),
                ..Inode::default()
            });
        }
        for (path, name) in &old.names {
            let fate = world.random.below(name.pending.len() + 1);
            let inode = if fate == 0 { name.durable } else { name.pending[fate - 1] };
            if inode.is_some() {
                world.names.insert(path.clone(), Name { durable: inode, pending: Vec::new() });
            }
        }
        drop(guard);
        next
    }

    /// Operations that changed something, or tried to, so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Makes the machine stop at an operation, counted from 1; from then on every operation fails.
    pub fn stop_at(&self, operation: u64, stop: SimStop) {
        self.world().stop = Some((operation, stop));
    }

    /// True once it has stopped.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.world().stopped
    }

    /// Makes the n-th operation of a kind from now on fail, the next one for 1. A write that fails may be done in
    /// part; after a failed sync, data may be shown that no later sync writes.
    pub fn fail(&self, operation: SimOperation, nth: u64) {
        let mut world = self.world();
        let at = world.counts.get(&operation).copied().unwrap_or(0) + nth;
        world.failing.entry(operation).or_default().insert(at);
    }

    /// No fault is left to come, there is room, and all can be read.
    pub fn heal(&self) {
        let mut world = self.world();
        world.failing.clear();
        world.room = None;
        world.inodes.iter_mut().for_each(|inode| inode.unreadable.clear());
    }

    /// Sets how many bytes can still be written; `None` for any number.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.world().room = bytes;
    }

    /// These bytes of a file cannot be read any more.
    pub fn spoil(&self, path: &Path, bytes: Range<usize>) {
        let mut world = self.world();
        if let Some(inode) = world.inode_of(path) {
            world.inodes[inode].unreadable.push(bytes);
        }
    }

    /// Flips a bit of a file, on the disk and in the cache; false if there is no such bit.
    pub fn flip(&self, path: &Path, bit: u64) -> bool {
        let mut world = self.world();
        let Some(inode) = world.inode_of(path) else { return false };
        let (at, mask) = (usize::try_from(bit / 8).unwrap_or(usize::MAX), 1 << (bit % 8));
        let Inode { current, durable, .. } = &mut world.inodes[inode];
        for content in [&mut *durable, &mut *current] {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= mask;
            }
        }
        at < current.len()
    }
}

impl Storage for SimStorage {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let mut world = self.world();
        world.begin(SimOperation::Read).1?;
        Ok(world.inode_of(path).map(|inode| world.inodes[inode].current.clone()))
    }

    fn replace(&self, path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
        self.world().replace(path, content, durability)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let (extent, outcome) = world.begin(SimOperation::Remove);
        if let Some(inode) = world.inode_of(path).filter(|_| extent == Extent::Everything) {
            let bytes = world.inodes[inode].current.len();
            world.give_room(bytes);
            world.link(path, None);
        }
        outcome
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut world = self.world();
        world.begin(SimOperation::Read).1?;
        let inside = world
            .names
            .iter()
            .filter(|(path, name)| path.parent() == Some(directory) && name.current().is_some());
        Ok(inside.filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        let mut world = self.world();
        let (extent, outcome) = world.begin(SimOperation::Write);
        if outcome.is_ok() && world.inode_of(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = world.inodes.len();
        if extent == Extent::Everything && world.inode_of(path).is_none() {
            world.inodes.push(Inode::default());
            world.link(path, Some(inode));
        }
        outcome?;
        Ok(self.file(path, inode))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        let mut world = self.world();
        world.begin(SimOperation::Read).1?;
        let inode = world.inode_of(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(path, inode))
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.world().room.unwrap_or(u64::MAX))
    }
}

/// An open file; it stays open when its name is removed.
#[derive(Debug)]
struct SimFile {
    shared: Arc<Mutex<World>>,
    inode: InodeId,
    /// Its path while its directory was not synced since it was opened.
    unsynced_name: Option<PathBuf>,
}

impl SimFile {
    fn world(&self) -> MutexGuard<'_, World> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GrowingFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let world = self.world();
        if world.stopped {
            return Err(io::Error::other("the machine is off"));
        }
        Ok(world.inodes[self.inode].current.len() as u64)
    }

    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.world().append(self.inode, &bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.world();
        world.begin(SimOperation::Read).1?;
        let content = &world.inodes[self.inode].current;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let count = (content.len() - start).min(buffer.len());
        let is_in_it = |bad: &Range<usize>| bad.start < start + count && start < bad.end;
        if world.inodes[self.inode].unreadable.iter().any(is_in_it) {
            return Err(broken());
        }
        buffer[..count].copy_from_slice(&content[start..start + count]);
        Ok(count)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut guard = self.world();
        let world = &mut *guard;
        let (extent, outcome) = world.begin(SimOperation::Truncate);
        if extent == Extent::Everything {
            let inode = &mut world.inodes[self.inode];
            let before = inode.current.len();
            inode.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            let cut = before - inode.current.len();
            world.give_room(cut);
        }
        outcome
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.world().sync(self.inode, self.unsynced_name.as_deref());
        if synced.is_ok() {
            self.unsynced_name = None;
        }
        synced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/d/file";

    fn create(storage: &SimStorage) -> Box<dyn GrowingFile> {
        storage.create(Path::new(PATH)).unwrap()
    }

    fn append(file: &mut dyn GrowingFile, byte: u8, count: usize) -> io::Result<()> {
        file.append(&mut [IoSlice::new(&vec![byte; count])])
    }

    fn content(storage: &SimStorage) -> Option<Vec<u8>> {
        storage.read(Path::new(PATH)).unwrap()
    }

    #[test]
    fn what_was_synced_survives_every_power_cut_and_the_rest_in_any_part() {
        let storage = SimStorage::new(1);
        let mut file = create(&storage);
        append(&mut *file, 1, 700).unwrap();
        file.sync().unwrap();
        append(&mut *file, 2, 3000).unwrap();
        let (mut lengths, mut holes) = (BTreeSet::new(), 0);
        for seed in 0..500 {
            let found = content(&storage.crash(seed)).unwrap();
            assert!(found[..700].iter().all(|&byte| byte == 1), "seed {seed}");
            assert!(found[700..].iter().all(|&byte| byte == 2 || byte == 0), "seed {seed}");
            lengths.insert(found.len());
            holes += usize::from(found[700..].windows(2).any(|pair| pair == [0, 2]));
        }
        assert!(lengths.len() > 50 && lengths.contains(&700) && lengths.contains(&3700));
        assert!(holes > 20, "{holes}");
        assert_eq!(content(&storage.kill()).unwrap().len(), 3700);
    }

    #[test]
    fn names_last_from_their_first_sync_and_removed_ones_may_come_back() {
        let storage = SimStorage::new(1);
        let there = |storage: &SimStorage| {
            (0..50).filter(|&seed| content(&storage.crash(seed)).is_some()).count()
        };
        let mut file = create(&storage);
        append(&mut *file, 1, 10).unwrap();
        assert!((1..50).contains(&there(&storage)));
        file.sync().unwrap();
        assert_eq!(there(&storage), 50);
        storage.remove(Path::new(PATH)).unwrap();
        assert!((1..50).contains(&there(&storage)));
        assert_eq!(content(&storage), None);
        let mut byte = [0];
        assert_eq!(file.read_at(&mut byte, 0).unwrap(), 1, "an open file stays");
    }

    #[test]
    fn replacing_is_atomic_and_lasts_where_it_was_asked_for() {
        let storage = SimStorage::new(1);
        let path = Path::new(PATH);
        storage.replace(path, b"old", Durability::PowerCut).unwrap();
        storage.replace(path, b"newer", Durability::Crash).unwrap();
        let found: BTreeSet<_> =
            (0..200).map(|seed| content(&storage.crash(seed)).unwrap()).collect();
        assert!(found.contains(&b"old"[..]) && found.contains(&b"newer"[..]));
        assert!(found.iter().all(|content| {
            content == b"old" || content.iter().zip(b"newer").all(|(&a, &b)| a == b || a == 0)
        }));
        storage.replace(path, b"safe", Durability::PowerCut).unwrap();
        assert!((0..50).all(|seed| content(&storage.crash(seed)).unwrap() == b"safe"));
    }

    #[test]
    fn a_failed_sync_may_drop_what_reads_still_show_and_the_next_one_does_not_bring_it_back() {
        let mut dropped = 0;
        for seed in 0..50 {
            let storage = SimStorage::new(seed);
            let mut file = create(&storage);
            append(&mut *file, 1, 512).unwrap();
            file.sync().unwrap();
            append(&mut *file, 2, 2048).unwrap();
            storage.fail(SimOperation::Sync, 1);
            assert!(file.sync().is_err());
            file.sync().unwrap();
            assert!(content(&storage).unwrap()[512..].iter().all(|&byte| byte == 2));
            let after = content(&storage.crash(seed)).unwrap();
            assert!(after[..512].iter().all(|&byte| byte == 1));
            dropped += usize::from(after[512..].contains(&0));
        }
        assert!(dropped > 25, "{dropped}");
    }

    #[test]
    fn a_full_disk_takes_a_part_and_removing_makes_room() {
        let storage = SimStorage::new(1);
        let mut file = create(&storage);
        storage.set_room(Some(100));
        append(&mut *file, 1, 60).unwrap();
        let error = append(&mut *file, 2, 60).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.len().unwrap(), 100);
        assert_eq!(storage.free_bytes(Path::new("/d")).unwrap(), 0);
        file.truncate(60).unwrap();
        assert!(storage.replace(Path::new("/d/other"), &[0; 41], Durability::Crash).is_err());
        storage.replace(Path::new("/d/other"), &[0; 40], Durability::Crash).unwrap();
        storage.remove(Path::new(PATH)).unwrap();
        assert_eq!(storage.free_bytes(Path::new("/d")).unwrap(), 60);
    }

    #[test]
    fn the_machine_stops_before_in_or_after_an_operation() {
        for (stop, least, most) in
            [(SimStop::Before, 4, 4), (SimStop::Middle, 4, 104), (SimStop::After, 104, 104)]
        {
            let storage = SimStorage::new(3);
            let mut file = create(&storage);
            append(&mut *file, 1, 4).unwrap();
            storage.stop_at(3, stop);
            assert!(append(&mut *file, 2, 100).is_err() && storage.stopped());
            assert!(file.sync().is_err() && storage.read(Path::new(PATH)).is_err());
            let len = content(&storage.kill()).unwrap().len();
            assert!((least..=most).contains(&len), "{stop:?}: {len}");
            assert_eq!(storage.operations(), 3);
        }
    }

    #[test]
    fn reads_fail_when_told_and_bits_rot_on_the_disk_too() {
        let storage = SimStorage::new(1);
        let mut file = create(&storage);
        append(&mut *file, 0, 4).unwrap();
        file.sync().unwrap();
        storage.fail(SimOperation::Read, 2);
        assert!(content(&storage).is_some() && storage.read(Path::new(PATH)).is_err());
        assert!(storage.flip(Path::new(PATH), 9) && !storage.flip(Path::new(PATH), 32));
        assert_eq!(content(&storage).unwrap(), [0, 2, 0, 0]);
        assert_eq!(content(&storage.crash(1)).unwrap(), [0, 2, 0, 0]);
    }

    #[test]
    fn the_same_seeds_give_the_same_files() {
        let run = |seed| {
            let storage = SimStorage::new(seed);
            let mut file = create(&storage);
            storage.fail(SimOperation::Write, 1);
            assert!(append(&mut *file, 1, 5000).is_err());
            append(&mut *file, 2, 5000).unwrap();
            content(&storage.crash(seed))
        };
        assert_eq!(run(7), run(7));
        assert!((0..20).any(|seed| run(seed) != run(seed + 1)));
    }
}
