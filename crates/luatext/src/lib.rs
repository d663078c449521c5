//! Numbers and bytes as the texts that sandboxes write: payloads, and the Lua statements of preserved state.
//!
//! Here: forms that must come out byte for byte as Heka's sandboxes write them. Not here: Lua itself, nor what is
//! written where. Invariant: all functions append to a buffer and never fail.

mod bytes;
mod number;

pub use bytes::append_escaped;
pub use number::{append_general, append_lua_number, append_number};
