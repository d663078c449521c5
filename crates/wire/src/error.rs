//! What can be wrong with bytes from the wire, or with a message on its way there.

use heka_message::BuildError;

/// Why bytes are no message or header, or why a message cannot be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a value that began at `offset`.
    #[error("unexpected end inside the value at byte {offset}")]
    Truncated {
        /// Where the value begins.
        offset: usize,
    },
    /// A length reaches past the end of what contains it.
    #[error("length {length} at byte {offset} reaches past the end")]
    Length {
        /// Where the length stands.
        offset: usize,
        /// The length read.
        length: u64,
    },
    /// A known member has a wire type that does not fit it.
    #[error("member {number} at byte {offset} has the wrong wire type {wire_type}")]
    WireType {
        /// Where the member's tag stands.
        offset: usize,
        /// Its number.
        number: u64,
        /// The wire type found.
        wire_type: u8,
    },
    /// A tag with member number 0, or with a wire type that does not exist.
    #[error("invalid tag at byte {offset}")]
    Tag {
        /// Where the tag stands.
        offset: usize,
    },
    /// A message is longer than framing allows.
    #[error("requires {length} bytes (MAX_MESSAGE_SIZE = {max})")]
    MessageTooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest length allowed.
        max: usize,
    },
    /// A frame header is longer than its length byte can tell.
    #[error("frame header requires {length} bytes, more than {max}")]
    HeaderTooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest length allowed.
        max: usize,
    },
    /// The record could not be built.
    #[error("cannot build the record")]
    Build(#[from] BuildError),
}
