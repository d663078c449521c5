//! One stream: its files in order, the position reached, and what to do at the end of a file.
//!
//! Here: the reading loop, leaving a file, truncation, lost files. Not here: discovery (`catalog`), the search by
//! content (`locate`), where a stream begins (`begin`) and who calls when (`streams`).
//!
//! Invariants: `delivered` bytes are handed out once and in order; nothing but the end of a file that has a successor
//! with data leads to the successor, and the old file is read to its end once more after the successor was seen; an
//! error changes no position. A file is `passed` only by an explicit step, never because it stands before another one
//! in a later listing.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, Entry, Listing};
use crate::error::Error;
use crate::identity::{FileId, Fingerprint, Mark, WINDOW_BYTES};
use crate::journal::{FINISHED_FILES_MAX, Finished, Position, Record};
use crate::locate::{
    Copy, Found, GZIP_PATIENCE, Passed, Wanted, gzip_copy, is_absent, is_finished, locate,
    newest_finished,
};
use crate::settings::Now;
use crate::source::{self, OpenFile, Sniff, Source};

mod begin;
mod end;

pub(crate) use begin::Start;

/// How many steps without data one `read` may take, such as passing over empty files.
const STEPS_MAX: usize = 64;
/// First and longest wait after an error.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEvent {
    /// So many bytes are in the buffer; they directly follow the bytes before.
    Data(usize),
    /// The file is read to its end and will be left: what follows belongs to another file.
    EndOfFile,
    /// The file was cut or rewritten: what follows does not continue what came before.
    Truncated,
    /// There is nothing more to read now.
    Idle,
}

/// A rotated set of log files, read as one.
pub struct Stream {
    name: String,
    list: Listing,
    place: Place,
    passed: Passed,
    finished: Arc<[Finished]>,
    next: Option<Next>,
    /// Rises with each file and each truncation, so that positions can be compared.
    serial: u64,
    /// What stood at the path of our file when a scan was made for it.
    scanned_for: Option<Option<FileId>>,
    /// The listing in which a lost file was searched for, and the one in which the end was last looked at.
    searched_in: u64,
    ended_in: u64,
    /// An empty file that will be entered once it has data.
    waiting_for: Option<(Arc<Path>, FileId)>,
    hold: Hold,
    /// Holds back looks at a compressed file in the making, each of which decompresses it.
    rest: Hold,
    saved: Option<(u64, u64)>,
    problems: Vec<Error>,
    /// A position that must reach the journal though nothing was consumed.
    unsaved_start: Option<Position>,
    /// It began exactly where its journal said.
    resumed: bool,
}

enum Place {
    Start(Start),
    At(Box<Cursor>),
}

/// The file being read.
struct Cursor {
    file: OpenFile,
    path: Arc<Path>,
    consumed: Mark,
    /// Nothing was read of the file yet: before its first bytes are taken it must be made sure that no unread file
    /// stands before it, since the listing in which it was found may be old by then.
    unchecked: bool,
    /// Since when the rest of a damaged gzip file is waited for.
    damaged_since: Option<Instant>,
}

/// The file to be read next.
struct Next {
    file: Box<OpenFile>,
    path: Arc<Path>,
    /// The caller was told; the next call enters the file.
    announced: bool,
    /// Whether the file before it was read to its end.
    finishes: bool,
}

enum Step {
    Event(ReadEvent),
    Again,
}

impl Stream {
    pub(crate) fn new(name: String, list: Listing, start: Start) -> Self {
        Self {
            name,
            list,
            place: Place::Start(start),
            passed: Passed::new(),
            finished: Arc::from([]),
            next: None,
            serial: 0,
            scanned_for: None,
            searched_in: 0,
            ended_in: 0,
            waiting_for: None,
            hold: Hold::default(),
            rest: Hold::default(),
            saved: None,
            problems: Vec::new(),
            unsaved_start: None,
            resumed: false,
        }
    }

    /// The name that `differentiator` gives it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if it began exactly where its journal said, known after the first read.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// The current name of the file being read; `None` before the first read.
    pub fn path(&self) -> Option<&Path> {
        self.cursor().map(|cursor| &*cursor.path)
    }

    /// Bytes of the current file that were consumed.
    pub fn seek(&self) -> u64 {
        self.cursor().map_or(0, |cursor| cursor.consumed.offset)
    }

    /// The files, oldest first; without those that are too old to be read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.list.iter().filter(|entry| !entry.aged).map(|entry| &*entry.path)
    }

    fn cursor(&self) -> Option<&Cursor> {
        match &self.place {
            Place::At(cursor) => Some(cursor),
            Place::Start(_) => None,
        }
    }

    /// Takes a new listing; the file being read is known by its inode, whatever its name.
    pub(crate) fn update(&mut self, list: &Listing) {
        self.list = Arc::clone(list);
        let ids: HashSet<FileId> = list.iter().map(|entry| entry.id).collect();
        self.passed.retain(|id, _| ids.contains(id));
        if let (Some(index), Place::At(cursor)) = (self.index(), &mut self.place) {
            cursor.path = Arc::clone(&self.list[index].path);
        }
    }

    /// Reads into `buf`. An error is given once; until it changes or goes away, the stream is idle and tries again with
    /// growing pauses.
    pub(crate) fn read(
        &mut self,
        catalog: &mut Catalog,
        buf: &mut [u8],
        now: Now,
    ) -> Result<ReadEvent, Error> {
        if buf.is_empty() {
            return Err(Error::BufferFull);
        }
        if self.hold.is_active(now) || self.rest.is_active(now) {
            return Ok(ReadEvent::Idle);
        }
        for _ in 0..STEPS_MAX {
            match self.step(catalog, buf, now) {
                Ok(Step::Again) => {}
                Ok(Step::Event(event)) => {
                    self.hold = Hold::default();
                    return Ok(event);
                }
                // The listing is out of date; nothing is wrong with the file that is gone.
                Err(error) if is_absent(&error) => return Ok(ReadEvent::Idle),
                Err(error) if self.hold.is_news(&error, now) => return Err(error),
                Err(_) => return Ok(ReadEvent::Idle),
            }
        }
        Ok(ReadEvent::Idle)
    }

    fn step(&mut self, catalog: &mut Catalog, buf: &mut [u8], now: Now) -> Result<Step, Error> {
        if let Some(next) = self.next.take_if(|next| next.announced) {
            self.enter(next);
        }
        let Place::At(cursor) = &mut self.place else {
            // The listing may be older than the first read, and a position must not be looked for in it then.
            self.refresh(catalog, now);
            return self.begin(now);
        };
        match cursor.file.source {
            Source::Closed => return self.reopen(catalog, now),
            Source::GzipDamaged => return self.damaged(catalog, now),
            Source::Plain(_) | Source::Gzip(_) | Source::GzipEnd => {}
        }
        match cursor.file.read(buf) {
            Ok(0) => self.at_end(catalog, now),
            Ok(count) => self.take(&buf[..count], catalog, now),
            Err(source) => Err(self.read_failed(source, now)),
        }
    }

    /// Accepts bytes just read, unless the file was rewritten under us.
    fn take(&mut self, bytes: &[u8], catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        let Place::At(cursor) = &mut self.place else { return Ok(Step::Again) };
        if cursor.file.mark.offset == 0 {
            match cursor.file.sniff().map_err(|source| file_error(&cursor.path, source))? {
                Sniff::Known => {}
                Sniff::Gzip => return Ok(Step::Again),
                Sniff::Unsure => return Ok(Step::Event(ReadEvent::Idle)),
            }
            let late = self.comes_late(catalog, now);
            if !matches!(late, Ok(None)) {
                // The bytes are not taken, so they must be read again.
                self.rewind_gzip();
            }
            if let Some(step) = late? {
                return Ok(step);
            }
        }
        let Place::At(cursor) = &mut self.place else { return Ok(Step::Again) };
        // Compared after the read, so that a rewriting before the read is seen for sure.
        if !cursor.file.is_unchanged().map_err(|source| file_error(&cursor.path, source))? {
            return self.truncated(catalog, now);
        }
        cursor.file.accept(bytes);
        cursor.damaged_since = None;
        self.rest = Hold::default();
        Ok(Step::Event(ReadEvent::Data(bytes.len())))
    }

    /// Begins a gzip file anew of which nothing was taken yet: what its decoder gave is gone otherwise.
    fn rewind_gzip(&mut self) {
        let path = self.index().map(|index| Arc::clone(&self.list[index].path));
        let Place::At(cursor) = &mut self.place else { return };
        if !cursor.file.is_gzip() || cursor.file.mark.offset > 0 {
            return;
        }
        match OpenFile::open(path.as_ref().unwrap_or(&cursor.path)) {
            Ok(file) if file.id == cursor.file.id => cursor.file = file,
            // It is searched for by its inode at the next look.
            _ => {
                cursor.file.source = Source::Closed;
                self.ended_in = 0;
            }
        }
    }

    fn read_failed(&mut self, source: io::Error, now: Now) -> Error {
        let Place::At(cursor) = &mut self.place else { return Error::BufferFull };
        let path = cursor.path.to_path_buf();
        if cursor.file.is_gzip() && source::is_damage(&source) {
            cursor.file.source = Source::GzipDamaged;
            cursor.damaged_since.get_or_insert(now.steady);
            return Error::Gzip { path, offset: cursor.file.mark.offset, source };
        }
        Error::File { path, source }
    }

    /// Goes on with the next file.
    fn enter(&mut self, next: Next) {
        self.serial += 1;
        self.scanned_for = None;
        self.waiting_for = None;
        let consumed = next.file.mark.clone();
        let is_start = consumed.offset == 0;
        let cursor = Cursor {
            file: *next.file,
            path: next.path,
            consumed,
            unchecked: is_start,
            damaged_since: None,
        };
        let old = std::mem::replace(&mut self.place, Place::At(Box::new(cursor)));
        if let (Place::At(old), true) = (old, next.finishes) {
            self.finish(&old.file);
        }
    }

    /// Remembers a file that was read to its end.
    fn finish(&mut self, file: &OpenFile) {
        let stamp = match file.metadata() {
            Ok(Some(metadata)) => source::stamp(&metadata),
            Ok(None) | Err(_) => file.stamp,
        };
        self.passed.insert(file.id, stamp);
        if file.mark.offset == 0 {
            return;
        }
        let mut finished = self.finished.to_vec();
        if finished.len() == FINISHED_FILES_MAX {
            finished.remove(0);
        }
        finished.push(Finished::of(file));
        self.finished = finished.into();
    }

    /// Goes on in another copy of the same content, at the same position.
    fn adopt(&mut self, index: usize, file: OpenFile) {
        let Place::At(cursor) = &mut self.place else { return };
        if cursor.file.id != file.id {
            self.serial += 1;
        }
        cursor.file = file;
        cursor.path = Arc::clone(&self.list[index].path);
        self.scanned_for = None;
    }

    /// Where the file being read stands in the listing.
    fn index(&self) -> Option<usize> {
        let file = &self.cursor()?.file;
        // Only an open file keeps its inode from being given to another one.
        let is_pinned = !matches!(file.source, Source::GzipEnd);
        self.list.iter().position(|entry| {
            entry.id == file.id && (is_pinned || end::is_same_stamp(&entry.path, file))
        })
    }

    /// What a search for the current file looks for.
    fn wanted(&self, cursor: &Cursor) -> Wanted {
        Wanted {
            fingerprint: Fingerprint::new(&cursor.file.mark, &cursor.file.head),
            id: Some(cursor.file.id),
            name: cursor.path.to_string_lossy().into_owned(),
            is_pinned: matches!(cursor.file.source, Source::Plain(_)),
        }
    }

    /// Moves the consumed position over `bytes` and returns it.
    pub(crate) fn consume(&mut self, bytes: &[u8]) -> Position {
        let Place::At(cursor) = &mut self.place else { return self.no_position() };
        cursor.consumed.advance(bytes);
        debug_assert!(cursor.consumed.offset <= cursor.file.mark.offset, "consumed before read");
        self.position()
    }

    /// The consumed position.
    pub(crate) fn position(&self) -> Position {
        let Some(cursor) = self.cursor() else { return self.no_position() };
        let is_behind_head = cursor.consumed.offset >= WINDOW_BYTES as u64;
        Position {
            serial: self.serial,
            id: cursor.file.id,
            path: Arc::clone(&cursor.path),
            offset: cursor.consumed.offset,
            window: cursor.consumed.window().into(),
            head: if is_behind_head { cursor.file.head.digest() } else { None },
            finished: Arc::clone(&self.finished),
        }
    }

    /// Before the first file: nothing that a journal would hold, see [`Stream::to_save`].
    fn no_position(&self) -> Position {
        Position {
            serial: 0,
            id: FileId { device: 0, inode: 0 },
            path: Path::new("").into(),
            offset: 0,
            window: Arc::from([]),
            head: None,
            finished: Arc::from([]),
        }
    }

    /// What the journal should say, unless it says so already or says something newer.
    pub(crate) fn to_save(&self, position: &Position) -> Option<Record> {
        let key = (position.serial, position.offset);
        if position.path.as_os_str().is_empty() || self.saved.is_some_and(|saved| key <= saved) {
            return None;
        }
        let renamed = self.list.iter().find(|entry| entry.id == position.id);
        let path = match self.cursor() {
            Some(cursor) if cursor.file.id == position.id => &cursor.path,
            _ => renamed.map_or(&position.path, |entry| &entry.path),
        };
        Some(position.to_record(path))
    }

    pub(crate) fn saved(&mut self, position: &Position) {
        self.saved = Some((position.serial, position.offset));
    }

    pub(crate) fn take_unsaved_start(&mut self) -> Option<Position> {
        self.unsaved_start.take()
    }

    pub(crate) fn take_problems(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.problems)
    }

    /// The files whose change is of interest while the stream is idle.
    pub(crate) fn watch_targets(&self) -> impl Iterator<Item = (Option<RawFd>, &Path)> {
        let current = self.cursor().map(|cursor| (cursor.file.plain_fd(), &*cursor.path));
        current.into_iter().chain(self.waiting_for.as_ref().map(|(path, _)| (None, &**path)))
    }

    /// Changes whenever [`Stream::watch_targets`] do.
    pub(crate) fn watch_key(&self) -> (u64, Option<FileId>) {
        (self.serial, self.waiting_for.as_ref().map(|(_, id)| *id))
    }

    /// Whether `list` holds other files or names than before.
    pub(crate) fn is_news(&self, list: &Listing) -> bool {
        let key = |entry: &Entry| (entry.id, Arc::clone(&entry.path));
        !self.list.iter().map(key).eq(list.iter().map(key))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.cursor().is_some_and(|cursor| cursor.file.is_open())
    }

    /// Gives back the descriptor of an idle plain file.
    pub(crate) fn close(&mut self) {
        let Place::At(cursor) = &mut self.place else { return };
        if let (Ok(Some(metadata)), None) = (cursor.file.metadata(), &self.next) {
            cursor.file.stamp = source::stamp(&metadata);
            cursor.file.source = Source::Closed;
        }
    }
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File { path: path.to_path_buf(), source }
}

/// Holds a failing stream back, and tells a new failure from the old one.
#[derive(Default)]
struct Hold {
    failure: Option<String>,
    until: Option<Instant>,
    pause: Duration,
}

impl Hold {
    fn is_active(&self, now: Now) -> bool {
        self.until.is_some_and(|until| now.steady < until)
    }

    /// Notes a failure; whether it is another one than before.
    fn is_news(&mut self, error: &Error, now: Now) -> bool {
        let key = error.key();
        let is_news = self.failure.as_ref() != Some(&key);
        if is_news {
            self.pause = Duration::ZERO;
        }
        self.lengthen(now);
        self.failure = Some(key);
        is_news
    }

    /// Holds back from now on, longer than the last time.
    fn lengthen(&mut self, now: Now) {
        self.pause = (self.pause * 2).clamp(RETRY_MIN, RETRY_MAX);
        self.until = Some(now.steady + self.pause);
    }
}
