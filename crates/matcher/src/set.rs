//! All matchers of a configuration, compiled together.
//!
//! Each matcher gets a guard: triggers of which one must fire before it can hold. Batches are looked up in one
//! index for each guarded variable; only matchers whose guard fired are evaluated, on whole columns of records.
//! Equal matchers are evaluated once, equal tests too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heka_message::{Batch, NameId, NameRegistry, Variables};

use crate::ast::{Test, Variable};
use crate::evaluation::Evaluation;
use crate::formula::{Formula, Numbering};
use crate::index::VariableIndex;
use crate::matcher::Matcher;

/// Numbers sets, so that an [`Evaluation`] notices that it is used with another one.
static NEXT_SET: AtomicU64 = AtomicU64::new(1);

/// Matchers that cannot be compiled together.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the index of the texts that the matchers search for")]
pub struct CompileError {
    #[from]
    source: aho_corasick::BuildError,
}

/// All matchers of a configuration as one decision structure.
#[derive(Debug)]
pub struct MatcherSet {
    pub(crate) id: u64,
    pub(crate) len: usize,
    /// Matchers that hold for every record.
    pub(crate) always: Vec<u32>,
    pub(crate) classes: Vec<Class>,
    /// Classes that must be evaluated for every batch.
    pub(crate) unguarded: Vec<u32>,
    pub(crate) variables: Vec<VariableEntry>,
    pub(crate) tests: Vec<TestEntry>,
    /// For each trigger the classes that it guards.
    pub(crate) guarded: Vec<Vec<u32>>,
}

/// Equal matchers.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) formula: Formula,
    pub(crate) members: Vec<u32>,
}

/// A variable that some matcher reads.
#[derive(Debug)]
pub(crate) struct VariableEntry {
    pub(crate) variable: Variable,
    pub(crate) bit: Variables,
    /// The global id of a field's name.
    pub(crate) name: Option<NameId>,
    pub(crate) index: Option<VariableIndex>,
}

/// A test, and the indexed triggers that say something about it.
#[derive(Debug)]
pub(crate) struct TestEntry {
    pub(crate) test: Arc<Test>,
    pub(crate) variable: u32,
    pub(crate) screen: Screen,
}

/// What the index already knows about a test.
#[derive(Debug)]
pub(crate) enum Screen {
    /// Nothing.
    None,
    /// The test holds where this trigger fired.
    Exact(u32),
    /// The test can only hold where one of these fired.
    AnyOf(Vec<u32>),
}

impl MatcherSet {
    /// Compiles matchers; the n-th one gets the n-th selection. Field names that they mention become global.
    ///
    /// # Errors
    /// If the texts that they search for exceed what one automaton can hold.
    pub fn compile(matchers: &[Matcher], names: &NameRegistry) -> Result<Self, CompileError> {
        let mut numbering = Numbering::default();
        let (always, classes) = classify(matchers, &mut numbering);
        classes.iter().for_each(|class| numbering.count_uses(&class.formula));

        let mut unguarded = Vec::new();
        let mut guards = vec![Vec::new(); numbering.triggers.len()];
        for (number, class) in (0_u32..).zip(&classes) {
            let Some(guard) = numbering.guard(&class.formula) else {
                unguarded.push(number);
                continue;
            };
            for trigger in guard.triggers {
                if let Some(guarded) = guards.get_mut(trigger as usize) {
                    guarded.push(number);
                }
            }
        }
        Ok(Self {
            id: NEXT_SET.fetch_add(1, Ordering::Relaxed),
            len: matchers.len(),
            always,
            classes,
            unguarded,
            variables: index_variables(&numbering, &guards, names)?,
            tests: screen_tests(numbering, &guards),
            guarded: guards,
        })
    }

    /// The number of matchers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no matchers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Selects the records of a batch for every matcher; the result stands in `evaluation` until the next call.
    pub fn evaluate(&self, batch: &Batch, evaluation: &mut Evaluation) {
        evaluation.run(self, batch);
    }
}

fn classify(matchers: &[Matcher], numbering: &mut Numbering) -> (Vec<u32>, Vec<Class>) {
    let mut always = Vec::new();
    let mut classes: Vec<Class> = Vec::new();
    let mut numbers: HashMap<Formula, usize> = HashMap::new();
    for (matcher, number) in matchers.iter().zip(0_u32..) {
        let formula = numbering.formula(matcher.expr());
        if let Formula::Constant(value) = formula {
            if value {
                always.push(number);
            }
            continue;
        }
        let class = *numbers.entry(formula.clone()).or_insert_with(|| {
            classes.push(Class { formula, members: Vec::new() });
            classes.len() - 1
        });
        if let Some(class) = classes.get_mut(class) {
            class.members.push(number);
        }
    }
    (always, classes)
}

fn index_variables(
    numbering: &Numbering,
    guards: &[Vec<u32>],
    names: &NameRegistry,
) -> Result<Vec<VariableEntry>, CompileError> {
    let mut entries = Vec::with_capacity(numbering.variables.len());
    for (number, variable) in (0_u32..).zip(&numbering.variables) {
        let triggers = (0_u32..).zip(&numbering.triggers).zip(guards);
        let mut kinds = triggers
            .filter(|((_, trigger), guarded)| trigger.variable == number && !guarded.is_empty())
            .map(|((trigger_number, trigger), _)| (trigger_number, &trigger.kind))
            .peekable();
        let index = match kinds.peek() {
            Some(_) => Some(VariableIndex::new(kinds)?),
            None => None,
        };
        let name = match variable {
            Variable::Field { name, .. } => Some(names.intern(name)),
            _ => None,
        };
        entries.push(VariableEntry { variable: variable.clone(), bit: bit(variable), name, index });
    }
    Ok(entries)
}

fn screen_tests(numbering: Numbering, guards: &[Vec<u32>]) -> Vec<TestEntry> {
    let indexed =
        |trigger: &u32| guards.get(*trigger as usize).is_some_and(|guarded| !guarded.is_empty());
    let entries = numbering.predicates.into_iter().map(|predicate| {
        let known = !predicate.triggers.is_empty() && predicate.triggers.iter().all(indexed);
        let screen = match predicate.triggers.as_slice() {
            [trigger] if known && predicate.exact => Screen::Exact(*trigger),
            _ if known => Screen::AnyOf(predicate.triggers),
            _ => Screen::None,
        };
        TestEntry { test: predicate.test, variable: predicate.variable, screen }
    });
    entries.collect()
}

fn bit(variable: &Variable) -> Variables {
    match variable {
        Variable::Uuid => Variables::UUID,
        Variable::Type => Variables::TYPE,
        Variable::Logger => Variables::LOGGER,
        Variable::Payload => Variables::PAYLOAD,
        Variable::EnvVersion => Variables::ENV_VERSION,
        Variable::Hostname => Variables::HOSTNAME,
        Variable::Timestamp => Variables::TIMESTAMP,
        Variable::Severity => Variables::SEVERITY,
        Variable::Pid => Variables::PID,
        Variable::Field { .. } => Variables::FIELDS,
    }
}
