//! Decodes records with a Lua script.

use heka_datetime::{Civil, Location};
use heka_message::{Record, RecordBuilder, Value};
use heka_plugin::{Decode, DecodeError, Decoder, Plugin, StartContext, StartError};
use heka_sandbox::{Edit, EditError, Exchange, Injected, Kind, Outcome, Refusal};
use heka_wire::MessageDecoder;

use crate::config::SandboxConfig;
use crate::instance::Instance;

/// Key of `config` that names the zone of times without one.
const ZONE: &str = "tz";

impl Plugin for SandboxDecoder {
    const NAME: &'static str = "SandboxDecoder";
    const PAGE: &'static str = include_str!("sandbox_decoder.md");
    type Config = SandboxConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        Ok(Self {
            instance: Instance::start(Kind::Decoder, config, context)?,
            wire: MessageDecoder::new(),
            zone: zone_of(config)?,
        })
    }
}

/// The zone that the script's configuration names, if it is not UTC.
pub(crate) fn zone_of(config: &SandboxConfig) -> Result<Option<Location>, StartError> {
    let Some(name) = config.config.get(ZONE).and_then(|name| name.as_str()) else {
        return Ok(None);
    };
    let location = Location::parse(name)
        .map_err(|error| StartError::because(format!("find the zone '{name}'"), error))?;
    Ok((!location.is_utc()).then_some(location))
}

/// A time whose digits were read as UTC, as those of the zone.
pub(crate) fn in_zone(ns: i64, zone: &Location) -> i64 {
    zone.to_ns(&Civil::from_ns(ns, 0)).unwrap_or(ns)
}

/// See [`SandboxConfig`].
#[derive(Debug)]
pub struct SandboxDecoder {
    instance: Instance,
    wire: MessageDecoder,
    zone: Option<Location>,
}

/// One record on its way.
pub(crate) struct Decoding<'a, 'b> {
    pub(crate) record: &'a mut RecordBuilder<'b>,
    wire: &'a mut MessageDecoder,
    zone: Option<&'a Location>,
    pub(crate) injected: usize,
    /// The message being built is half of one.
    pub(crate) broken: bool,
}

impl<'a, 'b> Decoding<'a, 'b> {
    pub(crate) fn new(
        record: &'a mut RecordBuilder<'b>,
        wire: &'a mut MessageDecoder,
        zone: Option<&'a Location>,
    ) -> Self {
        Self { record, wire, zone, injected: 0, broken: false }
    }

    /// Makes room for another message: the first one is the record itself.
    fn next(&mut self) -> Result<(), Refusal> {
        if self.broken {
            return Err(Refusal::Undecodable);
        }
        if self.injected > 0 {
            self.record.emit().map_err(|_| Refusal::Unknown)?;
        }
        self.injected += 1;
        Ok(())
    }

    fn message(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.next()?;
        if self.wire.decode_over(message, self.record).is_err() {
            self.broken = true;
            return Err(Refusal::Undecodable);
        }
        if let Some(zone) = self.zone {
            let ns = self.record.view().record().timestamp();
            self.record.timestamp(in_zone(ns, zone));
        }
        Ok(())
    }
}

impl Exchange for Decoding<'_, '_> {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        match injected {
            Injected::Message(message) | Injected::Encoded(message) => self.message(message),
            Injected::Payload { payload_type, name, text } => {
                self.next()?;
                add_payload(self.record, payload_type, name, text);
                Ok(())
            }
        }
    }

    fn read(&mut self, look: &mut dyn FnMut(&Record<'_>)) {
        look(&self.record.view().record());
    }

    fn write(&mut self, edit: Edit<'_>) -> Result<(), EditError> {
        edit(self.record)
    }
}

/// Sets what `inject_payload` sets of a message.
pub(crate) fn add_payload(
    record: &mut RecordBuilder<'_>,
    payload_type: &[u8],
    name: &[u8],
    text: &[u8],
) {
    record.payload(text);
    let id = record.name_id(b"payload_type");
    record.field_with(id, b"file-extension", Value::Str(payload_type));
    let id = record.name_id(b"payload_name");
    record.field(id, Value::Str(name));
}

impl Decoder for SandboxDecoder {
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError> {
        let Some(sandbox) = self.instance.ready() else {
            return Err(DecodeError::new("the script failed too often and is set aside"));
        };
        let mut decoding = Decoding::new(record, &mut self.wire, self.zone.as_ref());
        let outcome = sandbox.process_message(None, &mut decoding);
        let (injected, broken) = (decoding.injected, decoding.broken);
        let error = match outcome {
            Ok(Outcome::Done) if broken => "Failed: a message that was injected is none".to_owned(),
            Ok(Outcome::Done) => {
                self.instance.count_call();
                return Ok(Decode::Done);
            }
            Ok(Outcome::Refused { text, .. }) if injected > 0 => {
                format!("Failed after a successful inject_message call: {text}")
            }
            Ok(Outcome::Refused { text, .. }) => {
                let payload = String::from_utf8_lossy(data);
                format!("Failed parsing: {text} payload: {payload}")
            }
            Err(ended) => {
                let view = record.view();
                self.instance.fail(&ended, Some(&view.record()));
                format!("FATAL: {}", ended.text())
            }
        };
        self.instance.count_call();
        Err(DecodeError::new(error))
    }
}

impl Drop for SandboxDecoder {
    fn drop(&mut self) {
        self.instance.preserve();
    }
}
