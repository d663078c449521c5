//! Which id a field name had last.
//!
//! Looking a name up costs one or two hash tables; the messages of one source repeat the same few names. What
//! is remembered is a guess only: the ids of a batch's own names mean other names in the next batch, and the
//! name itself is not kept. Who uses a guess checks it.

use heka_message::NameId;

/// Names remembered; a power of two.
const SLOTS: usize = 256;

/// The ids that names seen lately had, by a short hash of the name.
#[derive(Debug, Clone)]
pub(crate) struct NameCache {
    slots: Box<[Option<Slot>]>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    check: u32,
    id: NameId,
}

impl NameCache {
    pub(crate) fn new() -> Self {
        Self { slots: vec![None; SLOTS].into() }
    }

    /// The id that a name with this hash had last.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<NameId> {
        let check = (hash >> 32) as u32;
        let place = hash as usize % SLOTS;
        match self.slots[place] {
            Some(slot) if slot.check == check => Some(slot.id),
            _ => self.slots[place ^ 1].filter(|slot| slot.check == check).map(|slot| slot.id),
        }
    }

    /// Remembers an id. What was in its place moves next door, so that two names of one place do not displace
    /// each other for ever.
    pub(crate) fn learn(&mut self, hash: u64, id: NameId) {
        let place = hash as usize % SLOTS;
        self.slots[place ^ 1] = self.slots[place];
        self.slots[place] = Some(Slot { check: (hash >> 32) as u32, id });
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(None);
    }
}

/// A hash of the name's length and of its first and last eight bytes.
#[inline]
pub(crate) fn short_hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => short_words(name),
    };
    let mixed = (first ^ last.rotate_left(29) ^ (name.len() as u64) << 56).wrapping_mul(FACTOR);
    mixed ^ (mixed >> 29)
}

/// First and last bytes of a name of fewer than eight.
#[inline]
fn short_words(name: &[u8]) -> (u64, u64) {
    match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
        }
        _ => (name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_message::NameRegistry;

    #[test]
    fn a_name_is_guessed_until_it_is_forgotten_or_displaced() {
        let id = NameRegistry::new().intern(b"status");
        let mut cache = NameCache::new();
        assert_eq!(cache.guess(short_hash(b"status")), None);
        cache.learn(short_hash(b"status"), id);
        assert_eq!(cache.guess(short_hash(b"status")), Some(id));
        assert_eq!(cache.guess(short_hash(b"statue")), None);
        let second = short_hash(b"status") ^ 1 << 40;
        cache.learn(second, id);
        assert_eq!(cache.guess(short_hash(b"status")), Some(id), "there is room for two");
        let third = short_hash(b"status") ^ 1 << 41;
        cache.learn(third, id);
        assert_eq!(cache.guess(short_hash(b"status")), None);
        assert_eq!((cache.guess(second), cache.guess(third)), (Some(id), Some(id)));
        cache.clear();
        assert_eq!((cache.guess(second), cache.guess(third)), (None, None));
    }

    #[test]
    fn usual_names_hash_apart() {
        let names =
            ["", "a", "b", "ab", "ba", "aba", "status", "statue", "remote_addr", "remote_user"];
        let hashes: std::collections::HashSet<u64> =
            names.iter().map(|name| short_hash(name.as_bytes())).collect();
        assert_eq!(hashes.len(), names.len());
    }
}
