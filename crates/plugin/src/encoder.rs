//! Encoders: messages to bytes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use heka_message::{Batch, NameRegistry, Record};
use heka_stream::{Ack, DeadLetters, Delivery, LetterMeta};

use crate::{EncodeBuffer, Encoded, LimitedLog, PluginCounts};

/// Turns a message into bytes.
pub trait Encoder: Send {
    /// Appends the record's bytes to `out`. After an error or [`Encode::Nothing`] what it appended is taken back.
    ///
    /// # Errors
    /// If this message can never be encoded.
    fn encode(
        &mut self,
        record: &Record<'_>,
        out: &mut EncodeBuffer<'_>,
    ) -> Result<Encode, EncodeError>;

    /// True if a record's bytes are always its payload as it is: `encode` is then not called for every one.
    fn is_payload(&self) -> bool {
        false
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encode {
    /// Its bytes were appended.
    Done,
    /// There is nothing to send for it; that is no error.
    Nothing,
}

/// A message that can never be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeError(Cow<'static, str>);

impl EncodeError {
    /// What is wrong.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for EncodeError {}

/// An output's encoder with its framing.
pub struct EncoderRunner {
    /// The encoder.
    pub encoder: Box<dyn Encoder>,
    /// Writes the header of a frame around so many bytes; `None`: records are not framed.
    pub frame: Option<fn(usize, &mut Vec<u8>)>,
    /// Longest record that may be framed, in bytes.
    pub max_message_size: usize,
    /// Field names.
    pub names: Arc<NameRegistry>,
    /// Counters of the output.
    pub counts: Arc<PluginCounts>,
    /// Log of refusals.
    pub log: LimitedLog,
    /// Where messages go that cannot be encoded.
    pub letters: Option<DeadLetters>,
}

impl EncoderRunner {
    /// Encodes a delivery's records behind those in `out`. Records that cannot be encoded are rejected in the
    /// ack, counted and logged.
    pub fn encode(
        &mut self,
        delivery: Delivery,
        out: &mut Encoded,
        name: &str,
        now_ns: i64,
    ) -> Ack {
        let selection = delivery.selection().clone();
        let (keep, mut ack) = delivery.split();
        out.keep(keep.clone());
        let batch = keep.batch();
        let plain = self.frame.is_none() && self.encoder.is_payload();
        for index in selection.iter(batch.len()) {
            let Some(record) = batch.record(index) else { continue };
            if plain && out.extend_shared(batch, record.payload()) {
                continue;
            }
            if let Err(error) = self.encode_record(batch, &record, out) {
                ack.reject();
                self.counts.encode_failed.add(1);
                if let Some(letters) = &self.letters {
                    let why = &*error.to_string();
                    letters.send(&LetterMeta { plugin: name, why, input: None }, &record);
                }
                if let Some(missed) = self.log.event(now_ns) {
                    tracing::warn!(plugin = name, %error, missed, "message cannot be encoded");
                }
            }
        }
        ack
    }

    /// The bytes of one record of a batch, with its frame; `None`: there is nothing to send for it.
    ///
    /// # Errors
    /// If it can never be encoded.
    pub fn encode_one(
        &mut self,
        batch: &Batch,
        record: &Record<'_>,
    ) -> Result<Option<Vec<u8>>, EncodeError> {
        let mut out = Encoded::new();
        let encoded = self.encode_record(batch, record, &mut out)?;
        Ok((encoded == Encode::Done).then(|| out.to_vec()))
    }

    /// Encodes a record of the batch that `out` keeps last, or that it keeps none of.
    fn encode_record(
        &mut self,
        batch: &Batch,
        record: &Record<'_>,
        out: &mut Encoded,
    ) -> Result<Encode, EncodeError> {
        let mut buffer = out.begin(batch);
        let mut outcome = self.encoder.encode(record, &mut buffer);
        if let (Ok(Encode::Done), Some(error)) = (&outcome, self.too_long(buffer.len())) {
            outcome = Err(error);
        }
        match (&outcome, self.frame) {
            (Ok(Encode::Done), None) => buffer.finish(),
            (Ok(Encode::Done), Some(header)) => buffer.finish_framed(header),
            _ => buffer.rewind(),
        }
        outcome
    }

    fn too_long(&self, len: usize) -> Option<EncodeError> {
        (self.frame.is_some() && len > self.max_message_size).then(|| {
            EncodeError::new(format!(
                "requires {len} (MAX_MESSAGE_SIZE = {})",
                self.max_message_size
            ))
        })
    }
}

impl fmt::Debug for EncoderRunner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EncoderRunner").finish_non_exhaustive()
    }
}
