//! Go's reference layouts, `Mon Jan 2 15:04:05 MST 2006`, and Heka's forgiving use of them.
//!
//! Here: compiling a layout, and what happens when a stamp does not fit it or lacks a date. Not here: reading
//! by a compiled layout (`program`).

mod program;

use crate::epoch::EpochUnit;
use crate::error::DatetimeError;
use crate::location::Location;
use crate::year::{with_guessed_day, with_guessed_year};
use program::{Program, Read};

/// What layouts must start with to be one of those that count from the epoch.
const EPOCH: &str = "Epoch";

/// Layouts that are tried in this order when a stamp does not fit the configured one.
const FALLBACKS: [&str; 15] = [
    "Mon Jan _2 15:04:05 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "Mon Jan 02 15:04:05 -0700 2006",
    "02 Jan 06 15:04 MST",
    "02 Jan 06 15:04 -0700",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 -0700",
    "2006-01-02T15:04:05Z07:00",
    "2006-01-02T15:04:05.999999999Z07:00",
    "3:04PM",
    "Jan _2 15:04:05",
    "Jan _2 15:04:05.000",
    "Jan _2 15:04:05.000000",
    "Jan _2 15:04:05.000000000",
];

/// A compiled layout.
#[derive(Debug, Clone)]
pub struct GoLayout {
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Epoch(EpochUnit),
    /// The configured layout, then the fallbacks.
    Layouts(Vec<Program>),
}

impl GoLayout {
    /// Compiles a layout.
    ///
    /// All text is a layout, if only a literal one, but for unknown names that start with `Epoch`.
    pub fn parse(layout: &str) -> Result<Self, DatetimeError> {
        let form = match EpochUnit::from_layout(layout) {
            Some(unit) => Form::Epoch(unit),
            None if layout.starts_with(EPOCH) => {
                return Err(DatetimeError::EpochLayout { layout: layout.to_owned() });
            }
            None => {
                let all = std::iter::once(layout).chain(FALLBACKS);
                Form::Layouts(all.map(Program::compile).collect())
            }
        };
        Ok(Self { form })
    }

    /// Reads a stamp: by this layout, else by the first usual one that fits.
    ///
    /// A stamp without an offset of its own is one of `location`. A stamp without a year, or a mere time of day, is
    /// completed from `now_ns` as [`with_guessed_year`] and [`with_guessed_day`] say.
    pub fn parse_time(
        &self,
        text: &[u8],
        location: &Location,
        now_ns: i64,
    ) -> Result<i64, DatetimeError> {
        let programs = match &self.form {
            Form::Epoch(unit) => {
                return unit.parse(text).ok_or_else(|| DatetimeError::unrecognized(text));
            }
            Form::Layouts(programs) => programs,
        };
        let read = programs
            .iter()
            .find_map(|program| program.read(text))
            .ok_or_else(|| DatetimeError::unrecognized(text))?;
        complete(&read, location, now_ns).ok_or_else(|| DatetimeError::range(text))
    }
}

/// Adds what the stamp left out, in the zone that it is of.
fn complete(read: &Read, location: &Location, now_ns: i64) -> Option<i64> {
    let offset = match read.offset_s {
        Some(offset) => Some(offset),
        None => read.zone_name(location),
    };
    let (shift_s, location) = match offset {
        Some(offset) => (offset, &Location::utc()),
        None => (0, location),
    };
    let shift_ns = i64::from(shift_s) * crate::NS_PER_SECOND;
    let now_ns = now_ns.saturating_add(shift_ns);
    let ns = if read.has_year {
        location.to_ns(&read.civil)
    } else if read.has_date {
        with_guessed_year(&read.civil, location, now_ns)
    } else {
        with_guessed_day(&read.civil, location, now_ns)
    };
    ns?.checked_sub(shift_ns)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{NS_PER_SECOND, Strftime};

    /// 2014-05-07 22:12:24.
    const NOW: i64 = 1_399_500_744 * NS_PER_SECOND;

    fn parse(layout: &str, text: &str, zone: &str) -> Option<i64> {
        let layout = GoLayout::parse(layout).unwrap();
        let zone = Location::parse(zone).unwrap();
        layout.parse_time(text.as_bytes(), &zone, NOW).ok()
    }

    fn check(layout: &str, text: &str, seconds: i64, nanoseconds: i64) {
        let expected = Some(seconds * NS_PER_SECOND + nanoseconds);
        assert_eq!(parse(layout, text, ""), expected, "{layout} <- {text}");
    }

    #[test]
    fn each_element_of_the_language_is_read() {
        check("2006-01-02 15:04:05", "2014-02-10 08:46:41", 1_392_022_001, 0);
        check("06-1-2 3:4:5 PM", "14-2-10 8:46:41 PM", 1_392_065_201, 0);
        check("06-1-2 3:4:5 pm", "69-12-9 12:06:01 am", -1_986_839, 0);
        check("January _2 2006 03:04:05PM", "february  9 2014 12:00:00PM", 1_391_947_200, 0);
        check(
            "Monday, 02-Jan-06 15:04:05 -07:00",
            "friday, 07-FEB-14 00:00:00 -03:30",
            1_391_743_800,
            0,
        );
        check("Mon Jan 2 15:04:05 -07 2006", "Fri Feb 7 00:00:00 +02 2014", 1_391_724_000, 0);
        check("2006-01-02T15:04:05Z0700", "2014-02-07T00:00:00Z", 1_391_731_200, 0);
        check("2006-01-02T15:04:05Z0700", "2014-02-07T00:00:00-0100", 1_391_734_800, 0);
        check("2006-01-02T15:04:05Z07:00", "2014-02-07T00:00:00+01:00", 1_391_727_600, 0);
        check("2006-01-02 15:04:05.000", "2014-02-07 00:00:00.250", 1_391_731_200, 250_000_000);
        check("2006-01-02 15:04:05.999", "2014-02-07 00:00:00", 1_391_731_200, 0);
        check("2006-01-02 15:04:05.999", "2014-02-07 00:00:00.123456", 1_391_731_200, 123_456_000);
        check("02/Jan/2006:15:04:05 -0700", "10/Feb/2014:08:46:41 -0800", 1_392_050_801, 0);
        check("[2006_01_02]", "[2014_02_07]", 1_391_731_200, 0);
    }

    #[test]
    fn a_fraction_after_the_seconds_needs_no_place_in_the_layout() {
        check("2006-01-02 15:04:05", "2014-02-07 00:00:00.5", 1_391_731_200, 500_000_000);
        check("2006-01-02 15:04:05", "2014-02-07 00:00:00,123456789", 1_391_731_200, 123_456_789);
        check("2006-01-02 15:04:05 MST", "2014-02-07 00:00:00.5 UTC", 1_391_731_200, 500_000_000);
    }

    #[test]
    fn the_usual_layouts_are_fallbacks() {
        for (text, seconds) in [
            ("Fri Feb  7 00:00:00 2014", 1_391_731_200),
            ("Fri Feb  7 00:00:00 PST 2014", 1_391_731_200),
            ("Fri Feb 07 00:00:00 -0800 2014", 1_391_760_000),
            ("07 Feb 14 00:00 UTC", 1_391_731_200),
            ("07 Feb 14 00:00 +0100", 1_391_727_600),
            ("Friday, 07-Feb-14 00:00:00 GMT", 1_391_731_200),
            ("Fri, 07 Feb 2014 00:00:00 GMT+2", 1_391_724_000),
            ("Fri, 07 Feb 2014 00:00:00 -0100", 1_391_734_800),
            ("2014-02-07T00:00:00Z", 1_391_731_200),
            ("2014-02-07T00:00:00.0-08:00", 1_391_760_000),
            ("9:15PM", 1_399_497_300),
            ("Feb  7 00:00:00", 1_391_731_200),
            ("Dec  7 00:00:00", 1_386_374_400),
        ] {
            check("2006/01/02", text, seconds, 0);
        }
        check("2006/01/02", "Feb  7 00:00:00.000001", 1_391_731_200, 1_000);
    }

    #[test]
    fn epoch_layouts_know_no_fallback_and_no_other_name() {
        check("Epoch", "1414448234.638504391", 1_414_448_234, 638_504_391);
        assert_eq!(parse("Epoch", "2014-02-07T00:00:00Z", ""), None);
        assert!(matches!(GoLayout::parse("EpochX"), Err(DatetimeError::EpochLayout { .. })));
    }

    #[test]
    fn abbreviations_count_only_where_they_are_known() {
        let layout = "2006-01-02 15:04:05 MST";
        let text = "2014-07-01 00:00:00 PDT";
        let utc = 1_404_172_800 * NS_PER_SECOND;
        assert_eq!(parse(layout, text, ""), Some(utc));
        assert_eq!(parse(layout, text, "Europe/Berlin"), Some(utc));
        assert_eq!(parse(layout, text, "America/Los_Angeles"), Some(utc + 25_200 * NS_PER_SECOND));
        let text = "2014-07-01 00:00:00 UTC";
        assert_eq!(parse(layout, text, "America/Los_Angeles"), Some(utc));
    }

    #[test]
    fn stamps_without_offset_are_of_the_location() {
        let seconds = parse("2006-01-02 15:04:05", "2014-02-07 00:00:00", "America/Los_Angeles");
        assert_eq!(seconds, Some(1_391_760_000 * NS_PER_SECOND));
        let seconds = parse("15:04:05", "03:00:00", "America/Los_Angeles");
        assert_eq!(seconds, Some(1_399_456_800 * NS_PER_SECOND));
    }

    #[test]
    fn a_first_of_january_without_year_is_a_date() {
        check("Jan _2 15:04:05", "Jan  1 00:00:05", 1_388_534_405, 0);
        check("15:04:05", "00:00:05", 1_399_420_805, 0);
    }

    #[test]
    fn what_fits_no_layout_is_an_error_that_quotes_it() {
        let layout = GoLayout::parse("2006-01-02 15:04:05").unwrap();
        for text in [
            "",
            "garbage",
            "2014-02-30 00:00:00",
            "2014-02-07 24:01:00x",
            "2014-13-07 00:00:00",
            "2014-02-07 00:60:00",
            "2014-02-07 00:00:00 ",
            "2014-02-07 0:0:00",
        ] {
            let error = layout.parse_time(text.as_bytes(), &Location::utc(), NOW).unwrap_err();
            assert_eq!(error.to_string(), format!("don't recognize Timestamp: '{text}'"));
        }
        let far = layout.parse_time(b"9999-02-07 00:00:00", &Location::utc(), NOW);
        assert!(matches!(far, Err(DatetimeError::Range { .. })));
    }

    proptest! {
        #[test]
        fn stamps_round_trip(ns in -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            let ns = ns - ns.rem_euclid(1_000);
            let format = Strftime::parse("%A %d %B %Y %I:%M:%S.%f %p %z");
            let layout = GoLayout::parse("Monday 02 January 2006 03:04:05.000000 PM -0700").unwrap();
            let mut text = Vec::new();
            format.format_into(ns, &Location::utc(), &mut text);
            let read = layout.parse_time(&text, &Location::utc(), NOW).ok();
            prop_assert_eq!(read, Some(ns));
        }

        #[test]
        fn no_layout_and_no_text_panics(
            layout in "[ -~]{0,20}|(2006|Jan|_2|15|04|05|[.]000|MST|-0700|PM|[ :./-]){0,10}",
            text in prop::collection::vec(any::<u8>(), 0..40),
            plausible in "[A-Za-z]{3}[ ,]{0,2}[0-9]{1,4}[-/: ][0-9:. ]{0,20}[A-Z+-]{0,4}[0-9:]{0,6}",
            now in any::<i64>(),
        ) {
            if let Ok(layout) = GoLayout::parse(&layout) {
                let zone = Location::parse("Europe/Moscow").unwrap();
                layout.parse_time(&text, &zone, now).ok();
                layout.parse_time(plausible.as_bytes(), &zone, now).ok();
            }
        }
    }
}
