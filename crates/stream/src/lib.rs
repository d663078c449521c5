//! The stream: what inputs append and consumers read, in memory, bounded by bytes.
//!
//! Here: the byte budget, routing by compiled matchers, consumers with their cursors, deliveries and their acks,
//! the settled watermark, the ledger, and the two small traits behind which time and disk lie. Not here: plugins
//! (`heka-plugin`), who runs them (`heka-engine`).
//! Invariants: a batch is routed once; each matched message ends in exactly one counter of its consumer; a
//! source's watermark never passes a batch that a consumer still holds; nothing here waits while it holds a lock.

mod bell;
mod budget;
mod clock;
mod consumer;
mod delivery;
mod durable;
mod ledger;
mod letters;
mod log;
mod routing;
mod settle;
mod source;
mod storage;

pub use budget::{Budget, Permit};
pub use clock::{Clock, ManualClock, SystemClock};
pub use consumer::{Consumer, ConsumerOptions, DurableOptions, FullAction};
pub use delivery::{Ack, Delivery, Keep, Owed};
pub use durable::{DurableFigures, DurableLog, DurableSettings, Resume};
pub use ledger::{ConsumerCounts, DropReason, LedgerError, SourceCounts, Waiting};
pub use letters::{DeadLetter, DeadLetters, LetterMeta, LetterReader};
pub use log::{
    CursorState, Damage, Group, LogError, LogOverview, LogReader, LogSettings, LogState, LogWriter,
    PositionState, RecordHeader, RecordKind, RecordMeta, Recovered, Segment, StoredRecord,
    read_state,
};
pub use routing::{Route, Stream};
pub use settle::Settled;
pub use source::{AppendError, Source};
pub use storage::{
    Durability, FileStorage, GrowingFile, MemoryStorage, ReadOnlyStorage, SimOperation, SimRandom,
    SimStop, SimStorage, Storage,
};
