//! One batch against a set: the memory that this takes, used again for the next batch.
//!
//! A column is a bitmap over the batch's records. Invariants: a slot counts only if it carries the current stamp,
//! so nothing is cleared between batches; bits past the last record are never set.

use heka_message::{Batch, NameId, Record, Selection};

use crate::ast::Variable;
use crate::formula::Formula;
use crate::index::{Scratch, VariableIndex};
use crate::set::{MatcherSet, Screen, TestEntry, VariableEntry};
use crate::test::Operand;

/// The selections of a batch, and the memory that finding them takes.
#[derive(Debug, Default)]
pub struct Evaluation {
    set: u64,
    stamp: u64,
    words: usize,
    /// Selection of each matcher.
    selections: Vec<Selection>,
    /// Matchers with a selection other than `None`.
    selected: Vec<u32>,
    columns: Columns,
    triggers: Vec<Slot>,
    tests: Vec<Slot>,
    variables: Vec<VariableSlot>,
    /// Memory of each variable's index.
    scratch: Vec<Scratch>,
    /// Stamp of the batch for which a class was last a candidate.
    classes: Vec<u64>,
    candidates: Vec<u32>,
    /// Columns of formulas being evaluated.
    stack: Vec<u64>,
}

/// Bitmaps of the current batch.
#[derive(Debug, Default)]
struct Columns {
    bits: Vec<u64>,
}

/// What is known about a trigger or test.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    stamp: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The same for all records.
    #[default]
    Never,
    Always,
    /// Place of the column; for a test its known bits, behind them its true bits.
    Column(usize),
}

/// How to read a variable in the current batch.
#[derive(Clone, Copy, Debug, Default)]
struct VariableSlot {
    stamp: u64,
    /// All records have the same value.
    uniform: bool,
    name: Option<NameId>,
}

impl Evaluation {
    /// Without results.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The selection of each matcher, in the order in which the set was given them.
    #[must_use]
    pub fn selections(&self) -> &[Selection] {
        &self.selections
    }

    /// The numbers of the matchers that selected something, in no particular order.
    #[must_use]
    pub fn selected(&self) -> &[u32] {
        &self.selected
    }

    /// Moves a selection out; `None` is left, as for a matcher that does not exist.
    pub fn take(&mut self, matcher: usize) -> Selection {
        self.selections.get_mut(matcher).map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn run(&mut self, set: &MatcherSet, batch: &Batch) {
        self.begin(set, batch);
        for matcher in &set.always {
            select(&mut self.selections, &mut self.selected, *matcher, Selection::All);
        }
        let Some(first) = batch.record(0) else { return };
        for number in 0..set.variables.len() {
            self.scan(set, batch, first, number);
        }
        self.candidates.extend_from_slice(&set.unguarded);
        let candidates = std::mem::take(&mut self.candidates);
        for class in &candidates {
            self.select_class(set, batch, *class);
        }
        self.candidates = candidates;
    }

    fn begin(&mut self, set: &MatcherSet, batch: &Batch) {
        if self.set != set.id {
            *self = Self { set: set.id, stamp: self.stamp, ..Self::default() };
            self.selections.resize(set.len, Selection::None);
            self.triggers.resize(set.guarded.len(), Slot::default());
            self.tests.resize(set.tests.len(), Slot::default());
            self.variables.resize(set.variables.len(), VariableSlot::default());
            self.classes.resize(set.classes.len(), 0);
            let indexes = set.variables.iter().map(|entry| entry.index.as_ref());
            self.scratch = indexes
                .map(|index| index.map(VariableIndex::scratch).unwrap_or_default())
                .collect();
        }
        self.stamp += 1;
        self.words = batch.len().div_ceil(64);
        self.columns.bits.clear();
        self.candidates.clear();
        self.stack.clear();
        for matcher in self.selected.drain(..) {
            if let Some(selection) = self.selections.get_mut(matcher as usize) {
                *selection = Selection::None;
            }
        }
    }

    /// How to read a variable in this batch.
    fn variable(&mut self, entry: &VariableEntry, batch: &Batch, number: usize) -> VariableSlot {
        let Some(slot) = self.variables.get_mut(number) else { return VariableSlot::default() };
        if slot.stamp != self.stamp {
            let name = match &entry.variable {
                Variable::Field { name, .. } => find_name(batch, name, entry.name),
                _ => None,
            };
            let absent = entry.variable.is_field() && name.is_none();
            let uniform = absent || batch.len() == 1 || batch.uniform().contains(entry.bit);
            *slot = VariableSlot { stamp: self.stamp, uniform, name };
        }
        *slot
    }

    /// Looks a variable's values up in its index.
    fn scan(&mut self, set: &MatcherSet, batch: &Batch, first: Record<'_>, number: usize) {
        let Some(entry) = set.variables.get(number) else { return };
        let Some(index) = &entry.index else { return };
        let slot = self.variable(entry, batch, number);
        if slot.name.is_some() {
            index.present().iter().for_each(|trigger| self.fire_all(set, *trigger));
        }
        if !index.reads_values() {
            return;
        }
        let mut scratch = self.scratch.get_mut(number).map(std::mem::take).unwrap_or_default();
        if slot.uniform {
            let operand = read(&entry.variable, slot.name, &first);
            index.fire(&operand, &mut scratch, |trigger| self.fire_all(set, trigger));
        } else {
            for (record_index, record) in batch.records().enumerate() {
                let operand = read(&entry.variable, slot.name, &record);
                index.fire(&operand, &mut scratch, |trigger| self.fire(set, trigger, record_index));
            }
        }
        if let Some(place) = self.scratch.get_mut(number) {
            *place = scratch;
        }
    }

    fn fire_all(&mut self, set: &MatcherSet, trigger: u32) {
        if let Some(slot) = self.triggers.get_mut(trigger as usize) {
            let new = slot.stamp != self.stamp;
            *slot = Slot { stamp: self.stamp, state: State::Always };
            if new {
                self.add_candidates(set, trigger);
            }
        }
    }

    fn fire(&mut self, set: &MatcherSet, trigger: u32, record: usize) {
        let Some(slot) = self.triggers.get_mut(trigger as usize) else { return };
        let new = slot.stamp != self.stamp;
        if new {
            let column = self.columns.add(self.words);
            *slot = Slot { stamp: self.stamp, state: State::Column(column) };
        }
        if let State::Column(column) = slot.state
            && let Some(word) = self.columns.bits.get_mut(column + record / 64)
        {
            *word |= 1 << (record % 64);
        }
        if new {
            self.add_candidates(set, trigger);
        }
    }

    fn add_candidates(&mut self, set: &MatcherSet, trigger: u32) {
        let Some(classes) = set.guarded.get(trigger as usize) else { return };
        for class in classes {
            if let Some(stamp) = self.classes.get_mut(*class as usize)
                && *stamp != self.stamp
            {
                *stamp = self.stamp;
                self.candidates.push(*class);
            }
        }
    }

    fn select_class(&mut self, set: &MatcherSet, batch: &Batch, class: u32) {
        let Some(class) = set.classes.get(class as usize) else { return };
        self.stack.clear();
        self.stack.resize(self.words, u64::MAX);
        let past_end = self.words * 64 - batch.len();
        if let Some(last) = self.stack.last_mut() {
            *last >>= past_end;
        }
        self.restrict(set, batch, &class.formula);
        let selection = Selection::from_bits(&self.stack, batch.len());
        if selection.is_none() {
            return;
        }
        if let [matcher] = class.members.as_slice() {
            return select(&mut self.selections, &mut self.selected, *matcher, selection);
        }
        for matcher in &class.members {
            select(&mut self.selections, &mut self.selected, *matcher, selection.clone());
        }
    }

    /// Restricts the column on top of the stack to the records for which the formula holds.
    fn restrict(&mut self, set: &MatcherSet, batch: &Batch, formula: &Formula) {
        match formula {
            Formula::Constant(true) => {}
            Formula::Constant(false) => self.top_mut().fill(0),
            Formula::Test(number) => self.restrict_to_test(set, batch, *number as usize),
            Formula::And(operands) => {
                for operand in operands {
                    self.restrict(set, batch, operand);
                    if self.top_mut().iter().all(|word| *word == 0) {
                        return;
                    }
                }
            }
            Formula::Or(operands) => self.restrict_to_any(set, batch, operands),
        }
    }

    /// Tries each operand on the records that the earlier ones left over.
    fn restrict_to_any(&mut self, set: &MatcherSet, batch: &Batch, operands: &[Formula]) {
        let words = self.words;
        let base = self.stack.len() - words;
        // Behind the mask stand the records still to be decided, behind those the ones being tried.
        self.stack.extend_from_within(base..);
        for operand in operands {
            self.stack.extend_from_within(base + words..);
            self.restrict(set, batch, operand);
            for word in 0..words {
                self.stack[base + words + word] &= !self.stack[base + 2 * words + word];
            }
            self.stack.truncate(base + 2 * words);
            if self.stack[base + words..].iter().all(|word| *word == 0) {
                break;
            }
        }
        for word in 0..words {
            self.stack[base + word] &= !self.stack[base + words + word];
        }
        self.stack.truncate(base + words);
    }

    fn top_mut(&mut self) -> &mut [u64] {
        let start = self.stack.len() - self.words;
        &mut self.stack[start..]
    }

    fn restrict_to_test(&mut self, set: &MatcherSet, batch: &Batch, number: usize) {
        let Some(entry) = set.tests.get(number) else { return };
        if let Screen::Exact(trigger) = entry.screen {
            return self.restrict_to_trigger(trigger);
        }
        match self.test_state(set, batch, entry, number) {
            State::Never => self.top_mut().fill(0),
            State::Always => {}
            State::Column(column) => self.restrict_to_column(set, batch, entry, column),
        }
    }

    fn restrict_to_trigger(&mut self, trigger: u32) {
        match self.trigger_state(trigger) {
            State::Never => self.top_mut().fill(0),
            State::Always => {}
            State::Column(column) => {
                let start = self.stack.len() - self.words;
                let column = self.columns.bits.get(column..).unwrap_or(&[]);
                for (word, fired) in self.stack[start..].iter_mut().zip(column) {
                    *word &= fired;
                }
            }
        }
    }

    fn trigger_state(&self, trigger: u32) -> State {
        match self.triggers.get(trigger as usize) {
            Some(slot) if slot.stamp == self.stamp => slot.state,
            _ => State::Never,
        }
    }

    /// What is known about a test in this batch: decided at once if its variable is uniform.
    fn test_state(
        &mut self,
        set: &MatcherSet,
        batch: &Batch,
        entry: &TestEntry,
        number: usize,
    ) -> State {
        if let Some(slot) = self.tests.get(number)
            && slot.stamp == self.stamp
        {
            return slot.state;
        }
        let variable_number = entry.variable as usize;
        let variable =
            set.variables.get(variable_number).map(|v| self.variable(v, batch, variable_number));
        let state = match (variable, batch.record(0)) {
            (Some(variable), Some(first)) if variable.uniform => {
                let holds = entry.test.holds(&read(&entry.test.variable, variable.name, &first));
                if holds { State::Always } else { State::Never }
            }
            _ => State::Column(self.columns.add(2 * self.words)),
        };
        if let Some(slot) = self.tests.get_mut(number) {
            *slot = Slot { stamp: self.stamp, state };
        }
        state
    }

    /// Runs the test on those records of the top column for which it did not run yet.
    fn restrict_to_column(
        &mut self,
        set: &MatcherSet,
        batch: &Batch,
        entry: &TestEntry,
        column: usize,
    ) {
        if let Screen::AnyOf(triggers) = &entry.screen {
            self.restrict_to_fired(triggers);
        }
        let variable_number = entry.variable as usize;
        let Some(variable) = set.variables.get(variable_number) else { return };
        let name = self.variable(variable, batch, variable_number).name;
        let words = self.words;
        let start = self.stack.len() - words;
        for word in 0..words {
            let mut unknown = self.stack[start + word] & !self.columns.bits[column + word];
            let mut holds = 0;
            self.columns.bits[column + word] |= unknown;
            while unknown != 0 {
                let bit = unknown.trailing_zeros();
                unknown &= unknown - 1;
                let Some(record) = batch.record(word * 64 + bit as usize) else { break };
                let operand = read(&variable.variable, name, &record);
                holds |= u64::from(entry.test.holds(&operand)) << bit;
            }
            self.columns.bits[column + words + word] |= holds;
            self.stack[start + word] &= self.columns.bits[column + words + word];
        }
    }

    fn restrict_to_fired(&mut self, triggers: &[u32]) {
        let start = self.stack.len() - self.words;
        if triggers.iter().any(|t| matches!(self.trigger_state(*t), State::Always)) {
            return;
        }
        for word in 0..self.words {
            let fired = triggers.iter().map(|trigger| match self.trigger_state(*trigger) {
                State::Column(column) => self.columns.bits.get(column + word).copied().unwrap_or(0),
                State::Never | State::Always => 0,
            });
            let fired = fired.fold(0, |all, one| all | one);
            self.stack[start + word] &= fired;
        }
    }
}

impl Columns {
    /// A new column without set bits.
    fn add(&mut self, words: usize) -> usize {
        let start = self.bits.len();
        self.bits.resize(start + words, 0);
        start
    }
}

fn select(
    selections: &mut [Selection],
    selected: &mut Vec<u32>,
    matcher: u32,
    selection: Selection,
) {
    if let Some(place) = selections.get_mut(matcher as usize) {
        *place = selection;
        selected.push(matcher);
    }
}

/// The id of a field's name in a batch; `global`: the one that it has in batches built since the set.
fn find_name(batch: &Batch, name: &[u8], global: Option<NameId>) -> Option<NameId> {
    match global {
        Some(id) if batch.name(id) == name => batch.may_have_field(id).then_some(id),
        _ => batch.find_name(name),
    }
}

/// Reads a variable; `name`: the id of its field's name in the batch.
fn read<'a>(variable: &Variable, name: Option<NameId>, record: &Record<'a>) -> Operand<'a> {
    match variable {
        Variable::Field { field_index, value_index, .. } => {
            let field = name.and_then(|name| record.nth_field(name, *field_index));
            Operand::of_field(field, *value_index)
        }
        header => Operand::of_header(header, record),
    }
}
