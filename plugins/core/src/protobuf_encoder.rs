//! Messages as Heka encodes them.

use heka_message::Record;
use heka_plugin::{
    Defaults, Encode, EncodeBuffer, EncodeError, Encoder, FieldProblems, NO_DEFAULTS, Plugin,
    PluginConfig, StartContext, StartError,
};
use heka_wire::encode_message;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Encodes messages as Heka does; has no options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProtobufEncoderConfig {}

impl PluginConfig for ProtobufEncoderConfig {
    fn validate(&self, _: &mut FieldProblems) {}
}

impl Plugin for ProtobufEncoder {
    const NAME: &'static str = "ProtobufEncoder";
    const PAGE: &'static str = include_str!("protobuf_encoder.md");
    const DEFAULTS: Defaults = Defaults { writes_protobuf: true, ..NO_DEFAULTS };
    type Config = ProtobufEncoderConfig;

    fn start(_: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        Ok(Self)
    }
}

/// See [`ProtobufEncoderConfig`].
#[derive(Debug, Clone, Copy)]
pub struct ProtobufEncoder;

impl Encoder for ProtobufEncoder {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        match record.wire() {
            Some(wire) => out.share(wire),
            None => encode_message(record, out.bytes()),
        }
        Ok(Encode::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Encoding, encoded_message};

    #[test]
    fn a_message_is_encoded_from_its_parts() {
        let fill = |record: &mut heka_message::RecordBuilder<'_>| {
            record.detach().uuid(&[1; 16]).timestamp(2).payload("p");
        };
        let bytes = Encoding::of::<ProtobufEncoder>("").encode(fill);
        assert_eq!(bytes, encoded_message(fill));
    }

    #[test]
    fn an_untouched_message_is_passed_on_byte_for_byte() {
        // Odd order and an unknown member.
        let wire = b"\x1a\x01a\xf8\x01\x05\x10\x07";
        let bytes = Encoding::of::<ProtobufEncoder>("").encode(|record| {
            heka_wire::decode_message(wire, record).unwrap();
        });
        assert_eq!(bytes, wire);
    }
}
