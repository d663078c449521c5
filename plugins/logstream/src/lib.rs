//! LogstreamerInput: log files, read as streams across their rotations.

mod logstreamer_input;

pub use logstreamer_input::{LogstreamerInput, LogstreamerInputConfig};
