//! Arena batches of messages, their builder and borrowed views.
//!
//! Here: the shape of a batch in memory, its stored form, and everything that reads or builds one. Not here:
//! wire formats (`heka-wire`), matching (`heka-matcher`), who owns a batch, when it is settled and the files that
//! keep it (`heka-stream`).
//! Invariants: a published [`Batch`] never changes; every [`Span`] in it lies inside its arena; a [`Record`]
//! allocates nothing.

mod batch;
mod buffer;
mod builder;
mod compact;
mod envelope;
mod error;
mod field;
mod names;
mod record;
mod selection;
mod span;
mod stored;
mod uuid;
mod value;

pub use batch::{Batch, Variables};
pub use buffer::{Buffer, BufferMut, BufferPool};
pub use builder::{BatchBuilder, DraftView, RecordBuilder};
pub use envelope::Envelope;
pub use error::{BuildError, StoredError};
pub use field::{Field, Values};
pub use names::{NameId, NameRegistry, Names};
pub use record::{DEFAULT_SEVERITY, Record};
pub use selection::{Selection, SelectionIter};
pub use span::Span;
pub use uuid::Uuid;
pub use value::{Value, ValueType};
