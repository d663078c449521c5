//! Passes over a pattern's nodes: which rule a call means, the facts of every node, and what can stand at its start.
//!
//! Here: the order of the visits and the agreement between rules. Not here: single facts (`facts`), code (`compile`).
//! Invariants: nodes are visited from the last to the first, so that parts come before their whole and no recursion is
//! needed; the heads are sound only for patterns without left recursion, which `grammar` has refused before.

use crate::charset::Heads;
use crate::facts::Facts;
use crate::tree::{Node, Op, char_set, parts, to_u32};

/// Stands where a node is no call.
const NO_TARGET: u32 = u32::MAX;

/// What can stand where a node begins to match.
///
/// A match of the node that is followed by something that begins with `follow` can only begin with what
/// [`Start::heads`] gives. Match-time captures count as consuming: they must be asked wherever their part matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Start {
    /// At the start of a match that consumes.
    pub(crate) consuming: Heads,
    /// Where it may match without consuming.
    pub(crate) empty: Heads,
}

impl Start {
    /// Of what matches always, and nothing.
    const EMPTY: Self = Self { consuming: Heads::EMPTY, empty: Heads::FULL };

    /// What can stand where the node matches and something follows it.
    pub(crate) fn heads(&self, follow: &Heads) -> Heads {
        self.consuming.union(&self.empty.intersection(follow))
    }

    /// What can stand where the node matches.
    pub(crate) fn any(&self) -> Heads {
        self.consuming.union(&self.empty)
    }

    fn then(&self, next: &Self) -> Self {
        Self { consuming: next.heads_after(self), empty: self.empty.intersection(&next.empty) }
    }

    fn heads_after(&self, before: &Self) -> Heads {
        before.consuming.union(&before.empty.intersection(&self.consuming))
    }

    fn or(&self, other: &Self) -> Self {
        Self {
            consuming: self.consuming.union(&other.consuming),
            empty: self.empty.union(&other.empty),
        }
    }
}

/// The rule nodes that calls mean, by the call's index.
#[derive(Debug)]
pub(crate) struct Targets {
    rules: Vec<u32>,
}

impl Targets {
    /// Resolves all calls; those in a nested grammar mean its rules.
    pub(crate) fn new<K>(nodes: &[Node<K>]) -> Self {
        let mut rules = vec![NO_TARGET; nodes.len()];
        // The grammars around the current node: where each ends, and its rules.
        let mut around: Vec<(usize, Vec<usize>)> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            while around.last().is_some_and(|(end, _)| *end <= index) {
                around.pop();
            }
            match node.op {
                Op::Grammar => {
                    around.push((index + node.size as usize, parts(nodes, index).collect()));
                }
                Op::Call(rule) => {
                    let rule = around.last().and_then(|(_, rules)| rules.get(rule as usize));
                    rules[index] = rule.map_or(NO_TARGET, |rule| to_u32(*rule));
                }
                _ => {}
            }
        }
        Self { rules }
    }

    /// The rule node that the call at an index means.
    pub(crate) fn rule(&self, call: usize) -> Option<usize> {
        self.rules.get(call).filter(|rule| **rule != NO_TARGET).map(|rule| *rule as usize)
    }
}

/// The facts of all nodes. Also gives the number of passes that it took.
pub(crate) fn facts<K>(nodes: &[Node<K>], targets: &Targets) -> (Vec<Facts>, usize) {
    let mut facts = vec![Facts::UNKNOWN; nodes.len()];
    let mut passes = 0;
    let mut changed = true;
    while changed {
        changed = false;
        passes += 1;
        for index in (0..nodes.len()).rev() {
            let found = facts_of(nodes, index, targets, &facts);
            changed |= matches!(nodes[index].op, Op::Rule(_)) && found != facts[index];
            facts[index] = found;
        }
    }
    (facts, passes)
}

fn facts_of<K>(nodes: &[Node<K>], index: usize, targets: &Targets, facts: &[Facts]) -> Facts {
    let mut inner = parts(nodes, index).map(|part| facts[part]);
    match &nodes[index].op {
        Op::Seq => Facts::sequence(inner),
        Op::Choice => Facts::choice(inner),
        Op::Call(_) => targets.rule(index).map_or(Facts::UNKNOWN, |rule| facts[rule]),
        // A grammar is its first rule.
        op => match inner.next() {
            Some(part) => Facts::wrap(op, part),
            None => Facts::leaf(op),
        },
    }
}

/// The starts of all nodes. Also gives the number of passes that it took.
pub(crate) fn starts<K>(
    nodes: &[Node<K>],
    targets: &Targets,
    facts: &[Facts],
) -> (Vec<Start>, usize) {
    let mut starts = vec![Start::default(); nodes.len()];
    let mut passes = 0;
    let mut changed = true;
    while changed {
        changed = false;
        passes += 1;
        for index in (0..nodes.len()).rev() {
            let found = match nodes[index].op {
                Op::Call(_) => targets.rule(index).map_or(Start::EMPTY, |rule| starts[rule]),
                _ => start_of(nodes, index, facts, &starts),
            };
            changed |= matches!(nodes[index].op, Op::Rule(_)) && found != starts[index];
            starts[index] = found;
        }
    }
    (starts, passes)
}

fn start_of<K>(nodes: &[Node<K>], index: usize, facts: &[Facts], starts: &[Start]) -> Start {
    let op = &nodes[index].op;
    if let Some(set) = char_set(op) {
        return Start { consuming: Heads::bytes(set), empty: Heads::EMPTY };
    }
    let part = index + 1;
    let mut inner = parts(nodes, index).map(|part| starts[part]);
    match op {
        Op::False => Start::default(),
        Op::Any(_) => {
            Start { consuming: Heads::bytes(crate::charset::CharSet::FULL), empty: Heads::EMPTY }
        }
        Op::Literal(text) => Start {
            consuming: Heads::bytes(text.iter().take(1).copied().collect()),
            empty: Heads::EMPTY,
        },
        Op::Seq => inner.fold(Start::EMPTY, |sum, part| sum.then(&part)),
        Op::Choice => inner.fold(Start::default(), |sum, part| sum.or(&part)),
        Op::Rep => Start { consuming: starts[part].any(), empty: outside(part, facts, starts) },
        Op::AtMost(_) => Start { consuming: starts[part].any(), empty: Heads::FULL },
        Op::Not => {
            Start { consuming: asked(part, facts, starts), empty: outside(part, facts, starts) }
        }
        Op::And => Start { consuming: asked(part, facts, starts), empty: starts[part].any() },
        Op::RunTime(_) => Start { consuming: starts[part].any(), empty: Heads::EMPTY },
        Op::Capture(_) | Op::Grammar | Op::Rule(_) => inner.next().unwrap_or(Start::EMPTY),
        _ => Start::EMPTY,
    }
}

/// Where a node may fail to match.
fn outside(index: usize, facts: &[Facts], starts: &[Start]) -> Heads {
    if facts[index].headfail { starts[index].any().complement() } else { Heads::FULL }
}

/// Where a predicate must look at a node, whatever follows.
fn asked(index: usize, facts: &[Facts], starts: &[Start]) -> Heads {
    if facts[index].asks { starts[index].any() } else { Heads::EMPTY }
}
