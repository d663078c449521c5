//! strftime formats as a grammar to read by, compiled once: what Heka's Lua decoders call a strftime grammar.
//!
//! It is case-sensitive and knows no fractions of a second; one whitespace character of the format matches exactly
//! one of the text; text after the match is not looked at.

use crate::civil::{Civil, NS_PER_SECOND};
use crate::digits::{digit, four, offset_s, two};
use crate::error::DatetimeError;
use crate::location::Location;
use crate::names::{Case, MONTHS, WEEKDAYS, find};

/// Longest zone abbreviation, in letters.
const ZONE_LETTERS_MAX: usize = 5;
/// The hour of a stamp that names none.
const DEFAULT_HOUR: u8 = 12;

/// A compiled input format.
#[derive(Debug, Clone)]
pub struct StrptimeGrammar {
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Whitespace,
    Weekday {
        short: bool,
    },
    MonthName {
        short: bool,
    },
    MonthNumber,
    Day,
    DaySpaced,
    Year,
    ShortYear,
    Hour24,
    Hour24Spaced,
    Hour12,
    Hour12Spaced,
    HalfDay,
    Minute,
    Second,
    EpochSeconds,
    Offset,
    ZoneName,
    /// Digits that are checked for their number alone.
    Ignored(usize),
}

/// What was read so far.
#[derive(Debug, Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u8>,
    day: Option<u8>,
    hour: Option<u8>,
    hour12: bool,
    afternoon: Option<bool>,
    minute: u8,
    second: u8,
    epoch_s: Option<i64>,
    offset_s: Option<i32>,
}

impl StrptimeGrammar {
    /// Compiles a format; an unknown conversion is an error.
    pub fn parse(format: &str) -> Result<Self, DatetimeError> {
        let mut items = Vec::new();
        let mut rest = format.char_indices();
        while let Some((offset, character)) = rest.next() {
            if character != '%' {
                let mut bytes = [0; 4];
                items.extend(character.encode_utf8(&mut bytes).bytes().map(literal));
                continue;
            }
            let Some((_, code)) = rest.next() else {
                return Err(DatetimeError::LonePercent { format: format.to_owned() });
            };
            let known = conversion(code, &mut items);
            if !known {
                return Err(DatetimeError::Conversion { format: format.to_owned(), code, offset });
            }
        }
        Ok(Self { items })
    }

    /// Reads the stamp at the start of `text`.
    ///
    /// A stamp without an offset of its own is one of `location`. A two-digit year is of the century of `now_ns`;
    /// without an hour it is noon.
    pub fn parse_time(
        &self,
        text: &[u8],
        location: &Location,
        now_ns: i64,
    ) -> Result<i64, DatetimeError> {
        self.parse_prefix(text, location, now_ns).map(|(ns, _)| ns)
    }

    /// As [`StrptimeGrammar::parse_time`], and says how many bytes the stamp took.
    pub fn parse_prefix(
        &self,
        text: &[u8],
        location: &Location,
        now_ns: i64,
    ) -> Result<(i64, usize), DatetimeError> {
        let mut parts = Parts::default();
        let mut rest = text;
        for item in &self.items {
            let taken = item
                .read(rest, &mut parts, now_ns)
                .ok_or_else(|| DatetimeError::unrecognized(text))?;
            rest = &rest[taken..];
        }
        let taken = text.len() - rest.len();
        let (Some(year), Some(month), Some(day)) = (parts.year, parts.month, parts.day) else {
            return match parts.epoch_s {
                Some(seconds) => Ok((epoch_ns(seconds, text)?, taken)),
                None => Err(DatetimeError::no_date(&text[..taken])),
            };
        };
        if let Some(seconds) = parts.epoch_s {
            return Ok((epoch_ns(seconds, text)?, taken));
        }
        let (hour, minute, second) = (parts.hour24(), parts.minute, parts.second);
        let civil = Civil { year, month, day, hour, minute, second, nanosecond: 0 };
        if !civil.is_valid() {
            return Err(DatetimeError::unrecognized(text));
        }
        let ns = match parts.offset_s {
            Some(offset) => civil.to_ns(offset),
            None => location.to_ns(&civil),
        };
        Ok((ns.ok_or_else(|| DatetimeError::range(text))?, taken))
    }
}

fn epoch_ns(seconds: i64, text: &[u8]) -> Result<i64, DatetimeError> {
    seconds.checked_mul(NS_PER_SECOND).ok_or_else(|| DatetimeError::range(text))
}

fn literal(byte: u8) -> Item {
    if byte.is_ascii_whitespace() { Item::Whitespace } else { Item::Byte(byte) }
}

/// Appends what a conversion stands for; false if there is no such conversion.
fn conversion(code: char, items: &mut Vec<Item>) -> bool {
    if let Some(long) = expansion(code) {
        let mut rest = long.chars();
        while let Some(character) = rest.next() {
            match (character, rest.clone().next()) {
                ('%', Some(code)) => {
                    conversion(code, items);
                    rest.next();
                }
                _ => items.push(literal(character as u8)),
            }
        }
        return true;
    }
    let Some(item) = simple(code) else { return false };
    items.push(item);
    true
}

fn expansion(code: char) -> Option<&'static str> {
    match code {
        'D' | 'x' => Some("%m/%d/%y"),
        'F' => Some("%Y-%m-%d"),
        'T' | 'X' => Some("%H:%M:%S"),
        'R' => Some("%H:%M"),
        'r' => Some("%I:%M:%S %p"),
        'c' => Some("%a %b %e %H:%M:%S %Y"),
        _ => None,
    }
}

fn simple(code: char) -> Option<Item> {
    Some(match code {
        'a' => Item::Weekday { short: true },
        'A' => Item::Weekday { short: false },
        'b' | 'h' => Item::MonthName { short: true },
        'B' => Item::MonthName { short: false },
        'm' => Item::MonthNumber,
        'd' => Item::Day,
        'e' => Item::DaySpaced,
        'y' => Item::ShortYear,
        'Y' | 'G' => Item::Year,
        'H' => Item::Hour24,
        'k' => Item::Hour24Spaced,
        'I' => Item::Hour12,
        'l' => Item::Hour12Spaced,
        'p' => Item::HalfDay,
        'M' => Item::Minute,
        'S' => Item::Second,
        's' => Item::EpochSeconds,
        'z' => Item::Offset,
        'Z' => Item::ZoneName,
        'u' | 'w' => Item::Ignored(1),
        'C' | 'U' | 'V' | 'W' => Item::Ignored(2),
        'j' => Item::Ignored(3),
        'n' => Item::Byte(b'\n'),
        't' => Item::Byte(b'\t'),
        '%' => Item::Byte(b'%'),
        _ => return None,
    })
}

impl Item {
    /// Reads itself from the start of `text`; the number of bytes taken.
    fn read(self, text: &[u8], parts: &mut Parts, now_ns: i64) -> Option<usize> {
        match self {
            Self::Byte(byte) => return (*text.first()? == byte).then_some(1),
            Self::Whitespace => return text.first()?.is_ascii_whitespace().then_some(1),
            Self::Weekday { short } => {
                return find(&WEEKDAYS, short, Case::Exact, text).map(|(_, bytes)| bytes);
            }
            Self::MonthName { short } => {
                let (index, bytes) = find(&MONTHS, short, Case::Exact, text)?;
                parts.month = Some(index + 1);
                return Some(bytes);
            }
            Self::Year => {
                parts.year = Some(four(*text.first_chunk()?)?);
                return Some(4);
            }
            Self::ShortYear => {
                let century = Civil::from_ns(now_ns, 0).year / 100 * 100;
                parts.year = Some(century + i32::from(two(*text.first_chunk()?)?));
            }
            Self::MonthNumber => parts.month = Some(number(text, 1, 12, false)?),
            Self::Day => parts.day = Some(number(text, 1, 31, false)?),
            Self::DaySpaced => parts.day = Some(number(text, 1, 31, true)?),
            Self::Hour24 => parts.set_hour(number(text, 0, 23, false)?, false),
            Self::Hour24Spaced => parts.set_hour(number(text, 0, 23, true)?, false),
            Self::Hour12 => parts.set_hour(number(text, 1, 12, false)?, true),
            Self::Hour12Spaced => parts.set_hour(number(text, 1, 12, true)?, true),
            Self::Minute => parts.minute = number(text, 0, 59, false)?,
            Self::Second => parts.second = number(text, 0, 61, false)?,
            Self::HalfDay => {
                parts.afternoon = Some(match text.first_chunk()? {
                    b"AM" => false,
                    b"PM" => true,
                    _ => return None,
                });
            }
            Self::EpochSeconds => return epoch_seconds(text, parts),
            Self::Offset => {
                parts.offset_s = Some(offset_s(text.get(..5)?, None)?);
                return Some(5);
            }
            Self::ZoneName => return zone_name(text, parts),
            Self::Ignored(count) => {
                let all_digits = text.get(..count)?.iter().all(u8::is_ascii_digit);
                return all_digits.then_some(count);
            }
        }
        Some(2)
    }
}

impl Parts {
    fn set_hour(&mut self, hour: u8, hour12: bool) {
        (self.hour, self.hour12) = (Some(hour), hour12);
    }

    fn hour24(&self) -> u8 {
        let hour = self.hour.unwrap_or(DEFAULT_HOUR);
        match (self.hour12, self.afternoon) {
            (true, Some(afternoon)) => hour % 12 + if afternoon { 12 } else { 0 },
            _ => hour,
        }
    }
}

/// Two digits in a range; `spaced`: the first may be a space.
fn number(text: &[u8], min: u8, max: u8, spaced: bool) -> Option<u8> {
    let value = match *text.first_chunk()? {
        [b' ', ones] if spaced => digit(ones)?,
        both => two(both)?,
    };
    (min..=max).contains(&value).then_some(value)
}

fn epoch_seconds(text: &[u8], parts: &mut Parts) -> Option<usize> {
    let bytes = crate::digits::leading(text);
    let value = text[..bytes]
        .iter()
        .try_fold(0_i64, |sum, &byte| sum.checked_mul(10)?.checked_add(i64::from(byte - b'0')))?;
    parts.epoch_s = Some(value);
    (bytes > 0).then_some(bytes)
}

fn zone_name(text: &[u8], parts: &mut Parts) -> Option<usize> {
    let hours = match text.first_chunk::<3>() {
        Some(b"UTC") => Some(0),
        Some(b"PST") => Some(-8),
        Some(b"PDT" | b"MST") => Some(-7),
        Some(b"MDT" | b"CST") => Some(-6),
        Some(b"CDT" | b"EST") => Some(-5),
        Some(b"EDT") => Some(-4),
        _ => None,
    };
    if let Some(hours) = hours {
        parts.offset_s = Some(hours * 3_600);
        return Some(3);
    }
    let head = &text[..text.len().min(ZONE_LETTERS_MAX)];
    let letters = head.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    parts.offset_s = Some(0);
    (letters > 0).then_some(letters)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Strftime;

    /// 2014-05-07 22:12:24.
    const NOW: i64 = 1_399_500_744 * NS_PER_SECOND;

    fn parse(format: &str, text: &str, zone: &str) -> Result<(i64, usize), DatetimeError> {
        let zone = Location::parse(zone).unwrap();
        StrptimeGrammar::parse(format)?.parse_prefix(text.as_bytes(), &zone, NOW)
    }

    fn check(format: &str, text: &str, seconds: i64) {
        let read = parse(format, text, "").unwrap();
        assert_eq!(read, (seconds * NS_PER_SECOND, text.len()), "{format} <- {text}");
    }

    #[test]
    fn every_conversion_is_read() {
        check("%m/%d/%Y %H:%M:%S", "05/07/2014 15:12:24", 1_399_475_544);
        check("%Y-%m-%d %H:%M:%S", "2014-05-07 22:12:24", 1_399_500_744);
        check("%a, %d %b %Y %T GMT", "Fri, 07 Feb 2014 15:04:05 GMT", 1_391_785_445);
        check("%A %B %e %y %k:%M", "Friday February  7 14  5:04", 1_391_749_440);
        check("%A %h %e %G %l:%M %p", "Friday Feb 17 2014 12:04 AM", 1_392_595_440);
        check("%F %r", "2014-02-07 03:04:05 PM", 1_391_785_445);
        check("%D %R", "02/07/14 15:04", 1_391_785_440);
        check("%x %X", "02/07/14 15:04:05", 1_391_785_445);
        check("%c", "Fri Feb  7 15:04:05 2014", 1_391_785_445);
        check("%s", "1391785445", 1_391_785_445);
        check("%F %s", "2000-01-01 1391785445", 1_391_785_445);
        check("%FT%T%z", "2014-02-07T15:04:05+0130", 1_391_780_045);
        check("%F %T %Z", "2014-02-07 15:04:05 PST", 1_391_814_245);
        check("%F %T %Z", "2014-02-07 15:04:05 CEST", 1_391_785_445);
        check("%C%u%w%j%U%V%W%n%t%%%F", "2055038060606\n\t%2014-02-07", 1_391_774_400);
        check("%F", "2014-02-07", 1_391_774_400);
        check("%F %T", "2016-12-31 23:59:60", 1_483_228_800);
    }

    #[test]
    fn a_zone_holds_for_stamps_without_an_offset_only() {
        let zone = "America/Los_Angeles";
        let local = parse("%F %T", "2014-02-07 15:04:05", zone).unwrap().0;
        assert_eq!(local, 1_391_814_245 * NS_PER_SECOND);
        let own = parse("%F %T %z", "2014-02-07 15:04:05 +0000", zone).unwrap().0;
        assert_eq!(own, 1_391_785_445 * NS_PER_SECOND);
        assert_eq!(parse("%s", "7", zone).unwrap().0, 7 * NS_PER_SECOND);
    }

    #[test]
    fn text_after_the_stamp_is_left() {
        let (_, taken) = parse("%Y-%m-%d %H:%M:%S", "2014-05-07 22:12:24.250 - 1500", "").unwrap();
        assert_eq!(taken, 19);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for (format, text) in [
            ("%F %T", "2014-02-07  15:04:05"),
            ("%F %T", "2014-02-30 15:04:05"),
            ("%F %T", "2014-02-07 24:04:05"),
            ("%b", "feb"),
            ("%e", "7 "),
            ("%s", "x"),
            ("%z", "Z"),
            ("%Z", "1"),
            ("%p", "pm"),
            ("%j", "1x1"),
            ("%F", ""),
        ] {
            let error = parse(format, text, "").unwrap_err();
            assert!(matches!(error, DatetimeError::Unrecognized { .. }), "{format} <- {text}");
        }
        assert!(matches!(parse("%T", "15:04:05", ""), Err(DatetimeError::NoDate { .. })));
        let far = parse("%F", "9999-02-07", "");
        assert!(matches!(far, Err(DatetimeError::Range { .. })));
    }

    #[test]
    fn unknown_conversions_are_refused_when_compiled() {
        let error = StrptimeGrammar::parse("%F é %é").unwrap_err();
        assert_eq!(error.to_string(), "unknown conversion %é at byte 6 of time format \"%F é %é\"");
        let error = StrptimeGrammar::parse("%F %").unwrap_err();
        assert!(matches!(error, DatetimeError::LonePercent { .. }));
    }

    proptest! {
        #[test]
        fn stamps_round_trip(seconds in -9_000_000_000i64..9_000_000_000) {
            for format in ["%A %d %B %Y %I:%M:%S %p %z", "%a %b %e %H:%M:%S %Y", "%F %k %M %S %Z"] {
                let mut text = Vec::new();
                Strftime::parse(format)
                    .format_into(seconds * NS_PER_SECOND, &Location::utc(), &mut text);
                let grammar = StrptimeGrammar::parse(format).unwrap();
                let read = grammar.parse_time(&text, &Location::utc(), NOW).ok();
                prop_assert_eq!(read, Some(seconds * NS_PER_SECOND));
            }
        }

        #[test]
        fn no_format_and_no_text_panics(
            format in "(%[a-zA-Z%]|.){0,8}",
            text in prop::collection::vec(any::<u8>(), 0..40),
            now in any::<i64>(),
        ) {
            if let Ok(grammar) = StrptimeGrammar::parse(&format) {
                grammar.parse_time(&text, &Location::utc(), now).ok();
            }
        }
    }
}
