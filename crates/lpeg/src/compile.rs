//! From the tree to instructions.
//!
//! Here: what code each kind of node becomes. Not here: instructions and tables (`emit`), what is known of nodes
//! (`analysis`). Invariants: the code of a node consumes what the node matches and leaves the choices as it found
//! them; recursion goes as deep as the tree, which is limited. How the choices are avoided: what can stand at the
//! start of an alternative is tested first, and no choice is made where a failure inside could only fail again.

mod emit;
mod nodes;

use std::hash::Hash;

use crate::analysis::{self, Start, Targets};
use crate::charset::Heads;
use crate::error::Error;
use crate::facts::Facts;
use crate::host::Budget;
use crate::program::{Inst, Program};
use crate::tree::{Node, Op, Pattern};
use emit::Emitter;

/// Nodes visited for one step of the budget.
pub(crate) const NODES_PER_STEP: usize = 8;

impl<K: Clone + Eq + Hash> Pattern<K> {
    /// Makes the program of a pattern, which may take so many bytes. `describe` gives a name's text for errors. Charges
    /// the budget for large ones.
    ///
    /// # Errors
    /// [`Error::RuleOutsideGrammar`], [`Error::TooLarge`], [`Error::OutOfBudget`], [`Error::OutOfMemory`].
    pub fn compile(
        &self,
        budget: &mut Budget,
        bytes_max: usize,
        describe: &dyn Fn(&K) -> String,
    ) -> Result<Program<K>, Error> {
        let open = self.nodes.iter().find_map(|node| match &node.op {
            Op::OpenCall(name) => Some(name),
            _ => None,
        });
        if let Some(name) = open {
            return Err(Error::RuleOutsideGrammar { rule: describe(name) });
        }
        budget.charge(self.nodes.len() / NODES_PER_STEP)?;
        let targets = Targets::new(&self.nodes);
        let (facts, passes) = analysis::facts(&self.nodes, &targets);
        budget.charge(passes * self.nodes.len() / NODES_PER_STEP)?;
        let (starts, passes) = analysis::starts(&self.nodes, &targets, &facts);
        budget.charge(passes * self.nodes.len() / NODES_PER_STEP)?;

        let out = Emitter::new(bytes_max);
        let nodes = &self.nodes;
        let mut compiler = Compiler { nodes, targets, facts, starts, out, visits: 0, budget };
        compiler.node(0, &Context::START)?;
        compiler.out.emit(Inst::End)?;
        Ok(compiler.out.finish())
    }
}

/// What is known where a node is compiled.
#[derive(Debug, Clone, Copy)]
struct Context {
    /// A choice was made just before, whose target is the end of the node.
    in_choice: bool,
    /// What can stand at the current position.
    known: Heads,
    /// What can stand after the node, if its failure there would go to the same choice as a failure in it.
    follow: Heads,
}

impl Context {
    const START: Self = Self { in_choice: false, known: Heads::FULL, follow: Heads::FULL };

    fn known(known: Heads) -> Self {
        Self { known, ..Self::START }
    }

    fn follow(self, follow: Heads) -> Self {
        Self { follow, ..self }
    }
}

struct Compiler<'a, K> {
    nodes: &'a [Node<K>],
    targets: Targets,
    facts: Vec<Facts>,
    starts: Vec<Start>,
    out: Emitter<K>,
    visits: usize,
    budget: &'a mut Budget,
}

impl Context {
    /// The same place, but not as the end of the choice.
    fn outside(self) -> Self {
        Self { in_choice: false, ..self }
    }
}
