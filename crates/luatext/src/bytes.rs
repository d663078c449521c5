//! Sets of bytes: the classes of patterns (`%a`, `%d`, ..), those that a pattern lists, and what the C locale calls
//! upper and lower case.
//!
//! Here: which byte belongs to what. Not here: how a pattern writes a set (`pattern::compile`).

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteSet {
    words: [u64; 4],
}

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self { words: [0; 4] };
    /// Every byte.
    pub const FULL: Self = Self { words: [u64::MAX; 4] };

    /// The set that the letter after `%` names: a class, the complement of one for a capital, or else the byte itself.
    #[must_use]
    pub fn class(letter: u8) -> Self {
        let belongs: fn(u8) -> bool = match letter.to_ascii_lowercase() {
            b'a' => |byte| byte.is_ascii_alphabetic(),
            b'c' => |byte| byte.is_ascii_control(),
            b'd' => |byte| byte.is_ascii_digit(),
            b'l' => |byte| byte.is_ascii_lowercase(),
            b'p' => |byte| byte.is_ascii_punctuation(),
            b's' => |byte| matches!(byte, b'\t'..=b'\r' | b' '),
            b'u' => |byte| byte.is_ascii_uppercase(),
            b'w' => |byte| byte.is_ascii_alphanumeric(),
            b'x' => |byte| byte.is_ascii_hexdigit(),
            b'z' => |byte| byte == 0,
            _ => return Self::single(letter),
        };
        let mut set = Self::EMPTY;
        // No class has a byte above 127.
        (0..128).filter(|byte| belongs(*byte)).for_each(|byte| set.insert(byte));
        if letter.is_ascii_lowercase() { set } else { set.complement() }
    }

    /// The set of one byte.
    #[must_use]
    pub fn single(byte: u8) -> Self {
        let mut set = Self::EMPTY;
        set.insert(byte);
        set
    }

    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.words[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Adds the bytes from the first to the last, none if the last is the lesser.
    pub fn insert_range(&mut self, first: u8, last: u8) {
        (first..=last).for_each(|byte| self.insert(byte));
    }

    /// Whether the byte belongs to the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, byte: u8) -> bool {
        self.words[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// Number of bytes in the set, 0 to 256.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether no byte belongs to the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The bytes, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.words.iter().zip([0, 64, 128, 192]).flat_map(|(word, first)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < 64).then(|| first + bit as u8)
            })
        })
    }

    /// The bytes of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { words: std::array::from_fn(|index| self.words[index] | other.words[index]) }
    }

    /// The bytes of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self { words: std::array::from_fn(|index| self.words[index] & other.words[index]) }
    }

    /// The bytes that do not belong to the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self { words: self.words.map(|word| !word) }
    }
}

/// Appends the text with its small letters as capitals, as `string.upper` does.
pub fn upper(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text.iter().map(u8::to_ascii_uppercase));
}

/// Appends the text with its capitals as small letters, as `string.lower` does.
pub fn lower(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text.iter().map(u8::to_ascii_lowercase));
}

/// Appends the bytes of the text from the last to the first, as `string.reverse` does.
pub fn reverse(text: &[u8], out: &mut Vec<u8>) {
    out.extend(text.iter().rev());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_partition_the_bytes_as_the_c_locale_does() {
        let counts = [
            (b'a', 52),
            (b'c', 33),
            (b'd', 10),
            (b'l', 26),
            (b'p', 32),
            (b's', 6),
            (b'u', 26),
            (b'w', 62),
            (b'x', 22),
            (b'z', 1),
        ];
        for (letter, count) in counts {
            let set = ByteSet::class(letter);
            assert_eq!(set.len(), count, "%{}", letter as char);
            assert_eq!(ByteSet::class(letter.to_ascii_uppercase()), set.complement());
            assert_eq!(set.iter().count(), count as usize);
            assert!(set.iter().all(|byte| set.contains(byte)));
        }
        assert_eq!(ByteSet::class(b'.'), ByteSet::single(b'.'));
        assert_eq!(ByteSet::class(b'B'), ByteSet::single(b'B'));
        assert_eq!(ByteSet::class(0xe4), ByteSet::single(0xe4));
    }

    #[test]
    fn the_algebra_holds_at_the_edges_of_the_words() {
        let mut edges = ByteSet::EMPTY;
        [0, 63, 64, 127, 128, 191, 192, 255].into_iter().for_each(|byte| edges.insert(byte));
        assert_eq!(edges.iter().collect::<Vec<_>>(), [0, 63, 64, 127, 128, 191, 192, 255]);
        assert_eq!(edges.union(&edges.complement()), ByteSet::FULL);
        assert!(edges.intersection(&edges.complement()).is_empty());
        let mut none = ByteSet::EMPTY;
        none.insert_range(b'b', b'a');
        assert!(none.is_empty());
        none.insert_range(0, 255);
        assert_eq!(none, ByteSet::FULL);
    }

    #[test]
    fn only_ascii_letters_change_their_case() {
        let mut out = Vec::new();
        upper(b"aZ-\xe4\0", &mut out);
        lower(b"aZ-\xc4\0", &mut out);
        reverse(b"abc", &mut out);
        assert_eq!(out, b"AZ-\xe4\0az-\xc4\0cba");
    }
}
