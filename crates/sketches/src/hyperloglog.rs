//! HyperLogLog: how many different keys there were, within about one percent.
//!
//! Flajolet's algorithm with the 16384 registers of six bits, the hash, the bias correction and the bytes of Redis'
//! dense form. Invariant: the structure is its serialised form, the count that was last computed included.

use crate::error::Error;
use crate::key::Key;
use crate::memory::{check_length, zeroed};
use crate::murmur::murmur_hash_64a;
use crate::preserve::{append_new, append_state};

/// Bits of the hash that choose the register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
const REGISTER_BITS: usize = 6;
const REGISTER_MASK: u32 = (1 << REGISTER_BITS) - 1;
/// Registers that lie in three bytes.
const GROUP: usize = 4;
const HEADER_BYTES: usize = 16;
const TOTAL_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;
const MAGIC: &[u8; 4] = b"HYLL";
/// Set in the last byte of the count in the header: it is not that of these registers.
const STALE: u8 = 0x80;
const HASH_SEED: u64 = 0xadc8_3b19;
/// Below this estimate the correction of the bias applies.
const BIASED_MAX: f64 = 72_000.0;

/// A count of different keys.
#[derive(Debug, Clone)]
pub struct HyperLogLog {
    bytes: Vec<u8>,
}

impl HyperLogLog {
    /// What `hyperloglog.version()` tells scripts.
    pub const VERSION: &str = "0.1.0";

    /// Bytes to charge for one.
    pub const MEMORY: usize = TOTAL_BYTES;

    /// One without keys.
    pub fn new() -> Result<Self, Error> {
        let mut bytes = zeroed(TOTAL_BYTES)?;
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        let mut made = Self { bytes };
        made.make_stale();
        Ok(made)
    }

    /// Adds a key; whether a register changed.
    pub fn add<'a>(&mut self, key: impl Into<Key<'a>>) -> bool {
        let hash = murmur_hash_64a(key.into().as_bytes(), HASH_SEED);
        let index = hash as usize % REGISTERS;
        // Rank of the lowest bit among those that choose no register; the highest one counts as set.
        let rank = ((hash | 1 << 63) >> INDEX_BITS).trailing_zeros() + 1;
        let is_changed = self.raise(index, rank);
        if is_changed {
            self.make_stale();
        }
        is_changed
    }

    /// Estimate of the number of different keys. It is remembered in the serialised form, as Redis does.
    pub fn count(&mut self) -> u64 {
        let remembered = self.header_count();
        if let Some(count) = remembered {
            return count;
        }
        let count = estimate(self.registers());
        self.bytes[8..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
        count
    }

    /// Whether [`count`](Self::count) has nothing to do.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.header_count().is_some()
    }

    /// Estimate of the number of different keys of all together.
    #[must_use]
    pub fn count_all(sets: &[&Self]) -> u64 {
        let mut most = [0; REGISTERS];
        for set in sets {
            most.iter_mut().zip(set.registers()).for_each(|(most, it)| *most = it.max(*most));
        }
        estimate(most.into_iter())
    }

    /// Adds all keys of another one.
    pub fn merge(&mut self, other: &Self) {
        for (index, rank) in other.registers().enumerate() {
            self.raise(index, rank);
        }
        self.make_stale();
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes[HEADER_BYTES..].fill(0);
        self.make_stale();
    }

    /// The serialised form of 12304 bytes, which is also its text.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes over [`bytes`](Self::bytes) of another one; this is `fromstring`.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        check_length(bytes, TOTAL_BYTES)?;
        if !bytes.starts_with(MAGIC) {
            return Err(Error::HyllHeader);
        }
        // The first of these is the encoding; Heka looked at the second, which nobody sets.
        if bytes[4..6] != [0, 0] {
            return Err(Error::HyllEncoding);
        }
        self.bytes.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends the statements of Lua that make this one again under `key`, which is an expression of Lua.
    pub fn preserve(&self, key: &[u8], out: &mut Vec<u8>) {
        append_new(out, key, format_args!("hyperloglog.new()"));
        append_state(out, key, None, &self.bytes);
    }

    fn make_stale(&mut self) {
        self.bytes[HEADER_BYTES - 1] |= STALE;
    }

    /// The remembered count, if it is that of the registers.
    fn header_count(&self) -> Option<u64> {
        let count = *self.bytes[8..].first_chunk()?;
        (self.bytes[HEADER_BYTES - 1] & STALE == 0).then(|| u64::from_le_bytes(count))
    }

    /// All registers in order.
    fn registers(&self) -> impl Iterator<Item = u32> {
        let groups = self.bytes[HEADER_BYTES..].as_chunks::<3>().0.iter();
        groups.flat_map(|&[low, middle, high]| {
            let bits = u32::from_le_bytes([low, middle, high, 0]);
            (0..GROUP).map(move |place| (bits >> (place * REGISTER_BITS)) & REGISTER_MASK)
        })
    }

    /// Sets a register if its rank is lower; whether it was.
    fn raise(&mut self, index: usize, rank: u32) -> bool {
        let start = HEADER_BYTES + index / GROUP * 3;
        let shift = index % GROUP * REGISTER_BITS;
        let group = &mut self.bytes[start..start + 3];
        let bits = u32::from_le_bytes([group[0], group[1], group[2], 0]);
        let is_higher = rank > (bits >> shift) & REGISTER_MASK;
        if is_higher {
            let raised = bits & !(REGISTER_MASK << shift) | rank << shift;
            group.copy_from_slice(&raised.to_le_bytes()[..3]);
        }
        is_higher
    }
}

/// Number of keys that leave such registers.
fn estimate(registers: impl Iterator<Item = u32>) -> u64 {
    let mut zeros = 0_u32;
    // The sum of the powers 2^-rank, exactly: in units of 2^-63.
    let mut sum = 0_u128;
    for rank in registers {
        zeros += u32::from(rank == 0);
        sum += 1 << (63 - rank);
    }
    let m = REGISTERS as f64;
    let alpha = 0.7213 / (1.0 + 1.079 / m);
    let raw = 1.0 / (sum as f64 / 2_f64.powi(63)) * alpha * m * m;
    let count = if raw < m * 2.5 && zeros > 0 {
        m * (m / f64::from(zeros)).ln()
    } else if raw < BIASED_MAX {
        raw - raw * (bias_percent(raw) / 100.0)
    } else {
        raw
    };
    count as u64
}

/// Redis' regression of the bias for estimates between 2.5 * 16384 and 72000.
fn bias_percent(raw: f64) -> f64 {
    5.9119e-18 * raw.powi(4) - 1.4253e-12 * raw.powi(3) + 1.2940e-7 * raw * raw - 5.2921e-3 * raw
        + 83.3216
}
