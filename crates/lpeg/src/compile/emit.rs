//! Writes instructions and tables.
//!
//! Here: labels, merged literals, shared sets, calls to rules that come later, and the last pass over jumps. Not here:
//! what code a node becomes (`nodes`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::charset::{CharSet, Heads};
use crate::error::Error;
use crate::program::{CODE_MAX, Inst, Literal, Program, SWITCH_SIZE, Table};

/// Jumps followed from one jump; more are a circle.
const JUMPS_FOLLOWED: usize = 64;

/// A target that is not known yet.
const OPEN: u32 = 0;

/// An instruction whose target is set later, if there is one.
pub(super) type Label = Option<usize>;

pub(super) struct Emitter<K> {
    code: Vec<Inst>,
    /// Something jumps here or before: nothing earlier may be merged with what follows.
    barrier: usize,
    sets: Vec<CharSet>,
    set_numbers: HashMap<CharSet, u16>,
    literals: Vec<Vec<u8>>,
    switches: Vec<[u32; SWITCH_SIZE]>,
    keys: Vec<K>,
    texts: Vec<Arc<[u8]>>,
    /// Calls, by instruction, of rules, by node.
    calls: Vec<(usize, usize)>,
    /// Where rules begin, by node.
    rules: HashMap<usize, usize>,
    /// Bytes that the program may still take.
    bytes_left: usize,
}

impl<K> Emitter<K> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            code: Vec::new(),
            barrier: 0,
            sets: Vec::new(),
            set_numbers: HashMap::new(),
            literals: Vec::new(),
            switches: Vec::new(),
            keys: Vec::new(),
            texts: Vec::new(),
            calls: Vec::new(),
            rules: HashMap::new(),
            bytes_left: bytes_max,
        }
    }

    pub(super) fn emit(&mut self, inst: Inst) -> Result<usize, Error> {
        if self.code.len() >= CODE_MAX {
            return Err(Error::TooLarge { limit: CODE_MAX });
        }
        self.take(size_of::<Inst>())?;
        self.code.push(inst);
        Ok(self.code.len() - 1)
    }

    /// Counts bytes that the program takes.
    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(Error::OutOfMemory)?;
        Ok(())
    }

    /// An instruction whose target is set later.
    pub(super) fn jump(&mut self, inst: impl FnOnce(u32) -> Inst) -> Result<Label, Error> {
        self.emit(inst(OPEN)).map(Some)
    }

    /// The next instruction's index, to which something will jump.
    pub(super) fn here(&mut self) -> u32 {
        self.barrier = self.code.len();
        index(self.code.len())
    }

    /// Lets an instruction jump to the next one.
    pub(super) fn land(&mut self, label: Label) {
        if let Some(at) = label {
            let here = self.here();
            self.set_target(at, here);
        }
    }

    fn set_target(&mut self, at: usize, target: u32) {
        self.code[at] = with_target(self.code[at], target);
    }

    pub(super) fn call(&mut self, rule: usize) -> Result<(), Error> {
        let at = self.emit(Inst::Call(OPEN))?;
        self.calls.push((at, rule));
        Ok(())
    }

    pub(super) fn begin_rule(&mut self, rule: usize) {
        let here = self.here();
        self.rules.insert(rule, here as usize);
    }

    pub(super) fn key(&mut self, key: K) -> u32 {
        self.keys.push(key);
        index(self.keys.len() - 1)
    }

    pub(super) fn text(&mut self, text: &Arc<[u8]>) -> u32 {
        self.texts.push(Arc::clone(text));
        index(self.texts.len() - 1)
    }

    pub(super) fn set(&mut self, set: &CharSet) -> Result<u16, Error> {
        if let Some(number) = self.set_numbers.get(set) {
            return Ok(*number);
        }
        let limit = usize::from(u16::MAX);
        let number = u16::try_from(self.sets.len()).map_err(|_| Error::TooLarge { limit })?;
        self.take(size_of::<Table>() + size_of::<CharSet>())?;
        self.sets.push(*set);
        self.set_numbers.insert(*set, number);
        Ok(number)
    }

    /// A jump table, all of whose targets are set later.
    pub(super) fn switch(&mut self) -> Result<usize, Error> {
        self.take(size_of::<[u32; SWITCH_SIZE]>())?;
        self.switches.push([OPEN; SWITCH_SIZE]);
        let number = self.switches.len() - 1;
        self.emit(Inst::Switch(index(number)))?;
        Ok(number)
    }

    /// Jump tables so far.
    pub(super) fn switches(&self) -> usize {
        self.switches.len()
    }

    /// Sets the target of a jump table for some heads to the next instruction.
    pub(super) fn land_switch(&mut self, switch: usize, heads: &Heads) {
        let here = self.here();
        let table = &mut self.switches[switch];
        for byte in heads.bytes.iter() {
            table[usize::from(byte)] = here;
        }
        if heads.end {
            table[SWITCH_SIZE - 1] = here;
        }
    }

    /// Bytes to consume; joined with a literal just before.
    pub(super) fn literal(&mut self, text: &[u8]) -> Result<(), Error> {
        self.take(text.len() + size_of::<Literal>())?;
        let last = self.code.len().checked_sub(1).filter(|last| *last >= self.barrier);
        match last.map(|last| (last, self.code[last])) {
            Some((_, Inst::Literal(number))) => {
                self.literals[number as usize].extend_from_slice(text);
            }
            Some((last, Inst::Char(byte))) => {
                let joined = [&[byte], text].concat();
                self.code[last] = self.new_literal(joined);
            }
            _ => {
                let inst = match text {
                    [byte] => Inst::Char(*byte),
                    _ => self.new_literal(text.to_vec()),
                };
                self.emit(inst)?;
            }
        }
        Ok(())
    }

    fn new_literal(&mut self, text: Vec<u8>) -> Inst {
        self.literals.push(text);
        Inst::Literal(index(self.literals.len() - 1))
    }

    /// Resolves the calls, shortens the jumps and gives the program.
    pub(super) fn finish(mut self) -> Program<K> {
        for (at, rule) in std::mem::take(&mut self.calls) {
            let target = index(self.rules.get(&rule).copied().unwrap_or_default());
            let after = self.final_target(at + 1);
            let is_last = self.code.get(after) == Some(&Inst::Return);
            self.code[at] = if is_last { Inst::Jump(target) } else { Inst::Call(target) };
        }
        (0..self.code.len()).for_each(|at| self.shorten(at));
        let mut switches = std::mem::take(&mut self.switches);
        for target in switches.iter_mut().flat_map(|table| table.iter_mut()) {
            *target = index(self.final_target(*target as usize));
        }
        Program {
            code: self.code.into(),
            sets: self.sets.iter().map(table).collect(),
            literals: self.literals.iter().map(|text| Literal::new(text)).collect(),
            switches: switches.into(),
            keys: self.keys.into(),
            texts: self.texts.into(),
        }
    }

    /// Where a chain of jumps that begins at an instruction ends.
    fn final_target(&self, mut at: usize) -> usize {
        for _ in 0..JUMPS_FOLLOWED {
            match self.code.get(at) {
                Some(Inst::Jump(target)) => at = *target as usize,
                _ => break,
            }
        }
        at
    }

    /// Lets an instruction jump past other jumps, and a jump become what it leads to.
    fn shorten(&mut self, at: usize) {
        for _ in 0..JUMPS_FOLLOWED {
            let Some(target) = target_of(self.code[at]) else { return };
            let end = self.final_target(target as usize);
            let is_jump = matches!(self.code[at], Inst::Jump(_));
            match self.code[end] {
                Inst::Return | Inst::Fail | Inst::FailTwice | Inst::End if is_jump => {
                    self.code[at] = self.code[end];
                    return;
                }
                Inst::Commit(_) | Inst::PartialCommit(_) | Inst::BackCommit(_) if is_jump => {
                    self.code[at] = self.code[end];
                }
                _ => return self.set_target(at, index(end)),
            }
        }
    }
}

/// Everything that is counted here lies under [`CODE_MAX`].
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn table(set: &CharSet) -> Table {
    std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(|byte| set.contains(byte)))
}

fn target_of(inst: Inst) -> Option<u32> {
    match inst {
        Inst::TestChar(_, target)
        | Inst::TestSet(_, target)
        | Inst::TestSetOrEnd(_, target)
        | Inst::TestAny(target)
        | Inst::TestEnd(target)
        | Inst::Choice(target)
        | Inst::Commit(target)
        | Inst::PartialCommit(target)
        | Inst::BackCommit(target)
        | Inst::Jump(target)
        | Inst::Call(target) => Some(target),
        _ => None,
    }
}

fn with_target(inst: Inst, target: u32) -> Inst {
    match inst {
        Inst::TestChar(byte, _) => Inst::TestChar(byte, target),
        Inst::TestSet(set, _) => Inst::TestSet(set, target),
        Inst::TestSetOrEnd(set, _) => Inst::TestSetOrEnd(set, target),
        Inst::TestAny(_) => Inst::TestAny(target),
        Inst::TestEnd(_) => Inst::TestEnd(target),
        Inst::Choice(_) => Inst::Choice(target),
        Inst::Commit(_) => Inst::Commit(target),
        Inst::PartialCommit(_) => Inst::PartialCommit(target),
        Inst::BackCommit(_) => Inst::BackCommit(target),
        Inst::Jump(_) => Inst::Jump(target),
        Inst::Call(_) => Inst::Call(target),
        other => other,
    }
}
