//! What the engine needs of the world that gives functions and values their meaning.
//!
//! Here: the host's trait, limits and budget. Not here: when its methods are called (`machine`, `evaluate`).
//! Invariants: values live on a stack of the host; the engine only pushes onto what was there and pops what it pushed.
//! While a method of the host runs, no frame of the engine owns anything that must be dropped: all its buffers belong
//! to the [`Matcher`](crate::Matcher). A method may therefore leave by unwinding or by a jump past these frames; the
//! matcher can be used again afterwards, and the host resets its stack.

use std::ops::Range;

use crate::error::Error;

/// Steps that may still be taken; one is about an instruction, or sixteen bytes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// A budget of so many steps.
    pub const fn new(steps: u64) -> Self {
        Self { left: steps }
    }

    /// Steps left.
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Takes so many steps.
    ///
    /// # Errors
    /// [`Error::OutOfBudget`] if there are not so many; then none are left.
    #[inline]
    pub fn charge(&mut self, steps: usize) -> Result<(), Error> {
        let left = self.left.checked_sub(steps as u64);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(Error::OutOfBudget)
    }

    /// The steps left, for those who count them down themselves.
    pub const fn left_mut(&mut self) -> &mut u64 {
        &mut self.left
    }
}

/// Most choices and calls that may be pending, as LPeg has it without `setmaxstack`.
pub const STACK_MAX: usize = 400;

/// Most entries in the list of captures.
pub const CAPTURES_MAX: usize = 1 << 20;

/// Limits of one match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most choices and calls that may be pending; what `setmaxstack` sets.
    pub stack: usize,
    /// Most entries in the list of captures, of 16 bytes each; a capture takes one or two.
    pub captures: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stack: STACK_MAX, captures: CAPTURES_MAX }
    }
}

/// What the function of a match-time capture decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// `false`, `nil` or nothing: no match.
    Fail,
    /// `true`: go on where the part ended.
    Stay,
    /// A number: go on there, counted from 1.
    To(f64),
}

/// The owner of functions, constants and values.
///
/// Push methods put one value on top of the host's stack.
pub trait Host {
    /// What patterns keep for functions, tables, constants and names.
    type Key: Eq;
    /// What stops a match from the host's side: an error of a called function, no memory.
    type Error;

    /// The steps that the match may take. Called at the start and the end, around other calls, and every few millions of
    /// steps, so that a host can take them away.
    fn budget(&mut self) -> &mut Budget;

    /// Text of a name, for errors.
    fn describe(&mut self, key: &Self::Key) -> String;

    /// Pushes a part of the subject.
    ///
    /// # Errors
    /// As the host likes; the match stops. So for all methods.
    fn push_substring(&mut self, range: Range<usize>) -> Result<(), Self::Error>;

    /// Pushes a text that the engine made.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Pushes a position, counted from 1.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn push_position(&mut self, position: usize) -> Result<(), Self::Error>;

    /// Pushes the whole subject.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn push_subject(&mut self) -> Result<(), Self::Error>;

    /// Pushes what a key stands for.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn push_key(&mut self, key: &Self::Key) -> Result<(), Self::Error>;

    /// Pushes an extra argument of the match, counted from 1; false if there is none of that number.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn push_argument(&mut self, number: u32) -> Result<bool, Self::Error>;

    /// Pushes a copy of the value that was pushed as number `index` since the match began, counted from 0.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn push_copy(&mut self, index: usize) -> Result<(), Self::Error>;

    /// Pushes a new table that will get about so many items and fields.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn push_table(&mut self, items: usize, fields: usize) -> Result<(), Self::Error>;

    /// Takes a value and below it a key, and sets that field of the table below them.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn set_field(&mut self) -> Result<(), Self::Error>;

    /// Takes `count` values and sets them as the items `first` and so on of the table below them.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn set_items(&mut self, first: usize, count: usize) -> Result<(), Self::Error>;

    /// Takes `arguments` values and the function below them, calls it, pushes its results; gives their number.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn call(&mut self, arguments: usize) -> Result<usize, Self::Error>;

    /// Calls the function of a key with the `arguments` topmost values and puts one result in their place.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn fold(&mut self, function: &Self::Key, arguments: usize) -> Result<(), Self::Error>;

    /// Takes a value and pushes the entry that the table of a key has for it; false if it has none.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn query(&mut self, table: &Self::Key) -> Result<bool, Self::Error>;

    /// Looks at the first of the `results` topmost values, which is one at least, and removes it.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn take_verdict(&mut self, results: usize) -> Result<Verdict, Self::Error>;

    /// Takes a value and appends its text; what is neither text nor number is taken too and its type is given.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn pop_text(&mut self, out: &mut Vec<u8>) -> Result<Option<&'static str>, Self::Error>;

    /// A text in the making may grow to so many bytes.
    ///
    /// # Errors
    /// As [`Host::push_substring`].
    fn ask_text(&mut self, bytes: usize) -> Result<(), Self::Error>;

    /// Removes the topmost values.
    fn pop(&mut self, count: usize);

    /// Of the `count` topmost values keeps only that of an index, counted from 0 from below.
    fn keep(&mut self, count: usize, index: usize);

    /// Removes `count` values from number `index` on, which was pushed as such since the match began.
    fn remove(&mut self, index: usize, count: usize);
}
