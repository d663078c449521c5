//! Message ids: 16 bytes, derived on demand when nobody set one.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// A message id (RFC 9562), 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 36;

    /// The id of record `index` of batch number `batch`: version 4 in form, the same for the same key,
    /// unpredictable without it.
    #[must_use]
    pub(crate) fn derive([first, second]: [u64; 2], batch: u64, index: u32) -> Self {
        let high = mix(first ^ mix(batch.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(index)));
        let low = mix(second ^ high.rotate_left(23) ^ (u64::from(index) << 32) ^ batch);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Lower-case hex, 8-4-4-4-12.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT_LEN] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; Self::TEXT_LEN];
        let mut at = 0;
        for (index, byte) in self.0.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        text
    }

    /// Parses 16 raw bytes, or the text form with or without hyphens, either case.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if let Ok(raw) = <[u8; 16]>::try_from(bytes) {
            return Some(Self(raw));
        }
        let mut uuid = [0; 16];
        let mut digits = 0;
        for (index, &byte) in bytes.iter().enumerate() {
            if byte == b'-' && bytes.len() == Self::TEXT_LEN && matches!(index, 8 | 13 | 18 | 23) {
                continue;
            }
            let digit = (byte as char).to_digit(16)? as u8;
            *uuid.get_mut(digits / 2)? |= if digits % 2 == 0 { digit << 4 } else { digit };
            digits += 1;
        }
        (digits == 32).then_some(Self(uuid))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().iter().try_for_each(|&byte| fmt::Write::write_char(formatter, byte.into()))
    }
}

/// Two words that differ in every process; std seeds its hash maps from the operating system's entropy.
pub(crate) fn process_key() -> [u64; 2] {
    static KEY: OnceLock<[u64; 2]> = OnceLock::new();
    *KEY.get_or_init(|| [RandomState::new().hash_one(1_u8), RandomState::new().hash_one(2_u8)])
}

/// The finalizer of splitmix64: every input bit changes half of the output bits.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn derived_ids_are_stable_distinct_and_version_4() {
        let mut seen = HashSet::new();
        for batch in 0..50 {
            for index in 0..200 {
                let uuid = Uuid::derive([1, 2], batch, index);
                assert_eq!(uuid, Uuid::derive([1, 2], batch, index));
                assert_eq!((uuid.0[6] >> 4, uuid.0[8] >> 6), (4, 2));
                assert!(seen.insert(uuid), "id twice at {batch} {index}");
                assert!(seen.insert(Uuid::derive([1, 3], batch, index)), "the key has no effect");
            }
        }
    }

    #[test]
    fn text_and_raw_forms_parse_back() {
        let text = "8e414f01-9d7f-4a48-a5e1-ae92e5954df5";
        let uuid = Uuid::parse(text.as_bytes()).unwrap();
        assert_eq!(uuid.to_string(), text);
        assert_eq!(Uuid::parse(&uuid.0), Some(uuid));
        assert_eq!(Uuid::parse(text.to_uppercase().as_bytes()), Some(uuid));
        assert_eq!(Uuid::parse(text.replace('-', "").as_bytes()), Some(uuid));
        assert_eq!(Uuid::parse(b"8e414f01-9d7f-4a48-a5e1-ae92e5954df"), None);
        assert_eq!(Uuid::parse(b"zz414f01-9d7f-4a48-a5e1-ae92e5954df5"), None);
        assert_eq!(Uuid::parse(b""), None);
    }
}
