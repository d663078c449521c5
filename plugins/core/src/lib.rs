//! Splitters, decoders, filters, encoders and outputs that need nothing but the contracts.
//!
//! Here: what every configuration starts from. Not here: anything that talks to a network or a file, or that
//! knows a log format.

mod counter_filter;
mod heka_framing_splitter;
mod log_output;
mod multi_decoder;
mod null_output;
mod null_splitter;
mod payload_encoder;
mod protobuf_decoder;
mod protobuf_encoder;
mod rst_encoder;
mod scribble_decoder;
mod stdin_input;
mod token_splitter;

#[cfg(test)]
mod test_support;

pub use counter_filter::{CounterFilter, CounterFilterConfig};
pub use heka_framing_splitter::{HekaFramingSplitter, HekaFramingSplitterConfig, SignerKey};
pub use log_output::{LogOutput, LogOutputConfig};
pub use multi_decoder::{CascadeStrategy, MultiDecoder, MultiDecoderConfig};
pub use null_output::{NullOutput, NullOutputConfig};
pub use null_splitter::{NullSplitter, NullSplitterConfig};
pub use payload_encoder::{PayloadEncoder, PayloadEncoderConfig};
pub use protobuf_decoder::{ProtobufDecoder, ProtobufDecoderConfig};
pub use protobuf_encoder::{ProtobufEncoder, ProtobufEncoderConfig};
pub use rst_encoder::{RstEncoder, RstEncoderConfig};
pub use scribble_decoder::{ScribbleDecoder, ScribbleDecoderConfig};
pub use stdin_input::{StdinInput, StdinInputConfig};
pub use token_splitter::{TokenSplitter, TokenSplitterConfig};
