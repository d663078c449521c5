//! The stamps of classic syslog: `Feb 10 12:58:58`, without year and zone.

use crate::civil::{Civil, NS_PER_SECOND, SECONDS_PER_DAY};
use crate::digits::{digit, four, two};
use crate::location::Location;
use crate::names::month_of;
use crate::year::{FUTURE_NS_MAX, with_guessed_year};

/// Bytes of month and the space after it.
const MONTH_BYTES: usize = 4;
/// Bytes of ` yyyy`.
const YEAR_BYTES: usize = 5;
/// Bytes of ` hh:mm:ss`.
const TIME_BYTES: usize = 9;
/// A guessed year is trusted for this long before it is guessed anew.
const GUESS_NS: u64 = 60 * NS_PER_SECOND as u64;

/// Reads the stamp at the start of `text`; also says how many bytes it took.
///
/// A day below ten may be padded with a space, with a zero or not at all. The year is the one of
/// [`with_guessed_year`](crate::with_guessed_year), unless it stands behind the day, as some devices write it.
#[must_use]
pub fn parse_rfc3164(text: &[u8], location: &Location, now_ns: i64) -> Option<(i64, usize)> {
    let (mut civil, bytes, year) = civil(text)?;
    let ns = match year {
        Some(year) => {
            civil.year = year;
            location.to_ns(&civil)
        }
        None => with_guessed_year(&civil, location, now_ns),
    };
    Some((ns?, bytes))
}

/// Date and time, their length, and the year if it is there.
fn civil(text: &[u8]) -> Option<(Civil, usize, Option<i32>)> {
    let &[m, o, n, b' ', ref rest @ ..] = text else { return None };
    let (day, day_bytes) = match rest {
        [b' ', ones, b' ', ..] => (digit(*ones)?, 2),
        [ones, b' ', ..] => (digit(*ones)?, 1),
        [tens, ones, b' ', ..] => (two([*tens, *ones])?, 2),
        _ => return None,
    };
    let (year, year_bytes) = match rest[day_bytes..] {
        [b' ', a, b, c, d, b' ', ..] => (Some(four([a, b, c, d])?), YEAR_BYTES),
        _ => (None, 0),
    };
    let time: &[u8; TIME_BYTES] = rest[day_bytes + year_bytes..].first_chunk()?;
    let &[_, h, h2, colon, mi, mi2, colon2, s, s2] = time;
    if [colon, colon2] != *b"::" {
        return None;
    }
    let civil = Civil {
        // A leap year, so that 29 February passes the check.
        year: 2000,
        month: month_of([m, o, n])?,
        day,
        hour: two([h, h2])?,
        minute: two([mi, mi2])?,
        second: two([s, s2])?,
        nanosecond: 0,
    };
    let bytes = MONTH_BYTES + day_bytes + year_bytes + TIME_BYTES;
    civil.is_valid().then_some((civil, bytes, year))
}

/// Remembers the last minute read, since the next stamp is nearly always of the same one.
#[derive(Debug, Clone, Default)]
pub struct Rfc3164Cache {
    key: u128,
    minute_ns: Option<i64>,
    guessed_at_ns: i64,
}

/// Bytes of a stamp whose day takes two places.
const STAMP_BYTES: usize = MONTH_BYTES + 2 + TIME_BYTES;

impl Rfc3164Cache {
    /// As [`parse_rfc3164`]; `location` must be the same each time.
    pub fn parse(&mut self, text: &[u8], location: &Location, now_ns: i64) -> Option<(i64, usize)> {
        let Some(stamp) = text.first_chunk::<STAMP_BYTES>() else {
            return parse_rfc3164(text, location, now_ns);
        };
        let &[.., s, s2] = stamp;
        let mut minute = [0; 16];
        minute[..STAMP_BYTES - 2].copy_from_slice(&stamp[..STAMP_BYTES - 2]);
        let key = u128::from_le_bytes(minute);
        let fresh = now_ns.abs_diff(self.guessed_at_ns) < GUESS_NS;
        if let (Some(minute_ns), Some(second)) = (self.minute_ns, two([s, s2]))
            && key == self.key
            && fresh
            && second < 60
        {
            return Some((minute_ns + i64::from(second) * NS_PER_SECOND, STAMP_BYTES));
        }
        let (ns, bytes) = parse_rfc3164(text, location, now_ns)?;
        if let (STAMP_BYTES, Some(second)) = (bytes, two([s, s2])) {
            let minute_ns = ns.checked_sub(i64::from(second) * NS_PER_SECOND);
            self.minute_ns = minute_ns.filter(|&minute| year_is_settled(minute, now_ns));
            (self.key, self.guessed_at_ns) = (key, now_ns);
        }
        Some((ns, bytes))
    }
}

/// From a stamp to the same one of another year it is longer than this.
const YEAR_NS_MIN: i64 = 364 * SECONDS_PER_DAY * NS_PER_SECOND;

/// Whether all of a minute has the same year for as long as a guess is trusted.
fn year_is_settled(minute_ns: i64, now_ns: i64) -> bool {
    let latest = i128::from(now_ns) + i128::from(FUTURE_NS_MAX);
    let (minute, trust) = (i128::from(minute_ns), i128::from(GUESS_NS));
    minute + 2 * trust <= latest && latest + trust < minute + i128::from(YEAR_NS_MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Strftime;

    /// 2014-05-07 22:12:24.
    const NOW: i64 = 1_399_500_744 * NS_PER_SECOND;

    fn check(text: &str, now_ns: i64, seconds: i64, bytes: usize) {
        let expected = Some((seconds * NS_PER_SECOND, bytes));
        assert_eq!(parse_rfc3164(text.as_bytes(), &Location::utc(), now_ns), expected, "{text}");
        let mut cache = Rfc3164Cache::default();
        for _ in 0..2 {
            assert_eq!(cache.parse(text.as_bytes(), &Location::utc(), now_ns), expected, "{text}");
        }
    }

    #[test]
    fn days_are_padded_in_three_ways() {
        check("Feb 10 12:58:58 host", NOW, 1_392_037_138, 15);
        check("Feb  1 12:58:58", NOW, 1_391_259_538, 15);
        check("Feb 01 12:58:58", NOW, 1_391_259_538, 15);
        check("Feb 1 12:58:58", NOW, 1_391_259_538, 14);
        check("Feb 1 12:58:58 host", NOW, 1_391_259_538, 14);
    }

    #[test]
    fn what_is_remembered_does_not_reach_over_the_edge_of_a_year() {
        // 2014-02-10 12:00:00: a stamp exactly a day ahead is of this year, the next second's of the last one.
        let now = 1_392_033_600 * NS_PER_SECOND;
        let lines = ["Feb 11 12:00:20", "Feb 11 12:00:00", "Feb 11 12:00:20"];
        let mut cache = Rfc3164Cache::default();
        for line in lines {
            let expected = parse_rfc3164(line.as_bytes(), &Location::utc(), now);
            assert_eq!(cache.parse(line.as_bytes(), &Location::utc(), now), expected, "{line}");
        }
    }

    #[test]
    fn a_year_behind_the_day_is_taken_as_it_is() {
        check("Feb 10 2014 12:58:58 host", NOW, 1_392_037_138, 20);
        check("Feb  1 2014 12:58:58", NOW, 1_391_259_538, 20);
        check("Feb 1 2024 12:58:58", NOW, 1_706_792_338, 19);
        for text in ["Feb 29 2014 12:58:58", "Feb 10 20x4 12:58:58", "Feb 10 2014 12:58"] {
            assert_eq!(parse_rfc3164(text.as_bytes(), &Location::utc(), NOW), None, "{text}");
        }
    }

    #[test]
    fn the_year_is_the_one_that_fits() {
        check("Dec 31 23:59:59", NOW, 1_388_534_399, 15);
        check("May  8 22:12:24", NOW, 1_399_587_144, 15);
        check("May  8 22:12:25", NOW, 1_368_051_145, 15);
        check("Feb 29 00:00:00", NOW, 1_330_473_600, 15);
    }

    #[test]
    fn a_zone_shifts_the_stamp() {
        let zone = Location::parse("America/Los_Angeles").unwrap();
        let stamp = parse_rfc3164(b"Feb 10 12:58:58", &zone, NOW).unwrap().0;
        assert_eq!(stamp, (1_392_037_138 + 28_800) * NS_PER_SECOND);
    }

    #[test]
    fn a_remembered_year_is_guessed_anew_after_a_while() {
        let mut cache = Rfc3164Cache::default();
        let first = cache.parse(b"May  9 00:00:00", &Location::utc(), NOW).unwrap().0;
        let day = 86_400 * NS_PER_SECOND;
        let second = cache.parse(b"May  9 00:00:00", &Location::utc(), NOW + day).unwrap().0;
        assert_eq!(second - first, 365 * day);
    }

    #[test]
    fn what_is_no_stamp_is_refused() {
        for text in [
            "",
            "Feb",
            "feb 10 12:58:58",
            "Feb 30 12:58:58",
            "Feb 00 12:58:58",
            "Feb 10 24:58:58",
            "Feb 10 12:60:58",
            "Feb 10 12:58:62",
            "Feb 10 12.58.58",
            "Feb 10  2:58:58",
            "Feb 10 12:58:5",
            "Feb-10 12:58:58",
        ] {
            let mut cache = Rfc3164Cache::default();
            assert_eq!(cache.parse(text.as_bytes(), &Location::utc(), NOW), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn recent_stamps_round_trip(
            now in 0i64..4_000_000_000,
            ages in prop::collection::vec(-86_000i64..86_400 * 360, 1..20),
        ) {
            let format = Strftime::parse("%b %e %H:%M:%S");
            let mut cache = Rfc3164Cache::default();
            for age in ages {
                let ns = (now - age) * NS_PER_SECOND;
                let mut text = Vec::new();
                format.format_into(ns, &Location::utc(), &mut text);
                let read = cache.parse(&text, &Location::utc(), now * NS_PER_SECOND);
                prop_assert_eq!(read, Some((ns, 15)));
            }
        }

        #[test]
        fn a_cache_never_says_more_than_the_parser(
            texts in prop::collection::vec("Feb  ?[12] 08:4[67]:[0-6][0-9] ", 1..40),
        ) {
            let mut cache = Rfc3164Cache::default();
            for text in texts {
                let text = text.as_bytes();
                let expected = parse_rfc3164(text, &Location::utc(), NOW);
                prop_assert_eq!(cache.parse(text, &Location::utc(), NOW), expected);
            }
        }

        #[test]
        fn garbage_never_panics(text in prop::collection::vec(any::<u8>(), 0..40), now in any::<i64>()) {
            let read = parse_rfc3164(&text, &Location::utc(), now);
            prop_assert!(read.is_none_or(|(_, bytes)| bytes <= text.len()));
        }
    }
}
