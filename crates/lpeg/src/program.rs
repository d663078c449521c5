//! Compiled patterns: the instructions and the tables that they refer to.
//!
//! Here: the shape. Not here: who writes it (`compile`), who runs it (`machine`). Invariants: an instruction takes
//! eight bytes; all targets lie in the code, which ends in `End` or `Return`.

use std::sync::Arc;

/// Most instructions of a program.
pub const CODE_MAX: usize = 1 << 20;

/// A byte set as the matcher reads it.
pub(crate) type Table = [bool; 256];

/// What a capture entry stands for; its key says which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Position,
    Constant,
    Argument,
    Simple,
    /// Without a key it is anonymous.
    Group,
    Back,
    Table,
    Substitution,
    Fold,
    Function,
    Query,
    Select,
    Text,
    /// A match-time capture that is not decided yet.
    RunTime,
    /// A value that a match-time capture gave; the key is its place among those on the host's stack.
    Dynamic,
}

/// The key of a capture that has none.
pub(crate) const NO_KEY: u32 = u32::MAX;

/// One step of a match.
///
/// *Fails* means: goes back to the last choice. A target is an index of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inst {
    /// Consumes this byte or fails.
    Char(u8),
    /// Consumes a byte of the set or fails.
    Set(u16),
    /// Consumes so many bytes or fails.
    Any(u32),
    /// Consumes so many bytes, which are there.
    Skip(u32),
    /// Consumes the literal of that number or fails.
    Literal(u32),
    /// Consumes bytes of the set while there are some.
    Span(u16),
    /// Consumes bytes up to the given one.
    SpanUntil(u8),
    /// Consumes up to so many bytes of the set.
    SpanMost(u16, u32),
    /// Goes on at the target unless this byte is next.
    TestChar(u8, u32),
    /// Goes on at the target unless a byte of the set is next.
    TestSet(u16, u32),
    /// Goes on at the target unless a byte of the set or the end is next.
    TestSetOrEnd(u16, u32),
    /// Goes on at the target at the end of the subject.
    TestAny(u32),
    /// Goes on at the target unless at the end of the subject.
    TestEnd(u32),
    /// Goes on where the jump table of that number says for the next byte.
    Switch(u32),
    /// Steps back so many bytes or fails.
    Behind(u32),
    /// Makes a choice: on failure go on at the target from here.
    Choice(u32),
    /// Forgets the last choice and goes on at the target.
    Commit(u32),
    /// Moves the last choice here and goes on at the target.
    PartialCommit(u32),
    /// Goes back to the last choice's position, forgets it and goes on at the target.
    BackCommit(u32),
    /// Forgets the last choice and fails.
    FailTwice,
    /// Fails.
    Fail,
    /// Goes on at the target.
    Jump(u32),
    /// Goes on at the target until it returns.
    Call(u32),
    /// Goes on after the last call.
    Return,
    /// The match is complete.
    End,
    /// Begins a capture.
    Open(Kind, u32),
    /// Ends the last open capture.
    Close,
    /// A capture of the last bytes, so many of them.
    Full(Kind, u16, u32),
    /// Ends a match-time capture: its function decides.
    CloseRunTime,
}

/// A literal, with what compares it in one step if it has eight bytes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) text: Box<[u8]>,
    /// The first bytes, the first one lowest.
    pub(crate) word: u64,
    /// Ones where `word` has bytes.
    pub(crate) mask: u64,
}

impl Literal {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut word = [0; 8];
        let mut mask = [0; 8];
        for ((to, ones), byte) in word.iter_mut().zip(&mut mask).zip(text) {
            *to = *byte;
            *ones = u8::MAX;
        }
        Self { text: text.into(), word: u64::from_le_bytes(word), mask: u64::from_le_bytes(mask) }
    }
}

/// A compiled pattern, to be matched by [`Matcher`](crate::Matcher).
#[derive(Debug, Clone)]
pub struct Program<K> {
    pub(crate) code: Box<[Inst]>,
    pub(crate) sets: Box<[Table]>,
    pub(crate) literals: Box<[Literal]>,
    pub(crate) switches: Box<[[u32; SWITCH_SIZE]]>,
    pub(crate) keys: Box<[K]>,
    pub(crate) texts: Box<[Arc<[u8]>]>,
}

/// Targets of a jump table: one for each byte, one for the end of the subject.
pub(crate) const SWITCH_SIZE: usize = 257;

impl<K> Program<K> {
    /// The same program with other keys: `map` gets each key in the order of its use, and again for each use.
    pub fn map_keys<L>(self, map: impl FnMut(K) -> L) -> Program<L> {
        let Self { code, sets, literals, switches, keys, texts } = self;
        let keys = keys.into_iter().map(map).collect();
        Program { code, sets, literals, switches, keys, texts }
    }

    /// Number of instructions.
    pub fn size(&self) -> usize {
        self.code.len()
    }

    /// Bytes of memory that the program holds, roughly.
    pub fn memory(&self) -> usize {
        let literals = self.literals.iter().map(|it| it.text.len() + size_of::<Literal>());
        size_of_val(&*self.code)
            + size_of_val(&*self.sets)
            + size_of_val(&*self.keys)
            + self.switches.len() * SWITCH_SIZE * size_of::<u32>()
            + literals.sum::<usize>()
            + self.texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_takes_eight_bytes() {
        assert_eq!(size_of::<Inst>(), 8);
    }
}
