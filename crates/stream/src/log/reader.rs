//! Reading a log forward, past whatever is damaged in it.
//!
//! Invariants: a record is returned only with the right checksum; damage costs the records that lie in it and no
//! others; batches that the next segment stands for are taken from there, since what a segment has of them at its end was
//! given up by the writer; nothing here writes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::error::LogError;
use crate::log::format::{
    ALIGNMENT, LogId, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader,
    parse_segment_name, segment_name,
};
use crate::storage::{GrowingFile, Storage};

/// Bytes read at once while headers are looked at.
const WINDOW_BYTES: usize = 64 << 10;
/// A body up to this size is taken from the window, a longer one is read by itself.
const SMALL_BODY_BYTES: usize = 16 << 10;
/// Step by which a part of a file that cannot be read is passed.
const BLOCK_BYTES: u64 = 4096;

/// What is said of bytes that no read gets over.
pub(crate) const UNREADABLE: &str = "the disk cannot read it";

/// A record as it was read.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// Its header.
    pub header: RecordHeader,
    /// Its body, checksum verified.
    pub body: Vec<u8>,
    /// Offset of its header in its segment.
    pub offset: u64,
}

/// Bytes of a segment that could not be read as records.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// First byte.
    pub from: u64,
    /// Byte behind the last one.
    pub to: u64,
    /// What is wrong with them.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, from, to, what } = self;
        write!(formatter, "{}: bytes {from} to {to}: {what}", path.display())
    }
}

/// A segment by its name.
pub(crate) type SegmentKey = (u64, u32);

/// How far a log is written: a reader beside the writer reads no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) segment: SegmentKey,
    pub(crate) bytes: u64,
}

/// The file in the log's directory that holds its id.
pub(crate) const ID_FILE: &str = "id";

/// The segments in a directory, oldest first.
pub(crate) fn list_segments(
    storage: &dyn Storage,
    directory: &Path,
) -> Result<Vec<SegmentKey>, LogError> {
    let names = storage.list(directory).map_err(LogError::io("list", directory))?;
    let mut segments: Vec<_> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
    segments.sort_unstable();
    Ok(segments)
}

fn next_key(segments: &[SegmentKey], key: SegmentKey) -> Option<SegmentKey> {
    segments.iter().copied().find(|&other| other > key)
}

/// The id of a log, where it can be found.
pub(crate) fn find_id(
    storage: &dyn Storage,
    directory: &Path,
    segments: &[SegmentKey],
) -> Result<Option<LogId>, LogError> {
    // The headers have a checksum, the file has none.
    let from_header = segments.iter().rev().find_map(|&(first, generation)| {
        let file = storage.open(&directory.join(segment_name(first, generation))).ok()?;
        let mut header = [0; SEGMENT_HEADER_BYTES];
        file.read_at(&mut header, 0).ok()?;
        SegmentHeader::decode(&header).ok().map(|header| header.id)
    });
    if from_header.is_some() {
        return Ok(from_header);
    }
    let path = directory.join(ID_FILE);
    let written = storage.read(&path).map_err(LogError::io("read", path))?;
    Ok(written.and_then(|bytes| bytes.try_into().ok()))
}

/// A place in a log from which records are read in order.
#[derive(Debug)]
pub struct LogReader {
    storage: Arc<dyn Storage>,
    directory: PathBuf,
    id: Option<LogId>,
    /// Batches below this number are passed over.
    from: u64,
    /// Records that are not batches are returned too.
    all_kinds: bool,
    segment: Option<OpenSegment>,
    /// The segment that was read last, while none is open.
    after: Option<SegmentKey>,
    damage: Vec<Damage>,
    /// Times that something was passed over that could have been a record: damage, or what was given up.
    gaps: u64,
}

#[derive(Debug)]
struct OpenSegment {
    key: SegmentKey,
    path: PathBuf,
    file: Box<dyn GrowingFile>,
    offset: u64,
    /// Where the part that could not be read begins, while the reader looks for its end.
    lost: Option<(u64, &'static str)>,
    /// From this number on batches are in the next segment; `None` if there is none yet.
    next_first: Option<u64>,
    window: Vec<u8>,
    window_start: u64,
}

/// What lies at the reader's offset.
enum Found {
    Record(RecordHeader, Vec<u8>),
    /// A record that is not wanted, or one that was damaged.
    Passed,
    /// A batch that the next segment stands for.
    GivenUp,
    /// Nothing more before the end.
    End,
}

impl LogReader {
    /// A reader of the batches from a sequence number on.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, directory: &Path, from: u64) -> Self {
        Self {
            storage,
            directory: directory.to_path_buf(),
            id: None,
            from,
            all_kinds: false,
            segment: None,
            after: None,
            damage: Vec::new(),
            gaps: 0,
        }
    }

    /// A reader of all records of the segments from one on.
    pub(crate) fn of_everything(
        storage: Arc<dyn Storage>,
        directory: &Path,
        id: LogId,
        segment: SegmentKey,
    ) -> Result<Self, LogError> {
        let mut reader = Self::new(storage, directory, 0);
        reader.id = Some(id);
        reader.all_kinds = true;
        let segments = list_segments(&*reader.storage, directory)?;
        reader.open(segment, &segments)?;
        Ok(reader)
    }

    /// The next record; `None` at the end of what is written.
    ///
    /// # Errors
    /// If the directory cannot be listed or a segment cannot be opened. What cannot be read of a segment is passed
    /// over, see [`take_damage`](Self::take_damage).
    #[allow(clippy::should_implement_trait, reason = "after the end there may be more")]
    pub fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        self.next_before(None)
    }

    /// What was passed over since the last call.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    /// Sequence number from which on batches are returned.
    #[must_use]
    pub fn from(&self) -> u64 {
        self.from
    }

    /// Passes over batches below a sequence number.
    pub(crate) fn skip_to(&mut self, from: u64) {
        self.from = self.from.max(from);
    }

    /// Times that something was passed over that could have been a record.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Where the log lies.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The segment being read, and the offset in it.
    pub(crate) fn place(&self) -> Option<(SegmentKey, u64)> {
        self.segment.as_ref().map(|segment| (segment.key, segment.offset))
    }

    /// As [`next`](Self::next), up to the tail of a writer at work.
    pub(crate) fn next_before(
        &mut self,
        tail: Option<Tail>,
    ) -> Result<Option<StoredRecord>, LogError> {
        loop {
            if self.segment.is_none() && !self.open_next()? {
                return Ok(None);
            }
            // It may have been removed after it was listed; the next one follows.
            let Some(segment) = &mut self.segment else { continue };
            // Without one not even a record can be told from other bytes.
            let Some(id) = self.id else { return Ok(None) };
            if tail.is_some_and(|tail| segment.key > tail.segment) {
                return Ok(None);
            }
            let is_tail = tail.is_some_and(|tail| tail.segment == segment.key);
            let end = match tail {
                Some(tail) if is_tail => tail.bytes,
                _ => segment.file.len().map_err(LogError::io("look at", &segment.path))?,
            };
            if tail.is_some() && !is_tail && segment.next_first.is_none() {
                let segments = list_segments(&*self.storage, &self.directory)?;
                segment.next_first = next_key(&segments, segment.key).map(|next| next.0);
            }
            let start = segment.offset;
            let wanted = |header: &RecordHeader| match header.kind.is_numbered() {
                true => header.sequence >= self.from,
                false => self.all_kinds,
            };
            let before = self.damage.len();
            let found = segment.step(&id, end, wanted, &mut self.damage);
            self.gaps += (self.damage.len() - before) as u64;
            match found {
                Found::Record(header, body) => {
                    if header.kind.is_numbered() {
                        self.from = header.sequence.saturating_add(1);
                    }
                    return Ok(Some(StoredRecord { header, body, offset: start }));
                }
                Found::Passed => {}
                Found::GivenUp => self.gaps += 1,
                Found::End if is_tail => return Ok(None),
                Found::End => {
                    if !self.leave(end, tail.is_some())? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The open segment is read to its end: goes to the next one. False if there is none yet.
    fn leave(&mut self, end: u64, writer_at_work: bool) -> Result<bool, LogError> {
        let Some(segment) = &mut self.segment else { return Ok(false) };
        let key = segment.key;
        let segments = list_segments(&*self.storage, &self.directory)?;
        let newer = next_key(&segments, key);
        // The segment may have grown before the newer one was made.
        let len = segment.file.len().map_err(LogError::io("look at", &segment.path))?;
        if let Some(newer) = newer.filter(|_| len > end) {
            segment.next_first = Some(newer.0);
            return Ok(true);
        }
        let known = self.damage.len();
        let Some(newer) = newer else {
            if !writer_at_work {
                segment.end_loss(end, &mut self.damage);
                segment.offset = segment.offset.max(end);
            }
            return Ok(false);
        };
        segment.end_loss(end, &mut self.damage);
        self.gaps += (self.damage.len() - known) as u64;
        self.open(newer, &segments)?;
        Ok(true)
    }

    fn open_next(&mut self) -> Result<bool, LogError> {
        let segments = list_segments(&*self.storage, &self.directory)?;
        if self.id.is_none() {
            self.id = find_id(&*self.storage, &self.directory, &segments)?;
        }
        let next = match self.after {
            Some(after) => next_key(&segments, after),
            None => {
                let start = segments.iter().rposition(|key| key.0 <= self.from).unwrap_or(0);
                segments.get(start).copied()
            }
        };
        match next {
            Some(key) => self.open(key, &segments).map(|()| true),
            None => Ok(false),
        }
    }

    /// Opens one of the segments; none is open then if it was removed meanwhile.
    fn open(&mut self, key: SegmentKey, segments: &[SegmentKey]) -> Result<(), LogError> {
        let path = self.directory.join(segment_name(key.0, key.1));
        self.segment = None;
        self.after = Some(key);
        let file = match self.storage.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(LogError::io("open", &path))?,
        };
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut header, 0).unwrap_or(0);
        match SegmentHeader::decode(&header[..read]) {
            Ok(header) => self.id = Some(header.id),
            Err(_) if read == 0 => {}
            Err(_) => {
                let to = read as u64;
                let what = "the segment's header is damaged".to_owned();
                self.damage.push(Damage { path: path.clone(), from: 0, to, what });
                self.gaps += 1;
            }
        }
        self.segment = Some(OpenSegment {
            key,
            path,
            file,
            offset: SEGMENT_HEADER_BYTES as u64,
            lost: None,
            next_first: next_key(segments, key).map(|next| next.0),
            window: Vec::new(),
            window_start: 0,
        });
        Ok(())
    }
}

impl OpenSegment {
    /// Looks at what lies at the offset, and moves the offset behind it.
    fn step(
        &mut self,
        id: &LogId,
        end: u64,
        wanted: impl Fn(&RecordHeader) -> bool,
        damage: &mut Vec<Damage>,
    ) -> Found {
        if self.offset + RECORD_HEADER_BYTES as u64 > end {
            if self.offset < end {
                self.begin_loss("a record is not complete");
            }
            return Found::End;
        }
        let header = match self.window_at(self.offset, RECORD_HEADER_BYTES, end) {
            Ok(bytes) => RecordHeader::decode(bytes, id),
            Err(_) => {
                self.offset = self.pass_block(self.offset, end);
                return Found::Passed;
            }
        };
        let Some(header) = header else {
            self.begin_loss("no record begins here");
            self.offset = self.find_header(id, end);
            return Found::Passed;
        };
        if self.offset + header.end_bytes() > end {
            // A header that promises more than there is may itself be what is left of an older write.
            self.begin_loss("a record is not complete");
            self.offset += ALIGNMENT as u64;
            return Found::Passed;
        }
        if !wanted(&header) && self.lost.is_none() {
            self.offset += header.total_bytes();
            return Found::Passed;
        }
        let body = self.body(&header, end);
        let start = self.offset;
        // Its length is as it was written, whatever the body is: the header has a checksum of its own.
        self.offset += header.total_bytes();
        match body {
            Err(_) => {
                self.lost = Some((self.lost.map_or(start, |(from, _)| from), UNREADABLE));
                Found::Passed
            }
            Ok(body) if crc32c::crc32c(&body) != header.checksum => {
                self.lost.get_or_insert((start, "a record's checksum is wrong"));
                Found::Passed
            }
            Ok(body) => {
                self.end_loss(start, damage);
                let is_later = self.next_first.is_some_and(|first| header.sequence >= first);
                match wanted(&header) {
                    true if is_later && header.kind.is_numbered() => Found::GivenUp,
                    true => Found::Record(header, body),
                    false => Found::Passed,
                }
            }
        }
    }

    fn begin_loss(&mut self, what: &'static str) {
        self.lost.get_or_insert((self.offset, what));
    }

    fn end_loss(&mut self, to: u64, damage: &mut Vec<Damage>) {
        if let Some((from, what)) = self.lost.take().filter(|&(from, _)| from < to) {
            let what = what.to_owned();
            damage.push(Damage { path: self.path.clone(), from, to, what });
        }
    }

    /// The place behind what cannot be read at a place.
    fn pass_block(&mut self, at: u64, end: u64) -> u64 {
        self.lost = Some((self.lost.map_or(at, |(from, _)| from), UNREADABLE));
        ((at / BLOCK_BYTES + 1) * BLOCK_BYTES).min(end)
    }

    /// The next place behind the offset where a valid header lies, or the end.
    fn find_header(&mut self, id: &LogId, end: u64) -> u64 {
        let mut at = self.offset + ALIGNMENT as u64;
        while at + RECORD_HEADER_BYTES as u64 <= end {
            let Ok(window) = self.window_at(at, RECORD_HEADER_BYTES, end) else {
                at = self.pass_block(at, end);
                continue;
            };
            let places = window.len() - RECORD_HEADER_BYTES + 1;
            let found = (0..places)
                .step_by(ALIGNMENT)
                .find(|&place| RecordHeader::decode(&window[place..], id).is_some());
            match found {
                Some(place) => return at + place as u64,
                None => at += places.next_multiple_of(ALIGNMENT) as u64,
            }
        }
        end
    }

    fn body(&mut self, header: &RecordHeader, end: u64) -> io::Result<Vec<u8>> {
        let (at, len) = (self.offset + RECORD_HEADER_BYTES as u64, header.body_bytes as usize);
        if len <= SMALL_BODY_BYTES {
            return Ok(self.window_at(at, len, end)?[..len].to_vec());
        }
        let mut body = vec![0; len];
        let read = self.file.read_at(&mut body, at)?;
        if read < len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(body) }
    }

    /// Bytes from an offset on, at least `least` and as many as are at hand.
    fn window_at(&mut self, offset: u64, least: usize, end: u64) -> io::Result<&[u8]> {
        let held = self.window_start + self.window.len() as u64;
        if offset < self.window_start || offset + least as u64 > held {
            let want = (end - offset).min(WINDOW_BYTES as u64) as usize;
            let mut outcome = self.fill_window(offset, want.max(least));
            if outcome.is_err() {
                // What cannot be read may lie further on: no block is asked for that is not needed.
                let blocks = (offset + least as u64).next_multiple_of(BLOCK_BYTES).min(end);
                outcome = self.fill_window(offset, ((blocks - offset) as usize).max(least));
            }
            outcome?;
            if self.window.len() < least {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.window[(offset - self.window_start) as usize..])
    }

    fn fill_window(&mut self, offset: u64, want: usize) -> io::Result<()> {
        self.window.resize(want, 0);
        self.window_start = offset;
        let read = self.file.read_at(&mut self.window, offset);
        self.window.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|_| ())
    }
}

#[cfg(test)]
mod tests;
