//! The loop over instructions. It knows no host: what needs one is an event that ends the loop.
//!
//! Invariant: a position never passes the end of the subject.

use super::{Matcher, State};
use crate::entry::{Entry, Shape, first_dynamic};
use crate::error::Error;
use crate::host::Limits;
use crate::program::{Inst, Literal, Program, SWITCH_SIZE, Table};

/// Bytes of a run for one step of the budget.
const BYTES_PER_STEP: usize = 16;

/// A next instruction that means failure.
pub(super) const FAIL: usize = usize::MAX;

/// The position of a call's frame, which no choice has: subjects are shorter.
const CALL: u32 = u32::MAX;

/// Room for frames and entries at first.
const ROOM_MIN: usize = 32;

/// A pending choice or call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    position: u32,
    next: u32,
    entries: u32,
}

/// Why the loop ended.
///
/// It owns nothing: it is at hand while the host is called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Matched,
    Failed,
    /// A match-time capture ends here.
    Asked,
    Stopped(Stop),
}

/// A limit that was met.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    Budget,
    Stack,
    Captures,
}

impl Stop {
    pub(super) fn error(self, limits: Limits) -> Error {
        match self {
            Self::Budget => Error::OutOfBudget,
            Self::Stack => Error::StackOverflow { limit: limits.stack },
            Self::Captures => Error::TooManyCaptures,
        }
    }
}

/// The parts of a program that the loop reads.
pub(super) struct Tables<'a> {
    code: &'a [Inst],
    sets: &'a [Table],
    literals: &'a [Literal],
    switches: &'a [[u32; SWITCH_SIZE]],
}

impl<'a> Tables<'a> {
    pub(super) fn new<K>(program: &'a Program<K>) -> Self {
        Self {
            code: &program.code,
            sets: &program.sets,
            literals: &program.literals,
            switches: &program.switches,
        }
    }
}

/// Adds an entry to the list of captures.
#[inline(always)]
pub(super) fn push(
    entries: &mut Vec<Entry>,
    state: &mut State,
    limits: Limits,
    entry: Entry,
) -> Result<(), Error> {
    put(entries, &mut state.entries, entry, limits.captures, Entry::NONE)
        .then_some(())
        .ok_or(Error::TooManyCaptures)
}

/// Lies under the length of the subject or under the limit of captures.
#[inline(always)]
pub(super) fn offset(position: usize) -> u32 {
    position as u32
}

/// Runs until something else is needed.
pub(super) fn run(
    tables: &Tables<'_>,
    subject: &[u8],
    matcher: &mut Matcher,
    limits: Limits,
    state: &mut State,
) -> Event {
    let Matcher { frames, entries, .. } = matcher;
    let mut s = *state;
    let event = loop {
        if s.steps == 0 {
            break Event::Stopped(Stop::Budget);
        }
        s.steps -= 1;
        let inst = tables.code.get(s.next).unwrap_or(&Inst::Fail);
        s.next = s.next.wrapping_add(1);
        let byte = subject.get(s.position).copied();
        let goes_on = match *inst {
            Inst::Char(wanted) => s.take(byte == Some(wanted), 1),
            Inst::Set(set) => s.take(tables.has(set, byte), 1),
            Inst::Any(count) => s.take(subject.len() - s.position >= count as usize, count),
            Inst::Skip(count) => s.take(true, count),
            Inst::Literal(literal) => {
                let literal = &tables.literals[literal as usize];
                s.take(literal.begins(&subject[s.position..]), literal.text.len() as u32)
            }
            Inst::Span(set) => s.run(span(tables.set(set), &subject[s.position..])),
            Inst::SpanUntil(end) => s.run(span_until(end, &subject[s.position..])),
            Inst::SpanMost(set, most) => {
                let end = subject.len().min(s.position.saturating_add(most as usize));
                s.run(span(tables.set(set), &subject[s.position..end]))
            }
            Inst::TestChar(wanted, other) => s.test(byte == Some(wanted), other),
            Inst::TestSet(set, other) => s.test(tables.has(set, byte), other),
            Inst::TestSetOrEnd(set, other) => {
                s.test(byte.is_none() || tables.has(set, byte), other)
            }
            Inst::TestAny(other) => s.test(byte.is_some(), other),
            Inst::TestEnd(other) => s.test(byte.is_none(), other),
            Inst::Switch(switch) => s.jump(tables.case(switch, byte)),
            Inst::Behind(count) => s.back(count as usize),
            Inst::Choice(_) | Inst::Call(_) => {
                if !s.pend(*inst, frames, limits.stack) {
                    break Event::Stopped(Stop::Stack);
                }
                true
            }
            Inst::Commit(target) => s.drop_frame() && s.jump(target),
            Inst::PartialCommit(target) => s.move_frame(frames) && s.jump(target),
            Inst::BackCommit(target) => s.restore(frames, entries) && s.jump(target),
            Inst::FailTwice => !s.drop_frame(),
            Inst::Fail => false,
            Inst::Jump(target) => s.jump(target),
            Inst::Return => s.ret(frames),
            Inst::End => break Event::Matched,
            Inst::CloseRunTime => break Event::Asked,
            Inst::Open(..) | Inst::Full(..) | Inst::Close => {
                if !s.note(*inst, entries, limits.captures) {
                    break Event::Stopped(Stop::Captures);
                }
                true
            }
        };
        if !goes_on && !s.fail(frames, entries) {
            break Event::Failed;
        }
    };
    *state = s;
    event
}

impl Tables<'_> {
    #[inline(always)]
    fn set(&self, set: u16) -> &Table {
        &self.sets[usize::from(set)]
    }

    #[inline(always)]
    fn has(&self, set: u16, byte: Option<u8>) -> bool {
        byte.is_some_and(|byte| self.set(set)[usize::from(byte)])
    }

    #[inline(always)]
    fn case(&self, switch: u32, byte: Option<u8>) -> u32 {
        self.switches[switch as usize][byte.map_or(SWITCH_SIZE - 1, usize::from)]
    }
}

impl Literal {
    #[inline(always)]
    fn begins(&self, text: &[u8]) -> bool {
        match text.first_chunk() {
            Some(chunk) => {
                u64::from_le_bytes(*chunk) & self.mask == self.word
                    && (self.text.len() <= chunk.len() || text.starts_with(&self.text))
            }
            None => text.starts_with(&self.text),
        }
    }
}

impl Frame {
    const NONE: Self = Self { position: CALL, next: 0, entries: 0 };
}

impl State {
    #[inline(always)]
    fn take(&mut self, hit: bool, count: u32) -> bool {
        if hit {
            self.position += count as usize;
        }
        hit
    }

    #[inline(always)]
    fn run(&mut self, count: usize) -> bool {
        self.position += count;
        self.steps = self.steps.saturating_sub((count / BYTES_PER_STEP) as u64);
        true
    }

    #[inline(always)]
    fn test(&mut self, hit: bool, other: u32) -> bool {
        if !hit {
            self.next = other as usize;
        }
        true
    }

    #[inline(always)]
    fn jump(&mut self, target: u32) -> bool {
        self.next = target as usize;
        true
    }

    #[inline(always)]
    fn back(&mut self, count: usize) -> bool {
        let hit = count <= self.position;
        if hit {
            self.position -= count;
        }
        hit
    }

    /// Adds a choice or a call; false if there are too many.
    #[inline(always)]
    fn pend(&mut self, inst: Inst, frames: &mut Vec<Frame>, limit: usize) -> bool {
        let (frame, next) = match inst {
            Inst::Call(rule) => {
                let frame = Frame { position: CALL, next: offset(self.next), entries: 0 };
                (frame, rule as usize)
            }
            Inst::Choice(other) => (self.choice(other), self.next),
            _ => return true,
        };
        self.next = next;
        // The outermost failure counts as a choice.
        put(frames, &mut self.frames, frame, limit.saturating_sub(1), Frame::NONE)
    }

    #[inline(always)]
    fn choice(&self, other: u32) -> Frame {
        Frame { position: offset(self.position), next: other, entries: offset(self.entries) }
    }

    #[inline(always)]
    fn drop_frame(&mut self) -> bool {
        self.frames -= 1;
        true
    }

    #[inline(always)]
    fn move_frame(&mut self, frames: &mut [Frame]) -> bool {
        let frame = &mut frames[self.frames - 1];
        frame.position = offset(self.position);
        frame.entries = offset(self.entries);
        true
    }

    #[inline(always)]
    fn ret(&mut self, frames: &[Frame]) -> bool {
        self.frames -= 1;
        self.jump(frames[self.frames].next)
    }

    /// Takes the last frame, a choice, and goes back to where it was made.
    #[inline(always)]
    fn restore(&mut self, frames: &[Frame], entries: &[Entry]) -> bool {
        self.frames -= 1;
        let frame = frames[self.frames];
        self.position = frame.position as usize;
        self.next = frame.next as usize;
        if self.dynamic > 0 {
            let gone = &entries[frame.entries as usize..self.entries];
            self.dynamic = first_dynamic(gone).unwrap_or(self.dynamic);
        }
        self.entries = frame.entries as usize;
        true
    }

    /// Goes back to the last choice; false if there is none.
    #[inline(always)]
    fn fail(&mut self, frames: &[Frame], entries: &[Entry]) -> bool {
        while let Some(last) = self.frames.checked_sub(1) {
            if frames[last].position != CALL {
                return self.restore(frames, entries);
            }
            self.frames = last;
        }
        false
    }

    /// Adds to the list of captures what an instruction says.
    #[inline(always)]
    fn note(&mut self, inst: Inst, entries: &mut Vec<Entry>, limit: usize) -> bool {
        let position = offset(self.position);
        let entry = match inst {
            Inst::Open(kind, key) => Entry::open(kind, key, position),
            Inst::Full(kind, length, key) => {
                Entry::new(kind, key, Shape::Full, position - u32::from(length), position)
            }
            _ => {
                let last = self.entries.checked_sub(1).and_then(|last| entries.get_mut(last));
                if let Some(open) = last.filter(|last| last.shape == Shape::Open) {
                    open.shape = Shape::Full;
                    open.end = position;
                    return true;
                }
                Entry::close(position)
            }
        };
        put(entries, &mut self.entries, entry, limit, Entry::NONE)
    }
}

/// Number of bytes of a set at the start.
#[inline(always)]
fn span(set: &Table, bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !set[usize::from(*byte)]).unwrap_or(bytes.len())
}

/// Number of bytes before the given one.
#[inline(always)]
fn span_until(end: u8, bytes: &[u8]) -> usize {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let wanted = LOW * u64::from(end);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // The lowest byte that is equal has its high bit set, and none below it has.
        let differs = u64::from_le_bytes(*word) ^ wanted;
        let equal = differs.wrapping_sub(LOW) & !differs & HIGH;
        if equal != 0 {
            return index * 8 + (equal.trailing_zeros() / 8) as usize;
        }
    }
    let tail = rest.iter().position(|byte| *byte == end).unwrap_or(rest.len());
    words.len() * 8 + tail
}

/// Puts an item behind the used ones; false if that would be more than the limit.
#[inline(always)]
fn put<T: Copy>(list: &mut Vec<T>, used: &mut usize, item: T, limit: usize, fill: T) -> bool {
    if *used == list.len() && !grow(list, limit, fill) {
        return false;
    }
    list[*used] = item;
    *used += 1;
    true
}

#[cold]
fn grow<T: Copy>(list: &mut Vec<T>, limit: usize, fill: T) -> bool {
    let size = (list.len() * 2).max(ROOM_MIN).min(limit);
    let grows = size > list.len();
    list.resize(size.max(list.len()), fill);
    grows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_first_wanted_byte_wherever_it_lies() {
        for wanted in [0, b'a', 0x7f, 0x80, 0xff] {
            for length in 0..40 {
                for at in 0..=length {
                    let other = wanted ^ 1;
                    let mut bytes = vec![other; length];
                    bytes[at..].fill(wanted);
                    assert_eq!(span_until(wanted, &bytes), at, "{wanted} at {at} of {length}");
                    let set: Table = std::array::from_fn(|byte| byte == usize::from(other));
                    assert_eq!(span(&set, &bytes), at);
                }
            }
        }
    }

    #[test]
    fn literals_of_any_length_are_compared_whole() {
        for length in 1..20_usize {
            let text: Vec<u8> = (0..length as u8).collect();
            let literal = Literal::new(&text);
            assert!(literal.begins(&text));
            assert!(literal.begins(&[&text[..], b"more than eight"].concat()));
            assert!(!literal.begins(&text[..length - 1]));
            for at in 0..length {
                let mut wrong = text.clone();
                wrong[at] ^= 0x80;
                assert!(!literal.begins(&wrong), "byte {at} of {length}");
                assert!(!literal.begins(&[&wrong[..], b"more than eight"].concat()));
            }
        }
    }
}
