//! Decoders: records to messages.

use std::borrow::Cow;
use std::fmt;

use heka_message::RecordBuilder;

/// Turns the bytes of one record into a message, or several.
pub trait Decoder: Send {
    /// Decodes `data`: the message's payload, or the encoded message where the splitter says
    /// `use_message_bytes`. `record` already has what the input sets, the payload too. Parse first and write
    /// second: slices of `data` given to `record` are kept as spans, not copied.
    ///
    /// For more than one message call [`RecordBuilder::emit`] between them.
    ///
    /// # Errors
    /// If the bytes are not what it decodes. Nothing of the record then remains.
    fn decode(
        &mut self,
        data: &[u8],
        record: &mut RecordBuilder<'_>,
    ) -> Result<Decode, DecodeError>;
}

/// What became of the message being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decode {
    /// It is a message.
    Done,
    /// It is dropped on purpose; messages emitted before it stay.
    Discard,
}

/// The bytes could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    what: Cow<'static, str>,
    offset: Option<usize>,
}

impl DecodeError {
    /// Longest text that goes into the field `decode_error`, in bytes.
    pub const TEXT_MAX: usize = 500;

    /// What is wrong.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), offset: None }
    }

    /// What is wrong, at which byte of the data.
    #[must_use]
    pub fn at(offset: usize, what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), offset: Some(offset) }
    }

    /// Offset of the byte at fault.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.offset
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(formatter, "{} at byte {offset}", self.what),
            None => formatter.write_str(&self.what),
        }
    }
}

impl std::error::Error for DecodeError {}
