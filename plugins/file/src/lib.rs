//! Writes messages to files.
//!
//! Here: the file output. Not here: what a record looks like (encoders). Invariant: nothing is acknowledged before it
//! is on the disk.

mod file_output;

#[cfg(test)]
mod test_support;

pub use file_output::{FileOutput, FileOutputConfig, FlushOperator};
