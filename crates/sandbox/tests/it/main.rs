//! Scripts in sandboxes, as their plugins run them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod allocations;
mod api;
mod attacks;
mod base;
mod circular_buffer;
mod cjson;
mod files;
mod harness;
mod library;
mod limits;
mod lpeg;
mod preserve;
mod real;
mod recorded;
mod sketches;
mod string;
mod structs;
mod table;
