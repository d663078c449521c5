//! Writing a log: groups of records behind the end, segments that follow each other, recovery when it is opened.
//!
//! Invariants: what [`LogWriter::sync`] confirmed is never written again; a segment is begun, and another one removed,
//! only when everything before the newest one's end is safe, so that a power cut tears the newest segment alone; what
//! failed is never taken for what was written instead (a segment's number says from where on it stands for the ones
//! before it); opening never fails because of what is in the files.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heka_message::Buffer;

use crate::log::error::LogError;
use crate::log::format::{
    ALIGNMENT, BODY_BYTES_MAX, LogId, RECORD_HEADER_BYTES, RecordHeader, RecordKind,
    SEGMENT_HEADER_BYTES, SegmentHeader, segment_name,
};
use crate::log::reader::{
    Damage, ID_FILE, LogReader, SegmentKey, Tail, UNREADABLE, find_id, list_segments,
};
use crate::log::state::{LogState, take_progress};
use crate::storage::{Durability, GrowingFile, Storage};

/// Raw bytes up to this length are copied beside the rest of their record: a part of a write costs more than that.
const COPIED_RAW_BYTES: usize = 4 << 10;

/// Where a log lies and how its files are cut.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Its directory, which holds nothing else.
    pub directory: PathBuf,
    /// A segment is followed by another one once it has so many bytes.
    pub segment_bytes: u64,
}

/// A segment as its log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    key: SegmentKey,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was made, ns since 1970; 0 if its header is damaged.
    pub created_ns: i64,
}

impl Segment {
    /// Every batch in it has this sequence number or a higher one.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.key.0
    }

    /// Its file name.
    #[must_use]
    pub fn name(&self) -> String {
        segment_name(self.key.0, self.key.1)
    }
}

/// What was found when a log was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Cursors and positions.
    pub state: LogState,
    /// What could not be read.
    pub damage: Vec<Damage>,
    /// What was cut off the end of the last segment: a write that a crash interrupted.
    pub torn: Option<Damage>,
}

/// Records that are written together.
#[derive(Debug)]
pub struct Group {
    id: LogId,
    scratch: Vec<u8>,
    chunks: Vec<Chunk>,
    bytes: u64,
    /// End of the part of `scratch` that is in `chunks`.
    chunked: usize,
    /// Lowest and highest number of its batches and dead letters.
    batches: Option<(u64, u64)>,
    /// Length of its longest body.
    longest: usize,
}

#[derive(Debug)]
enum Chunk {
    Scratch(Range<usize>),
    Raw(Buffer),
}

/// What a record is, besides its body.
#[derive(Debug, Clone, Copy)]
pub struct RecordMeta {
    /// What it holds.
    pub kind: RecordKind,
    /// Number of messages.
    pub messages: usize,
    /// Sequence number.
    pub sequence: u64,
    /// Now, ns since 1970.
    pub time_ns: i64,
}

impl Group {
    fn new(id: LogId) -> Self {
        Self {
            id,
            scratch: Vec::new(),
            chunks: Vec::new(),
            bytes: 0,
            chunked: 0,
            batches: None,
            longest: 0,
        }
    }

    /// Adds a record; its body is `raw` and what `fill` appends.
    pub fn push(&mut self, meta: RecordMeta, raw: &Buffer, fill: impl FnOnce(&mut Vec<u8>)) {
        let header_at = self.scratch.len();
        self.scratch.resize(header_at + RECORD_HEADER_BYTES, 0);
        let mut checksum = crc32c::crc32c(raw);
        if raw.len() <= COPIED_RAW_BYTES {
            self.scratch.extend_from_slice(raw);
        } else {
            self.chunks.push(Chunk::Scratch(self.chunked..self.scratch.len()));
            self.chunks.push(Chunk::Raw(raw.clone()));
            self.chunked = self.scratch.len();
        }
        let rest_at = self.scratch.len();
        fill(&mut self.scratch);
        checksum = crc32c::crc32c_append(checksum, &self.scratch[rest_at..]);
        let body_bytes = raw.len() + self.scratch.len() - rest_at;
        let header = RecordHeader {
            kind: meta.kind,
            body_bytes: u32::try_from(body_bytes).unwrap_or(u32::MAX),
            messages: u32::try_from(meta.messages).unwrap_or(u32::MAX),
            sequence: meta.sequence,
            time_ns: meta.time_ns,
            checksum,
        };
        let padding = (RECORD_HEADER_BYTES + body_bytes).next_multiple_of(ALIGNMENT)
            - (RECORD_HEADER_BYTES + body_bytes);
        self.scratch.resize(self.scratch.len() + padding, 0);
        self.scratch[header_at..header_at + RECORD_HEADER_BYTES]
            .copy_from_slice(&header.encode(&self.id));
        self.bytes += header.total_bytes();
        self.longest = self.longest.max(body_bytes);
        if meta.kind.is_numbered() {
            let (first, last) = self.batches.unwrap_or((meta.sequence, meta.sequence));
            self.batches = Some((first.min(meta.sequence), last.max(meta.sequence)));
        }
    }

    /// Adds cursors and positions.
    pub fn push_state(&mut self, kind: RecordKind, state: &LogState, time_ns: i64) {
        let meta = RecordMeta { kind, messages: 0, sequence: state.next_sequence, time_ns };
        self.push(meta, &Buffer::empty(), |out| state.encode(out));
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True if it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Takes all records out, keeping the memory.
    pub fn clear(&mut self) {
        self.scratch.clear();
        self.chunks.clear();
        (self.bytes, self.chunked, self.batches, self.longest) = (0, 0, None, 0);
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(self.chunks.len() + 1);
        for chunk in &self.chunks {
            slices.push(match chunk {
                Chunk::Scratch(range) => IoSlice::new(&self.scratch[range.clone()]),
                Chunk::Raw(raw) => IoSlice::new(raw),
            });
        }
        slices.push(IoSlice::new(&self.scratch[self.chunked..]));
        slices
    }
}

/// The only writer of a log.
#[derive(Debug)]
pub struct LogWriter {
    storage: Arc<dyn Storage>,
    settings: LogSettings,
    id: LogId,
    /// Oldest first; the last one is `current`, if that is there.
    segments: VecDeque<Segment>,
    current: Option<Box<dyn GrowingFile>>,
    /// Nothing more is put into `current`: the next group begins another segment.
    ended: bool,
    /// Something was done to `current` since its last sync.
    unsynced: bool,
    /// Something was cut off `current` since its last sync: what comes next must not mix with it on the disk.
    cut: bool,
    /// Number behind the last batch that is written.
    next: u64,
    /// Bytes that `current` began with.
    begun_bytes: u64,
    /// Length of `current` and `next` as of its last sync.
    safe: (u64, u64),
    /// The newest segment whose snapshot of the state is safe.
    anchor: Option<SegmentKey>,
    generation: u32,
}

impl LogWriter {
    /// Opens the log of a directory, made if needed, and finds out how it was left.
    ///
    /// # Errors
    /// If the directory or a file in it cannot be used at all. Whatever is in the files is no error.
    pub fn open(
        storage: Arc<dyn Storage>,
        settings: LogSettings,
    ) -> Result<(Self, Recovered), LogError> {
        let keys = list_segments(&*storage, &settings.directory)?;
        let id = match find_id(&*storage, &settings.directory, &keys)? {
            Some(id) => id,
            None => new_id(&*storage, &settings.directory)?,
        };
        let mut segments = VecDeque::new();
        for key in &keys {
            segments.push_back(segment(&*storage, &settings.directory, *key)?);
        }
        let Scan { state, anchor, mut damage, senseless } =
            recover_state(&storage, &settings.directory, id, &keys)?;
        let torn = match segments.back_mut() {
            Some(last) => settle_last(&*storage, &settings.directory, last, &mut damage)?,
            None => None,
        };
        damage.extend(senseless);
        let recovered = Recovered { state, damage, torn };
        let generation = keys.iter().map(|key| key.1).max().unwrap_or(0);
        let next = recovered.state.next_sequence;
        let writer = Self {
            storage,
            settings,
            id,
            segments,
            current: None,
            ended: false,
            unsynced: false,
            cut: false,
            next,
            begun_bytes: 0,
            safe: (0, next),
            anchor,
            generation,
        };
        Ok((writer, recovered))
    }

    /// What tells it from other logs.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// An empty group of this log.
    #[must_use]
    pub fn group(&self) -> Group {
        Group::new(self.id)
    }

    /// Writes a group behind the end. A new segment begins with `state`, which says what holds without the group.
    ///
    /// # Errors
    /// If it cannot be written; the log is then as before. [`LogError::Sync`] means that what was written since the last
    /// sync is lost too, as after a failed [`sync`](Self::sync).
    pub fn write(&mut self, group: &Group, state: &LogState, now_ns: i64) -> Result<(), LogError> {
        if group.longest > BODY_BYTES_MAX {
            return Err(LogError::Content(format!("its body has {} bytes", group.longest)));
        }
        let used = self.segments.back().map_or(0, |segment| segment.bytes);
        let full = used + group.bytes > self.settings.segment_bytes && used > self.begun_bytes;
        if self.current.is_none() || self.ended || full {
            self.sync()?;
            let first = group.batches.map_or(self.next, |batches| batches.0.min(self.next));
            self.begin_segment(first, state, now_ns)?;
        } else if self.cut {
            self.sync()?;
        }
        self.append(&mut group.slices(), group.bytes)?;
        self.next = group.batches.map_or(self.next, |batches| batches.1.saturating_add(1));
        Ok(())
    }

    /// Makes all that was written safe.
    ///
    /// # Errors
    /// If that cannot be said. Nothing written since the last success counts then; it has to be written again under the
    /// same numbers, and goes to a new segment. (Only a caller that syncs after each group can use the numbers of one
    /// that failed for another one: with several, some may have become safe when a segment was begun or removed.)
    pub fn sync(&mut self) -> Result<(), LogError> {
        let path = self.path_of_last();
        let last_bytes = self.segments.back().map_or(0, |last| last.bytes);
        let Some(file) = self.current.as_mut().filter(|_| self.unsynced) else { return Ok(()) };
        (self.unsynced, self.cut) = (false, false);
        if let Err(error) = file.sync() {
            // The system may have thrown away what it could not write, and say yes the next time. It may also still
            // show it; where it cannot be cut off, the tail and the next segment's number say that it does not count.
            drop(file.truncate(self.safe.0));
            self.next = self.safe.1;
            self.current = None;
            if let Some(last) = self.segments.back_mut() {
                last.bytes = self.safe.0;
            }
            if self.safe.0 == 0 {
                self.drop_last();
            }
            return Err(LogError::sync(path)(error));
        }
        self.safe = (last_bytes, self.next);
        self.anchor = self.segments.back().map(|last| last.key);
        Ok(())
    }

    /// Where the written part ends.
    pub(crate) fn tail(&self) -> Option<Tail> {
        let last = self.segments.back()?;
        Some(Tail { segment: last.key, bytes: last.bytes })
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator {
        self.segments.iter()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.settings.directory
    }

    /// Removes the oldest segment; the one being written goes too, if it is the only one left.
    ///
    /// # Errors
    /// If the file cannot be removed, or the segments behind it were not begun well; it stays in the list. [`LogError::Sync`] is as after a failed
    /// [`sync`](Self::sync).
    pub fn remove_oldest(&mut self) -> Result<(), LogError> {
        if self.segments.len() > 1 {
            // After a power cut the cursors and positions must be in one of the segments.
            self.sync()?;
        }
        let Some(oldest) = self.segments.front() else { return Ok(()) };
        let path = self.settings.directory.join(oldest.name());
        if self.segments.len() > 1 && self.anchor.is_none_or(|anchor| anchor <= oldest.key) {
            return Err(LogError::Needed { path });
        }
        self.storage.remove(&path).map_err(LogError::io("remove", path))?;
        self.segments.pop_front();
        if self.segments.is_empty() {
            (self.current, self.unsynced) = (None, false);
            self.safe = (0, self.next);
        }
        Ok(())
    }

    /// Ends the segment being written; the next group begins another one.
    pub fn end_segment(&mut self) {
        self.ended = true;
    }

    fn path_of_last(&self) -> PathBuf {
        let name = self.segments.back().map(Segment::name).unwrap_or_default();
        self.settings.directory.join(name)
    }

    /// Begins a segment; everything before must be safe. From `first` on it stands for the segments before it.
    fn begin_segment(&mut self, first: u64, state: &LogState, now_ns: i64) -> Result<(), LogError> {
        self.current = None;
        self.generation = self.generation.wrapping_add(1);
        // What is safe stays where it is; and readers go through the segments in the order of their numbers.
        let floor = self.segments.back().map_or(0, |last| last.key.0);
        let first = first.max(self.safe.1).max(floor);
        let key = (first, self.generation);
        let path = self.settings.directory.join(segment_name(key.0, key.1));
        let file = self.storage.create(&path).map_err(LogError::io("create", &path))?;
        self.current = Some(file);
        (self.ended, self.cut, self.safe.0) = (false, false, 0);
        self.segments.push_back(Segment { key, bytes: 0, created_ns: now_ns });
        let header = SegmentHeader { id: self.id, first, created_ns: now_ns }.encode();
        let mut snapshot = Group::new(self.id);
        // A caller that lost what it wrote may not know what became safe of it: no number is given twice.
        let next_sequence = state.next_sequence.max(first);
        let state = LogState { next_sequence, ..state.clone() };
        snapshot.push_state(RecordKind::StateSnapshot, &state, now_ns);
        let mut parts = snapshot.slices();
        parts.insert(0, IoSlice::new(&header));
        self.begun_bytes = header.len() as u64 + snapshot.bytes;
        let begun = self.append(&mut parts, self.begun_bytes);
        if begun.is_err() {
            (self.current, self.unsynced) = (None, false);
            self.drop_last();
        }
        begun
    }

    /// Removes the last segment, which was not begun well. If it cannot be removed it stays in the list, to be removed in
    /// its turn; readers pass over it.
    fn drop_last(&mut self) {
        if self.storage.remove(&self.path_of_last()).is_ok() {
            self.segments.pop_back();
        }
    }

    fn append(&mut self, parts: &mut [IoSlice<'_>], bytes: u64) -> Result<(), LogError> {
        let path = self.path_of_last();
        let (Some(file), Some(last)) = (&mut self.current, self.segments.back_mut()) else {
            return Err(LogError::Content("no segment is open".to_owned()));
        };
        self.unsynced = true;
        match file.append(parts) {
            Ok(()) => {
                last.bytes += bytes;
                Ok(())
            }
            Err(error) => {
                self.cut = true;
                // Where the half written end cannot be cut off, nothing more is put behind it.
                self.ended |= file.truncate(last.bytes).is_err();
                Err(LogError::io("write", path)(error))
            }
        }
    }
}

fn new_id(storage: &dyn Storage, directory: &Path) -> Result<LogId, LogError> {
    let mut id = LogId::default();
    // The standard library seeds its hash maps from the system's entropy.
    id[..8].copy_from_slice(&RandomState::new().hash_one(1_u8).to_le_bytes());
    id[8..].copy_from_slice(&RandomState::new().hash_one(2_u8).to_le_bytes());
    let path = directory.join(ID_FILE);
    storage.replace(&path, &id, Durability::PowerCut).map_err(LogError::io("write", path))?;
    Ok(id)
}

pub(super) fn segment(
    storage: &dyn Storage,
    directory: &Path,
    key: SegmentKey,
) -> Result<Segment, LogError> {
    let path = directory.join(segment_name(key.0, key.1));
    let file = storage.open(&path).map_err(LogError::io("open", &path))?;
    let bytes = file.len().map_err(LogError::io("look at", &path))?;
    let mut header = [0; SEGMENT_HEADER_BYTES];
    // A header that cannot be read costs the time it holds, nothing more.
    let read = file.read_at(&mut header, 0).unwrap_or(0);
    let created_ns = SegmentHeader::decode(&header[..read]).map_or(0, |header| header.created_ns);
    Ok(Segment { key, bytes, created_ns })
}

/// What the newest segments say.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) state: LogState,
    /// The newest segment with a good snapshot.
    anchor: Option<SegmentKey>,
    pub(super) damage: Vec<Damage>,
    /// Records with a good checksum and a content that makes no sense.
    pub(super) senseless: Vec<Damage>,
}

/// Reads the newest segments, from one with a good snapshot on.
pub(super) fn recover_state(
    storage: &Arc<dyn Storage>,
    directory: &Path,
    id: LogId,
    keys: &[SegmentKey],
) -> Result<Scan, LogError> {
    for (number, &key) in keys.iter().enumerate().rev() {
        let mut reader = LogReader::of_everything(Arc::clone(storage), directory, id, key)?;
        let mut scan = Scan::default();
        let mut trusted_gaps = 0;
        while let Some(record) = reader.next()? {
            let is_snapshot = record.header.kind == RecordKind::StateSnapshot;
            let gap = reader.gaps() > trusted_gaps;
            match apply(&mut scan.state, &record.header, record.body, gap) {
                // Everything before it was safe when it was written.
                Ok(()) if is_snapshot => {
                    scan.anchor = reader.place().map(|(key, _)| key);
                    trusted_gaps = reader.gaps();
                }
                Ok(()) => {}
                Err(error) => {
                    let to = record.offset + record.header.end_bytes();
                    scan.senseless.extend(senseless(&reader, record.offset..to, &error));
                }
            }
        }
        scan.damage = reader.take_damage();
        if scan.anchor.is_some() || number == 0 {
            let unseen = unseen_records(&scan.damage);
            scan.state.next_sequence = scan.state.next_sequence.saturating_add(unseen);
            return Ok(scan);
        }
    }
    Ok(Scan::default())
}

/// How many records can lie where nothing can be read: their numbers are not used again, since they may come back.
fn unseen_records(damage: &[Damage]) -> u64 {
    let unseen = damage.iter().filter(|damage| damage.what == UNREADABLE);
    unseen.map(|damage| (damage.to - damage.from).div_ceil(RECORD_HEADER_BYTES as u64)).sum()
}

fn senseless(reader: &LogReader, bytes: Range<u64>, error: &LogError) -> Option<Damage> {
    let (key, _) = reader.place()?;
    let path = reader.directory().join(segment_name(key.0, key.1));
    Some(Damage { path, from: bytes.start, to: bytes.end, what: error.to_string() })
}

/// Cuts off what a crash left of the last write, and makes the rest safe: what the process before wrote may still be in
/// the cache only, but counts as stored from now on. The segments before were made safe before this one was begun.
fn settle_last(
    storage: &dyn Storage,
    directory: &Path,
    last: &mut Segment,
    damage: &mut Vec<Damage>,
) -> Result<Option<Damage>, LogError> {
    let path = directory.join(last.name());
    let mut file = storage.open(&path).map_err(LogError::io("open", &path))?;
    let mut torn: Option<Damage> = None;
    // The header is told by itself.
    while let Some(cut) = damage.pop_if(|damage| {
        let end = torn.as_ref().map_or(last.bytes, |torn| torn.from);
        // What cannot be read today may be good and readable tomorrow.
        damage.path == path && damage.to == end && damage.what != UNREADABLE
    }) {
        torn = Some(Damage { to: last.bytes, ..cut });
    }
    if let Some(cut) = torn.take() {
        // What cannot be cut off stays, and readers pass over it.
        match file.truncate(cut.from) {
            Ok(()) => {
                last.bytes = cut.from;
                torn = Some(cut);
            }
            Err(_) => damage.push(cut),
        }
    }
    file.sync().map_err(LogError::sync(path))?;
    Ok(torn)
}

/// Takes over what a record says. Behind a `gap`, where a power cut may have taken a batch and left later ones, a source's
/// progress is not believed: it has to give again what no consumer is known to have.
fn apply(
    state: &mut LogState,
    header: &RecordHeader,
    mut body: Vec<u8>,
    gap: bool,
) -> Result<(), LogError> {
    match header.kind {
        RecordKind::StateSnapshot => *state = LogState::decode(&body)?,
        RecordKind::StateChange => {
            let mut change = LogState::decode(&body)?;
            for position in change.positions.values_mut().filter(|_| gap) {
                position.logged = position.settled;
            }
            state.apply(change);
        }
        RecordKind::Batch | RecordKind::DeadLetters => {
            state.next_sequence = state.next_sequence.max(header.sequence.saturating_add(1));
        }
    }
    if header.kind == RecordKind::Batch
        && let Some((key, progress)) = take_progress(&mut body)?
        && !gap
    {
        state.logged(&key, progress);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
