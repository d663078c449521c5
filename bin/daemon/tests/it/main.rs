//! The real binary from outside: data in, data out, rotation, failing sinks, crashes, overload, full disks, garbage,
//! configuration, life, ledger, scripts.
//!
//! Here: what a user of the daemon sees. Not here: single plugins, whose tests are in their crates. Every test has
//! a directory and ports of its own, waits with a deadline instead of sleeping, and leaves no process behind.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic and print as tests do"
)]

mod harness;

mod cli;
mod commands;
mod config;
mod contracts;
mod crash;
mod data;
mod disk;
mod garbage;
mod ledger;
mod life;
mod outputs;
mod overload;
mod rotation;
mod sandbox;
