//! Runs programs.
//!
//! Here: the matcher with its buffers, and how a match-time capture is asked. Not here: the loop over instructions
//! (`execute`), values (`evaluate`). Invariants: all buffers belong to the matcher and are reset at the start of a
//! match; the host's stack holds the values of match-time captures and nothing else of ours between two instructions.

mod execute;

use crate::entry::{self, Entry, Shape};
use crate::error::{Error, MatchError};
use crate::evaluate::Evaluator;
use crate::host::{Host, Limits, Verdict};
use crate::program::{Kind, NO_KEY, Program};
use execute::{Event, Frame, Stop, Tables};

/// Entries of the captures list that one step of the budget may look at.
const ENTRIES_PER_STEP: usize = 16;

/// Steps after which the host is asked for its budget again.
const SLICE_STEPS: u64 = 1 << 22;

/// A match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// Where it ends, counted from 0.
    pub end: usize,
    /// Number of values that it pushed; one at least.
    pub values: usize,
}

/// The buffers of a match, to be used again by the next one.
#[derive(Debug, Default)]
pub struct Matcher {
    frames: Vec<Frame>,
    entries: Vec<Entry>,
    text: Vec<u8>,
}

/// Where a match stands.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Index of the next instruction.
    next: usize,
    /// Position in the subject.
    position: usize,
    /// Frames in use.
    frames: usize,
    /// Entries in use.
    entries: usize,
    /// Values of match-time captures that the entries refer to.
    dynamic: usize,
    /// Steps left.
    steps: u64,
}

impl Matcher {
    /// A matcher without buffers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Matches the subject from a position on and pushes the values of its captures, or the position after the match,
    /// counted from 1, if there are none. Without a match nothing is pushed.
    ///
    /// After an error the host's stack holds values of the match; the host removes them.
    ///
    /// # Errors
    /// The errors of the engine that concern matching, and those of the host.
    pub fn run<H: Host>(
        &mut self,
        program: &Program<H::Key>,
        subject: &[u8],
        start: usize,
        limits: Limits,
        host: &mut H,
    ) -> Result<Option<Matched>, MatchError<H::Error>> {
        if u32::try_from(subject.len()).is_err() {
            return Err(Error::SubjectTooLong.into());
        }
        self.text.clear();
        // The outermost failure counts as a choice.
        self.frames.truncate(limits.stack.saturating_sub(1));
        self.entries.truncate(limits.captures);
        let state = State { position: start.min(subject.len()), ..State::default() };
        Run { matcher: self, program, subject, limits, host, pushed: 0 }.run(state)
    }

    /// Gives back what buffers hold beyond so many bytes each.
    pub fn shrink(&mut self, bytes: usize) {
        shrink(&mut self.frames, bytes);
        shrink(&mut self.entries, bytes);
        shrink(&mut self.text, bytes);
    }

    /// Bytes of memory that the buffers hold.
    pub fn memory(&self) -> usize {
        self.frames.capacity() * size_of::<Frame>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.text.capacity()
    }
}

fn shrink<T>(list: &mut Vec<T>, bytes: usize) {
    if list.capacity() * size_of::<T>() > bytes {
        list.clear();
        list.shrink_to(bytes / size_of::<T>());
    }
}

struct Run<'a, H: Host> {
    matcher: &'a mut Matcher,
    program: &'a Program<H::Key>,
    subject: &'a [u8],
    limits: Limits,
    host: &'a mut H,
    /// Values of match-time captures on the host's stack; of them some may belong to entries that are gone.
    pushed: usize,
}

impl<H: Host> Run<'_, H> {
    fn run(mut self, mut state: State) -> Result<Option<Matched>, MatchError<H::Error>> {
        let tables = Tables::new(self.program);
        loop {
            let granted = self.host.budget().left().min(SLICE_STEPS);
            state.steps = granted;
            let event = execute::run(&tables, self.subject, self.matcher, self.limits, &mut state);
            // At most the slice, so that it fits. Only the host can have taken the steps away.
            self.host.budget().charge((granted - state.steps) as usize)?;
            match event {
                Event::Matched => return self.finish(&state).map(Some),
                Event::Failed => {
                    self.host.pop(self.pushed);
                    return Ok(None);
                }
                Event::Stopped(Stop::Budget) if self.host.budget().left() > 0 => {}
                Event::Stopped(stop) => return Err(stop.error(self.limits).into()),
                Event::Asked => self.ask(&mut state)?,
            }
        }
    }

    /// Pushes the values.
    fn finish(mut self, state: &State) -> Result<Matched, MatchError<H::Error>> {
        self.forget(state.dynamic);
        let count = state.entries;
        entry::link(&mut self.matcher.entries[..count], 0);
        let mut evaluator = self.evaluator(count);
        let mut values = evaluator.values_between(0, count)?;
        if values == 0 {
            self.host.push_position(state.position + 1).map_err(MatchError::Host)?;
            values = 1;
        }
        if self.pushed > 0 {
            self.host.remove(0, self.pushed);
        }
        Ok(Matched { end: state.position, values })
    }

    /// Lets the function of the match-time capture that ends here decide.
    fn ask(&mut self, state: &mut State) -> Result<(), MatchError<H::Error>> {
        self.forget(state.dynamic);
        let open = self.close(state)?;
        let key = self.matcher.entries[open].key as usize;
        let start = self.matcher.entries[open].start;

        self.host.push_key(&self.program.keys[key]).map_err(MatchError::Host)?;
        self.host.push_subject().map_err(MatchError::Host)?;
        self.host.push_position(state.position + 1).map_err(MatchError::Host)?;
        let arguments = self.evaluator(state.entries).values(open)?;
        let results = self.host.call(arguments + 2).map_err(MatchError::Host)?;

        let nested = &self.matcher.entries[open..state.entries];
        if let Some(first) = entry::first_dynamic(nested) {
            self.host.remove(first, self.pushed - first);
            self.pushed = first;
            state.dynamic = first;
        }
        state.entries = open;
        let verdict = match results {
            0 => Verdict::Fail,
            _ => self.host.take_verdict(results).map_err(MatchError::Host)?,
        };
        self.pushed += results.saturating_sub(1);
        match verdict {
            Verdict::Fail => {
                state.next = execute::FAIL;
                return Ok(());
            }
            Verdict::Stay => {}
            Verdict::To(position) => state.position = self.checked(position, state.position)?,
        }
        self.keep(state, start, results - 1)
    }

    /// Ends the open match-time capture with an entry, links what is needed, and gives its index.
    fn close(&mut self, state: &mut State) -> Result<usize, MatchError<H::Error>> {
        let position = execute::offset(state.position);
        execute::push(&mut self.matcher.entries, state, self.limits, Entry::close(position))?;
        let entries = &mut self.matcher.entries[..state.entries];
        let open = entry::last_open(&entries[..state.entries - 1]).unwrap_or_default();
        // Only back references look at what lies before.
        let looks_back = entries[open..].iter().any(|entry| entry.kind == Kind::Back);
        let first = if looks_back { 0 } else { open };
        self.host.budget().charge((entries.len() - first) / ENTRIES_PER_STEP)?;
        entry::link(entries, first);
        Ok(open)
    }

    /// Makes entries for the values that a match-time capture gave.
    fn keep(
        &mut self,
        state: &mut State,
        start: u32,
        values: usize,
    ) -> Result<(), MatchError<H::Error>> {
        if values == 0 {
            return Ok(());
        }
        let position = execute::offset(state.position);
        let entries = &mut self.matcher.entries;
        execute::push(entries, state, self.limits, Entry::open(Kind::Group, NO_KEY, start))?;
        for _ in 0..values {
            let key = execute::offset(state.dynamic);
            let entry = Entry::new(Kind::Dynamic, key, Shape::Full, position, position);
            execute::push(entries, state, self.limits, entry)?;
            state.dynamic += 1;
        }
        execute::push(entries, state, self.limits, Entry::close(position))?;
        Ok(())
    }

    fn checked(&self, position: f64, current: usize) -> Result<usize, Error> {
        let position = position.trunc() - 1.0;
        let is_valid = position >= current as f64 && position <= self.subject.len() as f64;
        // Lies between two indices, so that it is one.
        if is_valid { Ok(position as usize) } else { Err(Error::InvalidPosition) }
    }

    /// Drops the values of match-time captures whose entries are gone.
    fn forget(&mut self, dynamic: usize) {
        if self.pushed > dynamic {
            self.host.pop(self.pushed - dynamic);
            self.pushed = dynamic;
        }
    }

    fn evaluator(&mut self, count: usize) -> Evaluator<'_, H> {
        let Matcher { entries, text, .. } = &mut *self.matcher;
        Evaluator::new(self.program, &entries[..count], self.subject, text, self.host)
    }
}
