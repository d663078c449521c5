//! Rotated sets of log files, read as streams with a journal.
//!
//! Here: finding log files and sorting them into streams, reading each stream from its oldest to its newest file and on
//! while it grows, recognising files through rotation, copying, truncation and compression, and the journal that lets a
//! restart go on where it stopped. Not here: splitting bytes into records, messages, threads.
//!
//! Invariants: every byte of a stream is delivered once and in order as long as it exists on disk when its turn comes; an
//! error moves no position; a journal never says more than the caller settled. All time comes in as [`Now`].

mod error;
mod settings;

mod catalog;
mod identity;
mod pattern;

mod journal;
mod locate;
mod source;
mod stream;

mod streams;
mod survey;
mod watcher;

pub use error::Error;
pub use journal::{DirectoryStore, JournalStore, MemoryStore, Position, journal_file_name};
pub use settings::{Now, OPEN_FILES_MAX, Settings};
pub use stream::{ReadEvent, Stream};
pub use streams::{LogStreams, StreamId};
pub use survey::{StreamSurvey, Survey, survey};
