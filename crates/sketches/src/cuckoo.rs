//! Cuckoo filter: as a bloom filter, but members can be deleted.
//!
//! A key is a fingerprint of 16 bits in one of two buckets, each of which follows from the other and the fingerprint. A
//! full bucket moves one of its fingerprints to that one's other bucket, and so on.

use fastrand::Rng;
use xxhash_rust::xxh32::xxh32;

use crate::error::Error;
use crate::key::Key;
use crate::memory::{check_length, zeroed};
use crate::preserve::{append_new, append_state};

/// Fingerprints of a bucket.
const BUCKET_SLOTS: usize = 4;
/// Fingerprints that are moved before the filter counts as full.
const MOVES_MAX: usize = 512;
/// Seed of all hashes.
const HASH_SEED: u32 = 1;
/// Seed of the choice of what is moved: the same keys always give the same filter.
const CHOICE_SEED: u64 = 0x6375_636b_6f6f;
/// Largest number of items.
const ITEMS_MAX: i64 = i32::MAX as i64;
/// Fewest items that `new` takes.
const ITEMS_MIN: i64 = 5;
/// What is charged beside the buckets.
const FIXED_BYTES: usize = 48;

/// A set of keys in a fixed number of slots.
#[derive(Debug, Clone)]
pub struct CuckooFilter {
    /// Fingerprints of all buckets, 0 where there is none. The number of buckets is a power of two.
    slots: Vec<u16>,
    count: u64,
    choice: Rng,
}

/// A key as it lies in the filter.
#[derive(Debug, Clone, Copy)]
struct Print {
    fingerprint: u16,
    buckets: [usize; 2],
}

impl CuckooFilter {
    /// What `cuckoo_filter.version()` tells scripts.
    pub const VERSION: &str = "0.1.0";

    /// Bytes of a filter for that many items, `None` if there cannot be one.
    #[must_use]
    pub fn memory_for(items: i64) -> Option<usize> {
        Some(slots_for(items).ok()? * size_of::<u16>() + FIXED_BYTES)
    }

    /// An empty filter for that many items or somewhat more.
    pub fn new(items: i64) -> Result<Self, Error> {
        let slots = zeroed(slots_for(items)?)?;
        Ok(Self { slots, count: 0, choice: Rng::with_seed(CHOICE_SEED) })
    }

    /// Bytes to charge for this filter.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.slots.len() * size_of::<u16>() + FIXED_BYTES
    }

    /// Adds a key; `false` if it seems to be a member already, or the filter is full. Full it stays as it was.
    pub fn add<'a>(&mut self, key: impl Into<Key<'a>>) -> bool {
        let print = self.print(&key.into());
        if self.find(&print).is_some() {
            return false;
        }
        let free = print.buckets.iter().find_map(|&bucket| self.find_in(bucket, 0));
        let is_added = match free {
            Some(slot) => {
                self.slots[slot] = print.fingerprint;
                true
            }
            None => self.make_room(&print),
        };
        self.count = self.count.saturating_add(u64::from(is_added));
        is_added
    }

    /// Whether a key may be a member.
    #[must_use]
    pub fn query<'a>(&self, key: impl Into<Key<'a>>) -> bool {
        self.find(&self.print(&key.into())).is_some()
    }

    /// Deletes a key; whether it was there. One that was never added may take another one with it.
    pub fn delete<'a>(&mut self, key: impl Into<Key<'a>>) -> bool {
        let slot = self.find(&self.print(&key.into()));
        if let Some(slot) = slot {
            self.slots[slot] = 0;
            self.count = self.count.saturating_sub(1);
        }
        slot.is_some()
    }

    /// Number of members.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.slots.fill(0);
        self.count = 0;
    }

    /// Fingerprints of all buckets, two bytes each, the lower first.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.slots.iter().flat_map(|slot| slot.to_le_bytes()).collect()
    }

    /// Takes over fingerprints from [`bytes`](Self::bytes) and their number; this is `fromstring`.
    pub fn restore(&mut self, count: u64, bytes: &[u8]) -> Result<(), Error> {
        check_length(bytes, self.slots.len() * size_of::<u16>())?;
        for (slot, bytes) in self.slots.iter_mut().zip(bytes.as_chunks().0) {
            *slot = u16::from_le_bytes(*bytes);
        }
        self.count = count;
        Ok(())
    }

    /// Appends the statements of Lua that make this filter again under `key`, which is an expression of Lua.
    pub fn preserve(&self, key: &[u8], out: &mut Vec<u8>) {
        let items = (self.slots.len() as i64).max(ITEMS_MIN);
        append_new(out, key, format_args!("cuckoo_filter.new({items})"));
        append_state(out, key, Some(self.count), &self.bytes());
    }

    fn bucket_count(&self) -> usize {
        self.slots.len() / BUCKET_SLOTS
    }

    fn print(&self, key: &Key<'_>) -> Print {
        let hash = xxh32(key.as_bytes(), HASH_SEED);
        let fingerprint = ((hash >> 16) as u16).max(1);
        let bucket = hash as usize % self.bucket_count();
        Print { fingerprint, buckets: [bucket, self.other_bucket(bucket, fingerprint)] }
    }

    /// The other bucket of a fingerprint, which may be the same.
    fn other_bucket(&self, bucket: usize, fingerprint: u16) -> usize {
        let hash = u64::from(xxh32(&u32::from(fingerprint).to_le_bytes(), HASH_SEED));
        bucket ^ (hash >> (u32::BITS - self.bucket_count().ilog2())) as usize
    }

    fn find(&self, print: &Print) -> Option<usize> {
        print.buckets.iter().find_map(|&bucket| self.find_in(bucket, print.fingerprint))
    }

    fn find_in(&self, bucket: usize, fingerprint: u16) -> Option<usize> {
        let start = bucket * BUCKET_SLOTS;
        let slots = &self.slots[start..start + BUCKET_SLOTS];
        slots.iter().position(|&slot| slot == fingerprint).map(|place| start + place)
    }

    /// Puts a fingerprint into one of its full buckets, moving others; `false` if nothing came free, then all is undone.
    fn make_room(&mut self, print: &Print) -> bool {
        let mut moved = [0; MOVES_MAX];
        let mut fingerprint = print.fingerprint;
        let mut bucket = print.buckets[usize::from(self.choice.bool())];
        for place in &mut moved {
            let slot = bucket * BUCKET_SLOTS + self.choice.usize(..BUCKET_SLOTS);
            *place = slot;
            std::mem::swap(&mut self.slots[slot], &mut fingerprint);
            bucket = self.other_bucket(bucket, fingerprint);
            if let Some(free) = self.find_in(bucket, 0) {
                self.slots[free] = fingerprint;
                return true;
            }
        }
        for slot in moved.into_iter().rev() {
            std::mem::swap(&mut self.slots[slot], &mut fingerprint);
        }
        false
    }
}

/// Slots of a filter.
fn slots_for(items: i64) -> Result<usize, Error> {
    if items < ITEMS_MIN {
        return Err(Error::CuckooItems);
    }
    if items > ITEMS_MAX {
        return Err(Error::Memory);
    }
    let buckets = (items as usize / BUCKET_SLOTS).next_power_of_two();
    Ok(buckets * BUCKET_SLOTS)
}
