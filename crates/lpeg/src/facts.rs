//! What is known of a pattern without its rules' names: may it match nothing, may it fail, how long is it.
//!
//! Here: how the facts of a node follow from those of its parts. Not here: the order in which nodes are visited, nor
//! how calls are resolved (`analysis`). Invariant: [`Facts::UNKNOWN`] is true of every pattern but for `nullable`,
//! `captures` and `asks`, which grow from it until the rules of a grammar agree.

use crate::tree::Op;

/// What is known of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// May match without consuming.
    pub(crate) nullable: bool,
    /// Never fails.
    pub(crate) nofail: bool,
    /// If it fails, then by the first byte alone, and no function is asked.
    pub(crate) headfail: bool,
    /// Has captures, or calls functions.
    pub(crate) captures: bool,
    /// Has match-time captures.
    pub(crate) asks: bool,
    /// The length of all its matches.
    pub(crate) fixed: Option<u32>,
}

impl Facts {
    /// What is known of a call before its rule is known.
    pub(crate) const UNKNOWN: Self = Self {
        nullable: false,
        nofail: false,
        headfail: false,
        captures: false,
        asks: false,
        fixed: None,
    };

    /// Of what matches always, and nothing.
    pub(crate) const EMPTY: Self =
        Self { nullable: true, nofail: true, fixed: Some(0), ..Self::UNKNOWN };

    /// Before the first alternative.
    const NO_ALTERNATIVE: Self = Self { headfail: true, ..Self::UNKNOWN };

    /// Of a node without parts; calls are unknown.
    pub(crate) fn leaf<K>(op: &Op<K>) -> Self {
        let single = Self { headfail: true, fixed: Some(1), ..Self::UNKNOWN };
        match op {
            Op::True => Self::EMPTY,
            Op::False => Self { fixed: Some(0), ..single },
            Op::Char(_) | Op::Set(_) | Op::Any(1) => single,
            Op::Any(count) => Self { fixed: Some(*count), ..Self::UNKNOWN },
            Op::Literal(text) => Self { fixed: u32::try_from(text.len()).ok(), ..Self::UNKNOWN },
            _ => Self::UNKNOWN,
        }
    }

    /// Of a node with one part.
    pub(crate) fn wrap<K>(op: &Op<K>, part: Self) -> Self {
        let looks = Self { headfail: false, nullable: true, nofail: false, fixed: Some(0), ..part };
        match op {
            Op::Rep => Self { nullable: true, nofail: true, headfail: false, fixed: None, ..part },
            Op::AtMost(_) => Self {
                nullable: true,
                nofail: true,
                headfail: false,
                fixed: part.fixed.filter(|length| *length == 0),
                ..part
            },
            Op::Not | Op::Behind(_) => looks,
            Op::And => Self { nofail: part.nofail, headfail: part.headfail, ..looks },
            Op::Capture(_) => Self { captures: true, ..part },
            Op::RunTime(_) => {
                let part = Self { captures: true, asks: true, ..part };
                Self { nofail: false, headfail: false, fixed: None, ..part }
            }
            _ => part,
        }
    }

    /// Of a sequence.
    pub(crate) fn sequence(mut parts: impl Iterator<Item = Self>) -> Self {
        let first = parts.next().unwrap_or(Self::EMPTY);
        parts.fold(first, |sum, part| Self {
            nullable: sum.nullable && part.nullable,
            nofail: sum.nofail && part.nofail,
            headfail: sum.headfail && part.nofail && !part.asks,
            captures: sum.captures || part.captures,
            asks: sum.asks || part.asks,
            fixed: sum.fixed.zip(part.fixed).and_then(|(a, b)| a.checked_add(b)),
        })
    }

    /// Of an ordered choice.
    pub(crate) fn choice(mut parts: impl Iterator<Item = Self>) -> Self {
        let first = parts.next().unwrap_or(Self::NO_ALTERNATIVE);
        parts.fold(first, |sum, part| Self {
            nullable: sum.nullable || part.nullable,
            nofail: sum.nofail || part.nofail,
            headfail: sum.headfail && part.headfail,
            captures: sum.captures || part.captures,
            asks: sum.asks || part.asks,
            fixed: sum.fixed.filter(|_| sum.fixed == part.fixed),
        })
    }
}
