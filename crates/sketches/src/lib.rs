//! Sets and series in little memory: what sandboxes call `bloom_filter`, `hyperloglog`, `cuckoo_filter` and `sax`.
//!
//! Here: the structures, their serialised bytes, and the Lua statements that preserve them; all are those of Heka's
//! sandbox. Not here: Lua, nor who charges the memory. Invariant: a structure never grows; `memory_for` tells its size
//! before it is made.

mod bloom;
mod cuckoo;
mod error;
mod hyperloglog;
mod key;
mod memory;
mod murmur;
mod preserve;
mod sax;

pub use bloom::BloomFilter;
pub use cuckoo::CuckooFilter;
pub use error::Error;
pub use hyperloglog::HyperLogLog;
pub use key::Key;
pub use sax::{MinDist, SaxWindow, SaxWord};
