//! From a value of one variable to the triggers that fire for it.
//!
//! Invariants: the tables hold configuration only, so that no input can make them collide; a value fires each
//! trigger at most a few times, and never one that does not apply.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use regex_automata::meta::Regex;
use regex_automata::{Input, PatternSet};

use crate::test::Operand;
use crate::trigger::TriggerKind;

type Table<K> = HashMap<K, u32, BuildHasherDefault<ShortHasher>>;

/// Largest table of the search for plain texts that may be laid out in full, in bytes.
const DFA_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Up to so many texts a search that skips ahead is worth its while before the one that reads every byte.
const SKIPPING_TEXTS_MAX: usize = 64;
/// Fewest patterns that are searched for together; fewer are faster one by one.
const PATTERN_SET_MIN: usize = 4;

/// The triggers of one variable.
#[derive(Debug, Default)]
pub(crate) struct VariableIndex {
    all: Vec<u32>,
    present: Vec<u32>,
    equal: TextTable,
    prefixes: Vec<(usize, Table<Box<[u8]>>)>,
    suffixes: Vec<(usize, Table<Box<[u8]>>)>,
    contains: Option<Searcher>,
    pattern_sets: Vec<PatternSearcher>,
    /// Triggers of patterns that are in no set: any text fires them.
    any_text: Vec<u32>,
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
    skips: bool,
    triggers: Vec<u32>,
}

/// Patterns that are searched for together.
#[derive(Debug)]
struct PatternSearcher {
    regex: Regex,
    triggers: Vec<u32>,
}

/// Memory that lookups in one index use.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    found: Vec<PatternSet>,
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
        let mut patterns = Vec::new();
        for (trigger, kind) in kinds {
            index.all.push(trigger);
            match kind {
                TriggerKind::Equal(text) => index.equal.insert(text, trigger),
                TriggerKind::Prefix(text) => insert_by_length(&mut index.prefixes, text, trigger),
                TriggerKind::Suffix(text) => insert_by_length(&mut index.suffixes, text, trigger),
                TriggerKind::Contains(text) => needles.push((&**text, trigger)),
                TriggerKind::Pattern(pattern) => patterns.push((pattern.as_str(), trigger)),
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
        index.add_patterns(&patterns);
        if !needles.is_empty() {
            index.contains = Some(Searcher::new(&needles)?);
        }
        // Of equal bounds the inclusive one fires earlier, so it stands earlier in both lists.
        index.above.sort_by(|a, b| a.bound.total_cmp(&b.bound).then(b.inclusive.cmp(&a.inclusive)));
        index.below.sort_by(|a, b| b.bound.total_cmp(&a.bound).then(b.inclusive.cmp(&a.inclusive)));
        Ok(index)
    }

    /// Patterns that do not fit one automaton are divided; what fits none is not searched for here.
    fn add_patterns(&mut self, patterns: &[(&str, u32)]) {
        if patterns.len() < PATTERN_SET_MIN {
            return self.any_text.extend(patterns.iter().map(|(_, trigger)| *trigger));
        }
        match heka_goregex::compile_set(patterns.iter().map(|(pattern, _)| *pattern)) {
            Ok(regex) => {
                let triggers = patterns.iter().map(|(_, trigger)| *trigger).collect();
                self.pattern_sets.push(PatternSearcher { regex, triggers });
            }
            Err(_) => {
                let (first, second) = patterns.split_at(patterns.len() / 2);
                self.add_patterns(first);
                self.add_patterns(second);
            }
        }
    }

    /// The memory that lookups in this index need.
    pub(crate) fn scratch(&self) -> Scratch {
        let sets = self.pattern_sets.iter();
        Scratch { found: sets.map(|set| PatternSet::new(set.regex.pattern_len())).collect() }
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
    pub(crate) fn fire(
        &self,
        operand: &Operand<'_>,
        scratch: &mut Scratch,
        mut fire: impl FnMut(u32),
    ) {
        match operand {
            Operand::Missing | Operand::Opaque | Operand::Bool(true) => {}
            // Every test but `== TRUE` and `== NIL` holds for a false value.
            Operand::Bool(false) => self.all.iter().for_each(|trigger| fire(*trigger)),
            Operand::Text(text) => self.fire_text(text, scratch, &mut fire),
            Operand::Uuid(text) => self.fire_text(text, scratch, &mut fire),
            Operand::Number(number) => self.fire_number(*number, &mut fire),
        }
    }

    fn fire_text(&self, text: &[u8], scratch: &mut Scratch, fire: &mut impl FnMut(u32)) {
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
        self.any_text.iter().for_each(|trigger| fire(*trigger));
        for (set, found) in self.pattern_sets.iter().zip(&mut scratch.found) {
            set.fire(text, found, fire);
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
    fn new(needles: &[(&[u8], u32)]) -> Result<Self, BuildError> {
        let texts = needles.iter().map(|(text, _)| *text);
        let mut used = [false; 256];
        texts.clone().flatten().for_each(|byte| used[usize::from(*byte)] = true);
        let classes = used.iter().filter(|used| **used).count() + 1;
        let states: usize = texts.clone().map(<[u8]>::len).sum();
        let bytes = states.saturating_mul(classes.next_power_of_two() * size_of::<u32>());
        let kind = (bytes <= DFA_BYTES_MAX).then_some(AhoCorasickKind::DFA);
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::Standard).kind(kind).build(texts)?;
        let triggers = needles.iter().map(|(_, trigger)| *trigger).collect();
        Ok(Self { automaton, skips: needles.len() <= SKIPPING_TEXTS_MAX, triggers })
    }

    fn fire(&self, text: &[u8], fire: &mut impl FnMut(u32)) {
        if self.skips && !self.automaton.is_match(text) {
            return;
        }
        for found in self.automaton.find_overlapping_iter(text) {
            if let Some(trigger) = self.triggers.get(found.pattern().as_usize()) {
                fire(*trigger);
            }
        }
    }
}

impl PatternSearcher {
    fn fire(&self, text: &[u8], found: &mut PatternSet, fire: &mut impl FnMut(u32)) {
        if std::str::from_utf8(text).is_err() {
            // What a pattern makes of invalid bytes, it must say itself.
            return self.triggers.iter().for_each(|trigger| fire(*trigger));
        }
        found.clear();
        self.regex.which_overlapping_matches(&Input::new(text), found);
        for pattern in found.iter() {
            if let Some(trigger) = self.triggers.get(pattern.as_usize()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn index(kinds: &[TriggerKind]) -> VariableIndex {
        VariableIndex::new((0_u32..).zip(kinds)).unwrap()
    }

    fn fired(index: &VariableIndex, operand: Operand<'_>) -> Vec<u32> {
        let mut fired = Vec::new();
        index.fire(&operand, &mut index.scratch(), |trigger| fired.push(trigger));
        fired.sort_unstable();
        fired.dedup();
        fired
    }

    fn text(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    fn above(bound: f64, inclusive: bool) -> TriggerKind {
        TriggerKind::Above { bound: bound.to_bits(), inclusive }
    }

    fn below(bound: f64, inclusive: bool) -> TriggerKind {
        TriggerKind::Below { bound: bound.to_bits(), inclusive }
    }

    #[test]
    fn a_text_fires_what_it_equals_starts_ends_with_or_contains() {
        let index = index(&[
            TriggerKind::Equal(text("abcd")),
            TriggerKind::Equal(text("")),
            TriggerKind::Prefix(text("abc")),
            TriggerKind::Prefix(text("a")),
            TriggerKind::Suffix(text("cd")),
            TriggerKind::Contains(text("bc")),
            TriggerKind::Contains(text("abcd")),
            TriggerKind::Contains(text("x")),
        ]);
        assert_eq!(fired(&index, Operand::Text(b"abcd")), [0, 2, 3, 4, 5, 6]);
        assert_eq!(fired(&index, Operand::Text(b"")), [1]);
        assert_eq!(fired(&index, Operand::Text(b"cd")), [4]);
        assert_eq!(fired(&index, Operand::Text(b"axbc")), [3, 5, 7]);
        assert_eq!(fired(&index, Operand::Number(1.0)), [0_u32; 0]);
    }

    #[test]
    fn a_number_fires_the_bounds_that_it_meets() {
        let index = index(&[
            above(5.0, false),
            above(5.0, true),
            above(7.0, true),
            below(5.0, true),
            below(5.0, false),
            below(-1.0, false),
            TriggerKind::EqualNumber(0.0_f64.to_bits()),
        ]);
        assert_eq!(fired(&index, Operand::Number(5.0)), [1, 3]);
        assert_eq!(fired(&index, Operand::Number(6.0)), [0, 1]);
        assert_eq!(fired(&index, Operand::Number(7.0)), [0, 1, 2]);
        assert_eq!(fired(&index, Operand::Number(-0.0)), [3, 4, 6]);
        assert_eq!(fired(&index, Operand::Number(-2.0)), [3, 4, 5]);
        assert_eq!(fired(&index, Operand::Number(f64::INFINITY)), [0, 1, 2]);
        assert_eq!(fired(&index, Operand::Number(f64::NAN)), [0_u32; 0]);
        assert_eq!(fired(&index, Operand::Text(b"5")), [0_u32; 0]);
    }

    #[test]
    fn a_false_value_fires_all_and_a_true_or_missing_one_none() {
        let index = index(&[TriggerKind::Equal(text("a")), above(1.0, true), TriggerKind::Present]);
        assert_eq!(fired(&index, Operand::Bool(false)), [0, 1, 2]);
        for operand in [Operand::Bool(true), Operand::Missing, Operand::Opaque] {
            assert_eq!(fired(&index, operand), [0_u32; 0]);
        }
        assert_eq!((index.present(), index.reads_values()), (&[2][..], true));
    }

    #[test]
    fn few_patterns_fire_for_any_text_and_many_only_where_they_match() {
        let patterns = ["^a", "b$", "[0-9]", "^.$"].map(|p| TriggerKind::Pattern(p.to_owned()));
        let few = index(&patterns[..PATTERN_SET_MIN - 1]);
        assert_eq!(fired(&few, Operand::Text(b"zz")), [0, 1, 2]);
        let many = index(&patterns[..PATTERN_SET_MIN]);
        assert_eq!(fired(&many, Operand::Text(b"ab")), [0, 1]);
        assert_eq!(fired(&many, Operand::Text(b"5")), [2, 3]);
        assert_eq!(fired(&many, Operand::Text(b"\x80")), [0, 1, 2, 3]);
    }

    #[test]
    fn patterns_too_large_for_one_automaton_are_divided() {
        let kinds: Vec<TriggerKind> =
            (0..16).map(|n| TriggerKind::Pattern(format!(r"^\pL{{{}}}$", 10 + n))).collect();
        let index = index(&kinds);
        assert!(index.pattern_sets.len() > 1, "{}", index.pattern_sets.len());
        assert_eq!(fired(&index, Operand::Text("é".repeat(12).as_bytes())), [2]);
    }
}
