//! A Go layout as a list of steps, and reading by it.
//!
//! The rules, odd ones included, are those of Go's `time.Parse`.

use crate::civil::{Civil, days_in_month};
use crate::digits::{self, COLON, digit, offset_s, two};
use crate::location::Location;
use crate::names::{Case, MONTHS, WEEKDAYS, find};

/// Two-digit years from here on are of the last century.
const PIVOT_YEAR: u8 = 69;

/// What one step of a layout reads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// This text; a run of spaces stands for any number of them, also none at the end.
    Literal(Box<[u8]>),
    Year,
    ShortYear,
    MonthName {
        short: bool,
    },
    Month {
        padded: bool,
    },
    Weekday {
        short: bool,
    },
    Day {
        padded: bool,
        space: bool,
    },
    Hour24,
    Hour12 {
        padded: bool,
    },
    Minute {
        padded: bool,
    },
    /// `fraction_follows`: the next step is one, so that this one leaves the fraction alone.
    Second {
        padded: bool,
        fraction_follows: bool,
    },
    HalfDay {
        upper: bool,
    },
    /// This many digits after a point.
    Fraction(usize),
    /// A point and digits, or nothing.
    AnyFraction,
    Offset {
        zulu: bool,
        form: OffsetForm,
    },
    ZoneName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OffsetForm {
    /// `-07`
    Hours,
    /// `-0700`
    Minutes,
    /// `-07:00`
    ColonMinutes,
}

/// A compiled layout.
#[derive(Debug, Clone)]
pub(super) struct Program {
    steps: Vec<Step>,
}

/// What a stamp said.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// Missing parts: year 2000 (a leap year), 1 January, midnight.
    pub(super) civil: Civil,
    pub(super) has_year: bool,
    pub(super) has_date: bool,
    /// Seconds east, if the stamp carried an offset.
    pub(super) offset_s: Option<i32>,
    zone: Option<&'a [u8]>,
    afternoon: Option<bool>,
}

impl Read<'_> {
    /// The offset that the stamp's zone abbreviation means at `location`; an unknown one means zero.
    pub(super) fn zone_name(&self, location: &Location) -> Option<i32> {
        let name = self.zone?;
        if let Some(offset) = location.offset_of_name(name, &self.civil) {
            return Some(offset);
        }
        let hours = match name {
            [b'G', b'M', b'T', sign @ (b'+' | b'-'), hours @ ..] if !hours.is_empty() => {
                let hours = hours.iter().fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0'));
                if *sign == b'-' { -hours } else { hours }
            }
            _ => 0,
        };
        Some(hours * 3_600)
    }
}

impl Program {
    /// Takes a layout apart; what is no element of the language is literal text.
    pub(super) fn compile(layout: &str) -> Self {
        let layout = layout.as_bytes();
        let mut steps = Vec::new();
        let (mut at, mut literal_start) = (0, 0);
        while at < layout.len() {
            let Some((step, bytes)) = element(&layout[at..]) else {
                at += 1;
                continue;
            };
            if literal_start < at {
                steps.push(Step::Literal(layout[literal_start..at].into()));
            }
            steps.push(step);
            at += bytes;
            literal_start = at;
        }
        if literal_start < at {
            steps.push(Step::Literal(layout[literal_start..].into()));
        }
        mark_fractions(&mut steps);
        Self { steps }
    }

    /// Reads the whole of `text`; `None` if it does not fit.
    pub(super) fn read<'a>(&self, text: &'a [u8]) -> Option<Read<'a>> {
        let mut reader = Reader { rest: text, read: Read::empty() };
        for step in &self.steps {
            reader.step(step)?;
        }
        if !reader.rest.is_empty() {
            return None;
        }
        reader.read.finish()
    }
}

fn mark_fractions(steps: &mut [Step]) {
    for index in 1..steps.len() {
        let is_fraction = matches!(steps[index], Step::Fraction(_) | Step::AnyFraction);
        // As in Go, any later element decides, not only an adjoining one.
        let previous = steps[..index].iter_mut().rfind(|step| !matches!(step, Step::Literal(_)));
        if let Some(Step::Second { fraction_follows, .. }) = previous {
            *fraction_follows = is_fraction;
        }
    }
}

/// The element of the language at the start of `text`, and its length in bytes.
fn element(text: &[u8]) -> Option<(Step, usize)> {
    let first = *text.first()?;
    let named = match first {
        b'J' | b'M' | b'P' | b'p' => name_element(text),
        b'Z' | b'-' => offset_element(text),
        b'.' | b',' => fraction_element(text),
        _ => None,
    };
    if named.is_some() {
        return named;
    }
    let number = |step: Step, bytes: usize| Some((step, bytes));
    match text {
        [b'0', b'1', ..] => number(Step::Month { padded: true }, 2),
        [b'0', b'2', ..] => number(Step::Day { padded: true, space: false }, 2),
        [b'0', b'3', ..] => number(Step::Hour12 { padded: true }, 2),
        [b'0', b'4', ..] => number(Step::Minute { padded: true }, 2),
        [b'0', b'5', ..] => number(Step::Second { padded: true, fraction_follows: false }, 2),
        [b'0', b'6', ..] => number(Step::ShortYear, 2),
        [b'1', b'5', ..] => number(Step::Hour24, 2),
        [b'1', ..] => number(Step::Month { padded: false }, 1),
        [b'2', b'0', b'0', b'6', ..] => number(Step::Year, 4),
        [b'_', b'2', b'0', b'0', b'6', ..] => None,
        [b'_', b'2', ..] => number(Step::Day { padded: false, space: true }, 2),
        [b'2', ..] => number(Step::Day { padded: false, space: false }, 1),
        [b'3', ..] => number(Step::Hour12 { padded: false }, 1),
        [b'4', ..] => number(Step::Minute { padded: false }, 1),
        [b'5', ..] => number(Step::Second { padded: false, fraction_follows: false }, 1),
        _ => None,
    }
}

fn name_element(text: &[u8]) -> Option<(Step, usize)> {
    let ends_word = |bytes: usize| !text.get(bytes).is_some_and(u8::is_ascii_lowercase);
    if text.starts_with(b"January") {
        return Some((Step::MonthName { short: false }, 7));
    }
    if text.starts_with(b"Jan") && ends_word(3) {
        return Some((Step::MonthName { short: true }, 3));
    }
    if text.starts_with(b"Monday") {
        return Some((Step::Weekday { short: false }, 6));
    }
    if text.starts_with(b"Mon") && ends_word(3) {
        return Some((Step::Weekday { short: true }, 3));
    }
    match text {
        [b'M', b'S', b'T', ..] => Some((Step::ZoneName, 3)),
        [b'P', b'M', ..] => Some((Step::HalfDay { upper: true }, 2)),
        [b'p', b'm', ..] => Some((Step::HalfDay { upper: false }, 2)),
        _ => None,
    }
}

fn offset_element(text: &[u8]) -> Option<(Step, usize)> {
    let zulu = text[0] == b'Z';
    let (form, bytes) = match &text[1..] {
        [b'0', b'7', b'0', b'0', ..] => (OffsetForm::Minutes, 5),
        [b'0', b'7', b':', b'0', b'0', ..] => (OffsetForm::ColonMinutes, 6),
        [b'0', b'7', ..] => (OffsetForm::Hours, 3),
        _ => return None,
    };
    Some((Step::Offset { zulu, form }, bytes))
}

fn fraction_element(text: &[u8]) -> Option<(Step, usize)> {
    let kind = *text.get(1)?;
    let count = text[1..].iter().take_while(|&&byte| byte == kind).count();
    if text.get(1 + count).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    match kind {
        b'0' => Some((Step::Fraction(count), 1 + count)),
        b'9' => Some((Step::AnyFraction, 1 + count)),
        _ => None,
    }
}

impl Read<'_> {
    fn empty() -> Self {
        Self {
            civil: Civil {
                year: 2000,
                month: 1,
                day: 1,
                hour: 0,
                minute: 0,
                second: 0,
                nanosecond: 0,
            },
            has_year: false,
            has_date: false,
            offset_s: None,
            zone: None,
            afternoon: None,
        }
    }

    fn finish(mut self) -> Option<Self> {
        match self.afternoon {
            Some(true) if self.civil.hour < 12 => self.civil.hour += 12,
            Some(false) if self.civil.hour == 12 => self.civil.hour = 0,
            _ => {}
        }
        let exists = self.civil.day <= days_in_month(self.civil.year, self.civil.month);
        (exists && self.civil.is_valid()).then_some(self)
    }
}

/// Reads a stamp step by step.
struct Reader<'a> {
    rest: &'a [u8],
    read: Read<'a>,
}

impl<'a> Reader<'a> {
    fn step(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Literal(literal) => self.literal(literal)?,
            Step::Year | Step::ShortYear => self.year(*step == Step::ShortYear)?,
            Step::MonthName { short } => {
                self.read.civil.month = self.name(&MONTHS, *short)? + 1;
                self.read.has_date = true;
            }
            Step::Month { padded } => {
                self.read.civil.month = self.number(*padded)?;
                self.read.has_date = true;
            }
            Step::Weekday { short } => {
                self.name(&WEEKDAYS, *short)?;
            }
            Step::Day { padded, space } => {
                if let ([b' ', rest @ ..], true) = (self.rest, *space) {
                    self.rest = rest;
                }
                self.read.civil.day = self.number(*padded)?;
                self.read.has_date = true;
            }
            Step::Hour24 => self.read.civil.hour = self.number(false)?,
            Step::Hour12 { padded } => {
                self.read.civil.hour = self.number(*padded).filter(|&hour| hour <= 12)?;
            }
            Step::Minute { padded } => self.read.civil.minute = self.number(*padded)?,
            Step::Second { padded, fraction_follows } => {
                self.read.civil.second = self.number(*padded).filter(|&second| second < 60)?;
                if !fraction_follows {
                    self.any_fraction();
                }
            }
            Step::HalfDay { upper } => self.half_day(*upper)?,
            Step::Fraction(count) => self.fraction(*count)?,
            Step::AnyFraction => self.any_fraction(),
            Step::Offset { zulu, form } => self.offset(*zulu, *form)?,
            Step::ZoneName => self.zone_name()?,
        }
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn literal(&mut self, mut literal: &[u8]) -> Option<()> {
        while let Some(&wanted) = literal.first() {
            if wanted == b' ' {
                if self.rest.first().is_some_and(|&byte| byte != b' ') {
                    return None;
                }
                literal = without_spaces(literal);
                self.rest = without_spaces(self.rest);
                continue;
            }
            if *self.rest.first()? != wanted {
                return None;
            }
            (literal, self.rest) = (&literal[1..], &self.rest[1..]);
        }
        Some(())
    }

    fn year(&mut self, short: bool) -> Option<()> {
        self.read.civil.year = if short {
            let &[tens, ones] = self.take(2)? else { return None };
            let year = two([tens, ones])?;
            i32::from(year) + if year >= PIVOT_YEAR { 1900 } else { 2000 }
        } else {
            let &[a, b, c, d] = self.take(4)? else { return None };
            digits::four([a, b, c, d])?
        };
        self.read.has_year = true;
        Some(())
    }

    fn name(&mut self, names: &[&str], short: bool) -> Option<u8> {
        let (index, bytes) = find(names, short, Case::Ignored, self.rest)?;
        self.take(bytes)?;
        Some(index)
    }

    /// Two digits, or a single one unless it must be padded.
    fn number(&mut self, padded: bool) -> Option<u8> {
        let first = digit(*self.rest.first()?)?;
        match self.rest.get(1).copied().and_then(digit) {
            Some(second) => self.take(2).map(|_| first * 10 + second),
            None if padded => None,
            None => self.take(1).map(|_| first),
        }
    }

    fn half_day(&mut self, upper: bool) -> Option<()> {
        self.read.afternoon = Some(match (self.take(2)?, upper) {
            (b"PM", true) | (b"pm", false) => true,
            (b"AM", true) | (b"am", false) => false,
            _ => return None,
        });
        Some(())
    }

    fn fraction(&mut self, count: usize) -> Option<()> {
        let taken = self.take(1 + count)?;
        let (nanosecond, bytes) = digits::point_fraction(taken)?;
        self.read.civil.nanosecond = nanosecond;
        (bytes == 1 + count).then_some(())
    }

    fn any_fraction(&mut self) {
        if let Some((nanosecond, bytes)) = digits::point_fraction(self.rest) {
            self.read.civil.nanosecond = nanosecond;
            self.rest = &self.rest[bytes..];
        }
    }

    fn offset(&mut self, zulu: bool, form: OffsetForm) -> Option<()> {
        if let ([b'Z', rest @ ..], true) = (self.rest, zulu) {
            self.rest = rest;
            self.read.offset_s = Some(0);
            return Some(());
        }
        self.read.offset_s = Some(match form {
            OffsetForm::Minutes => offset_s(self.take(5)?, None)?,
            OffsetForm::ColonMinutes => offset_s(self.take(6)?, COLON)?,
            OffsetForm::Hours => {
                let &[sign, tens, ones] = self.take(3)? else { return None };
                offset_s(&[sign, tens, ones, b'0', b'0'], None)?
            }
        });
        Some(())
    }

    fn zone_name(&mut self) -> Option<()> {
        let bytes = zone_name_bytes(self.rest)?;
        let name = self.take(bytes)?;
        if name == b"UTC" {
            self.read.offset_s = Some(0);
        }
        self.read.zone = Some(name);
        Some(())
    }
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|&&byte| byte == b' ').count();
    &text[spaces..]
}

/// Length of the zone abbreviation at the start of `text`: three capitals, four or five that end in `T`, or
/// `GMT` with hours.
fn zone_name_bytes(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"UTC") {
        return Some(3);
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let [b'G', b'M', b'T', rest @ ..] = text {
        return Some(3 + gmt_hours_bytes(rest));
    }
    let capitals = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    match capitals {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// Length of the sign and hours, up to 14, after `GMT`; 0 if there are none.
fn gmt_hours_bytes(text: &[u8]) -> usize {
    let [b'+' | b'-', digits @ ..] = text else { return 0 };
    match (digits::leading(digits), digits) {
        (1, _) => 2,
        (2, [b'0', _, ..] | [b'1', b'0'..=b'4', ..]) => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_told_from_text_that_resembles_them() {
        let steps = |layout| Program::compile(layout).steps;
        let literal = |text: &str| Step::Literal(text.as_bytes().into());
        assert_eq!(steps("Janet Month"), [literal("Janet Month")]);
        assert_eq!(steps("_2006"), [literal("_"), Step::Year]);
        assert_eq!(
            steps("_2"),
            [Step::Day { padded: false, space: true }],
            "a day that may be padded"
        );
        assert_eq!(steps("x,y"), [literal("x,y")]);
        assert_eq!(steps("..000"), [literal("."), Step::Fraction(3)]);
    }

    #[test]
    fn zone_abbreviations_have_three_to_five_letters() {
        for (text, bytes) in [
            ("PST 2014", Some(3)),
            ("CEST", Some(4)),
            ("WITA", Some(4)),
            ("CESU", None),
            ("ABCDT", Some(5)),
            ("ABCDEF", None),
            ("ChST", Some(4)),
            ("GMT-14", Some(6)),
            ("GMT+15", Some(3)),
            ("GMT", Some(3)),
            ("pst", None),
            ("", None),
        ] {
            assert_eq!(zone_name_bytes(text.as_bytes()), bytes, "{text}");
        }
    }
}
