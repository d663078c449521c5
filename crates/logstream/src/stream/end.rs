//! What to do where the bytes of a file end.
//!
//! Here: renamed, replaced, truncated, vanished, damaged and closed files, and the choice of the next one. Invariants: a
//! file is left only for a later one that has data; a compressed copy of what was read is never read; before a file is
//! left its end was read after its successor had been seen.

use super::{
    Arc, Catalog, Copy, Duration, Entry, Error, FileId, Fingerprint, Finished, Found,
    GZIP_PATIENCE, MetadataExt, Next, Now, OpenFile, Path, Place, ReadEvent, Step, Stream,
    WINDOW_BYTES, Wanted, file_error, fs, gzip_copy, io, is_absent, is_finished, locate,
    newest_finished,
};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A file that was written to within this time may be a copy that is not complete.
const COPY_PATIENCE: Duration = Duration::from_secs(2);
/// Looks for files before the current one, while files are being renamed.
const SCANS_MAX: usize = 3;
/// Scans until a listing is found true, while files are being renamed.
const REFRESHES_MAX: usize = 10;
const IDLE: Step = Step::Event(ReadEvent::Idle);

/// Where to look for the next file.
enum Onward {
    /// From this index on.
    From(usize),
    /// The current file was found again under another name and inode.
    Adopted,
    Wait,
}

impl Stream {
    /// No more bytes: stays, goes on in the same file under another name, or leaves it.
    pub(super) fn at_end(&mut self, catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        let file = &cursor.file;
        let failed = |source| file_error(&cursor.path, source);
        let is_cut =
            file.metadata().map_err(failed)?.is_some_and(|found| found.len() < file.mark.offset);
        if is_cut || !file.is_unchanged().map_err(failed)? {
            return self.truncated(catalog, now);
        }
        if let Some(next) = &mut self.next {
            next.announced = true;
            return Ok(Step::Event(ReadEvent::EndOfFile));
        }
        self.follow_name(catalog, now)?;
        if matches!(self.step_back(now)?, Back::Stepped) {
            return Ok(Step::Again);
        }
        if let Place::At(cursor) = &mut self.place {
            cursor.unchecked = cursor.file.mark.offset == 0;
        }
        let step = match self.onward(catalog, now)? {
            Onward::Adopted => return Ok(Step::Again),
            Onward::Wait => IDLE,
            Onward::From(_) => match self.find_next(catalog, now)? {
                Some(next) => {
                    self.next = Some(next);
                    Step::Again
                }
                None => IDLE,
            },
        };
        self.ended_in = catalog.generation();
        Ok(step)
    }

    /// If something else stands at the path of our file, looks where the file went, unless that is known already.
    fn follow_name(&mut self, catalog: &mut Catalog, now: Now) -> Result<(), Error> {
        let Some(cursor) = self.cursor() else { return Ok(()) };
        let there = match fs::metadata(&cursor.path) {
            Ok(metadata) => Some(FileId::of(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(file_error(&cursor.path, source)),
        };
        if there == Some(cursor.file.id) {
            self.scanned_for = None;
            return Ok(());
        }
        let listed = self.list.iter().find(|entry| entry.path == cursor.path);
        let is_fresh = listed.map(|entry| entry.id) == there;
        if is_fresh || self.scanned_for == Some(there) {
            return Ok(());
        }
        self.scan(catalog, now);
        self.scanned_for = Some(there);
        Ok(())
    }

    fn scan(&mut self, catalog: &mut Catalog, now: Now) {
        catalog.scan(now);
        if let Some(list) = catalog.listing(&self.name).cloned() {
            self.update(&list);
        }
    }

    /// Scans until the listing says what stands where: files may be renamed while we look.
    pub(super) fn refresh(&mut self, catalog: &mut Catalog, now: Now) {
        for _ in 0..REFRESHES_MAX {
            let is_true = self.list.iter().all(|entry| {
                fs::metadata(&entry.path).is_ok_and(|metadata| FileId::of(&metadata) == entry.id)
            });
            if is_true {
                return;
            }
            let before = Arc::clone(&self.list);
            self.scan(catalog, now);
            if !self.is_news(&before) {
                // A stream whose files are gone keeps its last listing; another scan says no more.
                return;
            }
        }
    }

    /// The first bytes of a file are there: whether files appeared before it since it was listed, such as a copy of
    /// what was written and cut off in between, or files that it was rotated behind.
    /// `None`: none did, the bytes may be taken.
    pub(super) fn comes_late(
        &mut self,
        catalog: &mut Catalog,
        now: Now,
    ) -> Result<Option<Step>, Error> {
        for _ in 0..SCANS_MAX {
            let Some(cursor) = self.cursor().filter(|cursor| cursor.unchecked) else {
                return Ok(None);
            };
            if !catalog.is_current(&cursor.path) {
                catalog.scan(now);
            }
            if let Some(list) = catalog.listing(&self.name).cloned() {
                self.update(&list);
            }
            let before = self.index().and_then(|index| index.checked_sub(1));
            if before.is_some_and(|before| self.is_being_copied(before, now)) {
                // Read now, the part that is there would be taken for an older file, and come again with this one.
                return Ok(Some(self.wait(now)));
            }
            if let Some(step) = self.pass_copy(catalog, now)? {
                return Ok(Some(step));
            }
            match self.step_back(now)? {
                Back::Stepped => return Ok(Some(Step::Again)),
                Back::Nothing => {
                    if let Place::At(cursor) = &mut self.place {
                        cursor.unchecked = false;
                    }
                    return Ok(None);
                }
                Back::Stale => catalog.scan(now),
            }
        }
        Ok(Some(IDLE))
    }

    /// Passes over the current file if it turned out to be a compressed copy of one that was read: it was empty, and so
    /// not known as a gzip file, when it was entered.
    fn pass_copy(&mut self, catalog: &mut Catalog, now: Now) -> Result<Option<Step>, Error> {
        let Some(index) =
            self.index().filter(|_| self.cursor().is_some_and(|it| it.file.is_gzip()))
        else {
            return Ok(None);
        };
        let Some(entry) = self.list.get(index).cloned() else { return Ok(None) };
        let known = self.finished.iter().filter(|file| file.seek > 0);
        let read: Vec<Fingerprint> = known.map(Finished::fingerprint).collect();
        match gzip_copy(&entry, &read, now)? {
            Copy::No => return Ok(None),
            Copy::Yes => {
                self.passed.insert(entry.id, entry.stamp());
                if let Some(next) = self.find_next(catalog, now)? {
                    self.enter(Next { announced: true, finishes: false, ..next });
                    return Ok(Some(Step::Again));
                }
            }
            Copy::Unknown => {}
        }
        Ok(Some(self.wait(now)))
    }

    /// Whether the file at `index` is a copy of the next one that is just being made: the next one will be cut off
    /// then. A file that cannot be read is none; who reads it tells the error.
    fn is_being_copied(&self, index: usize, now: Now) -> bool {
        let (Some(entry), Some(newer)) = (self.list.get(index), self.list.get(index + 1)) else {
            return false;
        };
        let age = now.wall.duration_since(entry.modified).unwrap_or_default();
        age <= COPY_PATIENCE && is_beginning_of(&entry.path, &newer.path).unwrap_or(false)
    }

    /// Nothing was read of the current file, and files appeared before it that nobody has read: they come first.
    fn step_back(&mut self, now: Now) -> Result<Back, Error> {
        let at_start = self.cursor().is_some_and(|cursor| cursor.file.mark.offset == 0);
        let (true, Some(index)) = (at_start, self.index()) else { return Ok(Back::Nothing) };
        let Some(first) = self.first_unread_before(index, now)? else { return Ok(Back::Nothing) };
        let entry = &self.list[first];
        let file = match OpenFile::open(&entry.path) {
            Ok(file) if file.id == entry.id => file,
            Ok(_) => return Ok(Back::Stale),
            Err(error) if is_absent(&error) => return Ok(Back::Stale),
            Err(error) => return Err(error),
        };
        let path = Arc::clone(&entry.path);
        self.enter(Next { file: Box::new(file), path, announced: true, finishes: false });
        Ok(Back::Stepped)
    }

    /// The first of the unread files that stand directly before `index`.
    fn first_unread_before(&self, index: usize, now: Now) -> Result<Option<usize>, Error> {
        let read = self.read_content();
        let mut first = None;
        for (index, entry) in self.list[..index].iter().enumerate().rev() {
            if entry.aged || self.is_read(entry)? {
                break;
            }
            // What a gzip file that is just being written holds cannot be told yet; its original may stand before it.
            let in_the_making = matches!(gzip_copy(entry, &read, now), Ok(Copy::Unknown));
            if entry.bytes > 0 && !in_the_making {
                first = Some(index);
            }
        }
        Ok(first)
    }

    /// Whether a file, or the file that it is a copy of, was read or passed over.
    fn is_read(&self, entry: &Entry) -> Result<bool, Error> {
        let is_passed = self.passed.get(&entry.id) == Some(&entry.stamp());
        Ok(is_passed || (entry.bytes > 0 && is_finished(entry, &self.finished)?))
    }

    /// Where the next file is to be looked for.
    fn onward(&mut self, catalog: &Catalog, now: Now) -> Result<Onward, Error> {
        if let Some(index) = self.index() {
            return Ok(Onward::From(index + 1));
        }
        let Some(cursor) = self.cursor() else { return Ok(Onward::Wait) };
        // A file that has a name elsewhere was moved out of our sight, and what looks like it is another one.
        if self.is_deleted()?
            && cursor.file.mark.offset > 0
            && self.searched_in != catalog.generation()
        {
            let wanted = Wanted { id: None, ..self.wanted(cursor) };
            let found = locate(&self.list, &wanted, &self.passed, now)?;
            if matches!(found, Found::Wait) {
                self.rest.lengthen(now);
                return Ok(Onward::Wait);
            }
            // Once for each listing, whatever it gave: the search may decompress a lot.
            self.searched_in = catalog.generation();
            if let Found::At(index, file) = found {
                self.adopt(index, *file);
                return Ok(Onward::Adopted);
            }
        }
        Ok(Onward::From(self.behind_read()?))
    }

    /// Whether no name leads to the current file any more, as far as that can be told.
    fn is_deleted(&self) -> Result<bool, Error> {
        let Some(cursor) = self.cursor() else { return Ok(false) };
        let metadata = cursor.file.metadata().map_err(|source| file_error(&cursor.path, source))?;
        Ok(metadata.is_none_or(|metadata| metadata.nlink() == 0))
    }

    /// The first file with data behind all that were read.
    fn first_unread_behind(&self) -> Result<Option<usize>, Error> {
        let from = self.behind_read()?;
        let has_data = |index: &usize| !self.list[*index].aged && self.list[*index].bytes > 0;
        Ok((from..self.list.len()).find(has_data))
    }

    /// Index behind the newest file that was read.
    fn behind_read(&self) -> Result<usize, Error> {
        let passed = |entry: &Entry| self.passed.get(&entry.id) == Some(&entry.stamp());
        if let Some(index) = self.list.iter().rposition(passed) {
            return Ok(index + 1);
        }
        Ok(newest_finished(&self.list, &self.finished)?.map_or(0, |index| index + 1))
    }

    /// Opens the next file that has data; `None` if there is none yet.
    fn find_next(&mut self, catalog: &mut Catalog, now: Now) -> Result<Option<Next>, Error> {
        if let Search::Done(next) = self.search_next(catalog, now)? {
            return Ok(next);
        }
        self.scan(catalog, now);
        match self.search_next(catalog, now)? {
            Search::Done(next) => Ok(next),
            // Files are being renamed right now.
            Search::Stale => Ok(None),
        }
    }

    fn search_next(&mut self, catalog: &Catalog, now: Now) -> Result<Search, Error> {
        let Onward::From(from) = self.onward(catalog, now)? else { return Ok(Search::Done(None)) };
        self.waiting_for = None;
        let list = Arc::clone(&self.list);
        for (index, entry) in list.iter().enumerate().skip(from) {
            if entry.aged {
                continue;
            }
            if self.is_being_copied(index, now) {
                self.rest.lengthen(now);
                return Ok(Search::Done(None));
            }
            let file = match OpenFile::open(&entry.path) {
                Ok(file) => file,
                Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    return Ok(Search::Stale);
                }
                Err(error) => return Err(error),
            };
            if file.id != entry.id {
                return Ok(Search::Stale);
            }
            if file.stamp.0 == 0 {
                self.waiting_for = Some((Arc::clone(&entry.path), entry.id));
                continue;
            }
            if file.is_gzip() {
                let copy = match gzip_copy(entry, &self.read_content(), now) {
                    Err(error) if is_absent(&error) => return Ok(Search::Stale),
                    copy => copy?,
                };
                match copy {
                    Copy::No => {}
                    Copy::Unknown => {
                        self.rest.lengthen(now);
                        return Ok(Search::Done(None));
                    }
                    Copy::Yes => {
                        self.passed.insert(entry.id, entry.stamp());
                        continue;
                    }
                }
            }
            let path = Arc::clone(&entry.path);
            let next = Next { file: Box::new(file), path, announced: false, finishes: true };
            return Ok(Search::Done(Some(next)));
        }
        Ok(Search::Done(None))
    }

    /// What was read of the current and the finished files.
    fn read_content(&self) -> Vec<Fingerprint> {
        let current = self.cursor().map(|cursor| self.wanted(cursor).fingerprint);
        let finished = self.finished.iter().map(|file| file.fingerprint());
        finished.chain(current).filter(|fingerprint| fingerprint.offset > 0).collect()
    }

    /// The content before our position is not what we read: goes on in the copy that was made of it, else at the first
    /// unread file, which is the rewritten one itself if no other is.
    pub(super) fn truncated(&mut self, catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        self.next = None;
        self.scan(catalog, now);
        self.refresh(catalog, now);
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        match locate(&self.list, &self.wanted(cursor), &self.passed, now)? {
            Found::At(index, file) => {
                self.adopt(index, *file);
                return Ok(Step::Again);
            }
            Found::Wait => return Ok(self.wait(now)),
            Found::Rewritten(_) | Found::Nowhere => {}
        }
        let failed = |source| file_error(&cursor.path, source);
        let rewound = cursor.file.rewound().map_err(failed)?;
        self.restart(rewound, now)
    }

    /// A compressed file may be the one that is looked for, once it is complete.
    fn wait(&mut self, now: Now) -> Step {
        self.rest.lengthen(now);
        IDLE
    }

    /// Announces that reading starts again: at an unread file before ours, else at the start of ours.
    fn restart(&mut self, rewound: Option<OpenFile>, now: Now) -> Result<Step, Error> {
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        let unread = match self.index() {
            Some(index) => self.first_unread_before(index, now)?,
            None if self.is_deleted()? => self.first_unread_behind()?,
            None => None,
        };
        let (file, path) = match (unread, rewound) {
            (Some(index), _) => {
                let path = &self.list[index].path;
                (OpenFile::open(path)?, path)
            }
            (None, Some(file)) => (file, &cursor.path),
            (None, None) => (OpenFile::open(&cursor.path)?, &cursor.path),
        };
        let next =
            Next { file: Box::new(file), path: Arc::clone(path), announced: true, finishes: false };
        let problem = Error::FileTruncated {
            stream: self.name.clone(),
            path: cursor.path.to_path_buf(),
            offset: cursor.file.mark.offset,
        };
        self.problems.push(problem);
        self.next = Some(next);
        Ok(Step::Event(ReadEvent::Truncated))
    }

    /// Opens a file again that was closed while idle, if there is a reason to.
    pub(super) fn reopen(&mut self, catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        let is_untouched = is_same_stamp(&cursor.path, &cursor.file);
        let waits = self.waiting_for.as_ref().is_some_and(|(path, _)| has_data(path));
        if is_untouched && !waits && self.ended_in == catalog.generation() {
            return Ok(IDLE);
        }
        self.follow_name(catalog, now)?;
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        match locate(&self.list, &self.wanted(cursor), &self.passed, now)? {
            Found::At(index, file) => {
                self.adopt(index, *file);
                Ok(Step::Again)
            }
            Found::Wait => Ok(self.wait(now)),
            Found::Rewritten(index) => {
                let file = OpenFile::open(&self.list[index].path)?;
                self.restart(Some(file), now)
            }
            Found::Nowhere => self.reopen_lost(catalog, now),
        }
    }

    /// The closed file is gone; what was appended to it since is lost, the next file is not.
    fn reopen_lost(&mut self, catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        let problem = Error::PositionLost {
            stream: self.name.clone(),
            path: cursor.path.to_path_buf(),
            offset: cursor.file.mark.offset,
        };
        let Some(next) = self.find_next(catalog, now)? else { return Ok(IDLE) };
        self.problems.push(problem);
        self.next = Some(Next { announced: true, ..next });
        Ok(Step::Event(ReadEvent::EndOfFile))
    }

    /// A gzip file cannot be read on: tries again when it changes, gives it up in favour of newer files when it does not.
    pub(super) fn damaged(&mut self, catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        let index = self.index();
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        let path = index.map_or(&cursor.path, |index| &self.list[index].path);
        if !is_same_stamp(path, &cursor.file) {
            self.follow_name(catalog, now)?;
            return self.reopen_damaged(catalog, now);
        }
        self.leave_damaged(catalog, now)
    }

    fn reopen_damaged(&mut self, catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        let Some(cursor) = self.cursor() else { return Ok(Step::Again) };
        let wanted = self.wanted(cursor);
        match locate(&self.list, &wanted, &self.passed, now)? {
            Found::At(index, file) => {
                self.adopt(index, *file);
                Ok(Step::Again)
            }
            Found::Wait => Ok(self.wait(now)),
            Found::Rewritten(_) | Found::Nowhere => self.leave_damaged(catalog, now),
        }
    }

    fn leave_damaged(&mut self, catalog: &mut Catalog, now: Now) -> Result<Step, Error> {
        let Place::At(cursor) = &mut self.place else { return Ok(Step::Again) };
        let since = *cursor.damaged_since.get_or_insert(now.steady);
        let (path, offset) = (cursor.path.to_path_buf(), cursor.file.mark.offset);
        if now.steady.saturating_duration_since(since) < GZIP_PATIENCE {
            return Ok(IDLE);
        }
        let Some(next) = self.find_next(catalog, now)? else { return Ok(IDLE) };
        self.problems.push(Error::GzipGivenUp { path, offset });
        self.next = Some(Next { announced: true, ..next });
        Ok(Step::Event(ReadEvent::EndOfFile))
    }
}

/// What a look for unread files before the current one gave.
enum Back {
    /// The first of them is the current one now.
    Stepped,
    /// There are none.
    Nothing,
    /// The listing is out of date.
    Stale,
}

/// What a look for the next file gave.
enum Search {
    Done(Option<Next>),
    /// The listing is out of date.
    Stale,
}

/// Whether all of `part` stands at the start of `whole`, as far as its first and its last bytes tell.
fn is_beginning_of(part: &Path, whole: &Path) -> io::Result<bool> {
    let (part, whole) = (File::open(part)?, File::open(whole)?);
    let (part_bytes, whole_bytes) = (part.metadata()?.len(), whole.metadata()?.len());
    if part_bytes == 0 || part_bytes > whole_bytes {
        return Ok(false);
    }
    let window = part_bytes.min(WINDOW_BYTES as u64);
    for offset in [0, part_bytes - window] {
        let mut one = [0; WINDOW_BYTES];
        let mut other = [0; WINDOW_BYTES];
        let len = usize::try_from(window).unwrap_or(WINDOW_BYTES);
        part.read_exact_at(&mut one[..len], offset)?;
        whole.read_exact_at(&mut other[..len], offset)?;
        if one != other {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn is_same_stamp(path: &Path, file: &OpenFile) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        FileId::of(&metadata) == file.id && super::source::stamp(&metadata) == file.stamp
    })
}

fn has_data(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}
