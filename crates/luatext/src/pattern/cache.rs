//! Compiled patterns of a script, so that each is compiled once.
//!
//! Here: where a pattern is kept, and which one makes room for another. A slot is found by the address of the pattern's
//! text, which a script's host gives the same string at each call; the text itself is compared. Invariant: what
//! the cache holds is bounded, whatever the patterns are.

use super::{Kind, Pattern};
use crate::error::Error;

/// Number of patterns kept.
const SLOTS: usize = 64;

/// Longest pattern kept with the others; of longer ones only the last is kept.
const SOURCE_BYTES_MAX: usize = 512;

/// Compiled patterns, found again by their texts.
#[derive(Debug, Default)]
pub struct Cache {
    /// Empty until the first use; the last slot is for long patterns.
    slots: Vec<Option<Box<Pattern>>>,
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The compiled pattern. Compiling is charged a step for each byte of the pattern.
    #[inline]
    pub fn get(&mut self, source: &[u8], kind: Kind, budget: &mut u64) -> Result<&Pattern, Error> {
        let slot = self.slot(source, kind);
        if !slot.as_ref().is_some_and(|kept| kept.is(source, kind)) {
            *slot = Some(Box::new(Pattern::new(source, kind, budget)?));
        }
        Ok(slot.as_deref().expect("the slot is filled"))
    }

    /// The compiled pattern, taken out, for a caller that runs a script while it uses it; give it back with
    /// [`put`](Self::put).
    pub fn take(
        &mut self,
        source: &[u8],
        kind: Kind,
        budget: &mut u64,
    ) -> Result<Box<Pattern>, Error> {
        match self.slot(source, kind).take().filter(|kept| kept.is(source, kind)) {
            Some(kept) => Ok(kept),
            None => Pattern::new(source, kind, budget).map(Box::new),
        }
    }

    /// Keeps a pattern that was taken; `source` is its text at the same place as then.
    pub fn put(&mut self, source: &[u8], pattern: Box<Pattern>) {
        let kind = pattern.kind;
        *self.slot(source, kind) = Some(pattern);
    }

    #[inline]
    fn slot(&mut self, source: &[u8], kind: Kind) -> &mut Option<Box<Pattern>> {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS + 1, || None);
        }
        let address = source.as_ptr() as usize;
        // Texts of a script lie 16 bytes apart or more, and often in rows.
        let mixed = (address >> 4) ^ (address >> 10) ^ (kind as usize) << 3;
        let index = if source.len() > SOURCE_BYTES_MAX { SLOTS } else { mixed % SLOTS };
        &mut self.slots[index]
    }
}

impl Pattern {
    #[inline]
    fn is(&self, source: &[u8], kind: Kind) -> bool {
        self.kind == kind && *self.source == *source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_compiled_once_and_never_taken_for_another() {
        let mut cache = Cache::new();
        let mut budget = 1000;
        let source = b"(%w+)=(%w+)".to_vec();
        assert_eq!(cache.get(&source, Kind::Match, &mut budget).unwrap().captures(), 2);
        let left = budget;
        assert!(left < 1000);
        assert_eq!(cache.get(&source, Kind::Match, &mut budget).unwrap().source(), source);
        assert_eq!(budget, left);
        // Another text at the same place.
        let mut other = source;
        other.copy_from_slice(b"(%a+)=(%a+)");
        assert_eq!(cache.get(&other, Kind::Match, &mut budget).unwrap().source(), other);
        assert!(budget < left);
        let taken = cache.take(&other, Kind::Match, &mut budget).unwrap();
        assert_eq!(taken.source(), other);
        cache.put(&other, taken);
        let left = budget;
        assert!(cache.take(&other, Kind::Match, &mut budget).is_ok());
        assert_eq!(budget, left);
        budget = 3;
        assert_eq!(cache.get(&other, Kind::Each, &mut budget).unwrap_err(), Error::OutOfBudget);
        assert_eq!(budget, 0);
    }
}
