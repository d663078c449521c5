//! Scripts in sandboxes, as their plugins run them.

mod allocations;
mod api;
mod attacks;
mod base;
mod harness;
mod limits;
mod lpeg;
mod recorded;
mod string;
mod structs;
mod table;
