//! The tree of a pattern, all flags resolved. Built by `parse`, read by `emit` and `literal`.

use crate::class::Class;

/// A piece of a pattern.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Matches the empty text.
    Empty,
    /// One character; `fold`: in either case.
    Literal { character: char, fold: bool },
    /// One character of a set.
    Class(Class),
    /// A condition on the position.
    Assert(Assert),
    /// Parentheses; `capture`: index into the names of the pattern's groups.
    Group { capture: Option<usize>, node: Box<Node> },
    /// `node` at least `min` times, at most `max` times (`None`: any number).
    Repeat { node: Box<Node>, min: u32, max: Option<u32>, greedy: bool },
    /// One after the other.
    Concat(Vec<Node>),
    /// The first of these that lets the whole pattern match.
    Alternate(Vec<Node>),
}

/// A condition on the position in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assert {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NotWordBoundary,
}

/// A whole pattern.
#[derive(Clone, Debug)]
pub(crate) struct Ast {
    pub(crate) root: Node,
    /// The names of the groups as written; entry 0 stands for the whole match and has none.
    pub(crate) group_names: Vec<Option<String>>,
}

/// Joins nodes to one.
pub(crate) fn concat(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        0 => Node::Empty,
        1 => nodes.pop().unwrap_or(Node::Empty),
        _ => Node::Concat(nodes),
    }
}
