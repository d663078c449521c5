//! Bloom filter: a set that may take a stranger for a member, but never misses one.

use std::f64::consts::LN_2;

use heka_luatext::general_number;
use xxhash_rust::xxh32::xxh32;

use crate::error::Error;
use crate::key::Key;
use crate::memory::{check_length, zeroed};
use crate::preserve::{append_new, append_state};

/// Largest number of items.
const ITEMS_MAX: i64 = i32::MAX as i64;
/// What is charged beside the bits.
const FIXED_BYTES: usize = 48;

/// A set of keys in a fixed number of bits.
#[derive(Debug, Clone)]
pub struct BloomFilter {
    items: i64,
    probability: f64,
    bits: u64,
    hashes: u32,
    count: u64,
    bytes: Vec<u8>,
}

impl BloomFilter {
    /// What `bloom_filter.version()` tells scripts.
    pub const VERSION: &str = "0.2.0";

    /// Bytes of a filter for that many items, `None` if there cannot be one.
    #[must_use]
    pub fn memory_for(items: i64, probability: f64) -> Option<usize> {
        let (bits, _) = dimensions(items, probability).ok()?;
        usize::try_from(bits.div_ceil(8)).ok()?.checked_add(FIXED_BYTES)
    }

    /// An empty filter that takes strangers for members with that probability once it has `items` members.
    pub fn new(items: i64, probability: f64) -> Result<Self, Error> {
        let (bits, hashes) = dimensions(items, probability)?;
        let bytes = usize::try_from(bits.div_ceil(8)).map_err(|_| Error::Memory)?;
        Ok(Self { items, probability, bits, hashes, count: 0, bytes: zeroed(bytes)? })
    }

    /// Bytes to charge for this filter.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes.len() + FIXED_BYTES
    }

    /// Adds a key; whether it was new.
    pub fn add<'a>(&mut self, key: impl Into<Key<'a>>) -> bool {
        let key = key.into();
        let mut is_new = false;
        for seed in 0..self.hashes {
            let (byte, mask) = self.place(&key, seed);
            is_new |= self.bytes[byte] & mask == 0;
            self.bytes[byte] |= mask;
        }
        self.count = self.count.saturating_add(u64::from(is_new));
        is_new
    }

    /// Whether a key may be a member.
    #[must_use]
    pub fn query<'a>(&self, key: impl Into<Key<'a>>) -> bool {
        let key = key.into();
        (0..self.hashes).all(|seed| {
            let (byte, mask) = self.place(&key, seed);
            self.bytes[byte] & mask != 0
        })
    }

    /// Byte and bit of a key's hash.
    fn place(&self, key: &Key<'_>, seed: u32) -> (usize, u8) {
        let bit = u64::from(xxh32(key.as_bytes(), seed)) % self.bits;
        ((bit / 8) as usize, 1 << (bit % 8))
    }

    /// How often a key is hashed.
    #[must_use]
    pub fn hashes(&self) -> usize {
        self.hashes as usize
    }

    /// Number of keys that were new when they were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.fill(0);
        self.count = 0;
    }

    /// Its bits, the lowest of each byte first.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes over bits from [`bytes`](Self::bytes) and, if there is one, the count; this is `fromstring`.
    pub fn restore(&mut self, count: Option<u64>, bytes: &[u8]) -> Result<(), Error> {
        check_length(bytes, self.bytes.len())?;
        self.bytes.copy_from_slice(bytes);
        self.count = count.unwrap_or(self.count);
        Ok(())
    }

    /// Appends the statements of Lua that make this filter again under `key`, which is an expression of Lua.
    pub fn preserve(&self, key: &[u8], out: &mut Vec<u8>) {
        let probability = probability_text(self.probability);
        append_new(out, key, format_args!("bloom_filter.new({}, {probability})", self.items));
        append_state(out, key, Some(self.count), &self.bytes);
    }
}

/// Bits and hashes of a filter.
fn dimensions(items: i64, probability: f64) -> Result<(u64, u32), Error> {
    if items < 2 {
        return Err(Error::BloomItems);
    }
    if !(probability > 0.0 && probability < 1.0) {
        return Err(Error::Probability);
    }
    if items > ITEMS_MAX {
        return Err(Error::Memory);
    }
    let bits = (items as f64 * probability.ln() / (1.0 / 2_f64.powf(LN_2)).ln()).ceil();
    // A filter for high probabilities has one hash too: without any it would know nobody.
    let hashes = (LN_2 * bits / items as f64).round().max(1.0);
    Ok(((bits as u64).max(1), hashes as u32))
}

/// As short as Heka writes it, if that is the same number.
fn probability_text(probability: f64) -> String {
    let text = |digits| {
        let mut out = Vec::new();
        general_number(probability, digits, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    let short = text(6);
    if short.parse() == Ok(probability) { short } else { text(17) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_those_of_heka() {
        assert_eq!(dimensions(1000, 0.01), Ok((9586, 7)));
        assert_eq!(dimensions(20, 0.01), Ok((192, 7)));
        assert_eq!(dimensions(100, 0.9), Ok((22, 1)));
        let (bits, hashes) = dimensions(2, 1.0 - f64::EPSILON).unwrap();
        assert_eq!((bits, hashes), (1, 1));
        assert!(dimensions(ITEMS_MAX, 5e-324).is_ok());
    }

    #[test]
    fn probabilities_are_written_so_that_they_are_read_the_same() {
        assert_eq!(probability_text(0.01), "0.01");
        assert_eq!(probability_text(1e-9), "1e-09");
        assert_eq!(probability_text(0.123_456_789), "0.123456789");
    }
}
