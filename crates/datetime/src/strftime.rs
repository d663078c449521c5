//! strftime as a formatter, compiled once.
//!
//! Which conversions exist is Heka's table: unknown ones are copied as they stand, `%C` is the full year.

use crate::civil::{Civil, NS_PER_SECOND};
use crate::digits::{push_integer, push_padded, push_two, push_two_spaced, year_digits};
use crate::location::Location;
use crate::names::{MONTHS, SHORT_BYTES, WEEKDAYS};

/// A compiled output format.
#[derive(Debug, Clone)]
pub struct Strftime {
    items: Vec<Item>,
    needs_name: bool,
    below_seconds: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(Vec<u8>),
    Code(Code),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Weekday,
    WeekdayShort,
    Month,
    MonthShort,
    Year,
    YearShort,
    MonthNumber,
    Day,
    DaySpaced,
    DayOfYear,
    WeekdayNumber,
    Hour24,
    Hour24Spaced,
    Hour12,
    Hour12Spaced,
    HalfDayLower,
    HalfDayUpper,
    Minute,
    Second,
    Microsecond,
    EpochSecond,
    ZoneName,
    ZoneOffset,
}

impl Strftime {
    /// Compiles a format; all text is one.
    #[must_use]
    pub fn parse(format: &str) -> Self {
        let mut compiled = Self { items: Vec::new(), needs_name: false, below_seconds: false };
        let mut rest = format.as_bytes();
        while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
            compiled.literal(&rest[..at]);
            rest = &rest[at..];
            let taken = rest.len().min(2);
            match rest.get(1) {
                Some(&code) => compiled.conversion(code),
                None => compiled.literal(b"%"),
            }
            rest = &rest[taken..];
        }
        compiled.literal(rest);
        compiled
    }

    /// Appends `ns` as the clock at `location` shows it.
    pub fn format_into(&self, ns: i64, location: &Location, out: &mut Vec<u8>) {
        let (offset, name) = if self.needs_name {
            let (offset, name) = location.offset_and_name(ns);
            (offset, name)
        } else {
            (location.offset_s(ns), "".into())
        };
        let civil = Civil::from_ns(ns, offset);
        for item in &self.items {
            match item {
                Item::Literal(text) => out.extend_from_slice(text),
                Item::Code(Code::EpochSecond) => push_integer(out, ns.div_euclid(NS_PER_SECOND)),
                Item::Code(Code::ZoneName) => out.extend_from_slice(name.as_bytes()),
                Item::Code(Code::ZoneOffset) => push_offset(out, offset),
                Item::Code(code) => push_code(out, *code, &civil),
            }
        }
    }

    /// As [`Strftime::format_into`], but writes again what it wrote last if `ns` is of the same second.
    ///
    /// `cache` belongs to this format and `location`.
    pub fn format_cached(
        &self,
        ns: i64,
        location: &Location,
        cache: &mut StrftimeCache,
        out: &mut Vec<u8>,
    ) {
        if self.below_seconds {
            return self.format_into(ns, location, out);
        }
        let second = ns.div_euclid(NS_PER_SECOND);
        if cache.second != Some(second) {
            cache.text.clear();
            self.format_into(ns, location, &mut cache.text);
            cache.second = Some(second);
        }
        out.extend_from_slice(&cache.text);
    }

    fn literal(&mut self, text: &[u8]) {
        match self.items.last_mut() {
            _ if text.is_empty() => {}
            Some(Item::Literal(last)) => last.extend_from_slice(text),
            _ => self.items.push(Item::Literal(text.to_vec())),
        }
    }

    fn conversion(&mut self, code: u8) {
        if let Some(long) = expansion(code) {
            let Self { items, .. } = Self::parse(long);
            for item in items {
                match item {
                    Item::Literal(text) => self.literal(&text),
                    Item::Code(_) => self.items.push(item),
                }
            }
            return;
        }
        match simple(code) {
            Some(code) => {
                self.needs_name |= code == Code::ZoneName;
                self.below_seconds |= code == Code::Microsecond;
                self.items.push(Item::Code(code));
            }
            None => match code {
                b'%' => self.literal(b"%"),
                b'n' => self.literal(b"\n"),
                b't' => self.literal(b"\t"),
                _ => self.literal(&[b'%', code]),
            },
        }
    }
}

/// The last text that a [`Strftime`] wrote.
#[derive(Debug, Clone, Default)]
pub struct StrftimeCache {
    second: Option<i64>,
    text: Vec<u8>,
}

/// What a conversion that stands for several others means.
fn expansion(code: u8) -> Option<&'static str> {
    match code {
        b'D' => Some("%m/%d/%y"),
        b'F' => Some("%Y-%m-%d"),
        b'R' => Some("%H:%M"),
        b'r' => Some("%I:%M:%S %p"),
        b'T' => Some("%H:%M:%S"),
        b'v' => Some("%e-%b-%Y"),
        _ => None,
    }
}

fn simple(code: u8) -> Option<Code> {
    Some(match code {
        b'A' => Code::Weekday,
        b'a' => Code::WeekdayShort,
        b'B' => Code::Month,
        b'b' | b'h' => Code::MonthShort,
        b'C' | b'Y' => Code::Year,
        b'y' => Code::YearShort,
        b'm' => Code::MonthNumber,
        b'd' => Code::Day,
        b'e' => Code::DaySpaced,
        b'j' => Code::DayOfYear,
        b'w' => Code::WeekdayNumber,
        b'H' => Code::Hour24,
        b'k' => Code::Hour24Spaced,
        b'I' => Code::Hour12,
        b'l' => Code::Hour12Spaced,
        b'P' => Code::HalfDayLower,
        b'p' => Code::HalfDayUpper,
        b'M' => Code::Minute,
        b'S' => Code::Second,
        b'f' => Code::Microsecond,
        b's' => Code::EpochSecond,
        b'Z' => Code::ZoneName,
        b'z' => Code::ZoneOffset,
        _ => return None,
    })
}

fn push_code(out: &mut Vec<u8>, code: Code, civil: &Civil) {
    let weekday = || WEEKDAYS[usize::from(civil.weekday() % 7)].as_bytes();
    let month = MONTHS[usize::from(civil.month - 1) % MONTHS.len()].as_bytes();
    let half_days = if civil.hour < 12 { ["am", "AM"] } else { ["pm", "PM"] };
    let hour12 = (civil.hour + 11) % 12 + 1;
    match code {
        Code::Weekday => out.extend_from_slice(weekday()),
        Code::WeekdayShort => out.extend_from_slice(&weekday()[..SHORT_BYTES]),
        Code::Month => out.extend_from_slice(month),
        Code::MonthShort => out.extend_from_slice(&month[..SHORT_BYTES]),
        Code::Year => out.extend_from_slice(&year_digits(civil.year)),
        Code::YearShort => push_two(out, civil.year.rem_euclid(100) as u8),
        Code::MonthNumber => push_two(out, civil.month),
        Code::Day => push_two(out, civil.day),
        Code::DaySpaced => push_two_spaced(out, civil.day),
        Code::DayOfYear => push_padded(out, u32::from(civil.day_of_year()), 3),
        Code::WeekdayNumber => out.push(b'0' + civil.weekday()),
        Code::Hour24 => push_two(out, civil.hour),
        Code::Hour24Spaced => push_two_spaced(out, civil.hour),
        Code::Hour12 => push_two(out, hour12),
        Code::Hour12Spaced => push_two_spaced(out, hour12),
        Code::HalfDayLower => out.extend_from_slice(half_days[0].as_bytes()),
        Code::HalfDayUpper => out.extend_from_slice(half_days[1].as_bytes()),
        Code::Minute => push_two(out, civil.minute),
        Code::Second => push_two(out, civil.second),
        Code::Microsecond => push_padded(out, civil.nanosecond / 1_000, 6),
        // These three need more than the wall clock; the caller writes them.
        Code::EpochSecond | Code::ZoneName | Code::ZoneOffset => {}
    }
}

fn push_offset(out: &mut Vec<u8>, offset_s: i32) {
    out.push(if offset_s < 0 { b'-' } else { b'+' });
    let minutes = offset_s.unsigned_abs() / 60;
    push_two(out, (minutes / 60) as u8);
    push_two(out, (minutes % 60) as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn formatted(format: &str, ns: i64, zone: &str) -> String {
        let mut out = Vec::new();
        Strftime::parse(format).format_into(ns, &Location::parse(zone).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_row_of_the_table_holds() {
        // Friday, 2014-02-07 15:04:05.123456789 UTC.
        let ns = 1_391_785_445_123_456_789;
        for (format, expected) in [
            ("%A %a", "Friday Fri"),
            ("%B %b %h", "February Feb Feb"),
            ("%C", "2014"),
            ("%D", "02/07/14"),
            ("%d", "07"),
            ("%e", " 7"),
            ("%F", "2014-02-07"),
            ("%f", "123456"),
            ("%H %I", "15 03"),
            ("%j", "038"),
            ("%k %l", "15  3"),
            ("%M", "04"),
            ("%m", "02"),
            ("%n%t", "\n\t"),
            ("%P %p", "pm PM"),
            ("%R", "15:04"),
            ("%r", "03:04:05 PM"),
            ("%S", "05"),
            ("%s", "1391785445"),
            ("%T", "15:04:05"),
            ("%v", " 7-Feb-2014"),
            ("%w", "5"),
            ("%Y %y", "2014 14"),
            ("%Z %z", "UTC +0000"),
        ] {
            assert_eq!(formatted(format, ns, ""), expected, "{format}");
        }
    }

    #[test]
    fn what_is_no_conversion_is_copied() {
        for format in ["%U %V %W %u %G %g %c %x %X %EY %Od %+ %N %L", "100%", "plain", "", "%é"] {
            assert_eq!(formatted(format, 0, ""), format);
        }
        assert_eq!(formatted("%%Y %%%Y", 0, ""), "%Y %1970");
    }

    #[test]
    fn both_twelves_are_twelve() {
        assert_eq!(formatted("%I %l %p", 0, ""), "12 12 AM");
        assert_eq!(formatted("%I %l %p", 43_200 * NS_PER_SECOND, ""), "12 12 PM");
    }

    #[test]
    fn offsets_west_with_minutes_have_one_sign() {
        let winter = 1_391_785_445 * NS_PER_SECOND;
        assert_eq!(formatted("%z %Z", winter, "America/St_Johns"), "-0330 NST");
        assert_eq!(formatted("%T %z", winter, "Asia/Kolkata"), "20:34:05 +0530");
    }

    #[test]
    fn times_before_the_epoch_are_rounded_down() {
        assert_eq!(formatted("%F %T.%f %s", -1, ""), "1969-12-31 23:59:59.999999 -1");
    }

    #[test]
    fn a_cache_serves_one_second() {
        let (utc, mut cache) = (Location::utc(), StrftimeCache::default());
        for (format, texts) in
            [("%S;", "01;01;02;01;"), ("%S.%f;", "01.000000;01.500000;02.000000;01.000000;")]
        {
            let (format, mut out) = (Strftime::parse(format), Vec::new());
            for ms in [1_000, 1_500, 2_000, 1_000] {
                format.format_cached(ms * 1_000_000, &utc, &mut cache, &mut out);
            }
            assert_eq!(String::from_utf8(out).unwrap(), texts);
        }
    }

    proptest! {
        #[test]
        fn dates_are_what_jiff_prints(ns in i64::MIN + NS_PER_SECOND..=i64::MAX, zone in 0..3usize) {
            // For times before the epoch jiff rounds `%s` towards zero.
            let ns = ns - ns.rem_euclid(NS_PER_SECOND);
            let zone = ["UTC", "America/Los_Angeles", "Asia/Kolkata"][zone];
            let stamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            let zoned = stamp.to_zoned(jiff::tz::TimeZone::get(zone).unwrap());
            let format = "%A %a %B %b %Y-%m-%d %e %j %w %H:%M:%S %I %k %l %p %s %Z";
            let theirs = zoned.strftime(format).to_string();
            prop_assert_eq!(formatted(format, ns, zone), theirs);
        }

        #[test]
        fn no_format_panics(format in ".{0,30}", ns in any::<i64>()) {
            let has_code = format.contains('%');
            prop_assert!(has_code || formatted(&format, ns, "Europe/Moscow") == format);
            formatted(&format, ns, "Europe/Moscow");
        }
    }
}
