//! What can go wrong with a log.

use std::io;
use std::path::PathBuf;

/// A log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A segment does not begin as one.
    #[error("not a segment of a log: {0}")]
    SegmentHeader(&'static str),
    /// A file could not be read or written.
    #[error("cannot {tried} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        tried: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What was written to a file since it was last safe may be lost, though the file can be read as if it were not.
    #[error("cannot sync {path}: {source}", path = path.display())]
    Sync {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A segment cannot be removed, for nothing newer has the cursors and positions.
    #[error("{path} holds the newest cursors and positions", path = path.display())]
    Needed {
        /// The segment.
        path: PathBuf,
    },
    /// The disk has less free space than is to be left to others.
    #[error("the disk has {free} bytes free, and {floor} are left to others (disk_floor)")]
    Floor {
        /// Free bytes.
        free: u64,
        /// Bytes that must stay free.
        floor: u64,
    },
    /// What a record holds cannot be understood, though its checksum is right.
    #[error("a record cannot be understood: {0}")]
    Content(String),
}

impl LogError {
    pub(crate) fn io(
        tried: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { tried, path, source }
    }

    pub(crate) fn sync(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Sync { path, source }
    }

    /// True if the disk has no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Io { source, .. } | Self::Sync { source, .. } => {
                matches!(source.kind(), StorageFull | QuotaExceeded)
            }
            Self::Floor { .. } => true,
            _ => false,
        }
    }
}
