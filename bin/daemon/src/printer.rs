//! Messages on standard output, in the forms that the encoders make.

use std::sync::Arc;

use anyhow::Context;
use heka_message::{Batch, NameRegistry, Record};
use heka_plugin::{
    Decoder, Encoder, EncoderRunner, LimitedLog, MakeDecoder, Plugin, PluginCounts, Reload,
    StartContext, StartError,
};
use heka_plugin_core::{PayloadEncoder, PayloadEncoderConfig, ProtobufEncoder, RstEncoder};
use heka_plugin_parse::JsonEncoder;
use heka_stream::{FileStorage, ReadOnlyStorage, SystemClock};

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// All of the message, for people, as RstEncoder writes it.
    #[default]
    Rst,
    /// Only the payload, one a line.
    Payload,
    /// A JSON object a line, as JsonEncoder writes it.
    Json,
    /// Heka's protobuf messages in frames, for other programs of Heka.
    Protobuf,
}

/// Turns messages into bytes.
pub(crate) struct Printer {
    runner: EncoderRunner,
    /// Every message ends its line, whether its payload does or not.
    ends_lines: bool,
}

impl Printer {
    /// A printer of a format.
    ///
    /// # Errors
    /// If its encoder cannot start.
    pub(crate) fn new(
        format: Format,
        names: &Arc<NameRegistry>,
        message_bytes_max: usize,
    ) -> anyhow::Result<Self> {
        let context = context(names, message_bytes_max);
        let encoder = match format {
            Format::Rst => start::<RstEncoder>(&Default::default(), &context),
            Format::Payload => {
                let config = PayloadEncoderConfig { append_newlines: false, ..Default::default() };
                start::<PayloadEncoder>(&config, &context)
            }
            Format::Json => start::<JsonEncoder>(&Default::default(), &context),
            Format::Protobuf => start::<ProtobufEncoder>(&Default::default(), &context),
        };
        let header: fn(usize, &mut Vec<u8>) = heka_wire::write_unsigned_frame_header;
        let runner = EncoderRunner {
            encoder: encoder.context("cannot start the encoder")?,
            frame: (format == Format::Protobuf).then_some(header),
            max_message_size: message_bytes_max,
            names: Arc::clone(names),
            counts: Arc::new(PluginCounts::default()),
            log: LimitedLog::default(),
            letters: None,
        };
        Ok(Self { runner, ends_lines: format == Format::Payload })
    }

    /// The bytes of a message.
    ///
    /// # Errors
    /// If it cannot be written in this form.
    pub(crate) fn bytes(&mut self, batch: &Batch, record: &Record<'_>) -> anyhow::Result<Vec<u8>> {
        let mut bytes = self.runner.encode_one(batch, record)?.unwrap_or_default();
        if self.ends_lines && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        Ok(bytes)
    }
}

fn start<E: Plugin + Encoder>(
    config: &E::Config,
    context: &StartContext,
) -> Result<Box<dyn Encoder>, StartError> {
    Ok(Box::new(E::start(config, context)?))
}

/// What a plugin is started with outside of a daemon.
pub(crate) fn context(names: &Arc<NameRegistry>, message_bytes_max: usize) -> StartContext {
    StartContext {
        name: "hekad".into(),
        names: Arc::clone(names),
        hostname: "".into(),
        pid: 0,
        base_dir: std::path::Path::new("").into(),
        share_dir: std::path::Path::new("").into(),
        max_message_size: message_bytes_max,
        log_flags: 0,
        clock: Arc::new(SystemClock),
        storage: Arc::new(ReadOnlyStorage(FileStorage)),
        decoders: Arc::new(NoDecoders),
        log: None,
        letters: None,
        reload: Reload::default(),
        filters: None,
    }
}

/// Encoders contain no decoders.
struct NoDecoders;

impl MakeDecoder for NoDecoders {
    fn make_decoder(&self, name: &str, _: &StartContext) -> Result<Box<dyn Decoder>, StartError> {
        Err(StartError::new(format!("there is no decoder section '{name}'")))
    }
}

/// Text as it is, but for what would leave its line.
pub(crate) fn one_line(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.utf8_chunks() {
        for character in part.valid().chars() {
            match character.is_control() {
                true => text.extend(character.escape_default()),
                false => text.push(character),
            }
        }
        text.push_str(&part.invalid().escape_ascii().to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_whatever_the_bytes() {
        assert_eq!(one_line("grün\n\tx".as_bytes()), "grün\\n\\tx");
        assert_eq!(one_line(b"\xff\x00a"), "\\xff\\u{0}a");
    }
}
