//! Scripts in sandboxes, as their plugins run them.

mod api;
mod circular_buffer;
mod cjson;
mod harness;
mod limits;
mod lpeg;
mod sketches;
