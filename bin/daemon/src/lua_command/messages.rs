//! Messages that a script is given: framed ones, or lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry, Record};
use heka_wire::{FrameScanner, MessageDecoder, RECORD_SEPARATOR, Skipped};

use crate::lua_command::TestOptions;
use crate::tell;

/// Bytes read at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Longest line and longest message in bytes; more is no record of anything.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// What every message of a line carries.
pub(crate) struct LineHeaders<'a> {
    pub(crate) message_type: &'a str,
    pub(crate) logger: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) now_ns: i64,
}

/// Where messages come from.
pub(crate) struct Messages<'a> {
    input: Box<dyn BufRead>,
    names: Arc<NameRegistry>,
    envelope: Arc<Envelope>,
    headers: LineHeaders<'a>,
    framed: bool,
}

impl<'a> Messages<'a> {
    /// Opens what the options name; `None` if they name nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn open(
        options: &TestOptions,
        names: &Arc<NameRegistry>,
        headers: LineHeaders<'a>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(path) = options.messages.as_deref().or(options.payloads.as_deref()) else {
            return Ok(None);
        };
        let failed = || format!("cannot read {}", path.display());
        let mut input: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(BufReader::with_capacity(BLOCK_BYTES, std::io::stdin()))
        } else {
            let file = File::open(path).with_context(failed)?;
            Box::new(BufReader::with_capacity(BLOCK_BYTES, file))
        };
        let begins_a_frame =
            input.fill_buf().with_context(failed)?.first() == Some(&RECORD_SEPARATOR);
        Ok(Some(Self {
            input,
            names: Arc::clone(names),
            envelope: Arc::new(Envelope::new("test")),
            headers,
            framed: options.messages.is_some() && begins_a_frame,
        }))
    }

    /// Shows every message until `look` wants no more.
    ///
    /// # Errors
    /// If they cannot be read, and what `look` fails with.
    pub(crate) fn each(
        mut self,
        look: &mut dyn FnMut(&Record<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        if self.framed { self.frames(look) } else { self.lines(look) }
    }

    fn builder(&self) -> BatchBuilder {
        let envelope = Arc::clone(&self.envelope);
        BatchBuilder::new(self.names.snapshot(), envelope, Buffer::empty(), self.headers.now_ns)
    }

    fn lines(
        &mut self,
        look: &mut dyn FnMut(&Record<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let limit = RECORD_BYTES_MAX as u64;
            let read = self.input.by_ref().take(limit).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            let payload = line.strip_suffix(b"\n").unwrap_or(&line);
            let payload = payload.strip_suffix(b"\r").unwrap_or(payload);
            let mut builder = self.builder();
            let mut record = builder.record();
            record
                .message_type(self.headers.message_type)
                .logger(self.headers.logger)
                .hostname(self.headers.hostname)
                .timestamp(self.headers.now_ns)
                .payload(payload);
            record.commit()?;
            let batch = builder.finish();
            if let Some(record) = batch.record(0)
                && !look(&record)?
            {
                return Ok(());
            }
        }
    }

    fn frames(
        &mut self,
        look: &mut dyn FnMut(&Record<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut scanner = FrameScanner::unauthenticated(RECORD_BYTES_MAX);
        let mut wire = MessageDecoder::new();
        let (mut bytes, mut from, mut at_end) = (Vec::new(), 0, false);
        let mut skipped = Skipped::default();
        loop {
            let scan = scanner.scan(&bytes[from..], at_end);
            skipped.add(&scan.skipped);
            from += scan.consumed;
            let Some(frame) = scan.frame else {
                if at_end {
                    break;
                }
                bytes.drain(..from);
                from = 0;
                let block = self.input.fill_buf()?;
                at_end = block.is_empty();
                bytes.extend_from_slice(block);
                let read = block.len();
                self.input.consume(read);
                continue;
            };
            let mut builder = self.builder();
            let mut record = builder.record();
            if let Err(error) = wire.decode(frame.body, &mut record) {
                tell(&format!("a frame holds no message: {error}\n"));
                continue;
            }
            record.commit()?;
            let batch = builder.finish();
            if let Some(record) = batch.record(0)
                && !look(&record)?
            {
                break;
            }
        }
        if !skipped.is_empty() {
            let bytes = skipped.stray_bytes + skipped.malformed_bytes + skipped.oversized_bytes;
            tell(&format!("{bytes} bytes between frames are none of any, and were passed over\n"));
        }
        Ok(())
    }
}
