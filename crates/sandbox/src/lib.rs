//! Lua 5.1 under hard limits, with Heka's script API.
//!
//! Here: hosting of one script: its state, memory, steps, libraries, the functions that Heka gives it, and its preserved
//! data. Not here: what its plugin does with what it says (`heka-plugin-sandbox`), patterns (`heka-lpeg`), the wire format
//! (`heka-wire`). Invariants: whatever a script does ends within its limits; it reaches no file, no process and no other
//! script but where its kind allows; an error of its ends it and nothing else.
//!
//! Lua is called through its C interface, since the hot path is made of calls of some 30 ns. How that is kept safe stands
//! at the head of `lua`, `function`, `memory` and `limits`, and in docs/design/0007.
#![allow(unsafe_code)]

mod api;
mod base;
mod environment;
mod error;
mod exchange;
mod function;
mod host;
mod layout;
mod libraries;
mod library;
mod limits;
mod lua;
mod memory;
mod object;
mod preserve;
mod profile;
mod sandbox;
mod settings;
mod traceback;
mod watchdog;

pub use error::{Ended, PreserveError, Report, StartError};
pub use exchange::{Edit, EditError, Exchange, Injected, Refusal};
pub use library::{embedded, embedded_files};
pub use limits::Usage;
pub use profile::{Line, Profile};
pub use sandbox::{Outcome, Sandbox, Stopper};
pub use settings::{ConfigValue, Kind, Limits, Script, Settings};
