//! Sets of bytes, and sets of what can stand at a position of a subject.
//!
//! Here: the two set types and their algebra. Not here: how the matcher stores a set (`program`).
//! Invariant: both are plain values without a heap part.

use std::ops::RangeInclusive;

/// Words of 64 bits that 256 bytes need.
const WORDS: usize = 4;

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CharSet {
    words: [u64; WORDS],
}

impl std::fmt::Debug for CharSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<u8> for CharSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let mut set = Self::EMPTY;
        bytes.into_iter().for_each(|byte| set.insert(byte));
        set
    }
}

impl CharSet {
    /// No byte.
    pub const EMPTY: Self = Self { words: [0; WORDS] };
    /// Every byte.
    pub const FULL: Self = Self { words: [u64::MAX; WORDS] };

    /// The set of those bytes for which `belongs` is true; a locale class, for instance.
    pub fn from_fn(belongs: impl Fn(u8) -> bool) -> Self {
        (0..=u8::MAX).filter(|byte| belongs(*byte)).collect()
    }

    /// The bytes of a range; an empty one is allowed.
    pub fn range(range: RangeInclusive<u8>) -> Self {
        range.collect()
    }

    /// The set of one byte.
    pub fn single(byte: u8) -> Self {
        std::iter::once(byte).collect()
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.words[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Whether the byte belongs to the set.
    #[inline]
    pub fn contains(&self, byte: u8) -> bool {
        self.words[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// Number of bytes in the set, 0 to 256.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no byte belongs to the set.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The bytes, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|byte| self.contains(*byte))
    }

    /// The bytes of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.with(other, |a, b| a | b)
    }

    /// The bytes of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.with(other, |a, b| a & b)
    }

    /// The bytes of this set that do not belong to the other one.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.with(other, |a, b| a & !b)
    }

    /// The bytes that do not belong to the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self::FULL.difference(self)
    }

    fn with(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self { words: std::array::from_fn(|index| join(self.words[index], other.words[index])) }
    }

    /// The one byte of a set of one byte.
    pub(crate) fn only(&self) -> Option<u8> {
        (self.len() == 1).then(|| self.iter().next()).flatten()
    }
}

/// What can stand at a position: some bytes, and perhaps the end of the subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Heads {
    /// The bytes.
    pub(crate) bytes: CharSet,
    /// Whether the position may be the end of the subject.
    pub(crate) end: bool,
}

impl Heads {
    /// Nothing.
    pub(crate) const EMPTY: Self = Self { bytes: CharSet::EMPTY, end: false };
    /// Anything, and the end.
    pub(crate) const FULL: Self = Self { bytes: CharSet::FULL, end: true };

    /// Those bytes, and not the end.
    pub(crate) fn bytes(bytes: CharSet) -> Self {
        Self { bytes, end: false }
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        Self { bytes: self.bytes.union(&other.bytes), end: self.end || other.end }
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        Self { bytes: self.bytes.intersection(&other.bytes), end: self.end && other.end }
    }

    pub(crate) fn complement(&self) -> Self {
        Self { bytes: self.bytes.complement(), end: !self.end }
    }

    pub(crate) fn is_disjoint(&self, other: &Self) -> bool {
        self.intersection(other) == Self::EMPTY
    }

    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self.is_disjoint(&other.complement())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algebra_holds_at_the_edges_of_the_words() {
        let edges: CharSet = [0, 63, 64, 127, 128, 191, 192, 255].into_iter().collect();
        assert_eq!(edges.iter().collect::<Vec<_>>(), [0, 63, 64, 127, 128, 191, 192, 255]);
        assert_eq!(edges.len(), 8);
        assert_eq!(edges.complement().len(), 248);
        assert_eq!(edges.union(&edges.complement()), CharSet::FULL);
        assert!(edges.intersection(&edges.complement()).is_empty());
        let empty = RangeInclusive::new(b'b', b'a');
        assert_eq!(CharSet::range(empty), CharSet::EMPTY);
        assert_eq!(CharSet::range(0..=255), CharSet::FULL);
        assert_eq!(CharSet::single(7).only(), Some(7));
        assert_eq!(edges.only(), None);
    }

    #[test]
    fn the_end_of_the_subject_is_a_symbol_of_its_own() {
        let digits = Heads::bytes(CharSet::range(b'0'..=b'9'));
        assert!(digits.is_disjoint(&Heads { bytes: CharSet::EMPTY, end: true }));
        assert!(digits.complement().end);
        assert!(digits.is_subset(&Heads::FULL));
        assert!(!Heads::FULL.is_subset(&Heads::bytes(CharSet::FULL)));
    }
}
