//! The protobuf message codec and stream framing, as Heka speaks them.
//!
//! Here: one encoded message to a record and back, frames in a byte stream, their signatures. Not here: what a
//! message is (`heka-message`), who reads the stream (the splitters). Invariants: no input makes these functions
//! panic, or allocate more than in proportion to its own length; an error names the byte it was found at.

mod cursor;
mod decode;
mod encode;
mod error;
mod frame;
mod header;
mod names;
mod sign;

pub use decode::{MessageDecoder, decode_message};
pub use encode::encode_message;
pub use error::WireError;
pub use frame::{
    Frame, FrameScanner, Scan, Skipped, frame_in_place, write_frame_header,
    write_unsigned_frame_header,
};
pub use header::FrameHeader;
pub use sign::{Authentication, Keys, SignatureHash, Signer};

/// Separates frames: the first byte of each.
pub const RECORD_SEPARATOR: u8 = 0x1e;

/// Ends a frame's header.
pub const UNIT_SEPARATOR: u8 = 0x1f;

/// Longest encoded frame header in bytes.
pub const HEADER_BYTES_MAX: usize = 255;

/// Bytes that framing adds to a message at most: separators, header length and header.
pub const FRAMING_BYTES_MAX: usize = 3 + HEADER_BYTES_MAX;

/// Default of the longest message in bytes that framing accepts.
pub const MESSAGE_BYTES_MAX_DEFAULT: usize = 65_536;
