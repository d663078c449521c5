//! A log on disk: segments of records, one writer, any number of readers.
//!
//! Here: how records lie in files, writing, reading past damage, recovery. Not here: what is written when, and who
//! reads what (`durable`).

mod error;
mod format;
mod overview;
mod reader;
mod state;
mod writer;

pub use error::LogError;
pub use format::{RecordHeader, RecordKind};
pub use overview::{LogOverview, read_state};
pub use reader::{Damage, LogReader, StoredRecord};
pub use state::{CursorState, LogState, PositionState};
pub use writer::{Group, LogSettings, LogWriter, RecordMeta, Recovered, Segment};

pub(crate) use reader::Tail;
pub(crate) use state::{put_progress, put_texts, take_progress, take_texts};
