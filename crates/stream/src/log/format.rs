//! How segments and records lie on disk, byte by byte. Described in `docs/design/0006-durable-log.md`.
//!
//! All integers are little-endian. The checksum of a record's header is mixed with the log's own random id, so that
//! bytes of a message that look like a record are never taken for one when the reader resynchronises.

use crate::log::error::LogError;

/// First bytes of a segment.
const SEGMENT_MAGIC: [u8; 8] = *b"HEKASEG\n";
/// Layout of segments and records.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
/// First bytes of a record.
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"HEK1";
/// Bytes of a record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 40;
/// Records begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;
/// Longest body in bytes; a header that says more is damaged.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 30;

/// What makes this log's records its own.
pub(crate) type LogId = [u8; 16];

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A batch in its stored form and the source's position behind it.
    Batch = 1,
    /// What changed of cursors and positions.
    StateChange = 2,
    /// All cursors and positions.
    StateSnapshot = 3,
    /// Messages that were given up, with the reason.
    DeadLetters = 4,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Batch, Self::StateChange, Self::StateSnapshot, Self::DeadLetters]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    /// True if each such record has a number of its own.
    pub(crate) fn is_numbered(self) -> bool {
        matches!(self, Self::Batch | Self::DeadLetters)
    }
}

/// Header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: LogId,
    /// Every record of the segment has this sequence number or a higher one.
    pub(crate) first: u64,
    pub(crate) created_ns: i64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id);
        bytes[32..40].copy_from_slice(&self.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created_ns.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// # Errors
    /// If the bytes are no header, or that of a version that this program does not know.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else {
            return Err(LogError::SegmentHeader("it is shorter than a header"));
        };
        if bytes[..8] != SEGMENT_MAGIC {
            return Err(LogError::SegmentHeader("it does not begin with HEKASEG"));
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(LogError::SegmentHeader("its header's checksum is wrong"));
        }
        if u32_at(bytes, 8) != VERSION || u32_at(bytes, 12) as usize != SEGMENT_HEADER_BYTES {
            return Err(LogError::SegmentHeader("it was written by another version"));
        }
        let mut id = LogId::default();
        id.copy_from_slice(&bytes[16..32]);
        Ok(Self { id, first: u64_at(bytes, 32), created_ns: u64_at(bytes, 40) as i64 })
    }
}

/// Header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What it holds.
    pub kind: RecordKind,
    /// Length of the body in bytes.
    pub body_bytes: u32,
    /// Number of messages in it.
    pub messages: u32,
    /// Sequence number; batches have each their own, in ascending order.
    pub sequence: u64,
    /// When it was written, ns since 1970.
    pub time_ns: i64,
    /// CRC32C of the body.
    pub checksum: u32,
}

impl RecordHeader {
    pub(crate) fn encode(&self, id: &LogId) -> [u8; RECORD_HEADER_BYTES] {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.messages.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.time_ns.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.checksum.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(id), &bytes[..36]);
        bytes[36..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` if the bytes are no header of this log.
    pub(crate) fn decode(bytes: &[u8], id: &LogId) -> Option<Self> {
        let bytes = bytes.get(..RECORD_HEADER_BYTES)?;
        if bytes[..4] != RECORD_MAGIC {
            return None;
        }
        let checksum = crc32c::crc32c_append(crc32c::crc32c(id), &bytes[..36]);
        if checksum != u32_at(bytes, 36) {
            return None;
        }
        let header = Self {
            kind: RecordKind::from_byte(bytes[4])?,
            body_bytes: u32_at(bytes, 8),
            messages: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            time_ns: u64_at(bytes, 24) as i64,
            checksum: u32_at(bytes, 32),
        };
        // Behind the highest number there is none for a reader to go on with.
        let can_be = header.sequence < u64::MAX || !header.kind.is_numbered();
        (can_be && header.body_bytes as usize <= BODY_BYTES_MAX).then_some(header)
    }

    /// Bytes from the header's begin to the body's end.
    pub(crate) fn end_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }

    /// Bytes from the header's begin to where the next record can begin.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.end_bytes().next_multiple_of(ALIGNMENT as u64)
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}

/// File name of the segment that begins with a sequence number.
pub(crate) fn segment_name(first: u64, generation: u32) -> String {
    format!("{first:020}-{generation:04}.log")
}

/// What [`segment_name`] made a name of.
pub(crate) fn parse_segment_name(name: &str) -> Option<(u64, u32)> {
    let (first, generation) = name.strip_suffix(".log")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if first.len() != 20 || generation.len() < 4 || !digits(first) || !digits(generation) {
        return None;
    }
    Some((first.parse().ok()?, generation.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_any_flipped_bit_is_noticed() {
        let id = [7; 16];
        let segment = SegmentHeader { id, first: 1 << 40, created_ns: -5 };
        let bytes = segment.encode();
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), segment);
        let record = RecordHeader {
            kind: RecordKind::StateSnapshot,
            body_bytes: 77,
            messages: 3,
            sequence: u64::MAX,
            time_ns: i64::MIN,
            checksum: 0xdead_beef,
        };
        let header = record.encode(&id);
        assert_eq!(RecordHeader::decode(&header, &id), Some(record));
        assert_eq!(RecordHeader::decode(&header, &[8; 16]), None, "of another log");
        assert_eq!(record.total_bytes(), 120);
        for bit in 0..RECORD_HEADER_BYTES * 8 {
            let mut damaged = header;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&damaged, &id), None, "bit {bit}");
        }
        for bit in 0..SEGMENT_HEADER_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn names_of_segments_sort_by_their_first_number_and_foreign_names_are_left_alone() {
        assert_eq!(parse_segment_name(&segment_name(12, 3)), Some((12, 3)));
        assert!(segment_name(9, 2) < segment_name(10, 0));
        for name in ["lock", "1.log", "00000000000000000001.log", "x0000000000000000001-0000.log"] {
            assert_eq!(parse_segment_name(name), None, "{name}");
        }
    }
}
