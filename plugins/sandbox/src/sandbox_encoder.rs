//! Encodes messages with a Lua script.

use std::sync::Arc;

use heka_message::{BatchBuilder, Buffer, Envelope, Record};
use heka_plugin::{Encode, EncodeBuffer, EncodeError, Encoder, Plugin, StartContext, StartError};
use heka_sandbox::{Edit, EditError, Exchange, Injected, Kind, Outcome, Refusal};

use crate::config::SandboxConfig;
use crate::instance::Instance;
use crate::sandbox_decoder::zone_of;

/// The status that says: nothing to send, and no error.
pub(crate) const NOTHING: i32 = -2;

impl Plugin for SandboxEncoder {
    const NAME: &'static str = "SandboxEncoder";
    const PAGE: &'static str = include_str!("sandbox_encoder.md");
    type Config = SandboxConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        zone_of(config)?;
        let instance = Instance::start(Kind::Encoder, config, context)?;
        Ok(Self { instance, made: Vec::new(), context: context.clone() })
    }
}

/// See [`SandboxConfig`].
#[derive(Debug)]
pub struct SandboxEncoder {
    instance: Instance,
    made: Vec<u8>,
    context: StartContext,
}

/// One message on its way.
pub(crate) struct Encoding<'a> {
    record: &'a Record<'a>,
    made: &'a mut Vec<u8>,
    has_made: bool,
    context: &'a StartContext,
    /// The message as the script changed it: the last one built.
    copy: Option<BatchBuilder>,
}

impl<'a> Encoding<'a> {
    pub(crate) fn new(
        record: &'a Record<'a>,
        made: &'a mut Vec<u8>,
        context: &'a StartContext,
    ) -> Self {
        Self { record, made, has_made: false, context, copy: None }
    }

    /// What an encoder whose script is done gives out.
    pub(crate) fn finish(&self, out: &mut Vec<u8>) {
        match self.has_made {
            true => out.extend_from_slice(self.made),
            false => self.current(|record| heka_wire::encode_message(record, out)),
        }
    }

    fn current<R>(&self, look: impl FnOnce(&Record<'_>) -> R) -> R {
        let changed = self.copy.as_ref().and_then(|copy| copy.committed(copy.len() - 1));
        look(changed.as_ref().unwrap_or(self.record))
    }
}

impl Exchange for Encoding<'_> {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        let bytes = match injected {
            Injected::Payload { text, .. } => text,
            Injected::Message(bytes) | Injected::Encoded(bytes) => bytes,
        };
        self.made.clear();
        self.made.extend_from_slice(bytes);
        self.has_made = true;
        Ok(())
    }

    fn read(&mut self, look: &mut dyn FnMut(&Record<'_>)) {
        self.current(look);
    }

    /// Changes a copy: the message belongs to others too.
    fn write(&mut self, edit: Edit<'_>) -> Result<(), EditError> {
        let names = self.context.names.snapshot();
        let envelope = Arc::new(Envelope::new(&self.context.name));
        let mut next = BatchBuilder::new(names, envelope, Buffer::empty(), 0);
        let mut changed = next.record();
        self.current(|record| {
            changed.copy_from(record);
        });
        edit(&mut changed)?;
        changed.commit().map_err(|error| EditError(error.to_string()))?;
        self.copy = Some(next);
        Ok(())
    }
}

impl Encoder for SandboxEncoder {
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError> {
        let Some(sandbox) = self.instance.ready() else {
            return Err(EncodeError::new("the script failed too often and is set aside"));
        };
        let mut encoding = Encoding::new(record, &mut self.made, &self.context);
        let outcome = sandbox.process_message(Some(record), &mut encoding);
        let outcome = match outcome {
            Ok(Outcome::Done) => {
                encoding.finish(out.bytes());
                Ok(Encode::Done)
            }
            Ok(Outcome::Refused { status: NOTHING, .. }) => Ok(Encode::Nothing),
            Ok(Outcome::Refused { text, .. }) => {
                Err(EncodeError::new(format!("Failed serializing: {text}")))
            }
            Err(ended) => {
                self.instance.fail(&ended, Some(record));
                Err(EncodeError::new(format!("FATAL: {}", ended.text())))
            }
        };
        self.instance.count_call();
        outcome
    }
}

impl Drop for SandboxEncoder {
    fn drop(&mut self) {
        self.instance.preserve();
    }
}
