//! The code of each kind of node.
//!
//! Here: sequences, choices, repetitions, predicates, captures, grammars. Not here: the tables (`emit`).

use std::hash::Hash;

use super::emit::Label;
use super::{Compiler, Context, NODES_PER_STEP};
use crate::charset::{CharSet, Heads};
use crate::error::Error;
use crate::program::{Inst, Kind, NO_KEY};
use crate::tree::{CaptureOp, Op, char_set, parts};

/// Most visits of nodes; a node is visited more than once where its code is repeated.
const VISITS_MAX: usize = 1 << 22;

/// Fewest alternatives that are told apart by a jump table.
const SWITCH_MIN: usize = 3;

/// Most jump tables of a program; each takes a kilobyte.
const SWITCHES_MAX: usize = 1024;

/// An optional byte needs a test instead of a loop.
const ONCE: u32 = 1;

impl<K: Clone + Eq + Hash> Compiler<'_, K> {
    /// Compiles a node.
    pub(super) fn node(&mut self, at: usize, context: &Context) -> Result<(), Error> {
        self.visit(1)?;
        let nodes = self.nodes;
        let part = at + 1;
        let plain = Context::known(context.known);
        match &nodes[at].op {
            Op::True => Ok(()),
            Op::False => self.out.emit(Inst::Fail).map(drop),
            Op::Char(byte) => self.byte(&CharSet::single(*byte), context),
            Op::Set(set) => self.byte(set, context),
            Op::Any(count) => self.any(*count, context),
            Op::Literal(text) => self.out.literal(text),
            Op::Seq => self.sequence(at, context),
            Op::Choice => self.choice(at, context),
            Op::Rep => self.repetition(part, context),
            Op::AtMost(count) => self.at_most(part, *count, context),
            Op::Not => self.not(part, context),
            Op::And => self.and(part, context),
            Op::Behind(length) => {
                if *length > 0 {
                    self.out.emit(Inst::Behind(*length))?;
                }
                self.node(part, &Context::START)
            }
            Op::Capture(capture) => self.capture(part, capture, context),
            Op::RunTime(function) => {
                let key = self.out.key(function.clone());
                self.out.emit(Inst::Open(Kind::RunTime, key))?;
                self.node(part, &plain)?;
                self.out.emit(Inst::CloseRunTime).map(drop)
            }
            Op::Grammar => self.grammar(at),
            Op::Rule(_) => self.node(part, &plain),
            Op::Call(_) => match self.targets.rule(at) {
                Some(rule) => self.out.call(rule),
                None => self.out.emit(Inst::Fail).map(drop),
            },
            // Refused before.
            Op::OpenCall(_) => self.out.emit(Inst::Fail).map(drop),
        }
    }

    /// Counts visits of nodes: those that become no code could be repeated without end.
    fn visit(&mut self, count: usize) -> Result<(), Error> {
        let before = self.visits;
        self.visits += count;
        if self.visits > VISITS_MAX {
            return Err(Error::TooLarge { limit: VISITS_MAX });
        }
        self.budget.charge(self.visits / NODES_PER_STEP - before / NODES_PER_STEP)
    }

    /// One byte of a set, unless it is known that one is there.
    fn byte(&mut self, set: &CharSet, context: &Context) -> Result<(), Error> {
        if context.known.is_subset(&Heads::bytes(*set)) {
            return self.out.emit(Inst::Skip(1)).map(drop);
        }
        if let Some(byte) = set.only() {
            return self.out.literal(&[byte]);
        }
        let inst = match *set {
            CharSet::EMPTY => Inst::Fail,
            CharSet::FULL => Inst::Any(1),
            _ => Inst::Set(self.out.set(set)?),
        };
        self.out.emit(inst).map(drop)
    }

    fn any(&mut self, count: u32, context: &Context) -> Result<(), Error> {
        let is_there = count == 1 && !context.known.end;
        let inst = if is_there { Inst::Skip(count) } else { Inst::Any(count) };
        self.out.emit(inst).map(drop)
    }

    fn sequence(&mut self, at: usize, context: &Context) -> Result<(), Error> {
        let items: Vec<usize> = parts(self.nodes, at).collect();
        self.visit(items.len())?;
        let mut follows = vec![context.follow; items.len()];
        for index in (1..items.len()).rev() {
            follows[index - 1] = self.starts[items[index]].heads(&follows[index]);
        }
        let mut known = context.known;
        for (index, item) in items.iter().enumerate() {
            let is_last = index + 1 == items.len();
            let in_choice = context.in_choice && is_last;
            self.node(*item, &Context { in_choice, known, follow: follows[index] })?;
            if self.facts[*item].fixed != Some(0) {
                known = Heads::FULL;
            }
        }
        Ok(())
    }

    fn choice(&mut self, at: usize, context: &Context) -> Result<(), Error> {
        let items: Vec<usize> = parts(self.nodes, at).collect();
        self.visit(items.len())?;
        // What can stand where one of the alternatives from here on matches.
        let mut rest = vec![Heads::EMPTY; items.len() + 1];
        for (index, item) in items.iter().enumerate().rev() {
            rest[index] = rest[index + 1].union(&self.starts[*item].heads(&context.follow));
        }
        if self.is_switch(&items, &rest) {
            return self.switch(&items, context);
        }
        let mut known = context.known;
        let mut ends = Vec::new();
        let Some((last, firsts)) = items.split_last() else { return Ok(()) };
        for (index, item) in firsts.iter().enumerate() {
            let heads = self.starts[*item].any();
            if heads.is_disjoint(&known) {
                continue;
            }
            let last_is_empty =
                index + 1 == firsts.len() && matches!(self.nodes[*last].op, Op::True);
            let inner = heads.intersection(&known);
            if self.facts[*item].headfail || heads.is_disjoint(&rest[index + 1]) {
                let test = self.test(&heads, &known)?;
                self.node(*item, &Context { known: inner, ..*context }.outside())?;
                if !last_is_empty {
                    ends.push(self.out.jump(Inst::Jump)?);
                }
                self.out.land(test);
                known = known.intersection(&heads.complement());
            } else if context.in_choice && last_is_empty {
                let next = self.out.jump(Inst::PartialCommit)?;
                self.out.land(next);
                let context = Context { in_choice: true, ..Context::known(known) };
                self.node(*item, &context)?;
            } else {
                let test = self.test(&heads, &known)?;
                let choice = self.out.jump(Inst::Choice)?;
                let in_choice = last_is_empty;
                self.node(*item, &Context { in_choice, ..Context::known(inner) })?;
                ends.push(self.out.jump(Inst::Commit)?);
                self.out.land(choice);
                self.out.land(test);
            }
        }
        self.node(*last, &Context { known, ..*context })?;
        ends.into_iter().for_each(|end| self.out.land(end));
        Ok(())
    }

    /// Whether a jump table can tell the alternatives apart: no two can match at the same place.
    fn is_switch(&self, items: &[usize], rest: &[Heads]) -> bool {
        items.len() >= SWITCH_MIN
            && self.out.switches() < SWITCHES_MAX
            && items.iter().zip(&rest[1..]).all(|(item, rest)| {
                self.starts[*item].any().is_disjoint(rest) || self.facts[*item].headfail
            })
            && !matches!(items.last().map(|last| &self.nodes[*last].op), Some(Op::True))
    }

    fn switch(&mut self, items: &[usize], context: &Context) -> Result<(), Error> {
        let switch = self.out.switch()?;
        let mut open = context.known;
        let mut ends = Vec::new();
        for item in items {
            let heads = self.starts[*item].any().intersection(&open);
            if heads == Heads::EMPTY {
                continue;
            }
            self.out.land_switch(switch, &heads);
            open = open.intersection(&heads.complement());
            self.node(*item, &Context { known: heads, ..*context }.outside())?;
            ends.push(self.out.jump(Inst::Jump)?);
        }
        // What is known not to be there leads here too: no target may stay open.
        self.out.land_switch(switch, &open.union(&context.known.complement()));
        self.out.emit(Inst::Fail)?;
        ends.into_iter().for_each(|end| self.out.land(end));
        Ok(())
    }

    /// A test that jumps where none of the heads is next, if one is needed.
    fn test(&mut self, heads: &Heads, known: &Heads) -> Result<Label, Error> {
        if known.is_subset(heads) {
            return Ok(None);
        }
        let bytes = heads.bytes;
        match (bytes == CharSet::FULL, bytes.is_empty(), heads.end) {
            (_, true, true) => self.out.jump(Inst::TestEnd),
            (_, true, false) => self.out.jump(Inst::Jump),
            (true, ..) => self.out.jump(Inst::TestAny),
            (.., true) => {
                let set = self.out.set(&bytes)?;
                self.out.jump(|target| Inst::TestSetOrEnd(set, target))
            }
            _ => {
                if let Some(byte) = bytes.only() {
                    return self.out.jump(|target| Inst::TestChar(byte, target));
                }
                let set = self.out.set(&bytes)?;
                self.out.jump(|target| Inst::TestSet(set, target))
            }
        }
    }

    /// A node as often as possible.
    fn repetition(&mut self, part: usize, context: &Context) -> Result<(), Error> {
        if let Some(set) = self.byte_of(part) {
            return self.span(&set);
        }
        if let Some((unwanted, set)) = self.guarded_byte(part) {
            return self.search(&unwanted, &set);
        }
        let heads = self.starts[part].any();
        if self.facts[part].headfail || heads.is_disjoint(&context.follow) {
            let start = self.out.here();
            let test = self.test(&heads, &Heads::FULL)?;
            let inner = Context::known(heads).follow(heads.union(&context.follow));
            self.node(part, &inner)?;
            self.out.emit(Inst::Jump(start))?;
            self.out.land(test);
            return Ok(());
        }
        let test = self.test(&heads, &context.known)?;
        let choice = match context.in_choice {
            true => {
                let next = self.out.jump(Inst::PartialCommit)?;
                self.out.land(next);
                None
            }
            false => self.out.jump(Inst::Choice)?,
        };
        let start = self.out.here();
        self.node(part, &Context::START)?;
        self.out.emit(Inst::PartialCommit(start))?;
        self.out.land(choice);
        self.out.land(test);
        Ok(())
    }

    /// The set of which a node consumes one byte and does nothing else, if it is such a node.
    fn byte_of(&self, at: usize) -> Option<CharSet> {
        let (unwanted, mut set) = self.guarded_byte(at)?;
        for part in unwanted {
            let heads = self.facts[part].headfail.then(|| self.starts[part].any())?;
            set = set.difference(&heads.bytes);
        }
        Some(set)
    }

    /// The unwanted nodes and the wanted set of `-unwanted * -unwanted * set`.
    fn guarded_byte(&self, at: usize) -> Option<(Vec<usize>, CharSet)> {
        let mut unwanted = Vec::new();
        let mut last = at;
        if let Op::Seq = self.nodes[at].op {
            let mut items = parts(self.nodes, at).peekable();
            while let Some(item) = items.next() {
                last = item;
                if items.peek().is_some() {
                    let is_guard = matches!(self.nodes[item].op, Op::Not);
                    unwanted.push(is_guard.then_some(item + 1)?);
                }
            }
        }
        char_set(&self.nodes[last].op).map(|set| (unwanted, set))
    }

    /// `(set - unwanted)^0`: runs over all bytes at which no unwanted node can begin.
    fn search(&mut self, unwanted: &[usize], set: &CharSet) -> Result<(), Error> {
        let heads = unwanted.iter().map(|part| self.starts[*part].any());
        let stops = heads.fold(Heads::EMPTY, |sum, heads| sum.union(&heads));
        let start = self.out.here();
        let free = set.difference(&stops.bytes);
        if !free.is_empty() {
            self.span(&free)?;
        }
        let mut ends = Vec::new();
        for part in unwanted {
            let heads = self.starts[*part].any();
            let test = self.test(&heads, &Heads::FULL)?;
            if self.facts[*part].headfail {
                ends.push(self.out.jump(Inst::Jump)?);
            } else {
                let choice = self.out.jump(Inst::Choice)?;
                self.node(*part, &Context::known(heads))?;
                ends.push(self.out.jump(Inst::BackCommit)?);
                self.out.land(choice);
            }
            self.out.land(test);
        }
        ends.push(self.test(&Heads::bytes(*set), &Heads::FULL)?);
        self.out.emit(Inst::Skip(1))?;
        self.out.emit(Inst::Jump(start))?;
        ends.into_iter().for_each(|end| self.out.land(end));
        Ok(())
    }

    fn span(&mut self, set: &CharSet) -> Result<(), Error> {
        let inst = match set.complement().only() {
            Some(byte) => Inst::SpanUntil(byte),
            None => Inst::Span(self.out.set(set)?),
        };
        self.out.emit(inst).map(drop)
    }

    /// A node up to so many times.
    fn at_most(&mut self, part: usize, count: u32, context: &Context) -> Result<(), Error> {
        if let Some(set) = self.byte_of(part) {
            let test = match count {
                ONCE => self.test(&Heads::bytes(set), &context.known)?,
                _ => None,
            };
            let set = self.out.set(&set)?;
            let inst = if count == ONCE { Inst::Skip(1) } else { Inst::SpanMost(set, count) };
            self.out.emit(inst)?;
            self.out.land(test);
            return Ok(());
        }
        let heads = self.starts[part].any();
        let mut ends = Vec::new();
        if self.facts[part].headfail || heads.is_disjoint(&context.follow) {
            let mut known = context.known;
            for _ in 0..count {
                ends.push(self.test(&heads, &known)?);
                self.node(part, &Context::known(heads.intersection(&known)))?;
                known = Heads::FULL;
            }
        } else {
            ends.push(self.test(&heads, &context.known)?);
            if !context.in_choice {
                ends.push(self.out.jump(Inst::Choice)?);
            }
            for index in 0..count {
                if context.in_choice || index > 0 {
                    let next = self.out.jump(Inst::PartialCommit)?;
                    self.out.land(next);
                }
                self.node(part, &Context::START)?;
            }
            if !context.in_choice {
                let end = self.out.jump(Inst::Commit)?;
                self.out.land(end);
            }
        }
        ends.into_iter().for_each(|end| self.out.land(end));
        Ok(())
    }

    fn and(&mut self, part: usize, context: &Context) -> Result<(), Error> {
        let facts = self.facts[part];
        let back = facts.fixed.filter(|_| !facts.captures);
        if let Some(length) = back {
            self.node(part, &Context::known(context.known))?;
            if length > 0 {
                self.out.emit(Inst::Behind(length))?;
            }
            return Ok(());
        }
        let choice = self.out.jump(Inst::Choice)?;
        self.node(part, &Context::known(context.known))?;
        let end = self.out.jump(Inst::BackCommit)?;
        self.out.land(choice);
        self.out.emit(Inst::Fail)?;
        self.out.land(end);
        Ok(())
    }

    fn not(&mut self, part: usize, context: &Context) -> Result<(), Error> {
        let heads = self.starts[part].any();
        if heads.is_disjoint(&context.known) {
            return Ok(());
        }
        let test = self.test(&heads, &context.known)?;
        if self.facts[part].headfail {
            self.out.emit(Inst::Fail)?;
        } else {
            let choice = self.out.jump(Inst::Choice)?;
            self.node(part, &Context::known(heads.intersection(&context.known)))?;
            self.out.emit(Inst::FailTwice)?;
            self.out.land(choice);
        }
        self.out.land(test);
        Ok(())
    }

    fn capture(
        &mut self,
        part: usize,
        capture: &CaptureOp<K>,
        context: &Context,
    ) -> Result<(), Error> {
        let (kind, key) = self.capture_key(capture);
        let context = context.outside();
        let facts = self.facts[part];
        let length = facts.fixed.and_then(|length| u16::try_from(length).ok());
        if let Some(length) = length.filter(|_| !facts.captures) {
            self.node(part, &context)?;
            return self.out.emit(Inst::Full(kind, length, key)).map(drop);
        }
        self.out.emit(Inst::Open(kind, key))?;
        self.node(part, &context)?;
        self.out.emit(Inst::Close).map(drop)
    }

    fn capture_key(&mut self, capture: &CaptureOp<K>) -> (Kind, u32) {
        match capture {
            CaptureOp::Position => (Kind::Position, NO_KEY),
            CaptureOp::Constant(key) => (Kind::Constant, self.out.key(key.clone())),
            CaptureOp::Argument(number) => (Kind::Argument, *number),
            CaptureOp::Simple => (Kind::Simple, NO_KEY),
            CaptureOp::Group(None) => (Kind::Group, NO_KEY),
            CaptureOp::Group(Some(name)) => (Kind::Group, self.out.key(name.clone())),
            CaptureOp::Back(name) => (Kind::Back, self.out.key(name.clone())),
            CaptureOp::Table => (Kind::Table, NO_KEY),
            CaptureOp::Substitution => (Kind::Substitution, NO_KEY),
            CaptureOp::Fold(function) => (Kind::Fold, self.out.key(function.clone())),
            CaptureOp::Function(function) => (Kind::Function, self.out.key(function.clone())),
            CaptureOp::Query(table) => (Kind::Query, self.out.key(table.clone())),
            CaptureOp::Select(number) => (Kind::Select, *number),
            CaptureOp::Text(text) => (Kind::Text, self.out.text(text)),
        }
    }

    /// Calls the first rule; the rules stand behind a jump.
    fn grammar(&mut self, at: usize) -> Result<(), Error> {
        let rules: Vec<usize> = parts(self.nodes, at).collect();
        if let Some(first) = rules.first() {
            self.out.call(*first)?;
        }
        let end = self.out.jump(Inst::Jump)?;
        for rule in rules {
            self.out.begin_rule(rule);
            self.node(rule, &Context::START)?;
            self.out.emit(Inst::Return)?;
        }
        self.out.land(end);
        Ok(())
    }
}
