//! The stamps of access logs: `10/Feb/2014:08:46:41 -0800`.

use crate::civil::{Civil, NS_PER_SECOND};
use crate::digits::{four, offset_s, two};
use crate::names::month_of;

/// Length of such a stamp, in bytes.
pub const CLF_BYTES: usize = 26;

/// Everything but the two digits of the second, in the last sixteen bytes of a stamp.
const NOT_SECOND: u128 = !(0xffff << (8 * 8));

/// Reads the stamp at the start of `text`: exactly [`CLF_BYTES`] bytes; what follows is not looked at.
#[must_use]
pub fn parse_clf(text: &[u8]) -> Option<i64> {
    let t: &[u8; CLF_BYTES] = text.first_chunk()?;
    let literals = [t[2], t[6], t[11], t[14], t[17], t[20]];
    if literals != *b"//::: " {
        return None;
    }
    let civil = Civil {
        year: four([t[7], t[8], t[9], t[10]])?,
        month: month_of([t[3], t[4], t[5]])?,
        day: two([t[0], t[1]])?,
        hour: two([t[12], t[13]])?,
        minute: two([t[15], t[16]])?,
        second: two([t[18], t[19]])?,
        nanosecond: 0,
    };
    if !civil.is_valid() {
        return None;
    }
    civil.to_ns(offset_s(&t[21..], None)?)
}

/// Remembers the last minute read, since the next stamp is nearly always of the same one.
#[derive(Debug, Clone, Default)]
pub struct ClfCache {
    head: u128,
    tail: u128,
    minute_ns: Option<i64>,
}

impl ClfCache {
    /// As [`parse_clf`].
    pub fn parse(&mut self, text: &[u8]) -> Option<i64> {
        let stamp: &[u8; CLF_BYTES] = text.first_chunk()?;
        let head = u128::from_le_bytes(*stamp.first_chunk()?);
        let tail = u128::from_le_bytes(*stamp.last_chunk()?) & NOT_SECOND;
        let second = two([stamp[18], stamp[19]])?;
        match self.minute_ns {
            Some(minute_ns) if (head, tail) == (self.head, self.tail) && second < 60 => {
                minute_ns.checked_add(i64::from(second) * NS_PER_SECOND)
            }
            _ => {
                let ns = parse_clf(stamp)?;
                self.minute_ns = ns.checked_sub(i64::from(second) * NS_PER_SECOND);
                (self.head, self.tail) = (head, tail);
                Some(ns)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Strftime;
    use crate::location::Location;

    #[test]
    fn the_examples_of_heka_hold() {
        for (text, seconds) in [
            ("10/Feb/2014:08:46:41 -0800", 1_392_050_801),
            ("10/Oct/2000:13:55:36 -0700", 971_211_336),
            ("29/Feb/2000:00:00:00 +0000", 951_782_400),
            ("31/Dec/2016:23:59:60 +0000", 1_483_228_800),
            ("01/Jan/1970:05:30:00 +0530] \"GET", 0),
        ] {
            assert_eq!(parse_clf(text.as_bytes()), Some(seconds * NS_PER_SECOND), "{text}");
            let mut cache = ClfCache::default();
            assert_eq!(cache.parse(text.as_bytes()), Some(seconds * NS_PER_SECOND), "{text}");
        }
    }

    #[test]
    fn what_is_no_stamp_is_refused() {
        for text in [
            "",
            "10/Feb/2014:08:46:41 -080",
            "10/feb/2014:08:46:41 -0800",
            "30/Feb/2014:08:46:41 -0800",
            "10/Feb/2014:24:46:41 -0800",
            "10/Feb/2014:08:46:62 -0800",
            "10/Feb/2014:08:46:41 08000",
            "10/Feb/2014 08:46:41 -0800",
            " 1/Feb/2014:08:46:41 -0800",
            "10/Feb/9999:08:46:41 -0800",
        ] {
            assert_eq!(parse_clf(text.as_bytes()), None, "{text}");
            let mut cache = ClfCache::default();
            assert_eq!(cache.parse(text.as_bytes()), None, "{text}");
            assert_eq!(
                cache.parse(b"10/Feb/2014:08:46:41 -0800"),
                Some(1_392_050_801 * NS_PER_SECOND)
            );
            assert_eq!(cache.parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn stamps_round_trip_through_a_cache(
            seconds in prop::collection::vec(-2_000_000_000i64..9_000_000_000, 1..4),
            steps in prop::collection::vec(0i64..200, 1..20),
        ) {
            let format = Strftime::parse("%d/%b/%Y:%H:%M:%S %z");
            let zone = Location::parse("America/St_Johns").unwrap();
            let mut cache = ClfCache::default();
            for (start, step) in seconds.iter().flat_map(|start| steps.iter().map(move |step| (start, step))) {
                let ns = (start + step) * NS_PER_SECOND;
                // Before 1935 its offset had seconds, which the form cannot show.
                if zone.offset_s(ns) % 60 != 0 {
                    continue;
                }
                let mut text = Vec::new();
                format.format_into(ns, &zone, &mut text);
                prop_assert_eq!(cache.parse(&text), Some(ns));
                prop_assert_eq!(parse_clf(&text), Some(ns));
            }
        }

        #[test]
        fn a_cache_never_says_more_than_the_parser(
            texts in prop::collection::vec("1[0-2]/Feb/201[45]:08:46:[0-6][0-9] [-+]0[78]00", 1..40),
        ) {
            let mut cache = ClfCache::default();
            for text in texts {
                prop_assert_eq!(cache.parse(text.as_bytes()), parse_clf(text.as_bytes()));
            }
        }

        #[test]
        fn garbage_never_panics(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut cache = ClfCache::default();
            prop_assert_eq!(cache.parse(&text), parse_clf(&text));
        }
    }
}
