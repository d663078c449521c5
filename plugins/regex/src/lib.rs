//! Plugins that match regular expressions.
//!
//! Here: splitters and decoders whose work a pattern describes. Not here: the syntax of patterns
//! (`heka-goregex`) and time stamps (`heka-datetime`).

mod pattern_grouping_splitter;
mod payload_regex_decoder;
mod regex_splitter;
mod search;

#[cfg(test)]
mod test_support;

pub use pattern_grouping_splitter::{PatternGroupingSplitter, PatternGroupingSplitterConfig};
pub use payload_regex_decoder::{PayloadRegexDecoder, PayloadRegexDecoderConfig};
pub use regex_splitter::{RegexSplitter, RegexSplitterConfig};
