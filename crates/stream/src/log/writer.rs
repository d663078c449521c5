//! Writing a log: groups of records behind the end, segments that follow each other, recovery when it is opened.
//!
//! Invariants: what [`LogWriter::sync`] confirmed is never written again; after any error the next group goes to a
//! place where nothing half written can be taken for it; opening never fails because of what is in the files.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heka_message::Buffer;

use crate::log::error::LogError;
use crate::log::format::{
    ALIGNMENT, LogId, RECORD_HEADER_BYTES, RecordHeader, RecordKind, SEGMENT_HEADER_BYTES,
    SegmentHeader, segment_name,
};
use crate::log::reader::{Damage, ID_FILE, LogReader, SegmentKey, Tail, find_id, list_segments};
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
    first: Option<u64>,
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
        Self { id, scratch: Vec::new(), chunks: Vec::new(), bytes: 0, chunked: 0, first: None }
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
        self.first = Some(self.first.map_or(meta.sequence, |first| first.min(meta.sequence)));
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
        (self.bytes, self.chunked, self.first) = (0, 0, None);
    }

    fn slices(&self) -> Vec<IoSlice<'_>> {
        let chunk = |chunk| match chunk {
            &Chunk::Scratch(ref range) => IoSlice::new(&self.scratch[range.clone()]),
            Chunk::Raw(raw) => IoSlice::new(raw),
        };
        let rest = IoSlice::new(&self.scratch[self.chunked..]);
        self.chunks.iter().map(chunk).chain([rest]).collect()
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
        let id = match find_id(&*storage, &settings.directory, &keys) {
            Some(id) => id,
            None => new_id(&*storage, &settings.directory)?,
        };
        let mut segments = VecDeque::new();
        for key in &keys {
            segments.push_back(segment(&*storage, &settings.directory, *key)?);
        }
        let mut recovered = Recovered::default();
        recover_state(&storage, &settings.directory, id, &keys, &mut recovered)?;
        if let Some(last) = segments.back_mut() {
            recovered.torn = cut_tail(&*storage, &settings.directory, last, &mut recovered.damage);
        }
        let generation = keys.last().map_or(0, |key| key.1);
        let writer = Self { storage, settings, id, segments, current: None, generation };
        Ok((writer, recovered))
    }

    /// An empty group of this log.
    #[must_use]
    pub fn group(&self) -> Group {
        Group::new(self.id)
    }

    /// Writes a group behind the end. A new segment begins with `state`.
    ///
    /// # Errors
    /// If it cannot be written; the log is then as before.
    pub fn write(&mut self, group: &Group, state: &LogState, now_ns: i64) -> Result<(), LogError> {
        let used = self.segments.back().map_or(0, |segment| segment.bytes);
        let full =
            used + group.bytes > self.settings.segment_bytes && used > SEGMENT_HEADER_BYTES as u64;
        if self.current.is_none() || full {
            let first = group.first.unwrap_or(state.next_sequence).min(state.next_sequence);
            self.begin_segment(first, state, now_ns)?;
        }
        self.append(&mut group.slices(), group.bytes)
    }

    /// Makes all that was written safe.
    ///
    /// # Errors
    /// If that cannot be said. Nothing written since the last success counts then; it has to be written again, and
    /// goes to a new segment.
    pub fn sync(&mut self) -> Result<(), LogError> {
        let Some(file) = &mut self.current else { return Ok(()) };
        if let Err(error) = file.sync() {
            // After a failed sync the system may have thrown away what it could not write, and say yes the next time.
            self.current = None;
            return Err(LogError::io("sync", self.path_of_last())(error));
        }
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
    /// If the file cannot be removed; it stays in the list.
    pub fn remove_oldest(&mut self) -> Result<(), LogError> {
        let Some(oldest) = self.segments.front() else { return Ok(()) };
        let path = self.settings.directory.join(oldest.name());
        self.storage.remove(&path).map_err(LogError::io("remove", path))?;
        self.segments.pop_front();
        if self.segments.is_empty() {
            self.current = None;
        }
        Ok(())
    }

    /// Ends the segment being written; the next group begins another one.
    pub fn end_segment(&mut self) {
        self.current = None;
    }

    fn path_of_last(&self) -> PathBuf {
        let name = self.segments.back().map(Segment::name).unwrap_or_default();
        self.settings.directory.join(name)
    }

    fn begin_segment(&mut self, first: u64, state: &LogState, now_ns: i64) -> Result<(), LogError> {
        self.current = None;
        self.generation = self.generation.wrapping_add(1);
        // Not below the one before, or readers would go through them in another order.
        let first = self.segments.back().map_or(first, |last| last.key.0.max(first));
        let key = (first, self.generation);
        let path = self.settings.directory.join(segment_name(key.0, key.1));
        let file = self.storage.create(&path).map_err(LogError::io("create", &path))?;
        self.current = Some(file);
        self.segments.push_back(Segment { key, bytes: 0, created_ns: now_ns });
        let header = SegmentHeader { id: self.id, first, created_ns: now_ns }.encode();
        let mut snapshot = Group::new(self.id);
        snapshot.push_state(RecordKind::StateSnapshot, state, now_ns);
        let mut parts = snapshot.slices();
        parts.insert(0, IoSlice::new(&header));
        let begun = self.append(&mut parts, header.len() as u64 + snapshot.bytes);
        if begun.is_err() {
            self.current = None;
            self.segments.pop_back();
            // Left there, it would be an empty segment, which readers pass over.
            if let Err(error) = self.storage.remove(&path) {
                return Err(LogError::io("remove", path)(error));
            }
        }
        begun
    }

    fn append(&mut self, parts: &mut [IoSlice<'_>], bytes: u64) -> Result<(), LogError> {
        let path = self.path_of_last();
        let (Some(file), Some(last)) = (&mut self.current, self.segments.back_mut()) else {
            return Err(LogError::Content("no segment is open".to_owned()));
        };
        match file.append(parts) {
            Ok(()) => {
                last.bytes += bytes;
                Ok(())
            }
            Err(error) => {
                // Where the half written end cannot be cut off, nothing more is put behind it.
                if file.truncate(last.bytes).is_err() {
                    self.current = None;
                }
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

fn segment(storage: &dyn Storage, directory: &Path, key: SegmentKey) -> Result<Segment, LogError> {
    let path = directory.join(segment_name(key.0, key.1));
    let file = storage.open(&path).map_err(LogError::io("open", &path))?;
    let bytes = file.len().map_err(LogError::io("look at", &path))?;
    let mut header = [0; SEGMENT_HEADER_BYTES];
    // A header that cannot be read costs the time it holds, nothing more.
    let read = file.read_at(&mut header, 0).unwrap_or(0);
    let created_ns = SegmentHeader::decode(&header[..read]).map_or(0, |header| header.created_ns);
    Ok(Segment { key, bytes, created_ns })
}

/// Reads the newest segments, from one with a good snapshot on.
fn recover_state(
    storage: &Arc<dyn Storage>,
    directory: &Path,
    id: LogId,
    keys: &[SegmentKey],
    recovered: &mut Recovered,
) -> Result<(), LogError> {
    let mut begin = keys.len();
    while let Some(next) = begin.checked_sub(1) {
        begin = next;
        let mut reader = LogReader::of_everything(Arc::clone(storage), directory, id, keys[begin])?;
        let mut state = LogState::default();
        let mut complete = false;
        while let Some(record) = reader.next()? {
            let (kind, sequence) = (record.header.kind, record.header.sequence);
            let outcome = apply(&mut state, kind, sequence, record.body);
            match outcome {
                Ok(()) => complete |= kind == RecordKind::StateSnapshot,
                Err(error) => note(recovered, &reader, record.offset, error),
            }
        }
        let damage = reader.take_damage();
        if complete || begin == 0 {
            recovered.damage.extend(damage);
            recovered.state = state;
            return Ok(());
        }
    }
    Ok(())
}

/// A record with a good checksum and a content that makes no sense.
fn note(recovered: &mut Recovered, reader: &LogReader, from: u64, error: LogError) {
    let Some((key, to)) = reader.place() else { return };
    let path = reader.directory().join(segment_name(key.0, key.1));
    recovered.damage.push(Damage { path, from, to, what: error.to_string() });
}

/// Cuts off what a crash left of the last write. What cannot be cut off stays, and readers pass over it.
fn cut_tail(
    storage: &dyn Storage,
    directory: &Path,
    last: &mut Segment,
    damage: &mut Vec<Damage>,
) -> Option<Damage> {
    let path = directory.join(last.name());
    let is_tail = |damage: &Damage| damage.path == path && damage.to == last.bytes;
    let torn = damage.pop_if(|damage| is_tail(damage))?;
    let cut = storage.open(&path).and_then(|mut file| {
        file.truncate(torn.from)?;
        file.sync()
    });
    match cut {
        Ok(()) => {
            last.bytes = torn.from;
            Some(torn)
        }
        Err(_) => {
            damage.push(torn);
            None
        }
    }
}

fn apply(
    state: &mut LogState,
    kind: RecordKind,
    sequence: u64,
    mut body: Vec<u8>,
) -> Result<(), LogError> {
    match kind {
        RecordKind::StateSnapshot => *state = LogState::decode(&body)?,
        RecordKind::StateChange => state.apply(LogState::decode(&body)?),
        RecordKind::Batch => {
            state.next_sequence = state.next_sequence.max(sequence + 1);
            if let Some((key, progress)) = take_progress(&mut body)? {
                state.logged(&key, progress);
            }
        }
        RecordKind::DeadLetters => state.next_sequence = state.next_sequence.max(sequence + 1),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
