//! What can go wrong with streams of log files.
//!
//! Here: the one error type. The same type serves as an error (the call did not do its work) and as a reported
//! problem (`LogStreams::take_problems`: the work went on, somebody should know).

use std::io;
use std::path::PathBuf;

/// An error of a log stream, or a problem that it reports while it goes on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `file_match` is empty.
    #[error("file_match must not be empty")]
    FileMatchEmpty,
    /// `file_match` is not a regular expression.
    #[error("file_match {pattern:?} is not a valid pattern")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What the compiler of patterns says.
        source: Box<heka_goregex::Error>,
    },
    /// `file_match` has an alternation outside of any group, so each branch is anchored on one side only.
    #[error(
        "file_match {pattern:?} has a `|` outside of a group: each branch is anchored on one side only"
    )]
    LooseAlternation {
        /// The configured pattern.
        pattern: String,
    },
    /// No `differentiator` is given, so the streams have no name.
    #[error("differentiator must name at least one element")]
    DifferentiatorMissing,
    /// An element of `priority` names nothing.
    #[error("priority {element:?} names no group")]
    PriorityEmpty {
        /// The element as configured.
        element: String,
    },
    /// An element of `priority` names a group that `file_match` does not have; it does not sort anything.
    #[error("priority {element:?} names a group that file_match does not have")]
    PriorityUnknown {
        /// The element as configured.
        element: String,
    },
    /// A translation with one key must translate `missing`.
    #[error("translation of {group:?} with a single key must translate \"missing\", not {key:?}")]
    TranslationSingle {
        /// The group.
        group: String,
        /// Its only key.
        key: String,
    },
    /// A translation without any key.
    #[error("translation of {group:?} is empty")]
    TranslationEmpty {
        /// The group.
        group: String,
    },
    /// The log directory cannot be entered; it is tried again.
    #[error("cannot use log directory {path}")]
    LogDirectory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A directory below the log directory cannot be read; its files are not seen.
    #[error("cannot read directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Directories are nested too deeply (or symbolic links make a circle); the rest is not seen.
    #[error("directory {path} lies too deep or links back to itself")]
    DirectoryDepth {
        /// The first directory that was not entered.
        path: PathBuf,
    },
    /// A file or its status cannot be read; it is tried again.
    #[error("cannot read log file {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A gzip file is corrupt or ends too early; the position is kept.
    #[error("gzip file {path} is damaged or incomplete after {offset} decompressed bytes")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// How many decompressed bytes could be read.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The rest of a damaged gzip file was given up, because newer files wait.
    #[error("the rest of damaged gzip file {path} after {offset} decompressed bytes is given up")]
    GzipGivenUp {
        /// The file.
        path: PathBuf,
        /// How many decompressed bytes were read.
        offset: u64,
    },
    /// A captured value of a file name has no sort value; it counts as 0.
    #[error("{path}: group {group:?} has the value {value:?}, which has no translation")]
    Untranslatable {
        /// The file.
        path: PathBuf,
        /// The group.
        group: String,
        /// The captured text in lower case, or `missing`.
        value: String,
    },
    /// A stream has several files and no priority to sort them.
    #[error(
        "found multiple logfiles without priority in stream {stream:?}, first {first} and {second}"
    )]
    PriorityMissing {
        /// The stream.
        stream: String,
        /// One file.
        first: PathBuf,
        /// Another file.
        second: PathBuf,
    },
    /// The journal of a stream cannot be read or understood; the stream starts without it.
    #[error("cannot read the journal of stream {stream:?}")]
    JournalRead {
        /// The stream.
        stream: String,
        /// The cause.
        source: io::Error,
    },
    /// The journal cannot be written; the position on disk stays behind.
    #[error("cannot write the journal of stream {stream:?}")]
    JournalWrite {
        /// The stream.
        stream: String,
        /// The cause.
        source: io::Error,
    },
    /// The journal directory cannot be made.
    #[error("cannot use journal directory {path}")]
    JournalDirectory {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// What the journal or the stream was reading is gone; reading goes on at the oldest file not read before.
    #[error("stream {stream:?}: the file read up to byte {offset}, last named {path}, is gone")]
    PositionLost {
        /// The stream.
        stream: String,
        /// The last known name of the file.
        path: PathBuf,
        /// The position in it.
        offset: u64,
    },
    /// A file was cut or rewritten; what was not read before is lost unless a copy was kept.
    #[error("stream {stream:?}: {path} was truncated or rewritten below byte {offset}")]
    FileTruncated {
        /// The stream.
        stream: String,
        /// The file.
        path: PathBuf,
        /// The position reached before.
        offset: u64,
    },
    /// inotify is not available; streams are polled.
    #[error("cannot watch for changes with inotify, polling instead")]
    Watch {
        /// The cause.
        source: io::Error,
    },
    /// A buffer of zero bytes was given to `read`.
    #[error("the read buffer has no room")]
    BufferFull,
}

impl Error {
    /// The text that tells this problem from others, cause included; used to report each problem once.
    pub(crate) fn key(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}
