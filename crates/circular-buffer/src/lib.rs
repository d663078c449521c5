//! A ring of rows, each some seconds of time, with named columns of numbers: what Heka's filters count into and its
//! graphs show.
//!
//! Here: cells, deltas, annotations, statistics, and all text forms (`cbuf`, `cbufd`, preserved state), read and
//! written. Not here: Lua, nor who charges the memory. Invariants: `add` and `set` allocate nothing; no text makes a
//! buffer grow beyond what [`CircularBuffer::memory_for`] says, but for annotations, which are bounded.

mod annotations;
mod buffer;
mod column;
mod deltas;
mod error;
mod merge;
mod normal;
mod restore;
mod statistics;
mod text;

pub use annotations::{ANNOTATION_BYTES_MAX, ANNOTATIONS_BYTES_MAX, AnnotationKind};
pub use buffer::{CircularBuffer, VERSION};
pub use column::{Aggregation, Column, DEFAULT_UNIT};
pub use error::Error;
pub use merge::TextHeader;
pub use statistics::{Computed, RankSum, Statistic};
pub use text::Format;
