//! Reading a log forward, past whatever is damaged in it.
//!
//! Invariants: a record is returned only with the right checksum; damage costs the records that lie in it and no
//! others; nothing here writes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::error::LogError;
use crate::log::format::{
    ALIGNMENT, LogId, RECORD_HEADER_BYTES, RecordHeader, RecordKind, SEGMENT_HEADER_BYTES,
    SegmentHeader, parse_segment_name, segment_name,
};
use crate::storage::{GrowingFile, Storage};

/// Bytes read at once while headers are looked at.
const WINDOW_BYTES: usize = 64 << 10;
/// A body up to this size is taken from the window, a longer one is read by itself.
const SMALL_BODY_BYTES: usize = 16 << 10;
/// Step by which a part of a file that cannot be read is passed.
const BLOCK_BYTES: u64 = 4096;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The id of a log, where it can be found.
pub(crate) fn find_id(
    storage: &dyn Storage,
    directory: &Path,
    segments: &[SegmentKey],
) -> Option<LogId> {
    let written = storage.read(&directory.join(ID_FILE)).ok().flatten();
    let from_file = written.and_then(|bytes| bytes.try_into().ok());
    from_file.or_else(|| {
        segments.iter().rev().find_map(|&(first, generation)| {
            let file = storage.open(&directory.join(segment_name(first, generation))).ok()?;
            let mut header = [0; SEGMENT_HEADER_BYTES];
            file.read_at(&mut header, 0).ok()?;
            SegmentHeader::decode(&header).ok().map(|header| header.id)
        })
    })
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
}

#[derive(Debug)]
struct OpenSegment {
    key: SegmentKey,
    path: PathBuf,
    file: Box<dyn GrowingFile>,
    offset: u64,
    /// Where the part that could not be read begins, while the reader looks for its end.
    lost: Option<(u64, &'static str)>,
    window: Vec<u8>,
    window_start: u64,
}

/// What lies at the reader's offset.
enum Found {
    Record(RecordHeader, Vec<u8>),
    /// A record that is not wanted, or one that was damaged.
    Passed,
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
        reader.open(segment)?;
        Ok(reader)
    }

    /// The next record; `None` at the end of what is written.
    ///
    /// # Errors
    /// If the directory cannot be listed or a segment cannot be opened. What cannot be read of a segment is passed
    /// over, see [`take_damage`](Self::take_damage).
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
            let (Some(segment), Some(id)) = (&mut self.segment, self.id) else { return Ok(None) };
            let is_tail = tail.is_some_and(|tail| tail.segment == segment.key);
            let end = match tail {
                Some(tail) if is_tail => tail.bytes,
                _ => segment.file.len().map_err(LogError::io("look at", &segment.path))?,
            };
            let start = segment.offset;
            let wanted = |header: &RecordHeader| match header.kind {
                RecordKind::Batch | RecordKind::DeadLetters => header.sequence >= self.from,
                _ => self.all_kinds,
            };
            match segment.step(&id, end, wanted, &mut self.damage) {
                Found::Record(header, body) => {
                    if matches!(header.kind, RecordKind::Batch | RecordKind::DeadLetters) {
                        self.from = header.sequence + 1;
                    }
                    return Ok(Some(StoredRecord { header, body, offset: start }));
                }
                Found::Passed => {}
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
        let newer =
            list_segments(&*self.storage, &self.directory)?.into_iter().find(|&other| other > key);
        // The segment may have grown before the newer one was made.
        let len = segment.file.len().map_err(LogError::io("look at", &segment.path))?;
        if newer.is_some() && len > end {
            return Ok(true);
        }
        let Some(newer) = newer else {
            if !writer_at_work {
                segment.end_loss(end, &mut self.damage);
                segment.offset = segment.offset.max(end);
            }
            return Ok(false);
        };
        segment.end_loss(end, &mut self.damage);
        self.open(newer)?;
        Ok(true)
    }

    fn open_next(&mut self) -> Result<bool, LogError> {
        let segments = list_segments(&*self.storage, &self.directory)?;
        if self.id.is_none() {
            self.id = find_id(&*self.storage, &self.directory, &segments);
        }
        let next = match self.after {
            Some(after) => segments.into_iter().find(|&key| key > after),
            None => {
                let start = segments.iter().rposition(|key| key.0 <= self.from).unwrap_or(0);
                segments.get(start).copied()
            }
        };
        match next {
            Some(key) => self.open(key).map(|()| true),
            None => Ok(false),
        }
    }

    fn open(&mut self, key: SegmentKey) -> Result<(), LogError> {
        let path = self.directory.join(segment_name(key.0, key.1));
        self.segment = None;
        self.after = Some(key);
        let file = self.storage.open(&path).map_err(LogError::io("open", &path))?;
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let read = file.read_at(&mut header, 0).unwrap_or(0);
        match SegmentHeader::decode(&header[..read]) {
            Ok(header) => self.id = Some(header.id),
            Err(_) if read == 0 => {}
            Err(_) => {
                let to = SEGMENT_HEADER_BYTES as u64;
                let what = "the segment's header is damaged".to_owned();
                self.damage.push(Damage { path: path.clone(), from: 0, to, what });
            }
        }
        self.segment = Some(OpenSegment {
            key,
            path,
            file,
            offset: SEGMENT_HEADER_BYTES as u64,
            lost: None,
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
                self.pass_block();
                return Found::Passed;
            }
        };
        let Some(header) = header else {
            self.begin_loss("no record begins here");
            self.offset = self.find_header(id, end);
            return Found::Passed;
        };
        if self.offset + RECORD_HEADER_BYTES as u64 + u64::from(header.body_bytes) > end {
            // A header that promises more than there is may itself be what is left of an older write.
            self.begin_loss("a record is not complete");
            self.offset += ALIGNMENT as u64;
            return Found::Passed;
        }
        if !wanted(&header) && self.lost.is_none() {
            self.offset += header.total_bytes();
            return Found::Passed;
        }
        match self.body(&header, end) {
            Err(_) => {
                self.pass_block();
                Found::Passed
            }
            Ok(body) if crc32c::crc32c(&body) != header.checksum => {
                self.begin_loss("a record's checksum is wrong");
                // Its length is as it was written: the header has a checksum of its own.
                self.offset += header.total_bytes();
                Found::Passed
            }
            Ok(body) => {
                self.end_loss(self.offset, damage);
                self.offset += header.total_bytes();
                if wanted(&header) { Found::Record(header, body) } else { Found::Passed }
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

    fn pass_block(&mut self) {
        self.begin_loss("the disk cannot read it");
        self.offset = (self.offset / BLOCK_BYTES + 1) * BLOCK_BYTES;
    }

    /// The next place behind the offset where a valid header lies, or the end.
    fn find_header(&mut self, id: &LogId, end: u64) -> u64 {
        let mut at = self.offset + ALIGNMENT as u64;
        while at + RECORD_HEADER_BYTES as u64 <= end {
            let Ok(window) = self.window_at(at, RECORD_HEADER_BYTES, end) else {
                at = (at / BLOCK_BYTES + 1) * BLOCK_BYTES;
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
            self.window.resize(want.max(least), 0);
            self.window_start = offset;
            let read = self.file.read_at(&mut self.window, offset);
            self.window.truncate(*read.as_ref().unwrap_or(&0));
            if read? < least {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(&self.window[(offset - self.window_start) as usize..])
    }
}
