//! Where a stream begins: at its journal, at the oldest or newest file, or behind what was too old.
//!
//! Here: the first position. Invariant: a failure leaves the start as it is, to be tried again; nothing but a finished
//! search that found nothing gives up a position.

use super::{
    Arc, Cursor, Error, Found, Now, OpenFile, Passed, Place, ReadEvent, Record, Step, Stream,
    Wanted, locate, newest_finished,
};
use crate::identity::FileId;
use crate::journal::Finished;

/// How a stream begins.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// Where its journal says.
    Journal(Record),
    /// With its oldest file.
    Oldest,
    /// At the end of its newest file.
    Tail,
    /// In a file that was too old to be read when it had so many bytes, behind those.
    Aged(FileId, u64),
}

impl Stream {
    pub(super) fn begin(&mut self, now: Now) -> Result<Step, Error> {
        let Place::Start(start) = &self.place else { return Ok(Step::Again) };
        match start.clone() {
            Start::Oldest => self.begin_oldest(),
            Start::Tail => self.begin_tail(),
            Start::Aged(id, bytes) => self.begin_aged(id, bytes),
            Start::Journal(record) => self.begin_journal(&record, now),
        }
    }

    /// The place where the stream begins, for those who only want to know.
    pub(crate) fn begin_only(&mut self, now: Now) -> Result<(), Error> {
        self.begin(now).map(|_| ())
    }

    fn begin_oldest(&mut self) -> Result<Step, Error> {
        match self.list.iter().position(|entry| !entry.aged) {
            Some(index) => self.begin_at_start(index),
            None => Ok(Step::Event(ReadEvent::Idle)),
        }
    }

    fn begin_at_start(&mut self, index: usize) -> Result<Step, Error> {
        let file = OpenFile::open(&self.list[index].path)?;
        Ok(self.begin_in(index, file))
    }

    fn begin_in(&mut self, index: usize, file: OpenFile) -> Step {
        self.passed =
            self.list[..index].iter().map(|entry| (entry.id, entry.stamp())).collect::<Passed>();
        self.finished = self.skipped(index);
        self.serial += 1;
        let consumed = file.mark.clone();
        let is_start = consumed.offset == 0;
        let path = Arc::clone(&self.list[index].path);
        self.place = Place::At(Box::new(Cursor {
            file,
            path,
            consumed,
            unchecked: is_start,
            damaged_since: None,
        }));
        Step::Again
    }

    /// The newest file before `index`, which counts as read: what appears between it and the current file is new.
    fn skipped(&self, index: usize) -> Arc<[Finished]> {
        let Some(entry) = self.list[..index].iter().rev().find(|entry| entry.bytes > 0) else {
            return Arc::from([]);
        };
        // Where it cannot be read now it can hardly be read later; it is merely not known by its content.
        let file = OpenFile::open_near(&entry.path, u64::MAX);
        file.iter().map(Finished::of).collect()
    }

    /// Takes over what the journal says was read before.
    fn remember(&mut self, record: &Record) {
        if !record.finished.is_empty() {
            self.finished = record.finished.as_slice().into();
        }
    }

    fn begin_tail(&mut self) -> Result<Step, Error> {
        let Some(index) = self.list.iter().rposition(|entry| !entry.aged) else {
            return Ok(Step::Event(ReadEvent::Idle));
        };
        let file = OpenFile::open_near(&self.list[index].path, u64::MAX)?;
        let step = self.begin_in(index, file);
        // Else a restart before the first record would skip what is written until then.
        self.unsaved_start = Some(self.position());
        Ok(step)
    }

    fn begin_aged(&mut self, id: FileId, bytes: u64) -> Result<Step, Error> {
        let Some(index) = self.list.iter().position(|entry| entry.id == id) else {
            return self.begin_oldest();
        };
        let mut file = OpenFile::open(&self.list[index].path)?;
        // The size of a gzip file says nothing about the bytes in it.
        if file.stamp.0 >= bytes && !file.is_gzip() {
            file = OpenFile::open_near(&self.list[index].path, bytes)?;
        }
        let step = self.begin_in(index, file);
        self.unsaved_start = Some(self.position());
        Ok(step)
    }

    fn begin_journal(&mut self, record: &Record, now: Now) -> Result<Step, Error> {
        if record.file_name.is_empty() && record.id().is_none() {
            return self.begin_oldest();
        }
        if record.seek == 0 && record.id().is_some() {
            // Nothing of the file was read, so nothing but its inode would tell it, and that may belong to another file
            // by now. What was read before it tells more.
            return self.begin_lost(record);
        }
        let wanted = Wanted {
            fingerprint: record.fingerprint(),
            id: record.id(),
            name: record.file_name.clone(),
            is_pinned: false,
        };
        match locate(&self.list, &wanted, &self.passed, now)? {
            Found::Wait => {
                self.rest.lengthen(now);
                Ok(Step::Event(ReadEvent::Idle))
            }
            Found::At(index, file) => {
                let step = self.begin_in(index, *file);
                self.resumed = true;
                self.remember(record);
                Ok(step)
            }
            Found::Rewritten(index) => {
                // Without a file known to be read nothing before this one was.
                let read = newest_finished(&self.list[..index], &record.finished)?;
                let start = read.map_or_else(|| self.oldest(), |read| read + 1);
                let step = self.begin_at_start(start)?;
                self.remember(record);
                self.problems.push(Error::FileTruncated {
                    stream: self.name.clone(),
                    path: record.file_name.clone().into(),
                    offset: record.seek,
                });
                Ok(step)
            }
            Found::Nowhere => self.begin_lost(record),
        }
    }

    /// The file of the journal is gone: goes on behind the newest file known to be read.
    fn begin_lost(&mut self, record: &Record) -> Result<Step, Error> {
        if self.list.is_empty() {
            return Ok(Step::Event(ReadEvent::Idle));
        }
        let newest = newest_finished(&self.list, &record.finished)?;
        let step = match newest {
            None => self.begin_oldest()?,
            Some(newest) => {
                let next = (newest + 1..self.list.len()).find(|index| !self.list[*index].aged);
                match next {
                    Some(index) => self.begin_at_start(index)?,
                    None => {
                        let end = OpenFile::open_near(&self.list[newest].path, u64::MAX)?;
                        self.begin_in(newest, end)
                    }
                }
            }
        };
        self.remember(record);
        if record.seek > 0 {
            self.problems.push(Error::PositionLost {
                stream: self.name.clone(),
                path: record.file_name.clone().into(),
                offset: record.seek,
            });
        }
        Ok(step)
    }

    /// Index of the oldest file that may be read.
    pub(super) fn oldest(&self) -> usize {
        self.list.iter().position(|entry| !entry.aged).unwrap_or(0)
    }
}
