//! Reads a pattern and makes parts of it.
//!
//! Here: the syntax, and what is known of the rest of a pattern at each part. Invariant: whatever is wrong with a
//! pattern becomes a part that raises, at the place where Lua 5.1 would see it; nothing behind it is read.

use memchr::memmem::Finder;

use super::{CAPTURES_MAX, Head, Item, Kind, PARTS_MAX, Part, Pattern};
use crate::bytes::ByteSet;
use crate::error::Error;

/// Bytes that make a pattern more than a plain text.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// Sets among which an equal one is looked for.
const SETS_COMPARED: usize = 16;

impl Pattern {
    /// Compiles a pattern; a step is charged for each of its bytes.
    pub fn new(source: &[u8], kind: Kind, budget: &mut u64) -> Result<Self, Error> {
        let Some(left) = budget.checked_sub(source.len() as u64 + 1) else {
            *budget = 0;
            return Err(Error::OutOfBudget);
        };
        *budget = left;
        let text = memchr::memchr(0, source).map_or(source, |end| &source[..end]);
        if kind == Kind::Find && !text.iter().any(|byte| SPECIALS.contains(byte)) {
            return Ok(plain(source));
        }
        let anchored = kind != Kind::Each && text.first() == Some(&b'^');
        let mut reader = Reader::new(&text[usize::from(anchored)..]);
        reader.read();
        Ok(finish(reader, source, kind, anchored))
    }
}

/// A pattern of which all bytes stand for themselves.
fn plain(source: &[u8]) -> Pattern {
    let mut reader = Reader::new(&[]);
    source.iter().for_each(|byte| reader.literal(*byte));
    reader.parts.push(Part::Accept);
    finish(reader, source, Kind::Find, false)
}

fn finish(mut reader: Reader<'_>, source: &[u8], kind: Kind, anchored: bool) -> Pattern {
    let head = reader.resolve_heads();
    let first = reader.parts.iter().find(|part| !matches!(part, Part::Open(_)));
    let prefix = match first {
        Some(Part::Literal { start, length }) if !anchored => {
            Some(&reader.literals[*start as usize..][..*length as usize])
        }
        _ => None,
    };
    let leading = match first {
        Some(Part::Skip { item, .. } | Part::Most { item, .. } | Part::Least { item, .. }) => {
            let refers = reader.parts.iter().any(|part| matches!(part, Part::Same(_)));
            (!refers).then_some(*item)
        }
        _ => None,
    };
    Pattern {
        source: source.into(),
        kind,
        anchored,
        prefix: prefix.map(|text| Finder::new(text).into_owned()),
        literal: matches!(reader.parts.as_slice(), [Part::Literal { .. }, Part::Accept]),
        leading,
        head,
        parts: reader.parts,
        literals: reader.literals,
        sets: reader.sets,
        heads: reader.heads,
        captures: reader.captures,
        positions: reader.positions,
        unfinished: reader.unfinished,
    }
}

/// What was read of a pattern so far.
struct Reader<'a> {
    source: &'a [u8],
    at: usize,
    parts: Vec<Part>,
    literals: Vec<u8>,
    sets: Vec<ByteSet>,
    heads: Vec<Head>,
    captures: u8,
    positions: u32,
    unfinished: u32,
}

impl<'a> Reader<'a> {
    /// The source is without zero bytes.
    fn new(source: &'a [u8]) -> Self {
        Self {
            source,
            at: 0,
            parts: Vec::new(),
            literals: Vec::new(),
            sets: Vec::new(),
            heads: Vec::new(),
            captures: 0,
            positions: 0,
            unfinished: 0,
        }
    }

    fn read(&mut self) {
        let last = loop {
            if self.parts.len() >= PARTS_MAX {
                break Part::Raise(Error::TooComplex);
            }
            match self.part() {
                Ok(true) => {}
                Ok(false) => break Part::Accept,
                Err(error) => break Part::Raise(error),
            }
        };
        self.parts.push(last);
    }

    fn peek(&self, distance: usize) -> Option<u8> {
        self.source.get(self.at + distance).copied()
    }

    /// Reads the next part; false at the end.
    fn part(&mut self) -> Result<bool, Error> {
        let Some(byte) = self.peek(0) else { return Ok(false) };
        match (byte, self.peek(1)) {
            (b'(', next) => self.open(next == Some(b')'))?,
            (b')', _) => self.close()?,
            (b'%', Some(b'b')) => self.balance()?,
            (b'%', Some(b'f')) => self.frontier()?,
            (b'%', Some(digit @ b'0'..=b'9')) => self.same(digit)?,
            (b'$', None) => {
                self.at += 1;
                self.parts.push(Part::End);
            }
            _ => self.repeated()?,
        }
        Ok(true)
    }

    fn open(&mut self, is_position: bool) -> Result<(), Error> {
        if usize::from(self.captures) >= CAPTURES_MAX {
            return Err(Error::TooManyCaptures);
        }
        self.parts.push(Part::Open(self.captures));
        let bit = 1 << self.captures;
        if is_position {
            self.positions |= bit;
        } else {
            self.unfinished |= bit;
        }
        self.at += 1 + usize::from(is_position);
        self.captures += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        let index = self.unfinished.checked_ilog2().ok_or(Error::InvalidPatternCapture)?;
        self.unfinished &= !(1 << index);
        self.parts.push(Part::Close(index as u8));
        self.at += 1;
        Ok(())
    }

    fn balance(&mut self) -> Result<(), Error> {
        let (Some(open), Some(close)) = (self.peek(2), self.peek(3)) else {
            return Err(Error::Unbalanced);
        };
        self.parts.push(Part::Balance { open, close });
        self.at += 4;
        Ok(())
    }

    fn frontier(&mut self) -> Result<(), Error> {
        self.at += 2;
        if self.peek(0) != Some(b'[') {
            return Err(Error::MissingFrontierSet);
        }
        let set = self.bracket()?;
        let set = self.set(set);
        self.parts.push(Part::Frontier(set));
        Ok(())
    }

    fn same(&mut self, digit: u8) -> Result<(), Error> {
        let index = digit.wrapping_sub(b'1');
        if index >= self.captures || self.unfinished & 1 << index != 0 {
            return Err(Error::InvalidCaptureIndex);
        }
        let is_position = self.positions & 1 << index != 0;
        self.parts.push(if is_position { Part::Fail } else { Part::Same(index) });
        self.at += 2;
        Ok(())
    }

    /// A single byte, with what repeats it.
    fn repeated(&mut self) -> Result<(), Error> {
        let item = self.item()?;
        let part = match self.peek(0) {
            Some(b'?') => Part::Maybe { item, gives_back: true },
            Some(b'*') => Part::Most { item, least: 0, head: 0 },
            Some(b'+') => Part::Most { item, least: 1, head: 0 },
            Some(b'-') => Part::Least { item, head: 0 },
            _ => {
                match item {
                    Item::Byte(byte) => self.literal(byte),
                    item => self.parts.push(Part::One(item)),
                }
                return Ok(());
            }
        };
        self.at += 1;
        self.parts.push(part);
        Ok(())
    }

    fn literal(&mut self, byte: u8) {
        match self.parts.last_mut() {
            Some(Part::Literal { length, .. }) => *length += 1,
            _ => self.parts.push(Part::Literal { start: self.literals.len() as u32, length: 1 }),
        }
        self.literals.push(byte);
    }

    fn item(&mut self) -> Result<Item, Error> {
        let set = match self.peek(0) {
            Some(b'.') => ByteSet::FULL,
            Some(b'[') => {
                let set = self.bracket()?;
                return Ok(self.item_of(set));
            }
            Some(b'%') => {
                let letter = self.peek(1).ok_or(Error::EndsWithEscape)?;
                self.at += 1;
                ByteSet::class(letter)
            }
            byte => ByteSet::single(byte.unwrap_or_default()),
        };
        self.at += 1;
        Ok(self.item_of(set))
    }

    fn item_of(&mut self, set: ByteSet) -> Item {
        let rest = set.complement();
        let mut others = rest.iter();
        match (set.len(), others.next(), others.next(), others.next(), others.next()) {
            (1, ..) => Item::Byte(set.iter().next().unwrap_or_default()),
            (_, None, ..) => Item::Any,
            (_, Some(a), None, ..) => Item::Not(a),
            (_, Some(a), Some(b), None, _) => Item::NotTwo(a, b),
            (_, Some(a), Some(b), Some(c), None) => Item::NotThree(a, b, c),
            _ => Item::Set(self.set(set)),
        }
    }

    fn set(&mut self, set: ByteSet) -> u16 {
        let known = self.sets.iter().take(SETS_COMPARED).position(|known| *known == set);
        let index = known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        });
        u16::try_from(index).expect("there are no more sets than parts")
    }

    /// Reads a set in brackets. What stands in it is found twice, as Lua 5.1 does: its end first, where `%` hides the
    /// byte behind it; then the bytes up to that end, where a range may swallow such a `%`.
    fn bracket(&mut self) -> Result<ByteSet, Error> {
        let negated = self.peek(1) == Some(b'^');
        let first = self.at + 1 + usize::from(negated);
        let end = self.bracket_end(first)?;
        self.at = end + 1;
        let set = self.listed(first, end);
        Ok(if negated { set.complement() } else { set })
    }

    /// Where the `]` lies; the first byte of a set may be one that does not end it.
    fn bracket_end(&self, first: usize) -> Result<usize, Error> {
        let mut at = first;
        loop {
            let byte = *self.source.get(at).ok_or(Error::MissingBracket)?;
            at += 1;
            if byte == b'%' && at < self.source.len() {
                at += 1;
            }
            if self.source.get(at) == Some(&b']') {
                return Ok(at);
            }
        }
    }

    fn listed(&self, first: usize, end: usize) -> ByteSet {
        let mut set = ByteSet::EMPTY;
        let mut at = first;
        while at < end {
            let byte = self.source[at];
            if byte == b'%' {
                // Behind a range that ended with the first of two `%`, this is the bracket itself.
                set = set.union(&ByteSet::class(self.source[at + 1]));
                at += 2;
            } else if self.source[at + 1] == b'-' && at + 2 < end {
                set.insert_range(byte, self.source[at + 2]);
                at += 3;
            } else {
                set.insert(byte);
                at += 1;
            }
        }
        set
    }

    /// Goes through the parts from the last: a repetition learns what can stand behind it. Gives the head of all.
    fn resolve_heads(&mut self) -> Head {
        let mut head = Head::ALWAYS;
        for index in (0..self.parts.len()).rev() {
            let part = self.resolve(self.parts[index], head);
            self.parts[index] = part;
            head = self.head_of(part, head);
        }
        head
    }

    fn resolve(&mut self, part: Part, behind: Head) -> Part {
        match part {
            Part::Most { item, least, .. } if self.keeps(item, &behind) => {
                Part::Skip { item, least }
            }
            Part::Most { item, least, .. } => Part::Most { item, least, head: self.keep(behind) },
            // No byte is tried, since what follows matches at once.
            Part::Least { .. } if behind.always => Part::Nothing,
            Part::Least { item, .. } if self.keeps(item, &behind) => Part::Skip { item, least: 0 },
            Part::Least { item, .. } => Part::Least { item, head: self.keep(behind) },
            Part::Maybe { item, .. } => {
                Part::Maybe { item, gives_back: !self.keeps(item, &behind) }
            }
            Part::Literal { start, length: 1 } => Part::Byte(self.literals[start as usize]),
            part => part,
        }
    }

    /// Whether giving back bytes is of no use.
    fn keeps(&self, item: Item, behind: &Head) -> bool {
        behind.always || self.bytes_of(item).intersection(&behind.bytes).is_empty()
    }

    fn keep(&mut self, head: Head) -> u16 {
        self.heads.push(head);
        u16::try_from(self.heads.len() - 1).expect("there are no more heads than parts")
    }

    fn bytes_of(&self, item: Item) -> ByteSet {
        let mut others = ByteSet::EMPTY;
        match item {
            Item::Any => {}
            Item::Byte(byte) => return ByteSet::single(byte),
            Item::Set(index) => return self.sets[usize::from(index)],
            Item::Not(a) => others.insert(a),
            Item::NotTwo(a, b) => [a, b].into_iter().for_each(|byte| others.insert(byte)),
            Item::NotThree(a, b, c) => [a, b, c].into_iter().for_each(|byte| others.insert(byte)),
        }
        others.complement()
    }

    fn head_of(&self, part: Part, behind: Head) -> Head {
        match part {
            Part::Byte(byte) | Part::Balance { open: byte, .. } => {
                Head::bytes(ByteSet::single(byte))
            }
            Part::Literal { start, .. } => {
                Head::bytes(ByteSet::single(self.literals[start as usize]))
            }
            Part::One(item) | Part::Skip { item, least: 1 } | Part::Most { item, least: 1, .. } => {
                Head::bytes(self.bytes_of(item))
            }
            Part::Skip { item, .. }
            | Part::Most { item, .. }
            | Part::Least { item, .. }
            | Part::Maybe { item, .. } => behind.or_bytes(self.bytes_of(item)),
            Part::Open(_) | Part::Close(_) | Part::Nothing => behind,
            Part::Same(_) => Head { always: false, ..Head::ALWAYS },
            Part::Frontier(index) => {
                let set = self.sets[usize::from(index)];
                // The end of the subject counts as a zero byte.
                Head { end: set.contains(0), ..Head::bytes(set) }
            }
            Part::End => Head { end: true, ..Head::bytes(ByteSet::EMPTY) },
            Part::Fail => Head::bytes(ByteSet::EMPTY),
            Part::Raise(_) | Part::Accept => Head::ALWAYS,
        }
    }
}

impl Head {
    const ALWAYS: Self = Self { bytes: ByteSet::FULL, only: None, end: true, always: true };

    fn bytes(bytes: ByteSet) -> Self {
        let only = if bytes.len() == 1 { bytes.iter().next() } else { None };
        Self { bytes, only, end: false, always: false }
    }

    fn or_bytes(self, bytes: ByteSet) -> Self {
        let Self { end, always, .. } = self;
        Self { end, always, ..Self::bytes(self.bytes.union(&bytes)) }
    }
}
