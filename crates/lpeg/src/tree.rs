//! The pattern as a tree, and the operators that join patterns.
//!
//! Here: the node list, sequence, choice, repetition, predicates. Not here: captures and leaves (`build`), grammars
//! (`grammar`). Invariants: nodes stand in preorder and each knows the size of its subtree, so that no pass needs
//! recursion to find its way; a sequence has no sequence as a part and a choice no choice, so that the depth counts
//! true nesting only and stays under [`DEPTH_MAX`].

use std::sync::Arc;

use crate::charset::CharSet;
use crate::error::Error;
use crate::facts::Facts;

/// Most nodes of a pattern.
pub const NODES_MAX: usize = 1 << 17;

/// Deepest nesting of a pattern.
pub const DEPTH_MAX: u32 = 400;

/// Longest look-behind, in bytes.
pub const BEHIND_MAX: u32 = 255;

/// What a node does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op<K> {
    /// Matches nothing, always.
    True,
    /// Never matches.
    False,
    /// One byte.
    Char(u8),
    /// Two bytes or more.
    Literal(Arc<[u8]>),
    /// A byte of a set.
    Set(Arc<CharSet>),
    /// So many bytes, one or more.
    Any(u32),
    /// Its part as often as possible.
    Rep,
    /// Its part as often as possible up to a number of times.
    AtMost(u32),
    /// Fails where its part matches.
    Not,
    /// Matches where its part does, consumes nothing.
    And,
    /// Its part, which ends here and is so long.
    Behind(u32),
    /// Its parts one after another.
    Seq,
    /// The first of its parts that matches.
    Choice,
    /// Keeps what its part matched.
    Capture(CaptureOp<K>),
    /// Asks a function whether and how far its part matched.
    RunTime(K),
    /// Its parts are rules, the first one is matched.
    Grammar,
    /// A rule of a grammar.
    Rule(K),
    /// A reference that no grammar has resolved yet.
    OpenCall(K),
    /// A reference to a rule of the innermost grammar around it, by number.
    Call(u32),
}

/// What a capture makes of its match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CaptureOp<K> {
    Position,
    Constant(K),
    Argument(u32),
    Simple,
    Group(Option<K>),
    Back(K),
    Table,
    Substitution,
    Fold(K),
    Function(K),
    Query(K),
    Select(u32),
    Text(Arc<[u8]>),
}

impl<K> CaptureOp<K> {
    fn key(&self) -> Option<&K> {
        match self {
            Self::Constant(key)
            | Self::Group(Some(key))
            | Self::Back(key)
            | Self::Fold(key)
            | Self::Function(key)
            | Self::Query(key) => Some(key),
            _ => None,
        }
    }
}

/// A node of the list.
#[derive(Debug, Clone)]
pub(crate) struct Node<K> {
    pub(crate) op: Op<K>,
    /// Nodes of the subtree, with this one.
    pub(crate) size: u32,
}

/// A pattern, with keys of type `K` for all that belongs to the host: functions, constants, names.
///
/// Keys that are equal must stand for values that are (names of groups and rules are compared by them). A pattern is
/// never changed: each operator makes a new one, which costs as much as its size.
#[derive(Debug, Clone)]
pub struct Pattern<K> {
    pub(crate) nodes: Vec<Node<K>>,
    pub(crate) facts: Facts,
    depth: u32,
}

impl<K: Clone> Pattern<K> {
    /// Number of nodes, a measure of memory and of what a further operator costs.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of memory that the pattern holds, roughly.
    pub fn memory(&self) -> usize {
        let shared = self.nodes.iter().map(|node| match &node.op {
            Op::Literal(text) | Op::Capture(CaptureOp::Text(text)) => text.len(),
            Op::Set(_) => size_of::<CharSet>(),
            _ => 0,
        });
        self.nodes.len() * size_of::<Node<K>>() + shared.sum::<usize>()
    }

    /// The keys of the pattern, one for each use.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.nodes.iter().filter_map(|node| match &node.op {
            Op::RunTime(key) | Op::Rule(key) | Op::OpenCall(key) => Some(key),
            Op::Capture(capture) => capture.key(),
            _ => None,
        })
    }

    /// `first * second`: one after the other.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn sequence(first: &Self, second: &Self) -> Result<Self, Error> {
        match (first.root(), second.root()) {
            (Op::False, _) | (_, Op::True) => Ok(first.clone()),
            (Op::True, _) => Ok(second.clone()),
            _ => Self::join(Op::Seq, &[first, second]),
        }
    }

    /// `first + second`: the second one where the first one does not match.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn choice(first: &Self, second: &Self) -> Result<Self, Error> {
        if let (Some(a), Some(b)) = (first.char_set(), second.char_set()) {
            return Ok(Self::set(&a.union(&b)));
        }
        if first.facts.nofail || matches!(second.root(), Op::False) {
            return Ok(first.clone());
        }
        if matches!(first.root(), Op::False) {
            return Ok(second.clone());
        }
        Self::join(Op::Choice, &[first, second])
    }

    /// `first - second`: the first one where the second one does not match.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooDeep`].
    pub fn difference(first: &Self, second: &Self) -> Result<Self, Error> {
        if let (Some(a), Some(b)) = (first.char_set(), second.char_set()) {
            return Ok(Self::set(&a.difference(&b)));
        }
        Self::join(Op::Seq, &[&second.not()?, first])
    }

    /// `p^count`: so many times or more often; with a negative number, up to so many times.
    ///
    /// # Errors
    /// [`Error::EmptyLoop`], [`Error::TooLarge`], [`Error::TooDeep`].
    pub fn repeat(&self, count: i32) -> Result<Self, Error> {
        let times = count.unsigned_abs();
        if count < 0 {
            return self.wrap(Op::AtMost(times));
        }
        if self.facts.nullable {
            return Err(Error::EmptyLoop);
        }
        let more = self.wrap(Op::Rep)?;
        let copies = usize::try_from(times).unwrap_or(usize::MAX);
        check_size(self.nodes.len().saturating_mul(copies).saturating_add(more.nodes.len()))?;
        if copies == 0 {
            return Ok(more);
        }
        let mut parts = vec![self; copies];
        parts.push(&more);
        Self::join(Op::Seq, &parts)
    }

    /// `#p`: matches where `p` does; consumes nothing and keeps no captures.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooDeep`].
    pub fn and(&self) -> Result<Self, Error> {
        self.wrap(Op::And)
    }

    /// `-p`: matches where `p` does not.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooDeep`].
    pub fn not(&self) -> Result<Self, Error> {
        self.wrap(Op::Not)
    }

    /// `B(p)`: matches where `p` matches just before the current position.
    ///
    /// # Errors
    /// [`Error::NoFixedLength`], [`Error::HasCaptures`], [`Error::TooLongToLookBehind`].
    pub fn behind(&self) -> Result<Self, Error> {
        let length = self.facts.fixed.ok_or(Error::NoFixedLength)?;
        if self.facts.captures {
            return Err(Error::HasCaptures);
        }
        if length > BEHIND_MAX {
            return Err(Error::TooLongToLookBehind);
        }
        self.wrap(Op::Behind(length))
    }

    /// A pattern of one node.
    pub(crate) fn leaf(op: Op<K>) -> Self {
        let facts = Facts::leaf(&op);
        Self { nodes: vec![Node { op, size: 1 }], facts, depth: 1 }
    }

    /// A pattern with this one as its only part.
    pub(crate) fn wrap(&self, op: Op<K>) -> Result<Self, Error> {
        let facts = Facts::wrap(&op, self.facts);
        let mut nodes = node_list(op, self.nodes.len())?;
        nodes.extend_from_slice(&self.nodes);
        Self { nodes, facts, depth: self.depth + 1 }.checked()
    }

    /// A pattern with parts; parts of the same kind give theirs.
    pub(crate) fn join(op: Op<K>, parts: &[&Self]) -> Result<Self, Error> {
        let is_choice = matches!(op, Op::Choice);
        let facts = parts.iter().map(|part| part.facts);
        let facts = if is_choice { Facts::choice(facts) } else { Facts::sequence(facts) };
        let mut nodes = node_list(op, parts.iter().map(|part| part.nodes.len()).sum())?;
        let mut depth = 0;
        for part in parts {
            let opens = matches!((part.root(), is_choice), (Op::Choice, true) | (Op::Seq, false));
            nodes.extend_from_slice(&part.nodes[usize::from(opens)..]);
            depth = depth.max(part.depth + u32::from(!opens));
        }
        nodes[0].size = to_u32(nodes.len());
        Self { nodes, facts, depth }.checked()
    }

    /// A grammar or another list whose parts keep their roots; the caller sets the facts.
    pub(crate) fn list(nodes: Vec<Node<K>>, facts: Facts, depth: u32) -> Result<Self, Error> {
        Self { nodes, facts, depth }.checked()
    }

    /// How deep the pattern's parts lie in one another.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    pub(crate) fn root(&self) -> &Op<K> {
        &self.nodes[0].op
    }

    /// The set of bytes that the pattern is, if it is one.
    pub(crate) fn char_set(&self) -> Option<CharSet> {
        char_set(self.root())
    }

    fn checked(self) -> Result<Self, Error> {
        if self.depth > DEPTH_MAX {
            return Err(Error::TooDeep { limit: DEPTH_MAX });
        }
        check_size(self.nodes.len())?;
        Ok(self)
    }
}

/// The set of bytes that a node is, if it is one.
pub(crate) fn char_set<K>(op: &Op<K>) -> Option<CharSet> {
    match op {
        Op::Char(byte) => Some(CharSet::single(*byte)),
        Op::Set(set) => Some(**set),
        Op::Any(1) => Some(CharSet::FULL),
        _ => None,
    }
}

/// The indices of a node's parts.
pub(crate) fn parts<K>(nodes: &[Node<K>], index: usize) -> impl Iterator<Item = usize> {
    let end = index + nodes[index].size as usize;
    let first = (index + 1 < end).then_some(index + 1);
    std::iter::successors(first, move |part| {
        let next = part + nodes[*part].size as usize;
        (next < end).then_some(next)
    })
}

pub(crate) fn check_size(size: usize) -> Result<(), Error> {
    if size > NODES_MAX { Err(Error::TooLarge { limit: NODES_MAX }) } else { Ok(()) }
}

/// Sizes are checked against [`NODES_MAX`], so that they fit.
pub(crate) fn to_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// A list with a root over so many nodes to come.
fn node_list<K>(op: Op<K>, below: usize) -> Result<Vec<Node<K>>, Error> {
    check_size(below + 1)?;
    let mut nodes = Vec::with_capacity(below + 1);
    nodes.push(Node { op, size: to_u32(below + 1) });
    Ok(nodes)
}
