//! Grammars: references by name become calls by number, and rules that could not end are refused.
//!
//! Here: making a grammar and its checks. Not here: reading a grammar from the host's table; the host knows which of
//! its values are patterns and which one is first. Invariant: a grammar has no unresolved references.

use std::collections::HashMap;
use std::hash::Hash;

use crate::analysis::{self, Targets};
use crate::compile::NODES_PER_STEP;
use crate::error::Error;
use crate::facts::Facts;
use crate::host::Budget;
use crate::tree::{Node, Op, Pattern, check_size, parts, to_u32};

/// Most rules of a grammar.
pub const RULES_MAX: usize = 250;

/// How many calls LPeg follows before it takes a grammar for left recursive; it decides which rule of a circle the
/// error names.
const CALLS_FOLLOWED: usize = 250;

impl<K: Clone + Eq + Hash> Pattern<K> {
    /// `P{...}`: the grammar of these rules; the first one is matched. `describe` gives a name's text for errors.
    /// Charges the budget for large ones.
    ///
    /// # Errors
    /// [`Error::NoInitialRule`], [`Error::TooManyRules`], [`Error::UndefinedRule`], [`Error::LeftRecursion`],
    /// [`Error::EmptyLoopInRule`], [`Error::TooLarge`], [`Error::TooDeep`], [`Error::OutOfBudget`].
    pub fn grammar(
        rules: &[(K, &Self)],
        budget: &mut Budget,
        describe: &dyn Fn(&K) -> String,
    ) -> Result<Self, Error> {
        if rules.is_empty() {
            return Err(Error::NoInitialRule);
        }
        if rules.len() > RULES_MAX {
            return Err(Error::TooManyRules);
        }
        let mut nodes = list(rules)?;
        resolve(&mut nodes, rules, describe)?;
        let targets = Targets::new(&nodes);
        let (facts, passes) = analysis::facts(&nodes, &targets);
        budget.charge((passes + 1) * nodes.len() / NODES_PER_STEP)?;
        Check { nodes: &nodes, targets: &targets, facts: &facts }
            .run()
            .map_err(|fault| fault.named(|rule| describe(&rules[rule].0)))?;
        let depth = rules.iter().map(|(_, rule)| rule.depth()).max().unwrap_or(0) + 2;
        let facts = facts[0];
        Self::list(nodes, facts, depth)
    }
}

/// The rules one after another under a root.
fn list<K: Clone>(rules: &[(K, &Pattern<K>)]) -> Result<Vec<Node<K>>, Error> {
    let size = 1 + rules.iter().map(|(_, rule)| rule.nodes.len() + 1).sum::<usize>();
    check_size(size)?;
    let mut nodes = Vec::with_capacity(size);
    nodes.push(Node { op: Op::Grammar, size: to_u32(size) });
    for (name, rule) in rules {
        let size = to_u32(rule.nodes.len() + 1);
        nodes.push(Node { op: Op::Rule(name.clone()), size });
        nodes.extend_from_slice(&rule.nodes);
    }
    Ok(nodes)
}

/// Gives references their rule's number. Grammars in the rules have no open ones.
fn resolve<K: Clone + Eq + Hash>(
    nodes: &mut [Node<K>],
    rules: &[(K, &Pattern<K>)],
    describe: &dyn Fn(&K) -> String,
) -> Result<(), Error> {
    // Of rules of the same name the first one counts.
    let numbers: HashMap<&K, usize> =
        rules.iter().enumerate().rev().map(|(number, (name, _))| (name, number)).collect();
    for node in nodes {
        if let Op::OpenCall(name) = &node.op {
            let number = numbers.get(name);
            let number = number.ok_or_else(|| Error::UndefinedRule { rule: describe(name) })?;
            node.op = Op::Call(to_u32(*number));
        }
    }
    Ok(())
}

/// What is wrong, with the number of a rule.
enum Fault {
    Recursion(usize),
    Loop(usize),
}

impl Fault {
    fn named(&self, name: impl Fn(usize) -> String) -> Error {
        match *self {
            Self::Recursion(rule) => Error::LeftRecursion { rule: name(rule) },
            Self::Loop(rule) => Error::EmptyLoopInRule { rule: name(rule) },
        }
    }
}

/// A grammar whose rules are checked.
struct Check<'a, K> {
    nodes: &'a [Node<K>],
    targets: &'a Targets,
    facts: &'a [Facts],
}

impl<K> Check<'_, K> {
    fn run(&self) -> Result<(), Fault> {
        let rules: Vec<usize> = parts(self.nodes, 0).collect();
        let numbers: HashMap<usize, usize> =
            rules.iter().enumerate().map(|(number, node)| (*node, number)).collect();
        let calls: Vec<Vec<usize>> = rules
            .iter()
            .map(|rule| {
                let mut found = Vec::new();
                self.left_calls(rule + 1, &mut found);
                found.iter().filter_map(|node| numbers.get(node).copied()).collect()
            })
            .collect();
        let mut search = Search { calls: &calls, done: vec![false; rules.len()], path: Vec::new() };
        (0..rules.len()).try_for_each(|rule| search.visit(rule))?;
        // As in LPeg, what is never called may be what it likes.
        let mut is_called = vec![false; rules.len()];
        is_called[0] = true;
        let called = (0..self.nodes.len()).filter_map(|call| self.targets.rule(call));
        called.filter_map(|rule| numbers.get(&rule)).for_each(|rule| is_called[*rule] = true);
        let faulty = |rule: &usize| is_called[*rule] && self.has_empty_loop(rules[*rule]);
        match (0..rules.len()).find(faulty) {
            Some(rule) => Err(Fault::Loop(rule)),
            None => Ok(()),
        }
    }

    /// The rules that a node may call before it consumes anything. Nested grammars were checked on their own.
    fn left_calls(&self, index: usize, found: &mut Vec<usize>) {
        match self.nodes[index].op {
            Op::Grammar | Op::Behind(_) => {}
            Op::Call(_) => found.extend(self.targets.rule(index)),
            Op::Seq => {
                for part in parts(self.nodes, index) {
                    self.left_calls(part, found);
                    if !self.facts[part].nullable {
                        break;
                    }
                }
            }
            _ => parts(self.nodes, index).for_each(|part| self.left_calls(part, found)),
        }
    }

    fn has_empty_loop(&self, rule: usize) -> bool {
        let end = rule + self.nodes[rule].size as usize;
        let mut index = rule + 1;
        while index < end {
            index += match self.nodes[index].op {
                Op::Grammar => self.nodes[index].size as usize,
                Op::Rep if self.facts[index + 1].nullable => return true,
                _ => 1,
            };
        }
        false
    }
}

/// Looks for a rule that leads to itself; at most [`RULES_MAX`] rules deep.
struct Search<'a> {
    calls: &'a [Vec<usize>],
    done: Vec<bool>,
    path: Vec<usize>,
}

impl Search<'_> {
    fn visit(&mut self, rule: usize) -> Result<(), Fault> {
        if let Some(start) = self.path.iter().position(|it| *it == rule) {
            let circle = self.path.len() - start;
            let last = match CALLS_FOLLOWED < self.path.len() {
                true => CALLS_FOLLOWED,
                false => start + (CALLS_FOLLOWED - start) % circle,
            };
            return Err(Fault::Recursion(self.path[last]));
        }
        if self.done[rule] {
            return Ok(());
        }
        self.path.push(rule);
        for next in &self.calls[rule] {
            self.visit(*next)?;
        }
        self.path.pop();
        self.done[rule] = true;
        Ok(())
    }
}
