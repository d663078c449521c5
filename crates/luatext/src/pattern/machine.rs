//! Runs a pattern at a position of a subject.
//!
//! Here: the machine, its stack of choices, and captures. Not here: where a match may begin (`search`). Invariants:
//! the stack has no more entries than the pattern has repetitions, since each part is entered once on the way through;
//! captures need no undoing, since going back to a part only forgets captures that lie behind it.

use super::{CAPTURES_MAX, Head, Item, Part, Pattern};
use crate::error::Error;

/// Bytes of a subject that one step looks at, where each is looked up in a set.
const SET_BYTES_LOG2: u32 = 3;

/// Bytes of a subject that one step looks at, where they are scanned for few values.
const SCAN_BYTES_LOG2: u32 = 6;

/// What a match works with. Keep one and use it for all matches: nothing is allocated then.
#[derive(Debug, Default)]
pub struct Matcher {
    spans: [Span; CAPTURES_MAX],
    choices: Vec<Choice>,
}

/// Where a capture lies.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: usize,
    end: usize,
}

/// A repetition that can be tried otherwise.
#[derive(Debug, Clone, Copy)]
struct Choice {
    part: u32,
    /// Up to where it went.
    at: usize,
    /// How far it may go back.
    low: usize,
}

/// The value of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// The bytes of the subject from `start` to before `end`.
    Text {
        /// Index of the first byte.
        start: usize,
        /// Index behind the last byte.
        end: usize,
    },
    /// A position, counted from 1.
    Position(usize),
}

/// A match, with its captures.
#[derive(Debug, Clone, Copy)]
pub struct Found<'m> {
    /// Index of the first byte.
    pub start: usize,
    /// Index behind the last byte.
    pub end: usize,
    spans: &'m [Span; CAPTURES_MAX],
    captures: u8,
    positions: u32,
    unfinished: u32,
}

impl Matcher {
    /// A matcher that can be used for all patterns and subjects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine for a pattern and a subject.
    pub(super) fn run<'r>(
        &'r mut self,
        pattern: &'r Pattern,
        text: &'r [u8],
        budget: &'r mut u64,
    ) -> Run<'r> {
        Run {
            pattern,
            text,
            spans: &mut self.spans,
            choices: &mut self.choices,
            left: *budget,
            budget,
        }
    }

    pub(super) fn found(&self, pattern: &Pattern, start: usize, end: usize) -> Found<'_> {
        Found {
            start,
            end,
            spans: &self.spans,
            captures: pattern.captures,
            positions: pattern.positions,
            unfinished: pattern.unfinished,
        }
    }
}

impl Found<'_> {
    /// Number of captures of the pattern, 0 to [`CAPTURES_MAX`].
    #[must_use]
    pub fn captures(&self) -> usize {
        usize::from(self.captures)
    }

    /// Number of values that `match`, `gmatch` and a function for `gsub` get: the whole match if there are no captures.
    #[must_use]
    pub fn values(&self) -> usize {
        self.captures().max(1)
    }

    /// The value of a capture, counted from 0; the first one is the whole match if there are no captures.
    #[inline]
    pub fn capture(&self, index: usize) -> Result<Capture, Error> {
        if index >= self.captures() {
            let Self { start, end, .. } = *self;
            let is_whole = index == 0;
            return is_whole
                .then_some(Capture::Text { start, end })
                .ok_or(Error::InvalidCaptureIndex);
        }
        let Span { start, end } = self.spans[index];
        let bit = 1 << index;
        if self.unfinished & bit != 0 {
            return Err(Error::UnfinishedCapture);
        }
        let is_position = self.positions & bit != 0;
        Ok(if is_position { Capture::Position(start + 1) } else { Capture::Text { start, end } })
    }
}

/// The machine; what is left of the budget is written back when it is dropped.
pub(super) struct Run<'r> {
    pub(super) pattern: &'r Pattern,
    pub(super) text: &'r [u8],
    spans: &'r mut [Span; CAPTURES_MAX],
    choices: &'r mut Vec<Choice>,
    left: u64,
    budget: &'r mut u64,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        *self.budget = self.left;
    }
}

impl Run<'_> {
    #[inline]
    pub(super) fn charge(&mut self, steps: u64) -> Result<(), Error> {
        if let Some(left) = self.left.checked_sub(steps) {
            self.left = left;
            return Ok(());
        }
        self.left = 0;
        Err(Error::OutOfBudget)
    }

    /// Charges for bytes that were scanned.
    #[inline]
    pub(super) fn charge_scan(&mut self, bytes: usize) -> Result<(), Error> {
        self.charge(bytes as u64 >> SCAN_BYTES_LOG2)
    }

    /// The end of the match that begins there.
    #[inline]
    pub(super) fn match_at(&mut self, from: usize) -> Result<Option<usize>, Error> {
        let pattern = self.pattern;
        let text = self.text;
        self.choices.clear();
        let mut index = 0;
        let mut at = from;
        loop {
            self.charge(1)?;
            let next = match pattern.parts[index] {
                Part::Byte(byte) => (text.get(at) == Some(&byte)).then(|| at + 1),
                Part::Literal { start, length } => {
                    let literal = &pattern.literals[start as usize..][..length as usize];
                    text[at..].starts_with(literal).then(|| at + literal.len())
                }
                Part::One(item) => self.matches(item, at).then(|| at + 1),
                Part::Skip { item, least } => {
                    let count = self.span(item, at)?;
                    (count >= usize::from(least)).then(|| at + count)
                }
                Part::Most { item, least, head } => {
                    let count = self.span(item, at)?;
                    let low = at + usize::from(least);
                    self.give_back(index, head, low, at + count)?
                }
                Part::Least { item, head } => self.take_more(index, item, head, at)?,
                Part::Maybe { item, gives_back } => Some(self.maybe(index, item, gives_back, at)),
                Part::Open(capture) => {
                    self.spans[usize::from(capture) % CAPTURES_MAX].start = at;
                    Some(at)
                }
                Part::Close(capture) => {
                    self.spans[usize::from(capture) % CAPTURES_MAX].end = at;
                    Some(at)
                }
                Part::Same(capture) => self.same(capture, at)?,
                Part::Balance { open, close } => self.balance(open, close, at)?,
                Part::Frontier(set) => self.frontier(set, at).then_some(at),
                Part::End => (at == text.len()).then_some(at),
                Part::Nothing => Some(at),
                Part::Fail => None,
                Part::Raise(error) => return Err(error),
                Part::Accept => return Ok(Some(at)),
            };
            if let Some(next) = next {
                at = next;
                index += 1;
            } else if let Some((part, next)) = self.retry()? {
                at = next;
                index = part + 1;
            } else {
                return Ok(None);
            }
        }
    }

    /// Takes the last choice otherwise: the part, and where the rest goes on.
    fn retry(&mut self) -> Result<Option<(usize, usize)>, Error> {
        while let Some(Choice { part, at, low }) = self.choices.pop() {
            self.charge(1)?;
            let index = part as usize;
            let next = match self.pattern.parts[index] {
                Part::Most { head, .. } if at > low => self.give_back(index, head, low, at - 1)?,
                Part::Least { item, head } if self.matches(item, at) => {
                    self.take_more(index, item, head, at + 1)?
                }
                Part::Maybe { .. } => Some(at),
                _ => None,
            };
            if let Some(next) = next {
                return Ok(Some((index, next)));
            }
        }
        Ok(None)
    }

    /// The last position from `low` to `high` where the rest can match.
    fn give_back(
        &mut self,
        part: usize,
        head: u16,
        low: usize,
        high: usize,
    ) -> Result<Option<usize>, Error> {
        if low > high {
            return Ok(None);
        }
        let head = &self.pattern.heads[usize::from(head)];
        let text = self.text;
        let found = if head.admits(text, high) {
            Some(high)
        } else if let Some(only) = head.only {
            let found = memchr::memrchr(only, &text[low..high]).map(|found| low + found);
            self.charge_scan(high - found.unwrap_or(low))?;
            found
        } else {
            let found = text[low..high].iter().rposition(|byte| head.bytes.contains(*byte));
            let found = found.map(|found| low + found);
            self.charge((high - found.unwrap_or(low)) as u64 >> SET_BYTES_LOG2)?;
            found
        };
        if let Some(at) = found.filter(|at| *at > low) {
            self.choices.push(Choice { part: part as u32, at, low });
        }
        Ok(found)
    }

    /// The first position from `from` where the rest can match, before which all bytes belong to the item.
    fn take_more(
        &mut self,
        part: usize,
        item: Item,
        head: u16,
        from: usize,
    ) -> Result<Option<usize>, Error> {
        let head = &self.pattern.heads[usize::from(head)];
        let rest = &self.text[from..];
        let count = match (item, head.only) {
            (Item::Any, Some(only)) => memchr::memchr(only, rest),
            (Item::Not(not), Some(only)) => memchr::memchr2(only, not, rest),
            _ => rest
                .iter()
                .position(|byte| head.bytes.contains(*byte) || !self.pattern.contains(item, *byte)),
        };
        let at = from + count.unwrap_or(rest.len());
        self.charge((at - from) as u64 >> SET_BYTES_LOG2)?;
        if !head.admits(self.text, at) {
            return Ok(None);
        }
        if at < self.text.len() {
            self.choices.push(Choice { part: part as u32, at, low: from });
        }
        Ok(Some(at))
    }

    #[inline]
    fn maybe(&mut self, part: usize, item: Item, gives_back: bool, at: usize) -> usize {
        if !self.matches(item, at) {
            return at;
        }
        if gives_back {
            self.choices.push(Choice { part: part as u32, at, low: at });
        }
        at + 1
    }

    fn same(&mut self, capture: u8, at: usize) -> Result<Option<usize>, Error> {
        let Span { start, end } = self.spans[usize::from(capture) % CAPTURES_MAX];
        self.charge_scan(end - start)?;
        Ok(self.text[at..].starts_with(&self.text[start..end]).then(|| at + (end - start)))
    }

    /// The position behind the `close` that belongs to the `open` at `at`.
    fn balance(&mut self, open: u8, close: u8, at: usize) -> Result<Option<usize>, Error> {
        if self.text.get(at) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_u64;
        let mut last = at + 1;
        while let Some(found) = memchr::memchr2(open, close, &self.text[last..]) {
            self.charge(1 + (found as u64 >> SCAN_BYTES_LOG2))?;
            last += found + 1;
            // The two may be the same: then the second one closes.
            if self.text[last - 1] != close {
                depth += 1;
                continue;
            }
            depth -= 1;
            if depth == 0 {
                return Ok(Some(last));
            }
        }
        self.charge_scan(self.text.len() - last)?;
        Ok(None)
    }

    fn frontier(&self, set: u16, at: usize) -> bool {
        let set = &self.pattern.sets[usize::from(set)];
        let before = at.checked_sub(1).map_or(0, |before| self.text[before]);
        let here = self.text.get(at).copied().unwrap_or(0);
        !set.contains(before) && set.contains(here)
    }

    #[inline]
    fn matches(&self, item: Item, at: usize) -> bool {
        self.text.get(at).is_some_and(|byte| self.pattern.contains(item, *byte))
    }

    /// How many bytes from `from` belong to the item.
    #[inline]
    pub(super) fn span(&mut self, item: Item, from: usize) -> Result<usize, Error> {
        let rest = &self.text[from..];
        if let Item::Set(index) = item {
            let set = &self.pattern.sets[usize::from(index)];
            let count = rest.iter().position(|byte| !set.contains(*byte)).unwrap_or(rest.len());
            self.charge(count as u64 >> SET_BYTES_LOG2)?;
            return Ok(count);
        }
        let end = match item {
            Item::Not(a) => memchr::memchr(a, rest),
            Item::NotTwo(a, b) => memchr::memchr2(a, b, rest),
            Item::NotThree(a, b, c) => memchr::memchr3(a, b, c, rest),
            Item::Byte(wanted) => rest.iter().position(|byte| *byte != wanted),
            Item::Any | Item::Set(_) => None,
        };
        let count = end.unwrap_or(rest.len());
        self.charge_scan(count)?;
        Ok(count)
    }
}

impl Pattern {
    #[inline]
    fn contains(&self, item: Item, byte: u8) -> bool {
        match item {
            Item::Any => true,
            Item::Byte(a) => byte == a,
            Item::Not(a) => byte != a,
            Item::NotTwo(a, b) => byte != a && byte != b,
            Item::NotThree(a, b, c) => byte != a && byte != b && byte != c,
            Item::Set(index) => self.sets[usize::from(index)].contains(byte),
        }
    }
}

impl Head {
    /// Whether the rest can match at a position.
    #[inline]
    pub(super) fn admits(&self, text: &[u8], at: usize) -> bool {
        text.get(at).map_or(self.end, |byte| self.bytes.contains(*byte))
    }
}
