//! Finding a position again among the files of a stream.
//!
//! Here: the search by inode, name and content. Not here: what a stream does with the answer. Order of trust: the same
//! inode with the right content; the named file with the right content; any file, from the newest on, with the right
//! content. A position at byte 0 has no content to compare: there only the inode counts, and in a journal of Heka,
//! which has none, the name, else the newest file (as Heka does).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use crate::catalog::Entry;
use crate::error::Error;
use crate::identity::{FileId, Fingerprint, WINDOW_BYTES};
use crate::journal::Finished;
use crate::settings::Now;
use crate::source::{OpenFile, Opened, find_match};

/// A gzip file that ends too early is taken to be still in the making for so long after its last change.
pub(crate) const GZIP_PATIENCE: Duration = Duration::from_secs(60);

/// Files known to be read or skipped, each with its size and modification time.
pub(crate) type Passed = HashMap<FileId, (u64, SystemTime)>;

/// The file that is looked for.
pub(crate) struct Wanted {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) id: Option<FileId>,
    pub(crate) name: String,
    /// The file is open: its inode belongs to no other file.
    pub(crate) is_pinned: bool,
}

impl Wanted {
    /// Whether so few bytes are known that another file may begin with them.
    fn is_short(&self) -> bool {
        self.fingerprint.offset < WINDOW_BYTES as u64
    }
}

/// Where it is.
pub(crate) enum Found {
    /// This file, opened behind the known content.
    At(usize, Box<OpenFile>),
    /// This is the inode, but its content is another one.
    Rewritten(usize),
    /// None of the files.
    Nowhere,
    /// Perhaps a gzip file that is still being written.
    Wait,
}

/// Looks for a file. Files that cannot be read make it fail only if none of the others is the one.
pub(crate) fn locate(
    list: &[Entry],
    wanted: &Wanted,
    passed: &Passed,
    now: Now,
) -> Result<Found, Error> {
    if wanted.fingerprint.offset == 0 {
        return locate_start(list, wanted);
    }
    let (mut rewritten, mut wait, mut failure) = (None, false, None);
    for index in search_order(list, wanted) {
        let entry = &list[index];
        let is_same_inode = wanted.id == Some(entry.id);
        // The copy of a file that was rewritten stands before it.
        let is_behind = wanted.is_short()
            && wanted.is_pinned
            && rewritten.is_some_and(|rewritten| index > rewritten);
        if !is_same_inode && (is_behind || is_out_of_question(entry, wanted, passed)) {
            continue;
        }
        match OpenFile::open_at(&entry.path, &wanted.fingerprint) {
            Ok(Opened::Same(file)) => return Ok(Found::At(index, file)),
            Ok(Opened::Other) if is_same_inode => rewritten = Some(index),
            Ok(Opened::Other) => {}
            Ok(Opened::Cut) => wait |= is_recent(entry, now),
            Err(error) if is_absent(&error) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    // Files are being renamed: what was looked for may have been passed by under its new name.
    wait |= is_out_of_date(list);
    match (wait, failure, rewritten) {
        (true, ..) => Ok(Found::Wait),
        (_, Some(error), _) => Err(error),
        (_, _, Some(index)) => Ok(Found::Rewritten(index)),
        _ => Ok(Found::Nowhere),
    }
}

/// Whether other files than those listed stand at some of the paths, or some are gone. Where all are gone the listing
/// is the last one that there was.
fn is_out_of_date(list: &[Entry]) -> bool {
    let ids = list.iter().map(|entry| fs::metadata(&entry.path).ok().map(|it| FileId::of(&it)));
    let (mut there, mut gone) = (false, false);
    for (entry, id) in list.iter().zip(ids) {
        match id {
            Some(id) if id != entry.id => return true,
            Some(_) => there = true,
            None => gone = true,
        }
    }
    there && gone
}

fn locate_start(list: &[Entry], wanted: &Wanted) -> Result<Found, Error> {
    let index = match wanted.id {
        Some(id) => list.iter().position(|entry| entry.id == id),
        None => named(list, wanted).or(list.len().checked_sub(1)),
    };
    match index {
        Some(index) => Ok(Found::At(index, Box::new(OpenFile::open(&list[index].path)?))),
        None => Ok(Found::Nowhere),
    }
}

fn search_order(list: &[Entry], wanted: &Wanted) -> Vec<usize> {
    let by_id = list.iter().position(|entry| wanted.id == Some(entry.id));
    let mut order: Vec<usize> = by_id.into_iter().collect();
    for index in named(list, wanted).into_iter().chain((0..list.len()).rev()) {
        if order.first() != Some(&index) && order.get(1) != Some(&index) {
            order.push(index);
        }
    }
    order
}

fn named(list: &[Entry], wanted: &Wanted) -> Option<usize> {
    list.iter().position(|entry| entry.path.to_string_lossy() == wanted.name)
}

/// A file that was read before is not the one, though it may begin with the same few lines. Where a full window can be
/// compared that cannot happen, and a copy made just before the list was taken must not be missed.
fn is_out_of_question(entry: &Entry, wanted: &Wanted, passed: &Passed) -> bool {
    wanted.is_short() && passed.get(&entry.id) == Some(&entry.stamp())
}

fn is_recent(entry: &Entry, now: Now) -> bool {
    now.wall.duration_since(entry.modified).map_or(true, |age| age < GZIP_PATIENCE)
}

/// Whether the file is not there.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// The newest file that is one of `finished`.
pub(crate) fn newest_finished(
    list: &[Entry],
    finished: &[Finished],
) -> Result<Option<usize>, Error> {
    for (index, entry) in list.iter().enumerate().rev() {
        if is_finished(entry, finished)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Whether a file is, or is a copy of, one of `finished`.
pub(crate) fn is_finished(entry: &Entry, finished: &[Finished]) -> Result<bool, Error> {
    // Only content tells: an inode may have been given to another file since.
    let wanted: Vec<Fingerprint> =
        finished.iter().filter(|file| file.seek > 0).map(Finished::fingerprint).collect();
    match find_match(&entry.path, entry.id, &wanted) {
        Ok(found) => Ok(found.is_some()),
        Err(Error::Gzip { .. }) => Ok(false),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a gzip file is the compressed copy of a file that was read.
pub(crate) enum Copy {
    Yes,
    No,
    /// It is still being written.
    Unknown,
}

/// Tells whether the gzip file `entry` holds what was read from one of `read`.
pub(crate) fn gzip_copy(entry: &Entry, read: &[Fingerprint], now: Now) -> Result<Copy, Error> {
    match find_match(&entry.path, entry.id, read) {
        Ok(Some(_)) => Ok(Copy::Yes),
        Ok(None) => Ok(Copy::No),
        Err(Error::Gzip { .. }) if is_recent(entry, now) => Ok(Copy::Unknown),
        // Its first bytes were those of a file that we have read completely.
        Err(Error::Gzip { offset, .. }) if offset >= WINDOW_BYTES as u64 => Ok(Copy::Yes),
        Err(Error::Gzip { .. }) => Ok(Copy::No),
        Err(error) => Err(error),
    }
}
