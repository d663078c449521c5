//! RFC 3339 stamps: `2014-02-10T12:58:59.123456-08:00`.
//!
//! `T` and `Z` are upper case, as RFC 5424 and nginx write them.

use crate::civil::{Civil, NS_PER_SECOND, SECONDS_PER_DAY};
use crate::digits::{COLON, four, offset_s, point_fraction, two};

/// Bytes of date, hour and minute.
const MINUTE_BYTES: usize = 16;
/// Bytes of a stamp up to its whole seconds.
const SECOND_BYTES: usize = 19;
/// Bytes of `+hh:mm`.
const OFFSET_BYTES: usize = 6;

/// Reads the stamp at the start of `text`; also says how many bytes it took.
///
/// A fraction may have any number of digits; those past the nanosecond are cut off.
#[must_use]
pub fn parse_rfc3339(text: &[u8]) -> Option<(i64, usize)> {
    Rfc3339Cache::default().parse(text)
}

/// Remembers the last minute read, since the next stamp is nearly always of the same one.
#[derive(Debug, Clone, Default)]
pub struct Rfc3339Cache {
    minute: Option<u128>,
    /// Seconds from the epoch to that minute, were it universal time.
    minute_s: i64,
}

impl Rfc3339Cache {
    /// As [`parse_rfc3339`].
    pub fn parse(&mut self, text: &[u8]) -> Option<(i64, usize)> {
        let head: &[u8; SECOND_BYTES] = text.first_chunk()?;
        let minute: [u8; MINUTE_BYTES] = *head.first_chunk()?;
        let key = Some(u128::from_le_bytes(minute));
        if key != self.minute {
            self.minute_s = minute_s(&minute)?;
            self.minute = key;
        }
        let second = two([head[17], head[18]])?;
        if head[16] != b':' || second > 60 {
            return None;
        }
        let rest = &text[SECOND_BYTES..];
        let (nanosecond, fraction_bytes) = match rest.first() {
            Some(b'.') => point_fraction(rest)?,
            _ => (0, 0),
        };
        let (offset, offset_bytes) = match &rest[fraction_bytes..] {
            [b'Z', ..] => (0, 1),
            signed => (offset_s(signed.get(..OFFSET_BYTES)?, COLON)?, OFFSET_BYTES),
        };
        let seconds = self.minute_s + i64::from(second) - i64::from(offset);
        // The sum fits where the product alone would not, in the first second that can be told.
        let whole = i128::from(seconds) * i128::from(NS_PER_SECOND);
        let ns = i64::try_from(whole + i128::from(nanosecond)).ok()?;
        Some((ns, SECOND_BYTES + fraction_bytes + offset_bytes))
    }
}

fn minute_s(t: &[u8; MINUTE_BYTES]) -> Option<i64> {
    if [t[4], t[7], t[10], t[13]] != *b"--T:" {
        return None;
    }
    let civil = Civil {
        year: four([t[0], t[1], t[2], t[3]])?,
        month: two([t[5], t[6]])?,
        day: two([t[8], t[9]])?,
        hour: two([t[11], t[12]])?,
        minute: two([t[14], t[15]])?,
        second: 0,
        nanosecond: 0,
    };
    let of_day = i64::from(civil.hour) * 3_600 + i64::from(civil.minute) * 60;
    civil.is_valid().then(|| civil.days() * SECONDS_PER_DAY + of_day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::write_rfc3339;

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (text, ns) in [
            ("2014-02-10T12:58:59.123456-08:00", 1_392_065_939_123_456_000),
            ("1985-04-12T23:20:50.52Z", 482_196_050_520_000_000),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000_000_000),
            ("1990-12-31T23:59:60Z", 662_688_000_000_000_000),
            ("1937-01-01T12:00:27.87+00:20", -1_041_337_172_130_000_000),
            ("2003-08-24T05:14:15.000003-07:00", 1_061_727_255_000_003_000),
            ("1969-12-31T23:59:59.9999999999Z", -1),
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), Some((ns, text.len())), "{text}");
        }
        assert_eq!(parse_rfc3339(b"1970-01-01T00:00:01Z host").unwrap(), (NS_PER_SECOND, 20));
    }

    #[test]
    fn what_is_no_stamp_is_refused() {
        for text in [
            "",
            "2014-02-10T12:58:59",
            "2014-02-10t12:58:59Z",
            "2014-02-10T12:58:59z",
            "2014-02-10 12:58:59Z",
            "2014-02-30T12:58:59Z",
            "2014-13-10T12:58:59Z",
            "2014-02-10T12:58:61Z",
            "2014-02-10T12:58:59.Z",
            "2014-02-10T12:58:59-0800",
            "2014-02-10T12-58-59Z",
            "9999-02-10T12:58:59Z",
        ] {
            assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(stamps in prop::collection::vec(any::<i64>(), 1..20)) {
            let mut cache = Rfc3339Cache::default();
            for ns in stamps {
                // The first second of the range cannot be named without its fraction.
                prop_assume!(ns > i64::MIN + NS_PER_SECOND);
                let mut text = Vec::new();
                write_rfc3339(ns, &mut text);
                prop_assert_eq!(cache.parse(&text), Some((ns, text.len())));
                let jiff: jiff::Timestamp = std::str::from_utf8(&text).unwrap().parse().unwrap();
                prop_assert_eq!(jiff.as_nanosecond(), i128::from(ns));
            }
        }

        #[test]
        fn a_cache_never_says_more_than_the_parser(
            texts in prop::collection::vec("201[45]-0[12]-1[01]T08:4[67]:[0-6][0-9](Z|[+-]0[12]:[03]0)", 1..40),
        ) {
            let mut cache = Rfc3339Cache::default();
            for text in texts {
                prop_assert_eq!(cache.parse(text.as_bytes()), parse_rfc3339(text.as_bytes()));
            }
        }

        #[test]
        fn garbage_never_panics(text in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(parse_rfc3339(&text).is_none_or(|(_, bytes)| bytes <= text.len()));
        }
    }
}
