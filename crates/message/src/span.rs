//! Where bytes lie in a batch's arena.

/// Bytes of a batch: an offset and a length, 8 bytes in all.
///
/// A span points into one of the two parts of the arena: what the input read (raw), or what was made while
/// decoding (made). The top bit of the offset tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    len: u32,
}

const MADE: u32 = 1 << 31;

impl Span {
    /// No bytes.
    pub const EMPTY: Self = Self { start: 0, len: 0 };

    /// A span of the bytes that the input read. `None` if it does not fit 31 bits.
    #[must_use]
    pub fn raw(start: usize, len: usize) -> Option<Self> {
        Self::within_limits(start, len).map(|(start, len)| Self { start, len })
    }

    /// A span of the bytes made while decoding. `None` if it does not fit 31 bits.
    #[must_use]
    pub fn made(start: usize, len: usize) -> Option<Self> {
        Self::within_limits(start, len).map(|(start, len)| Self { start: start | MADE, len })
    }

    fn within_limits(start: usize, len: usize) -> Option<(u32, u32)> {
        if start.checked_add(len)? >= MADE as usize {
            return None;
        }
        Some((u32::try_from(start).ok()?, u32::try_from(len).ok()?))
    }

    /// True if the bytes were made while decoding.
    #[must_use]
    pub fn is_made(self) -> bool {
        self.start & MADE != 0
    }

    /// Offset of the first byte in its part of the arena.
    #[must_use]
    pub fn start(self) -> usize {
        (self.start & !MADE) as usize
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// True if there are no bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Offset behind the last byte in its part of the arena.
    #[must_use]
    pub fn end(self) -> usize {
        self.start() + self.len()
    }

    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.start) << 32) | u64::from(self.len)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self { start: (bits >> 32) as u32, len: bits as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_knows_its_part_and_survives_packing() {
        let raw = Span::raw(7, 9).unwrap();
        let made = Span::made(7, 9).unwrap();
        assert!(!raw.is_made() && made.is_made());
        assert_eq!((made.start(), made.len(), made.end()), (7, 9, 16));
        assert_eq!(Span::from_bits(made.to_bits()), made);
        assert_eq!(Span::from_bits(raw.to_bits()), raw);
    }

    #[test]
    fn offsets_past_31_bits_are_refused() {
        assert!(Span::raw(1 << 31, 0).is_none());
        assert!(Span::raw((1 << 31) - 2, 1).is_some());
        assert!(Span::made((1 << 31) - 1, 1).is_none());
        assert!(Span::raw(usize::MAX, 1).is_none());
    }
}
