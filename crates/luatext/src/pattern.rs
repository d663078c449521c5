//! Patterns of Lua 5.1: compiled once, kept in a cache, matched without recursion within a budget.
//!
//! Here: what a compiled pattern is. A pattern has no alternatives and repeats only single bytes. Hence the state of
//! captures is known for each part of it, no part is entered twice on one way through it, and what can stand behind a
//! repetition tells where giving back bytes is of use. Not here: how a pattern is read (`compile`), run (`machine`),
//! searched for (`search`), replaced (`substitution`) and kept (`cache`).

mod cache;
mod compile;
mod machine;
mod search;
mod substitution;

use memchr::memmem::Finder;

use crate::bytes::ByteSet;
use crate::error::Error;

pub use cache::Cache;
pub use machine::{Capture, Found, Matcher};
pub use search::find_plain;
pub use substitution::Substitution;

/// Captures of a pattern, at most.
pub const CAPTURES_MAX: usize = 32;

/// Parts of a pattern, at most; neighbouring literal bytes are one part.
pub const PARTS_MAX: usize = 1 << 15;

/// Which function a pattern is for: they differ in what `^`, a zero byte and a pattern without specials mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `string.find`: `^` anchors; without special characters all bytes stand for themselves, zeros too.
    Find,
    /// `string.match` and `string.gsub`: `^` anchors, the pattern ends before its first zero byte.
    Match,
    /// `string.gmatch`: `^` stands for itself, the pattern ends before its first zero byte.
    Each,
}

/// A compiled pattern. A malformed one is compiled too: it raises where a match reaches the fault.
#[derive(Debug)]
pub struct Pattern {
    source: Box<[u8]>,
    kind: Kind,
    anchored: bool,
    parts: Vec<Part>,
    literals: Vec<u8>,
    sets: Vec<ByteSet>,
    /// What can stand behind those repetitions that give back bytes.
    heads: Vec<Head>,
    /// What can stand where a match begins.
    head: Head,
    /// What the first part repeats, if a match that failed shows that none begins within the repetition.
    leading: Option<Item>,
    /// Finds the literal that a match begins with.
    prefix: Option<Finder<'static>>,
    /// A match is exactly the prefix.
    literal: bool,
    captures: u8,
    /// Bits of those captures that are positions.
    positions: u32,
    /// Bits of those captures that no `)` closes.
    unfinished: u32,
}

impl Pattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// What it was compiled for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of captures, 0 to [`CAPTURES_MAX`].
    #[must_use]
    pub fn captures(&self) -> usize {
        usize::from(self.captures)
    }
}

/// What matches a single byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Any,
    Byte(u8),
    Not(u8),
    NotTwo(u8, u8),
    NotThree(u8, u8, u8),
    /// One of a set, by its number.
    Set(u16),
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy)]
enum Part {
    Byte(u8),
    Literal {
        start: u32,
        length: u32,
    },
    One(Item),
    /// As many as there are, `least` or more; giving back is of no use.
    Skip {
        item: Item,
        least: u8,
    },
    /// As many as there are, `least` or more; then fewer.
    Most {
        item: Item,
        least: u8,
        head: u16,
    },
    /// None; then more.
    Least {
        item: Item,
        head: u16,
    },
    /// One if it is there; if it may be given back, then none.
    Maybe {
        item: Item,
        gives_back: bool,
    },
    Open(u8),
    Close(u8),
    /// The same bytes as a capture has.
    Same(u8),
    Balance {
        open: u8,
        close: u8,
    },
    Frontier(u16),
    End,
    Nothing,
    Fail,
    Raise(Error),
    Accept,
}

/// What must stand at a position so that the rest of a pattern can match there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    bytes: ByteSet,
    /// The only byte of the set.
    only: Option<u8>,
    /// The rest can match at the end of the subject.
    end: bool,
    /// The rest matches or raises wherever it is tried.
    always: bool,
}
