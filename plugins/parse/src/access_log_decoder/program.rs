//! A log format as a flat list of steps.
//!
//! Here: what the two format languages compile to. Not here: the languages (`nginx`, `apache`) and running the
//! steps over a line (`read`).

use heka_datetime::{EpochUnit, StrptimeGrammar};

/// One step over a line, from left to right; none is ever tried twice.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// One or more whitespace characters.
    Whitespace,
    /// Exactly these bytes.
    Literal(Box<[u8]>),
    /// A value.
    Variable(Variable),
}

/// A value of the line.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    /// As the format names it, for errors.
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    /// Which field of the record it becomes; none for the time stamp.
    pub(super) slot: Option<usize>,
}

/// What a value looks like.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Any text up to a terminator.
    Text(Terminator),
    /// IPv4 address, IPv6 address or host name.
    Host,
    /// Digits; `-` means no field.
    Integer,
    /// Digits; `-` means 0.
    IntegerOrDash,
    /// Digits, point, digits; `-` means no field.
    Decimal,
    /// Hexadecimal digits.
    Hexadecimal,
    /// Exactly three digits.
    Status,
    /// `10/Feb/2014:08:46:41 -0800`, between brackets if so.
    ClfTime { bracketed: bool },
    /// RFC 3339.
    IsoTime,
    /// Unsigned decimal that counts from the epoch.
    EpochTime { unit: EpochUnit, fraction: bool },
    /// A strftime format.
    FormattedTime(StrptimeGrammar),
    /// Digits that follow a decimal point.
    SecondFraction,
    /// An HTTP token.
    Token,
    /// `HTTP/` digits `.` digits.
    Protocol,
    /// One of these texts; the empty one matches always.
    OneOf(&'static [&'static str]),
    /// Digits `.` digits `.` digits.
    Version,
    /// Any bytes of this number.
    Bytes(usize),
    /// Addresses separated by `, ` or ` : `.
    AddressList,
    /// Numbers separated so; `-` means 0.
    NumberList(ListItem),
    /// As a list of integers, but a lone `-` is text.
    LengthList,
    /// A strftime format as a number of nanoseconds, or `-`, which is text.
    TimeOrDash(StrptimeGrammar),
}

/// What a list's numbers look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListItem {
    /// Exactly three digits.
    Status,
    /// Digits, point, digits.
    Decimal,
    /// Digits.
    Integer,
}

/// Where text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terminator {
    /// Before any whitespace.
    Whitespace,
    /// Before a quote without a backslash in front of it.
    Quote,
    /// Before this byte.
    Byte(u8),
}

impl Terminator {
    fn of(byte: u8) -> Self {
        if byte == b'"' { Self::Quote } else { Self::Byte(byte) }
    }
}

/// A field that a format yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) name: Box<str>,
    /// Unit; hosts have one that depends on the value.
    pub(super) representation: &'static str,
}

/// A compiled format.
#[derive(Debug, Clone, Default)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    /// The fields, in the order of their first appearance; a repeated variable shares its slot, so the last wins.
    pub(super) slots: Vec<Slot>,
}

impl Program {
    /// Adds whitespace; runs of it are one step.
    pub(super) fn whitespace(&mut self) {
        if !matches!(self.steps.last(), Some(Step::Whitespace)) {
            self.steps.push(Step::Whitespace);
        }
    }

    /// Adds literal bytes, to the literal before them if there is one.
    pub(super) fn literal(&mut self, bytes: &[u8]) {
        match self.steps.last_mut() {
            Some(Step::Literal(last)) => *last = [last, bytes].concat().into(),
            _ => self.steps.push(Step::Literal(bytes.into())),
        }
    }

    /// Adds a value that becomes no field.
    pub(super) fn stamp(&mut self, name: &str, kind: Kind) {
        self.steps.push(Step::Variable(Variable { name: name.into(), kind, slot: None }));
    }

    /// Adds a value that becomes `field`.
    pub(super) fn field(
        &mut self,
        name: &str,
        field: &str,
        kind: Kind,
        representation: &'static str,
    ) {
        let known = self.slots.iter().position(|slot| *slot.name == *field);
        let slot = known.unwrap_or(self.slots.len());
        if known.is_none() {
            self.slots.push(Slot { name: field.into(), representation });
        } else {
            self.slots[slot].representation = representation;
        }
        self.steps.push(Step::Variable(Variable { name: name.into(), kind, slot: Some(slot) }));
    }

    /// Adds a value of any text; [`Program::finish`] finds out where it ends.
    pub(super) fn text(&mut self, name: &str, field: &str) {
        self.field(name, field, Kind::Text(Terminator::Whitespace), "");
    }

    /// Gives each text its terminator: what follows it in the format.
    ///
    /// Heka took the last byte of the literal *before* it, which can match only where that is also what follows;
    /// it still decides where a text is the last step or another variable follows.
    pub(super) fn finish(mut self) -> Self {
        let mut before = Terminator::Whitespace;
        for index in 0..self.steps.len() {
            let after = match self.steps.get(index + 1) {
                Some(Step::Whitespace) => Some(Terminator::Whitespace),
                Some(Step::Literal(literal)) => literal.first().map(|&byte| Terminator::of(byte)),
                Some(Step::Variable(_)) | None => None,
            };
            match &mut self.steps[index] {
                Step::Whitespace => before = Terminator::Whitespace,
                Step::Literal(literal) => {
                    before = literal.last().map_or(before, |&byte| Terminator::of(byte));
                }
                Step::Variable(Variable { kind: Kind::Text(terminator), .. }) => {
                    *terminator = after.unwrap_or(before);
                }
                Step::Variable(_) => {}
            }
        }
        self
    }

    /// What step number `index` wants to see.
    pub(super) fn expected(&self, index: usize) -> String {
        match self.steps.get(index) {
            None => "end of line".to_owned(),
            Some(Step::Whitespace) => "whitespace".to_owned(),
            Some(Step::Literal(literal)) => format!("\"{}\"", literal.escape_ascii()),
            Some(Step::Variable(variable)) => variable.name.to_string(),
        }
    }
}
