//! From the list of captures to values on the host's stack.
//!
//! Here: what each kind of capture becomes. Not here: how the list came about (`machine`), values (`host`).
//! Invariants: the entries are linked; no frame owns anything that must be dropped while the host is called; recursion
//! is limited by [`SUBCAPTURES_MAX`] and [`TEXTS_MAX`].

use crate::entry::{Entry, Shape};
use crate::error::{Error, MatchError};
use crate::host::Host;
use crate::program::{Kind, NO_KEY, Program};

/// Deepest nesting of captures, as LPeg has it.
const SUBCAPTURES_MAX: u32 = 200;

/// Deepest nesting of substitutions and replacements directly in one another.
const TEXTS_MAX: u32 = 600;

/// Captures that a replacement text can refer to, with the whole match.
const REFERENCES_MAX: usize = 10;

/// Captures that are looked at to guess how large a table will be.
const LOOKED_AT_MAX: usize = 256;

/// Bytes of text that the host is not asked for.
const TEXT_FREE: usize = 4096;

/// Marks a reference in a replacement text.
const ESCAPE: u8 = b'%';

/// What goes wrong on the host's side or ours.
type Result<T, H> = std::result::Result<T, MatchError<<H as Host>::Error>>;

pub(crate) struct Evaluator<'a, H: Host> {
    program: &'a Program<H::Key>,
    entries: &'a [Entry],
    subject: &'a [u8],
    /// Texts in the making; each one begins where the one around it stands.
    text: &'a mut Vec<u8>,
    /// Bytes that the texts may have before the host is asked again.
    text_room: usize,
    host: &'a mut H,
    depth: u32,
    text_depth: u32,
}

/// What `%n` in a replacement text means.
#[derive(Debug, Clone, Copy)]
enum Reference {
    /// A part of the subject.
    Range(u32, u32),
    /// The capture at an index.
    Capture(usize),
}

impl<'a, H: Host> Evaluator<'a, H> {
    pub(crate) fn new(
        program: &'a Program<H::Key>,
        entries: &'a [Entry],
        subject: &'a [u8],
        text: &'a mut Vec<u8>,
        host: &'a mut H,
    ) -> Self {
        let text_room = TEXT_FREE;
        Self { program, entries, subject, text, text_room, host, depth: 0, text_depth: 0 }
    }

    /// Pushes the values of all captures between two entries; gives their number.
    pub(crate) fn values_between(&mut self, first: usize, end: usize) -> Result<usize, H> {
        let mut count = 0;
        let mut at = first;
        while at < end {
            count += self.value(at)?;
            at = self.next(at);
        }
        Ok(count)
    }

    /// Pushes the values of the captures in a capture, or what it matched if there are none.
    pub(crate) fn values(&mut self, at: usize) -> Result<usize, H> {
        let entry = self.entries[at];
        if entry.shape == Shape::Open {
            let count = self.values_between(at + 1, entry.end as usize)?;
            if count > 0 {
                return Ok(count);
            }
        }
        self.whole(at)?;
        Ok(1)
    }

    /// Pushes the first value of the captures in a capture, or what it matched.
    fn first_value(&mut self, at: usize) -> Result<(), H> {
        let count = self.values(at)?;
        if count > 1 {
            self.host.pop(count - 1);
        }
        Ok(())
    }

    /// Pushes the values of a capture; gives their number.
    fn value(&mut self, at: usize) -> Result<usize, H> {
        self.host.budget().charge(1)?;
        if self.depth > SUBCAPTURES_MAX {
            return Err(Error::SubcaptureDepth.into());
        }
        self.depth += 1;
        let entry = self.entries[at];
        let count = match entry.kind {
            Kind::Simple => self.simple(at, entry)?,
            Kind::Group if entry.key != NO_KEY => 0,
            Kind::Group => self.values(at)?,
            Kind::Table => self.table(at, entry)?,
            Kind::Constant => {
                let program = self.program;
                self.host.push_key(&program.keys[entry.key as usize]).map_err(MatchError::Host)?;
                1
            }
            Kind::Position => {
                self.host.push_position(entry.start as usize + 1).map_err(MatchError::Host)?;
                1
            }
            Kind::Argument => self.argument(entry)?,
            Kind::Function => self.function(at, entry)?,
            Kind::Substitution | Kind::Text => self.text(at)?,
            Kind::Fold => self.fold(at, entry)?,
            Kind::Select => self.select(at, entry)?,
            Kind::Query => self.query(at, entry)?,
            Kind::Back => self.back(at, entry)?,
            Kind::Dynamic => {
                self.host.push_copy(entry.key as usize).map_err(MatchError::Host)?;
                1
            }
            // Decided before anything is evaluated but what lies inside.
            Kind::RunTime => 0,
        };
        self.depth -= 1;
        Ok(count)
    }

    /// The index of the entry after a capture.
    #[inline]
    fn next(&self, at: usize) -> usize {
        let entry = self.entries[at];
        if entry.shape == Shape::Open { entry.end as usize + 1 } else { at + 1 }
    }

    /// Where the match of a capture ends.
    #[inline]
    fn end(&self, at: usize) -> u32 {
        let entry = self.entries[at];
        if entry.shape == Shape::Open { self.entries[entry.end as usize].start } else { entry.end }
    }

    /// The entries of the captures in a capture.
    fn inner(&self, at: usize, entry: Entry) -> (usize, usize) {
        if entry.shape == Shape::Open { (at + 1, entry.end as usize) } else { (at, at) }
    }

    fn whole(&mut self, at: usize) -> Result<(), H> {
        let range = self.entries[at].start as usize..self.end(at) as usize;
        self.host.push_substring(range).map_err(MatchError::Host)
    }

    fn simple(&mut self, at: usize, entry: Entry) -> Result<usize, H> {
        self.whole(at)?;
        let (first, end) = self.inner(at, entry);
        Ok(1 + self.values_between(first, end)?)
    }

    fn table(&mut self, at: usize, entry: Entry) -> Result<usize, H> {
        let (mut at, end) = self.inner(at, entry);
        let (items, fields) = self.guess(at, end);
        self.host.push_table(items, fields).map_err(MatchError::Host)?;
        let mut items = 0;
        while at < end {
            let item = self.entries[at];
            if item.kind == Kind::Group && item.key != NO_KEY {
                let program = self.program;
                self.host.push_key(&program.keys[item.key as usize]).map_err(MatchError::Host)?;
                self.first_value(at)?;
                self.host.set_field().map_err(MatchError::Host)?;
            } else {
                let count = self.value(at)?;
                if count > 0 {
                    self.host.set_items(items + 1, count).map_err(MatchError::Host)?;
                }
                items += count;
            }
            at = self.next(at);
        }
        Ok(1)
    }

    /// About how many items and fields the captures between two entries give a table.
    fn guess(&self, first: usize, end: usize) -> (usize, usize) {
        let (mut at, mut items, mut fields) = (first, 0, 0);
        while at < end && items + fields < LOOKED_AT_MAX {
            let is_field = self.entries[at].kind == Kind::Group && self.entries[at].key != NO_KEY;
            fields += usize::from(is_field);
            items += usize::from(!is_field);
            at = self.next(at);
        }
        (items, fields)
    }

    fn argument(&mut self, entry: Entry) -> Result<usize, H> {
        match self.host.push_argument(entry.key).map_err(MatchError::Host)? {
            true => Ok(1),
            false => Err(Error::AbsentArgument { index: entry.key }.into()),
        }
    }

    fn function(&mut self, at: usize, entry: Entry) -> Result<usize, H> {
        let program = self.program;
        self.host.push_key(&program.keys[entry.key as usize]).map_err(MatchError::Host)?;
        let arguments = self.values(at)?;
        self.host.call(arguments).map_err(MatchError::Host)
    }

    fn fold(&mut self, at: usize, entry: Entry) -> Result<usize, H> {
        let program = self.program;
        let function = &program.keys[entry.key as usize];
        let (mut at, end) = self.inner(at, entry);
        let count = if at < end { self.value(at)? } else { 0 };
        if count == 0 {
            return Err(Error::NoInitialValue.into());
        }
        if count > 1 {
            self.host.pop(count - 1);
        }
        at = self.next(at);
        while at < end {
            let count = self.value(at)?;
            self.host.fold(function, count + 1).map_err(MatchError::Host)?;
            at = self.next(at);
        }
        Ok(1)
    }

    fn select(&mut self, at: usize, entry: Entry) -> Result<usize, H> {
        let Some(index) = entry.key.checked_sub(1) else { return Ok(0) };
        let count = self.values(at)?;
        if index as usize >= count {
            return Err(Error::NoCapture { index: entry.key }.into());
        }
        self.host.keep(count, index as usize);
        Ok(1)
    }

    fn query(&mut self, at: usize, entry: Entry) -> Result<usize, H> {
        self.first_value(at)?;
        let program = self.program;
        let table = &program.keys[entry.key as usize];
        self.host.query(table).map(usize::from).map_err(MatchError::Host)
    }

    fn back(&mut self, at: usize, entry: Entry) -> Result<usize, H> {
        let program = self.program;
        let name = &program.keys[entry.key as usize];
        let mut index = at;
        while index > 0 {
            self.host.budget().charge(1)?;
            index -= 1;
            let found = match self.entries[index].shape {
                Shape::Full => index,
                Shape::Close => self.entries[index].end as usize,
                // A capture around this one.
                Shape::Open => continue,
            };
            index = found;
            let group = self.entries[found];
            let is_named = group.kind == Kind::Group && group.key != NO_KEY;
            if is_named && program.keys[group.key as usize] == *name {
                return self.values(found);
            }
        }
        Err(Error::BackReference { name: self.host.describe(name) }.into())
    }

    /// Pushes the text of a substitution or replacement.
    fn text(&mut self, at: usize) -> Result<usize, H> {
        let mark = self.text.len();
        self.append(at, "")?;
        self.host.push_bytes(&self.text[mark..]).map_err(MatchError::Host)?;
        self.text.truncate(mark);
        Ok(1)
    }

    /// Appends what a capture becomes in a text; false if it has no value.
    fn append(&mut self, at: usize, what: &'static str) -> Result<bool, H> {
        let entry = self.entries[at];
        if !matches!(entry.kind, Kind::Substitution | Kind::Text) {
            return self.append_value(at, what);
        }
        self.host.budget().charge(1)?;
        if self.text_depth > TEXTS_MAX {
            return Err(Error::SubcaptureDepth.into());
        }
        self.text_depth += 1;
        match entry.kind {
            Kind::Text => self.replacement(at, entry)?,
            _ => self.substitution(at, entry)?,
        }
        self.text_depth -= 1;
        Ok(true)
    }

    fn append_value(&mut self, at: usize, what: &'static str) -> Result<bool, H> {
        let count = self.value(at)?;
        if count > 1 {
            self.host.pop(count - 1);
        }
        if count == 0 {
            return Ok(false);
        }
        match self.host.pop_text(self.text).map_err(MatchError::Host)? {
            None => self.ask_text().map(|()| true),
            Some(found) => Err(Error::NotText { what, found }.into()),
        }
    }

    fn substitution(&mut self, at: usize, entry: Entry) -> Result<(), H> {
        let mut done = entry.start;
        let last = self.end(at);
        let (mut at, end) = self.inner(at, entry);
        while at < end {
            let start = self.entries[at].start;
            self.append_range(done, start)?;
            done = if self.append(at, "replacement")? { self.end(at) } else { start };
            at = self.next(at);
        }
        self.append_range(done, last)
    }

    fn replacement(&mut self, at: usize, entry: Entry) -> Result<(), H> {
        let mut references = [Reference::Range(0, 0); REFERENCES_MAX];
        let count = self.references(at, &mut references, 0)?;
        let program = self.program;
        let mut bytes = program.texts[entry.key as usize].iter();
        self.host.budget().charge(bytes.len() / 16)?;
        while let Some(&byte) = bytes.next() {
            if byte != ESCAPE {
                self.text.push(byte);
                continue;
            }
            // A lone sign at the end stands for a zero byte, as in LPeg.
            let escaped = bytes.next().copied().unwrap_or(0);
            if !escaped.is_ascii_digit() {
                self.text.push(escaped);
                continue;
            }
            let index = escaped - b'0';
            let known = references[..count].get(usize::from(index));
            match known.copied().ok_or(Error::CaptureIndex { index })? {
                Reference::Range(start, end) => self.append_range(start, end)?,
                Reference::Capture(capture) => {
                    if !self.append(capture, "capture")? {
                        return Err(Error::NoValues { index }.into());
                    }
                }
            }
        }
        self.ask_text()
    }

    /// Collects what `%0` and so on mean: the match, and the captures in it; texts give those in them too.
    fn references(
        &mut self,
        at: usize,
        references: &mut [Reference; REFERENCES_MAX],
        mut count: usize,
    ) -> Result<usize, H> {
        let entry = self.entries[at];
        references[count] = Reference::Range(entry.start, self.end(at));
        count += 1;
        let (mut at, end) = self.inner(at, entry);
        while at < end && count < REFERENCES_MAX {
            if self.entries[at].kind == Kind::Simple {
                // Each level adds one, so that there are at most ten.
                count = self.references(at, references, count)?;
            } else {
                references[count] = Reference::Capture(at);
                count += 1;
            }
            at = self.next(at);
        }
        Ok(count)
    }

    fn append_range(&mut self, start: u32, end: u32) -> Result<(), H> {
        let part = self.subject.get(start as usize..end as usize).unwrap_or_default();
        self.host.budget().charge(part.len() / 16)?;
        self.text.extend_from_slice(part);
        self.ask_text()
    }

    /// Asks the host where the texts have outgrown what it has allowed.
    #[inline]
    fn ask_text(&mut self) -> Result<(), H> {
        if self.text.len() <= self.text_room {
            return Ok(());
        }
        self.text_room = self.text.len() * 2;
        self.host.ask_text(self.text_room).map_err(MatchError::Host)
    }
}
