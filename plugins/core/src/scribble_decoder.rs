//! Fixed headers and fields for every message of an input.

use std::collections::BTreeMap;

use heka_message::RecordBuilder;
use heka_plugin::{
    Decode, DecodeError, Decoder, FieldProblems, MessageTemplate, Plugin, PluginConfig,
    StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sets headers and fields to fixed texts and reads nothing of the record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScribbleDecoderConfig {
    /// What to set: `Logger`, `Type`, `Payload`, `Hostname`, `Pid`, `Severity` and `Uuid` are headers, any other
    /// key becomes a string field, `name|representation` one with a representation.
    #[schemars(extend("x-required" = true))]
    pub message_fields: BTreeMap<String, String>,
}

impl PluginConfig for ScribbleDecoderConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        problems.require(!self.message_fields.is_empty(), "message_fields", "must not be empty");
    }
}

impl Plugin for ScribbleDecoder {
    const NAME: &'static str = "ScribbleDecoder";
    const PAGE: &'static str = include_str!("scribble_decoder.md");
    type Config = ScribbleDecoderConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Ok(Self { template: MessageTemplate::literal(&config.message_fields, &context.names) })
    }
}

/// See [`ScribbleDecoderConfig`].
#[derive(Debug)]
pub struct ScribbleDecoder {
    template: MessageTemplate,
}

impl Decoder for ScribbleDecoder {
    fn decode(&mut self, _: &[u8], record: &mut RecordBuilder<'_>) -> Result<Decode, DecodeError> {
        let applied = self.template.apply(record, |_| &[]);
        applied.map_err(|error| DecodeError::new(error.to_string()))?;
        Ok(Decode::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Decoding;
    use heka_message::Value;

    #[test]
    fn headers_and_fields_are_set_as_they_stand() {
        let config = "[message_fields]\nType = 'x'\nPid = '12.9'\nenv = 'prod'\nPayload|json = '{}'\n\
                      Logger = '%Type%'";
        let batch = Decoding::of::<ScribbleDecoder>(config).decode(b"payload").unwrap();
        let record = batch.record(0).unwrap();
        assert_eq!((record.message_type(), record.pid()), (&b"x"[..], 12));
        assert_eq!((record.payload(), record.logger()), (&b"payload"[..], &b"%Type%"[..]));
        assert_eq!(record.field_named(b"env").unwrap().first(), Some(Value::Str(b"prod")));
        let json = record.field_named(b"Payload").unwrap();
        assert_eq!((json.representation(), json.first()), (&b"json"[..], Some(Value::Str(b"{}"))));
    }

    #[test]
    fn a_text_that_fits_no_header_is_an_error() {
        let mut decoding = Decoding::of::<ScribbleDecoder>("[message_fields]\nSeverity = 'high'");
        assert_eq!(decoding.decode(b"").unwrap_err().to_string(), "'high' is no Severity");
    }
}
