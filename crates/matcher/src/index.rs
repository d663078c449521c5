//! From a value of one variable to the triggers that fire for it.
//!
//! Invariants: the tables hold configuration only, so that no input can make them collide; a value fires each
//! trigger at most a few times, and never one that does not apply.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use crate::test::Operand;
use crate::trigger::TriggerKind;

type Table<K> = HashMap<K, u32, BuildHasherDefault<ShortHasher>>;

/// The triggers of one variable.
#[derive(Debug, Default)]
pub(crate) struct VariableIndex {
    all: Vec<u32>,
    present: Vec<u32>,
    equal: TextTable,
    prefixes: Vec<(usize, Table<Box<[u8]>>)>,
    suffixes: Vec<(usize, Table<Box<[u8]>>)>,
    contains: Option<Searcher>,
    equal_number: Table<u64>,
    above: Vec<Bound>,
    below: Vec<Bound>,
}

/// Whole values; most lookups fail, and most of those by their length.
#[derive(Debug, Default)]
struct TextTable {
    lengths: u64,
    table: Table<Box<[u8]>>,
}

#[derive(Debug)]
struct Searcher {
    automaton: AhoCorasick,
    triggers: Vec<u32>,
}

#[derive(Debug)]
struct Bound {
    bound: f64,
    inclusive: bool,
    trigger: u32,
}

impl VariableIndex {
    /// Builds the index of triggers with distinct kinds.
    pub(crate) fn new<'k>(
        kinds: impl Iterator<Item = (u32, &'k TriggerKind)>,
    ) -> Result<Self, BuildError> {
        let mut index = Self::default();
        let mut needles = Vec::new();
        let mut needle_triggers = Vec::new();
        for (trigger, kind) in kinds {
            index.all.push(trigger);
            match kind {
                TriggerKind::Equal(text) => index.equal.insert(text, trigger),
                TriggerKind::Prefix(text) => insert_by_length(&mut index.prefixes, text, trigger),
                TriggerKind::Suffix(text) => insert_by_length(&mut index.suffixes, text, trigger),
                TriggerKind::Contains(text) => {
                    needles.push(text);
                    needle_triggers.push(trigger);
                }
                TriggerKind::EqualNumber(bits) => {
                    index.equal_number.insert(*bits, trigger);
                }
                TriggerKind::Above { bound, inclusive } => {
                    index.above.push(Bound::new(*bound, *inclusive, trigger));
                }
                TriggerKind::Below { bound, inclusive } => {
                    index.below.push(Bound::new(*bound, *inclusive, trigger));
                }
                TriggerKind::Present => index.present.push(trigger),
            }
        }
        // Of equal bounds the inclusive one fires earlier, so it stands earlier in both lists.
        index.above.sort_by(|a, b| a.bound.total_cmp(&b.bound).then(b.inclusive.cmp(&a.inclusive)));
        index.below.sort_by(|a, b| b.bound.total_cmp(&a.bound).then(b.inclusive.cmp(&a.inclusive)));
        if !needles.is_empty() {
            let automaton =
                AhoCorasick::builder().match_kind(MatchKind::Standard).build(needles)?;
            index.contains = Some(Searcher { automaton, triggers: needle_triggers });
        }
        Ok(index)
    }

    /// The triggers that fire if the batch has fields of this name, whatever their values.
    pub(crate) fn present(&self) -> &[u32] {
        &self.present
    }

    /// True if there are triggers that depend on the value.
    pub(crate) fn reads_values(&self) -> bool {
        self.all.len() > self.present.len()
    }

    /// Calls `fire` with each trigger of the value, maybe more than once.
    pub(crate) fn fire(&self, operand: &Operand<'_>, mut fire: impl FnMut(u32)) {
        match operand {
            Operand::Missing | Operand::Opaque | Operand::Bool(true) => {}
            // Every test but `== TRUE` and `== NIL` holds for a false value.
            Operand::Bool(false) => self.all.iter().for_each(|trigger| fire(*trigger)),
            Operand::Text(text) => self.fire_text(text, &mut fire),
            Operand::Uuid(text) => self.fire_text(text, &mut fire),
            Operand::Number(number) => self.fire_number(*number, &mut fire),
        }
    }

    fn fire_text(&self, text: &[u8], fire: &mut impl FnMut(u32)) {
        if let Some(trigger) = self.equal.get(text) {
            fire(trigger);
        }
        for (length, table) in &self.prefixes {
            let Some(start) = text.get(..*length) else { break };
            if let Some(trigger) = table.get(start) {
                fire(*trigger);
            }
        }
        for (length, table) in &self.suffixes {
            let Some(start) = text.len().checked_sub(*length) else { break };
            if let Some(trigger) = text.get(start..).and_then(|end| table.get(end)) {
                fire(*trigger);
            }
        }
        if let Some(searcher) = &self.contains {
            searcher.fire(text, fire);
        }
    }

    fn fire_number(&self, number: f64, fire: &mut impl FnMut(u32)) {
        if number.is_nan() {
            return;
        }
        if !self.equal_number.is_empty()
            && let Some(trigger) = self.equal_number.get(&(number + 0.0).to_bits())
        {
            fire(*trigger);
        }
        let above = self.above.iter();
        above
            .take_while(|b| number > b.bound || b.inclusive && number == b.bound)
            .for_each(|b| fire(b.trigger));
        let below = self.below.iter();
        below
            .take_while(|b| number < b.bound || b.inclusive && number == b.bound)
            .for_each(|b| fire(b.trigger));
    }
}

impl TextTable {
    fn insert(&mut self, text: &[u8], trigger: u32) {
        self.lengths |= 1 << text.len().min(63);
        self.table.insert(text.into(), trigger);
    }

    fn get(&self, text: &[u8]) -> Option<u32> {
        if self.lengths >> text.len().min(63) & 1 == 0 {
            return None;
        }
        self.table.get(text).copied()
    }
}

impl Searcher {
    fn fire(&self, text: &[u8], fire: &mut impl FnMut(u32)) {
        // The plain search skips ahead where the overlapping one reads every byte.
        if !self.automaton.is_match(text) {
            return;
        }
        for found in self.automaton.find_overlapping_iter(text) {
            if let Some(trigger) = self.triggers.get(found.pattern().as_usize()) {
                fire(*trigger);
            }
        }
    }
}

impl Bound {
    fn new(bits: u64, inclusive: bool, trigger: u32) -> Self {
        Self { bound: f64::from_bits(bits), inclusive, trigger }
    }
}

/// Tables stand in the order of their length, shortest first.
fn insert_by_length(tables: &mut Vec<(usize, Table<Box<[u8]>>)>, text: &[u8], trigger: u32) {
    let place = match tables.binary_search_by_key(&text.len(), |(length, _)| *length) {
        Ok(place) => place,
        Err(place) => {
            tables.insert(place, (text.len(), Table::default()));
            place
        }
    };
    if let Some((_, table)) = tables.get_mut(place) {
        table.insert(text.into(), trigger);
    }
}

/// A multiplicative hash, eight bytes a step.
#[derive(Debug, Default)]
struct ShortHasher(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl ShortHasher {
    fn step(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for ShortHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.step(u64::from_le_bytes(*word));
        }
        let tail = rest.iter().rev().fold(0, |tail, byte| tail << 8 | u64::from(*byte));
        self.step(tail);
    }

    fn write_u64(&mut self, number: u64) {
        self.step(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.step(number as u64);
    }
}
