//! Arena batches of messages, their builder and borrowed views.
//!
//! Here: the shape of a batch in memory and everything that reads or builds one. Not here: wire formats
//! (`heka-wire`), matching (`heka-matcher`), who owns a batch and when it is settled (`heka-stream`).
//! Invariants: a published [`Batch`] never changes; every [`Span`] in it lies inside its arena; a [`Record`]
//! allocates nothing.

mod batch;
mod buffer;
mod builder;
mod envelope;
mod error;
mod field;
mod names;
mod record;
mod selection;
mod span;
mod uuid;
mod value;

pub use batch::{Batch, Variables};
pub use buffer::{Buffer, BufferMut, BufferPool};
pub use builder::{BatchBuilder, DraftView, RecordBuilder};
pub use envelope::Envelope;
pub use error::BuildError;
pub use field::{Field, Values};
pub use names::{NameId, NameRegistry, Names};
pub use record::{DEFAULT_SEVERITY, Record};
pub use selection::{Selection, SelectionIter};
pub use span::Span;
pub use uuid::Uuid;
pub use value::{Value, ValueType};
