//! Control messages of the sandbox manager, framed and signed.
//!
//! A message says when it was made, and managers take none that is five seconds old: frames are made right before they
//! are sent.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use heka_message::{BatchBuilder, Buffer, Envelope, Names, RecordBuilder};
use heka_wire::{Signer, encode_message, frame_in_place};

/// Type of the messages.
const MESSAGE_TYPE: &str = "heka.control.sandbox";
/// Logger of the messages.
const LOGGER: &str = "hekad";

/// What a manager is asked for.
pub(crate) enum Control<'a> {
    /// A filter is to run.
    Load {
        /// Its script.
        script: &'a [u8],
        /// Its section, TOML.
        config: &'a str,
    },
    /// A filter is to end.
    Unload {
        /// Name of its section.
        name: &'a str,
    },
}

/// Makes frames.
pub(crate) struct Framer {
    /// Who signs, if anybody.
    pub(crate) signer: Option<Signer>,
    /// Longest message in bytes.
    pub(crate) message_bytes_max: usize,
    /// Name of this machine.
    pub(crate) hostname: String,
}

impl Framer {
    /// The frame of a control message, made now.
    ///
    /// # Errors
    /// If the message is too long for the daemon, or the signer's name for a frame.
    pub(crate) fn frame(&self, control: &Control<'_>) -> anyhow::Result<Vec<u8>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        let envelope = Envelope::new(LOGGER).message_type(MESSAGE_TYPE).hostname(&self.hostname);
        let names = Arc::new(Names::default());
        let mut builder = BatchBuilder::new(names, Arc::new(envelope), Buffer::empty(), now_ns);
        let mut record = builder.record();
        fill(control, &mut record);
        record.commit().context("cannot make the message")?;
        let batch = builder.finish();
        let record = batch.record(0).context("cannot make the message")?;
        let mut frame = Vec::new();
        encode_message(&record, &mut frame);
        frame_in_place(&mut frame, 0, self.signer.as_ref(), self.message_bytes_max)
            .context("cannot frame the message (max_message_size of the settings file)")?;
        Ok(frame)
    }
}

fn fill(control: &Control<'_>, record: &mut RecordBuilder<'_>) {
    let action = match control {
        Control::Load { script, config } => {
            record.payload(script);
            let name = record.name_id(b"config");
            record.field_with(name, b"toml", (*config).into());
            "load"
        }
        Control::Unload { name } => {
            let field = record.name_id(b"name");
            record.field(field, (*name).into());
            "unload"
        }
    };
    let name = record.name_id(b"action");
    record.field(name, action.into());
}
