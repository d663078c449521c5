//! Scripts in sandboxes, as their plugins run them.

mod api;
mod harness;
mod limits;
mod recorded;
mod string;
mod structs;
mod table;
mod lpeg;
