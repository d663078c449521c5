//! Which records of a batch a consumer gets.

/// The records of a batch that one consumer gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// No record.
    #[default]
    None,
    /// Every record.
    All,
    /// The records whose bit is set, 64 to a word, lowest bit first.
    Bits(Box<[u64]>),
}

impl Selection {
    /// The selection that a bitmap stands for; `records` is the batch's length.
    #[must_use]
    pub fn from_bits(bits: &[u64], records: usize) -> Self {
        let count: usize = bits.iter().map(|word| word.count_ones() as usize).sum();
        match count {
            0 => Self::None,
            count if count == records => Self::All,
            _ => Self::Bits(bits.into()),
        }
    }

    /// True if it holds no record.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// True if it holds record `index`.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Bits(bits) => {
                bits.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
            }
        }
    }

    /// Number of records, in a batch of `records`.
    #[must_use]
    pub fn count(&self, records: usize) -> usize {
        match self {
            Self::None => 0,
            Self::All => records,
            Self::Bits(bits) => bits.iter().map(|word| word.count_ones() as usize).sum(),
        }
    }

    /// Indexes of its records in order, in a batch of `records`.
    #[must_use]
    pub fn iter(&self, records: usize) -> SelectionIter<'_> {
        match self {
            Self::None => SelectionIter { bits: None, word: 0, next: 0, end: 0 },
            Self::All => SelectionIter { bits: None, word: 0, next: 0, end: records },
            Self::Bits(bits) => SelectionIter {
                bits: Some(bits),
                word: bits.first().copied().unwrap_or(0),
                next: 0,
                end: bits.len(),
            },
        }
    }
}

/// Iterates over a selection's record indexes.
#[derive(Debug, Clone)]
pub struct SelectionIter<'a> {
    bits: Option<&'a [u64]>,
    word: u64,
    next: usize,
    end: usize,
}

impl Iterator for SelectionIter<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let Some(bits) = self.bits else {
            let index = self.next;
            self.next += 1;
            return (index < self.end).then_some(index);
        };
        while self.word == 0 {
            self.next += 1;
            self.word = *bits.get(self.next)?;
        }
        let index = self.next * 64 + self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(selection: &Selection, records: usize) -> Vec<usize> {
        selection.iter(records).collect()
    }

    #[test]
    fn a_bitmap_lists_its_records_in_order() {
        let selection = Selection::from_bits(&[1 | 1 << 63, 0, 1 << 5], 150);
        assert_eq!(indexes(&selection, 150), [0, 63, 133]);
        assert_eq!(selection.count(150), 3);
        assert!(selection.contains(133) && !selection.contains(134) && !selection.contains(9999));
    }

    #[test]
    fn full_and_empty_bitmaps_become_all_and_none() {
        assert_eq!(Selection::from_bits(&[0b111], 3), Selection::All);
        assert_eq!(Selection::from_bits(&[0, 0], 70), Selection::None);
        assert_eq!(indexes(&Selection::All, 3), [0, 1, 2]);
        assert_eq!(indexes(&Selection::None, 3), [0_usize; 0]);
        assert_eq!(indexes(&Selection::from_bits(&[], 0), 0), [0_usize; 0]);
    }
}
