//! The header of a frame.

use crate::WireError;
use crate::cursor::{BYTES, Cursor, VARINT};

/// A decoded frame header, borrowing from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameHeader<'a> {
    /// Length of the body in bytes; `None` if the header does not tell.
    pub message_length: Option<u32>,
    /// Number of the hash function; absent counts as 0.
    pub hash_function: u32,
    /// Claimed name of the signer.
    pub signer: &'a [u8],
    /// Version of the signer's key.
    pub key_version: u32,
    /// The signature, if there is one.
    pub hmac: Option<&'a [u8]>,
}

impl<'a> FrameHeader<'a> {
    /// Decodes a header; of members that are there twice the last one counts.
    ///
    /// # Errors
    /// If the bytes are no header.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut header = Self::default();
        let mut cursor = Cursor::new(bytes);
        while let Some(tag) = cursor.tag()? {
            match tag.number {
                1 | 3 | 5 => {
                    tag.expect(VARINT)?;
                    let value = cursor.varint()? as u32;
                    match tag.number {
                        1 => header.message_length = Some(value),
                        3 => header.hash_function = value,
                        _ => header.key_version = value,
                    }
                }
                4 | 6 => {
                    tag.expect(BYTES)?;
                    let value = cursor.bytes()?;
                    match tag.number {
                        4 => header.signer = value,
                        _ => header.hmac = Some(value),
                    }
                }
                _ => cursor.skip(tag)?,
            }
        }
        Ok(header)
    }
}
