//! The payload as text, one message a line.

use std::sync::Arc;

use heka_datetime::{Location, Strftime, StrftimeCache};
use heka_message::Record;
use heka_plugin::{
    Clock, Encode, EncodeBuffer, EncodeError, Encoder, FieldProblems, Plugin, PluginConfig,
    StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// With something made before or behind it, a payload up to so many bytes is copied rather than shared: three
/// pieces of one line cost more than the copy.
const COPY_BYTES_MAX: usize = 2 << 10;

/// Writes the payload and nothing else of a message, but for a time stamp and a line end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PayloadEncoderConfig {
    /// Appends a line end, also to a payload that ends with one.
    pub append_newlines: bool,
    /// Puts a time before the payload.
    pub prefix_ts: bool,
    /// Takes the time from the message; otherwise it is the time of encoding.
    pub ts_from_message: bool,
    /// Format of the time, as of strftime; a space is added unless it ends with one.
    pub ts_format: String,
}

impl Default for PayloadEncoderConfig {
    fn default() -> Self {
        Self {
            append_newlines: true,
            prefix_ts: false,
            ts_from_message: true,
            ts_format: "[%Y/%b/%d:%H:%M:%S %z]".to_owned(),
        }
    }
}

impl PluginConfig for PayloadEncoderConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for PayloadEncoder {
    const NAME: &'static str = "PayloadEncoder";
    const PAGE: &'static str = include_str!("payload_encoder.md");
    type Config = PayloadEncoderConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let prefix = match config.prefix_ts {
            true => {
                let location = Location::parse("Local")
                    .map_err(|error| StartError::because("find the local time zone", error))?;
                Some(Prefix::new(config, location, &context.clock))
            }
            false => None,
        };
        Ok(Self { prefix, append_newlines: config.append_newlines })
    }
}

/// See [`PayloadEncoderConfig`].
#[derive(Debug)]
pub struct PayloadEncoder {
    prefix: Option<Prefix>,
    append_newlines: bool,
}

/// The time before each payload.
#[derive(Debug)]
struct Prefix {
    format: Strftime,
    cache: StrftimeCache,
    location: Location,
    /// `None`: the time is the message's.
    clock: Option<Arc<dyn Clock>>,
}

impl Prefix {
    fn new(config: &PayloadEncoderConfig, location: Location, clock: &Arc<dyn Clock>) -> Self {
        let space = if config.ts_format.ends_with(' ') { "" } else { " " };
        Self {
            format: Strftime::parse(&format!("{}{space}", config.ts_format)),
            cache: StrftimeCache::default(),
            location,
            clock: (!config.ts_from_message).then(|| Arc::clone(clock)),
        }
    }

    fn write(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let ns = self.clock.as_ref().map_or_else(|| record.timestamp(), |clock| clock.now_ns());
        self.format.format_cached(ns, &self.location, &mut self.cache, out);
    }
}

impl Encoder for PayloadEncoder {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        if let Some(prefix) = &mut self.prefix {
            prefix.write(record, out.bytes());
        }
        let payload = record.payload();
        if self.is_payload() || payload.len() > COPY_BYTES_MAX {
            out.share(payload);
        } else {
            out.bytes().extend_from_slice(payload);
        }
        if self.append_newlines {
            out.bytes().push(b'\n');
        }
        Ok(Encode::Done)
    }

    fn is_payload(&self) -> bool {
        self.prefix.is_none() && !self.append_newlines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Encoding, NOW_NS};

    const TIME: i64 = 1_392_050_801_000_000_000;

    fn encoded(config: &str, payload: &[u8]) -> Vec<u8> {
        Encoding::of::<PayloadEncoder>(config).encode(|record| {
            record.timestamp(TIME).payload(payload);
        })
    }

    #[test]
    fn a_line_end_is_added_unless_unwanted() {
        assert_eq!(encoded("", b"hi"), b"hi\n");
        assert_eq!(encoded("", b"hi\n"), b"hi\n\n");
        assert_eq!(encoded("append_newlines = false", b"hi"), b"hi");
        assert_eq!(encoded("", &[b'x'; 5_000]), [&[b'x'; 5_000][..], b"\n"].concat());
    }

    #[test]
    fn no_payload_is_an_empty_one() {
        let mut encoding = Encoding::of::<PayloadEncoder>("");
        assert_eq!(encoding.encode(|_| {}), b"\n");
        let mut encoding = Encoding::of::<PayloadEncoder>("append_newlines = false");
        assert_eq!(encoding.encode(|_| {}), b"");
        assert_eq!(encoding.records(), 2, "it is a record all the same");
    }

    /// As `encoded`, with the time in UTC wherever the test runs.
    fn with_time(config: &PayloadEncoderConfig) -> String {
        let mut encoding = Encoding::with(|context| {
            let prefix = Prefix::new(config, Location::utc(), &context.clock);
            PayloadEncoder { prefix: Some(prefix), append_newlines: true }
        });
        let bytes = encoding.encode(|record| {
            record.timestamp(TIME).payload("hi");
        });
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_time_of_the_message_is_put_before_it() {
        let default = PayloadEncoderConfig::default();
        assert_eq!(with_time(&default), "[2014/Feb/10:16:46:41 +0000] hi\n");
        let config = PayloadEncoderConfig { ts_format: "%H ".to_owned(), ..default };
        assert_eq!(with_time(&config), "16 hi\n");
        assert!(encoded("prefix_ts = true", b"hi").ends_with(b"] hi\n"));
    }

    #[test]
    fn the_time_may_be_that_of_encoding() {
        let config = "prefix_ts = true\nts_from_message = false\nts_format = '%s'";
        assert_eq!(encoded(config, b"hi"), format!("{} hi\n", NOW_NS / 1_000_000_000).as_bytes());
    }
}
