//! Encoded Heka messages to messages.
//!
//! Here: what a message must have. Not here: the encoding (`heka-wire`).

use heka_message::{RecordBuilder, Variables};
use heka_plugin::{
    Decode, DecodeError, Decoder, Defaults, FieldProblems, NO_DEFAULTS, Plugin, PluginConfig,
    StartContext, StartError,
};
use heka_wire::MessageDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Decodes messages as Heka encodes them; has no options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProtobufDecoderConfig {}

impl PluginConfig for ProtobufDecoderConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for ProtobufDecoder {
    const NAME: &'static str = "ProtobufDecoder";
    const PAGE: &'static str = include_str!("protobuf_decoder.md");
    const DEFAULTS: Defaults = NO_DEFAULTS;
    type Config = ProtobufDecoderConfig;

    fn start(_: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self { decoder: MessageDecoder::new() })
    }
}

/// See [`ProtobufDecoderConfig`].
#[derive(Debug)]
pub struct ProtobufDecoder {
    decoder: MessageDecoder,
}

impl Decoder for ProtobufDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        let decoded = self.decoder.decode(data, record);
        decoded.map_err(|error| DecodeError::new(error.to_string()))?;
        let view = record.view();
        let message = view.record();
        if !message.is_set(Variables::UUID) {
            return Err(DecodeError::new("the message has no Uuid"));
        }
        if !message.is_set(Variables::TIMESTAMP) {
            return Err(DecodeError::new("the message has no Timestamp"));
        }
        Ok(Decode::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Decoding, encoded_message};

    #[test]
    fn a_message_replaces_all_that_the_input_set() {
        let message = encoded_message(|record| {
            record.uuid(&[7; 16]).timestamp(5).message_type("TEST");
        });
        let batch = Decoding::of::<ProtobufDecoder>("").decode(&message).unwrap();
        let record = batch.record(0).unwrap();
        assert_eq!((record.message_type(), record.timestamp()), (&b"TEST"[..], 5));
        assert_eq!(
            (record.payload(), record.hostname(), record.logger()),
            (&b""[..], &b""[..], &b""[..])
        );
        assert_eq!(record.wire(), Some(&message[..]));
    }

    #[test]
    fn a_message_without_id_or_time_is_refused() {
        let decode = |message: &[u8]| {
            Decoding::of::<ProtobufDecoder>("").decode(message).unwrap_err().to_string()
        };
        assert_eq!(decode(b""), "the message has no Uuid");
        let message = encoded_message(|record| {
            record.timestamp(5);
        });
        assert_eq!(decode(&message), "the message has no Uuid");
        let message = encoded_message(|record| {
            record.uuid(&[7; 16]);
        });
        assert_eq!(decode(&message), "the message has no Timestamp");
    }

    #[test]
    fn malformed_bytes_are_refused_with_the_place() {
        let error = Decoding::of::<ProtobufDecoder>("").decode(b"\x10\x05\x1a\x09x").unwrap_err();
        assert_eq!(error.to_string(), "length 9 at byte 3 reaches past the end");
    }
}
