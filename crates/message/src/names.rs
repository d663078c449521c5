//! Field names: interned once, compared as integers.
//!
//! Names that the configuration mentions have global ids, given out while plugins start. All other names get
//! an id that holds inside one batch only, so that hostile input with endless new names cannot grow the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// An interned field name: global, or local to one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(u32);

const LOCAL: u32 = 1 << 31;

impl NameId {
    pub(crate) fn global(index: usize) -> Self {
        Self(index as u32)
    }

    pub(crate) fn local(index: usize) -> Self {
        Self(index as u32 | LOCAL)
    }

    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// True if the id holds in every batch.
    #[must_use]
    pub fn is_global(self) -> bool {
        self.0 & LOCAL == 0
    }

    /// Its place in the global table or in the batch's.
    #[must_use]
    pub fn index(self) -> usize {
        (self.0 & !LOCAL) as usize
    }
}

/// Gives out global name ids; shared by all plugins of a process.
///
/// Ids are never taken back, so only configuration may intern, never input.
#[derive(Debug, Default)]
pub struct NameRegistry {
    names: Mutex<Arc<Names>>,
}

impl NameRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The id of `name`, given now if it has none yet.
    pub fn intern(&self, name: &[u8]) -> NameId {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = names.find(name) {
            return id;
        }
        Arc::make_mut(&mut names).push(name)
    }

    /// The names known now; a batch keeps the snapshot that it was built with.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Names> {
        Arc::clone(&self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A fixed table of global names.
#[derive(Debug, Clone, Default)]
pub struct Names {
    by_id: Vec<Arc<[u8]>>,
    by_name: HashMap<Arc<[u8]>, NameId, BuildNameHasher>,
}

impl Names {
    /// The id of `name`, if it has a global one.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<NameId> {
        self.by_name.get(name).copied()
    }

    /// The name of a global id; empty for an id that this table does not hold.
    #[must_use]
    pub fn name(&self, id: NameId) -> &[u8] {
        self.by_id.get(id.index()).map_or(&[], |name| name)
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True if no name is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn push(&mut self, name: &[u8]) -> NameId {
        let id = NameId::global(self.by_id.len());
        let name: Arc<[u8]> = name.into();
        self.by_id.push(Arc::clone(&name));
        self.by_name.insert(name, id);
        id
    }
}

/// Builds [`NameHasher`]s.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BuildNameHasher;

impl std::hash::BuildHasher for BuildNameHasher {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher(0)
    }
}

/// A short multiplicative hash: global names come from configuration, so nobody can flood the table.
#[derive(Debug)]
pub(crate) struct NameHasher(u64);

impl std::hash::Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ hash_name(bytes, 0);
    }

    fn write_usize(&mut self, number: usize) {
        self.0 ^= number as u64;
    }
}

/// Hashes a name, eight bytes a step.
pub(crate) fn hash_name(bytes: &[u8], seed: u64) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        hash = (hash ^ word).wrapping_mul(FACTOR);
        hash ^= hash >> 29;
    }
    let mut tail = [0; 8];
    tail[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    hash = (hash ^ u64::from_le_bytes(tail)).wrapping_mul(FACTOR);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interning_twice_gives_one_id_and_snapshots_stay() {
        let registry = NameRegistry::new();
        let status = registry.intern(b"status");
        let before = registry.snapshot();
        let request = registry.intern(b"request");
        assert_eq!(registry.intern(b"status"), status);
        assert_eq!(before.len(), 1);
        let after = registry.snapshot();
        assert_eq!((after.name(status), after.name(request)), (&b"status"[..], &b"request"[..]));
        assert_eq!(after.find(b"request"), Some(request));
        assert_eq!(before.find(b"request"), None);
    }

    #[test]
    fn names_that_differ_in_length_or_tail_hash_apart() {
        let names: Vec<Vec<u8>> =
            (0..2000).map(|number| format!("field_{number}").into_bytes()).collect();
        let hashes: std::collections::HashSet<u64> =
            names.iter().map(|name| hash_name(name, 1)).collect();
        assert_eq!(hashes.len(), names.len());
        assert_ne!(hash_name(b"a", 0), hash_name(b"a\0", 0));
    }
}
