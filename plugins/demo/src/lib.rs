//! The demo: traffic of a small web site, and a view of it on the terminal.
//!
//! Here: what `hekad demo` needs beside the plugins that everybody has. Not here: its configuration and its command
//! (the daemon's), nor any log format (the lines pass an ordinary splitter and decoder).

mod demo_input;
mod demo_output;

pub use demo_input::{DemoInput, DemoInputConfig};
pub use demo_output::{DemoMode, DemoOutput, DemoOutputConfig};
