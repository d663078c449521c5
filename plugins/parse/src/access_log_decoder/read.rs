//! Running a compiled format over a line.

use heka_datetime::{CLF_BYTES, ClfCache, EpochUnit, Location, Rfc3339Cache, StrptimeGrammar};

use super::host::{HostKind, read_host};
use super::program::{Kind, ListItem, Program, Step, Terminator, Variable};
use crate::number::{leading_digits, read_decimal, read_integer};

/// A part of the line: offset of its first byte, and of the byte behind its last.
pub(super) type Part = (usize, usize);

/// What a field's place in the line held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Capture {
    /// Nothing: no such field.
    Absent,
    Text(Part),
    Host(Part, HostKind),
    Number(f64),
    /// Values in `Captures::items`: the first, and their number.
    List(usize, usize),
}

/// What a line held; used again for the next line.
#[derive(Debug, Clone, Default)]
pub(super) struct Captures {
    /// The time stamp, in ns since the epoch.
    pub(super) stamp: Option<i64>,
    /// One for each slot of the program.
    pub(super) slots: Vec<Capture>,
    /// Values of lists.
    pub(super) items: Vec<Capture>,
}

/// Where a line stopped matching, and at which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) offset: usize,
    pub(super) step: usize,
}

/// Reads lines; remembers stamps, which repeat.
#[derive(Debug, Clone, Default)]
pub(super) struct Reader {
    clf: ClfCache,
    iso: Rfc3339Cache,
}

impl Reader {
    /// Reads a line from its start; what follows the last step is not looked at.
    pub(super) fn read(
        &mut self,
        program: &Program,
        line: &[u8],
        now_ns: i64,
        captures: &mut Captures,
    ) -> Result<(), Mismatch> {
        captures.stamp = None;
        captures.items.clear();
        captures.slots.clear();
        captures.slots.resize(program.slots.len(), Capture::Absent);
        let mut at = 0;
        for (step, what) in program.steps.iter().enumerate() {
            let rest = &line[at..];
            let taken = match what {
                Step::Whitespace => {
                    let blank = rest.iter().take_while(|&&byte| is_space(byte)).count();
                    (blank > 0).then_some(blank)
                }
                Step::Literal(literal) => rest.starts_with(literal).then_some(literal.len()),
                Step::Variable(variable) => self.variable(variable, line, at, now_ns, captures),
            };
            at += taken.ok_or(Mismatch { offset: at, step })?;
        }
        Ok(())
    }

    /// Reads a value; how many bytes it took.
    fn variable(
        &mut self,
        variable: &Variable,
        line: &[u8],
        at: usize,
        now_ns: i64,
        captures: &mut Captures,
    ) -> Option<usize> {
        let rest = &line[at..];
        let text = |taken: usize| (Capture::Text((at, at + taken)), taken);
        let number = |(value, taken): (f64, usize)| (Capture::Number(value), taken);
        let (capture, taken) = match &variable.kind {
            Kind::Text(terminator) => text(text_bytes(*terminator, rest)),
            Kind::Host => {
                let (kind, taken) = read_host(rest)?;
                (Capture::Host((at, at + taken), kind), taken)
            }
            Kind::Integer => read_integer(rest).map(number).or_else(|| dash(rest))?,
            Kind::IntegerOrDash => {
                read_integer(rest).or_else(|| zero_for_dash(rest)).map(number)?
            }
            Kind::Decimal => read_decimal(rest).map(number).or_else(|| dash(rest))?,
            Kind::Hexadecimal => number(read_hexadecimal(rest)?),
            Kind::Status => number(read_status(rest)?),
            Kind::SecondFraction => number(read_fraction(rest)?),
            Kind::Token => text(some(token_bytes(rest))?),
            Kind::Protocol => text(protocol_bytes(rest)?),
            Kind::OneOf(texts) => {
                let matches = |text: &&&str| rest.starts_with(text.as_bytes());
                text(texts.iter().find(matches)?.len())
            }
            Kind::Version => text(version_bytes(rest)?),
            Kind::Bytes(count) => text(rest.get(..*count)?.len()),
            Kind::AddressList => addresses(rest, at, captures)?,
            Kind::NumberList(item) => numbers(*item, rest, captures)?,
            Kind::LengthList => match numbers(ListItem::Integer, rest, captures)? {
                (_, 1) if rest.first() == Some(&b'-') => text(1),
                list => list,
            },
            Kind::TimeOrDash(grammar) => match rest.first()? {
                b'-' => text(1),
                _ => {
                    let (ns, taken) = formatted(grammar, rest, now_ns)?;
                    number((ns as f64, taken))
                }
            },
            kind => return self.stamp(kind, rest, now_ns, captures),
        };
        if let Some(slot) = variable.slot {
            captures.slots[slot] = capture;
        }
        Some(taken)
    }

    /// Reads a time stamp; how many bytes it took.
    fn stamp(
        &mut self,
        kind: &Kind,
        rest: &[u8],
        now_ns: i64,
        captures: &mut Captures,
    ) -> Option<usize> {
        let (ns, taken) = match kind {
            Kind::ClfTime { bracketed: false } => (self.clf.parse(rest)?, CLF_BYTES),
            Kind::ClfTime { bracketed: true } => {
                let inner = rest.strip_prefix(b"[")?;
                let ns = self.clf.parse(inner)?;
                (inner.get(CLF_BYTES) == Some(&b']')).then_some((ns, CLF_BYTES + 2))?
            }
            Kind::IsoTime => self.iso.parse(rest)?,
            Kind::EpochTime { unit, fraction } => epoch(*unit, *fraction, rest)?,
            Kind::FormattedTime(grammar) => formatted(grammar, rest, now_ns)?,
            _ => return None,
        };
        captures.stamp = Some(ns);
        Some(taken)
    }
}

/// What C calls a space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn some(length: usize) -> Option<usize> {
    (length > 0).then_some(length)
}

fn text_bytes(terminator: Terminator, rest: &[u8]) -> usize {
    let end = match terminator {
        Terminator::Whitespace => rest.iter().position(|&byte| is_space(byte)),
        Terminator::Byte(byte) => memchr::memchr(byte, rest),
        Terminator::Quote => return quoted_bytes(rest),
    };
    end.unwrap_or(rest.len())
}

/// Length of the text before a quote that no backslash covers.
fn quoted_bytes(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &rest[at..]) {
        at += found;
        if rest[at] == b'"' {
            return at;
        }
        // A backslash covers a quote or another backslash behind it, and nothing else.
        at += if matches!(rest.get(at + 1), Some(b'"' | b'\\')) { 2 } else { 1 };
    }
    rest.len()
}

fn dash(rest: &[u8]) -> Option<(Capture, usize)> {
    rest.starts_with(b"-").then_some((Capture::Absent, 1))
}

fn zero_for_dash(rest: &[u8]) -> Option<(f64, usize)> {
    rest.starts_with(b"-").then_some((0.0, 1))
}

fn read_status(rest: &[u8]) -> Option<(f64, usize)> {
    let digits: &[u8; 3] = rest.first_chunk()?;
    let number = digits.iter().try_fold(0_u32, |sum, &byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'))
    })?;
    Some((f64::from(number), 3))
}

fn read_hexadecimal(rest: &[u8]) -> Option<(f64, usize)> {
    let mut number = 0.0;
    let mut taken = 0;
    for &byte in rest {
        let Some(digit) = char::from(byte).to_digit(16) else { break };
        number = number * 16.0 + f64::from(digit);
        taken += 1;
    }
    (taken > 0).then_some((number, taken))
}

/// Digits behind a decimal point that the format wrote itself.
fn read_fraction(rest: &[u8]) -> Option<(f64, usize)> {
    let taken = some(leading_digits(rest))?;
    let mut text = Vec::with_capacity(taken + 2);
    text.extend_from_slice(b"0.");
    text.extend_from_slice(&rest[..taken]);
    Some((read_decimal(&text)?.0, taken))
}

/// RFC 9110, section 5.6.2.
fn token_bytes(rest: &[u8]) -> usize {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    rest.iter().take_while(|&&byte| is_token(byte)).count()
}

fn protocol_bytes(rest: &[u8]) -> Option<usize> {
    let version = rest.strip_prefix(b"HTTP/")?;
    let major = some(leading_digits(version))?;
    let minor = version[major..].strip_prefix(b".")?;
    Some(5 + major + 1 + some(leading_digits(minor))?)
}

fn version_bytes(rest: &[u8]) -> Option<usize> {
    let major = some(leading_digits(rest))?;
    let after = rest[major..].strip_prefix(b".")?;
    let minor = some(leading_digits(after))?;
    let last = after[minor..].strip_prefix(b".")?;
    Some(major + minor + 2 + some(leading_digits(last))?)
}

fn epoch(unit: EpochUnit, fraction: bool, rest: &[u8]) -> Option<(i64, usize)> {
    let mut taken = leading_digits(rest);
    if fraction {
        let digits = leading_digits(rest[taken..].strip_prefix(b".")?);
        taken += 1 + some(digits)?;
    }
    Some((unit.parse(&rest[..taken])?, taken))
}

fn formatted(grammar: &StrptimeGrammar, rest: &[u8], now_ns: i64) -> Option<(i64, usize)> {
    grammar.parse_prefix(rest, &Location::utc(), now_ns).ok()
}

/// Length of the separator of a list at the start of `rest`.
fn separator_bytes(rest: &[u8]) -> usize {
    match rest {
        [b',', b' ', ..] => 2,
        [b' ', b':', b' ', ..] => 3,
        _ => 0,
    }
}

fn addresses(rest: &[u8], at: usize, captures: &mut Captures) -> Option<(Capture, usize)> {
    let first = captures.items.len();
    let mut end = 0;
    let mut next = 0;
    loop {
        let is_address = |&&byte: &&u8| byte != b',' && !is_space(byte);
        let length = rest[next..].iter().take_while(is_address).count();
        if length == 0 {
            break;
        }
        captures.items.push(Capture::Text((at + next, at + next + length)));
        end = next + length;
        match separator_bytes(&rest[end..]) {
            0 => break,
            between => next = end + between,
        }
    }
    let count = captures.items.len() - first;
    (count > 0).then_some((Capture::List(first, count), end))
}

fn numbers(item: ListItem, rest: &[u8], captures: &mut Captures) -> Option<(Capture, usize)> {
    let first = captures.items.len();
    let mut end = 0;
    let mut next = 0;
    loop {
        let here = &rest[next..];
        let read = match item {
            ListItem::Status => read_status(here),
            ListItem::Decimal => read_decimal(here),
            ListItem::Integer => read_integer(here),
        };
        let Some((number, length)) = read.or_else(|| zero_for_dash(here)) else { break };
        captures.items.push(Capture::Number(number));
        end = next + length;
        match separator_bytes(&rest[end..]) {
            0 => break,
            between => next = end + between,
        }
    }
    let count = captures.items.len() - first;
    (count > 0).then_some((Capture::List(first, count), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_end_text_unless_a_backslash_covers_them() {
        assert_eq!(quoted_bytes(br#"GET /" 200"#), 5);
        assert_eq!(quoted_bytes(br#"a\"b\\c" x"#), 7);
        assert_eq!(quoted_bytes(br#"a\"#), 2);
        assert_eq!(quoted_bytes(br#"a\""#), 3);
        assert_eq!(quoted_bytes(b""), 0);
    }

    #[test]
    fn lists_end_where_no_separator_follows() {
        let mut captures = Captures::default();
        let list = addresses(b"10.0.0.1:80, 10.0.0.2:80 : unix:/x 200", 7, &mut captures);
        assert_eq!(list, Some((Capture::List(0, 3), 34)));
        assert_eq!(captures.items[2], Capture::Text((34, 41)));
        assert_eq!(numbers(ListItem::Status, b"x", &mut captures), None);
        let list = numbers(ListItem::Decimal, b"0.1, - : 0.3", &mut captures);
        assert_eq!(list, Some((Capture::List(3, 3), 12)));
        assert_eq!(captures.items[4], Capture::Number(0.0));
    }

    #[test]
    fn fixed_forms_are_checked() {
        assert_eq!(protocol_bytes(b"HTTP/1.1\""), Some(8));
        assert_eq!((protocol_bytes(b"HTTP/2"), protocol_bytes(b"http/1.1")), (None, None));
        assert_eq!((version_bytes(b"1.25.3 "), version_bytes(b"1.25")), (Some(6), None));
        assert_eq!(read_hexadecimal(b"7fa3z"), Some((32_675.0, 4)));
        assert_eq!(read_fraction(b"250 "), Some((0.25, 3)));
        assert_eq!(read_status(b"20"), None);
    }
}
