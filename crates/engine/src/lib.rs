//! Runs a configuration: plans it, starts its plugins, supervises them, reports, stops in order.
//!
//! Here: what happens to plugins. Not here: any plugin, the command line, signals (the daemon maps them to
//! [`Control`]). Invariants: a plugin that fails reaches nobody else; inputs stop first and outputs last; what
//! was not delivered at the end is told, and not acknowledged to its source.

mod consumers;
mod decoders;
mod durable;
mod dynamic;
mod engine;
mod error;
mod filter;
mod filter_state;
mod input;
mod output;
mod own_messages;
mod plan;
mod report;
mod requests;
mod shared;
mod starter;
mod supervise;
mod waits;

pub use durable::DEAD_LETTERS;
pub use engine::{Control, Engine, EngineSettings, Exit};
pub use error::RequestError;
pub use plan::{Guarantee, Plan, Route};
pub use report::{ConsumerHandle, Entry, Handles, InputHandle, Report};
pub use requests::{LETTERS_MAX, Request, RewindRequest};
