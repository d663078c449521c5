//! Expressions over numbered tests, in a normal form: equal expressions become equal formulas.
//!
//! Invariant: there is no negation, so a formula can only become true through a test that becomes true.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::{Expr, Literal, LiteralKey, Relation, Test, Variable};
use crate::trigger::{Trigger, TriggerKind, Triggers};

/// A formula; operands of `And` stand cheapest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Formula {
    Constant(bool),
    Test(u32),
    And(Vec<Formula>),
    Or(Vec<Formula>),
}

/// A test that any number of matchers share.
#[derive(Clone, Debug)]
pub(crate) struct Predicate {
    pub(crate) test: Arc<Test>,
    pub(crate) variable: u32,
    /// One of these fires if the test holds; empty if nothing is known.
    pub(crate) triggers: Vec<u32>,
    /// The test holds if its trigger fires.
    pub(crate) exact: bool,
    cost: u32,
}

/// The numbers given to tests, variables and triggers.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    pub(crate) predicates: Vec<Predicate>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) triggers: Vec<Trigger>,
    predicate_by_key: HashMap<(Variable, Relation, LiteralKey), u32>,
    variable_numbers: HashMap<Variable, u32>,
    trigger_numbers: HashMap<Trigger, u32>,
    /// How many formulas mention each trigger.
    trigger_uses: Vec<u32>,
}

/// Triggers of which one must fire before a formula can hold.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) triggers: Vec<u32>,
    score: u32,
}

impl Numbering {
    /// The normal form of an expression.
    pub(crate) fn formula(&mut self, expr: &Expr) -> Formula {
        match expr {
            Expr::Constant(value) => Formula::Constant(*value),
            Expr::Test(test) => Formula::Test(self.predicate(test)),
            Expr::And(operands) => self.join(operands, true),
            Expr::Or(operands) => self.join(operands, false),
        }
    }

    /// `neutral`: the constant that changes nothing; the other one decides.
    fn join(&mut self, operands: &[Expr], neutral: bool) -> Formula {
        let mut joined = Vec::new();
        for operand in operands {
            match self.formula(operand) {
                Formula::Constant(value) if value == neutral => {}
                Formula::Constant(value) => return Formula::Constant(value),
                Formula::And(inner) if neutral => joined.extend(inner),
                Formula::Or(inner) if !neutral => joined.extend(inner),
                formula => joined.push(formula),
            }
        }
        joined.sort_by_cached_key(|formula| (self.cost(formula), formula.clone()));
        joined.dedup();
        match (joined.len(), neutral) {
            (0, _) => Formula::Constant(neutral),
            (1, _) => joined.pop().unwrap_or(Formula::Constant(neutral)),
            (_, true) => Formula::And(joined),
            (_, false) => Formula::Or(joined),
        }
    }

    fn cost(&self, formula: &Formula) -> u32 {
        match formula {
            Formula::Constant(_) => 0,
            Formula::Test(number) => self.predicates.get(*number as usize).map_or(0, |p| p.cost),
            Formula::And(operands) | Formula::Or(operands) => {
                operands.iter().map(|operand| self.cost(operand)).fold(0, u32::saturating_add)
            }
        }
    }

    fn predicate(&mut self, test: &Arc<Test>) -> u32 {
        let key = test.key();
        if let Some(number) = self.predicate_by_key.get(&key) {
            return *number;
        }
        let variable = self.variable(&test.variable);
        let Triggers { kinds, exact } = Triggers::of(test);
        let triggers = kinds.into_iter().map(|kind| self.trigger(variable, kind)).collect();
        let number = self.predicates.len() as u32;
        let cost = cost_of(test);
        self.predicates.push(Predicate { test: Arc::clone(test), variable, triggers, exact, cost });
        self.predicate_by_key.insert(key, number);
        number
    }

    fn variable(&mut self, variable: &Variable) -> u32 {
        if let Some(number) = self.variable_numbers.get(variable) {
            return *number;
        }
        let number = self.variables.len() as u32;
        self.variables.push(variable.clone());
        self.variable_numbers.insert(variable.clone(), number);
        number
    }

    fn trigger(&mut self, variable: u32, kind: TriggerKind) -> u32 {
        let trigger = Trigger { variable, kind };
        if let Some(number) = self.trigger_numbers.get(&trigger) {
            return *number;
        }
        let number = self.triggers.len() as u32;
        self.triggers.push(trigger.clone());
        self.trigger_uses.push(0);
        self.trigger_numbers.insert(trigger, number);
        number
    }

    /// Counts the triggers of a formula; before the first [`Self::guard`], once for each formula.
    pub(crate) fn count_uses(&mut self, formula: &Formula) {
        match formula {
            Formula::Constant(_) => {}
            Formula::Test(number) => {
                let Some(predicate) = self.predicates.get(*number as usize) else { return };
                for trigger in &predicate.triggers {
                    if let Some(uses) = self.trigger_uses.get_mut(*trigger as usize) {
                        *uses += 1;
                    }
                }
            }
            Formula::And(operands) | Formula::Or(operands) => {
                operands.iter().for_each(|operand| self.count_uses(operand));
            }
        }
    }

    /// The best guard of a formula: rare triggers that few other formulas share. `None` if it may always hold.
    pub(crate) fn guard(&self, formula: &Formula) -> Option<Guard> {
        match formula {
            Formula::Constant(_) => None,
            Formula::Test(number) => self.guard_of_test(*number),
            Formula::And(operands) => {
                let guards = operands.iter().filter_map(|operand| self.guard(operand));
                guards.min_by_key(|guard| guard.score)
            }
            Formula::Or(operands) => {
                let mut all = Guard { triggers: Vec::new(), score: 0 };
                for operand in operands {
                    let guard = self.guard(operand)?;
                    all.score = all.score.max(guard.score);
                    all.triggers.extend(guard.triggers);
                }
                all.triggers.sort_unstable();
                all.triggers.dedup();
                Some(all)
            }
        }
    }

    fn guard_of_test(&self, number: u32) -> Option<Guard> {
        let predicate = self.predicates.get(number as usize)?;
        let variable = self.variables.get(predicate.variable as usize)?;
        let scores = predicate.triggers.iter().filter_map(|trigger| {
            let rank = self.triggers.get(*trigger as usize)?.kind.rank(variable);
            let uses = self.trigger_uses.get(*trigger as usize)?;
            Some(rank + 3 * uses.max(&1).ilog2())
        });
        let score = scores.max()?;
        Some(Guard { triggers: predicate.triggers.clone(), score })
    }
}

/// How long a test takes, roughly in nanoseconds.
fn cost_of(test: &Test) -> u32 {
    let read = match test.variable {
        Variable::Field { .. } => 8,
        Variable::Uuid => 40,
        _ => 2,
    };
    let compare = match &test.literal {
        Literal::Number(_) | Literal::Bool(_) | Literal::Nil => 1,
        Literal::Text(_) => 4,
        Literal::Regex(regex) if regex.shortcut.is_some() => 20,
        Literal::Regex(_) => 200,
    };
    let long = if test.variable == Variable::Payload { 4 } else { 1 };
    read + compare * long
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::Matcher;

    fn formula(numbering: &mut Numbering, text: &str) -> Formula {
        let (matcher, _) = Matcher::parse(text).unwrap();
        numbering.formula(matcher.expr())
    }

    /// The triggers that guard the last of these expressions, in a set of all of them.
    fn guard_of_last(texts: &[String]) -> Option<Vec<TriggerKind>> {
        let mut numbering = Numbering::default();
        let formulas: Vec<Formula> =
            texts.iter().map(|text| formula(&mut numbering, text)).collect();
        formulas.iter().for_each(|formula| numbering.count_uses(formula));
        let guard = numbering.guard(formulas.last().unwrap())?;
        Some(guard.triggers.iter().map(|t| numbering.triggers[*t as usize].kind.clone()).collect())
    }

    fn guard(text: &str) -> Option<Vec<TriggerKind>> {
        guard_of_last(&[text.to_owned()])
    }

    fn equal(text: &str) -> TriggerKind {
        TriggerKind::Equal(text.as_bytes().into())
    }

    #[test]
    fn expressions_of_one_meaning_become_equal_formulas() {
        let mut numbering = Numbering::default();
        let first = formula(&mut numbering, "Type == 'a' && (Pid == 1 || Pid == 2) && TRUE");
        for text in [
            "(Pid == 2 || Pid == 1) && Type == 'a'",
            "Type == \"a\" && ((Pid == 1.0 || FALSE) || Pid == 2) && Type == 'a'",
        ] {
            assert_eq!(formula(&mut numbering, text), first, "{text}");
        }
        assert_ne!(formula(&mut numbering, "Type == 'a' && Pid == 1 || Pid == 2"), first);
        assert_eq!(numbering.predicates.len(), 3);
    }

    #[test]
    fn constants_disappear() {
        let mut numbering = Numbering::default();
        assert_eq!(formula(&mut numbering, "TRUE && (FALSE || TRUE)"), Formula::Constant(true));
        assert_eq!(formula(&mut numbering, "Type == 'a' && FALSE"), Formula::Constant(false));
        assert_eq!(formula(&mut numbering, "Type == 'a' || TRUE"), Formula::Constant(true));
        assert_eq!(formula(&mut numbering, "Type == 'a' || FALSE"), Formula::Test(0));
    }

    #[test]
    fn a_guard_is_the_rarest_thing_that_must_hold() {
        assert_eq!(guard("Type == 'a' && Severity <= 3"), Some(vec![equal("a")]));
        assert_eq!(guard("Severity <= 3 && Type =~ /^b$/"), Some(vec![equal("b")]));
        assert_eq!(guard("Type == 'a' || Logger == 'b'"), Some(vec![equal("a"), equal("b")]));
        assert_eq!(guard("Type == 'a' || Type != 'b'"), None);
        assert_eq!(guard("Type != 'a'"), None);
        assert_eq!(guard("Fields[a] == NIL"), None);
        assert_eq!(guard("Fields[a] != 'x'"), Some(vec![TriggerKind::Present]));
        assert_eq!(guard("Fields[a] == TRUE && Type == 'x'"), Some(vec![equal("x")]));
    }

    #[test]
    fn a_guard_avoids_what_many_share() {
        let texts: Vec<String> =
            (0..200).map(|n| format!("Type == 'nginx' && Fields[url] =~ /^v{n}/")).collect();
        let expected = TriggerKind::Prefix(b"v199".as_slice().into());
        assert_eq!(guard_of_last(&texts), Some(vec![expected]));
    }
}
