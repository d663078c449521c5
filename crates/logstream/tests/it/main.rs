//! Log streams over real files in a temporary directory.
//!
//! Here: what a user sees: files come and go, lines come out, a journal stays. The harness plays the plugin: it splits
//! lines, flushes the rest where a file ends, and writes the journal after each chunk.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod files;
mod gzip;
mod journal;
mod model;
mod rotation;
mod scenarios;
mod schedule;
mod world;
