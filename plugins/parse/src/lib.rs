//! Native parsers for common log formats, and the JSON encoder.
//!
//! Here: decoders that need no script and no regular expression. Not here: protobuf, regular expressions, Lua.
//! Invariants: a record is parsed before anything of it is written, so that an error leaves nothing; values are
//! spans of the input wherever the input holds them as they are; nothing allocates per record.

mod access_log_decoder;
mod error;
mod json_decoder;
mod json_encoder;
mod level;
mod logfmt_decoder;
mod number;
mod stamp;
mod syslog_decoder;

pub use access_log_decoder::{AccessLogDecoder, AccessLogDecoderConfig, AccessLogFormat};
pub use error::ParseError;
pub use json_decoder::{JsonDecoder, JsonDecoderConfig, JsonHeaderNames, JsonNumbers};
pub use json_encoder::{JsonEncoder, JsonEncoderConfig, JsonLayout, JsonMemberNames};
pub use logfmt_decoder::{LogfmtDecoder, LogfmtDecoderConfig, LogfmtHeaderNames, LogfmtValues};
pub use syslog_decoder::{SyslogDecoder, SyslogDecoderConfig, SyslogFormat};

#[cfg(test)]
mod testing;
