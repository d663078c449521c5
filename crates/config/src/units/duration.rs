//! Durations in Go's text form. Not here: plain counts of seconds (`interval`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::ConfigError;

/// Units with their length in nanoseconds, longest first.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Go holds a duration in a signed 64-bit count of nanoseconds.
const MAX_NS: u128 = i64::MAX as u128;
const MAX_TEXT: &str = "2562047h";

/// Fraction digits that can still make a difference; more are read and cut off.
const MAX_FRACTION_DIGITS: usize = 18;

/// A duration as Go writes it: `250ms`, `1h30m`, `1.5s`, `0`.
///
/// Units are ns, us (also µs), ms, s, m, h. A bare number is refused, except 0; so is anything
/// below zero or above about 292 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration(Duration);

impl GoDuration {
    /// No time at all.
    pub const ZERO: GoDuration = GoDuration(Duration::ZERO);

    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(Duration::from_secs(seconds as u64))
    }

    /// A duration of whole milliseconds.
    pub const fn from_millis(milliseconds: u32) -> Self {
        Self(Duration::from_millis(milliseconds as u64))
    }

    /// The duration for use with `std`.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// True if it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

impl FromStr for GoDuration {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Duration { text: text.to_owned() };
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
            let number_end = number_end.unwrap_or(rest.len());
            let (number, after) = rest.split_at(number_end);
            let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.');
            let (unit, next) = after.split_at(unit_end.unwrap_or(after.len()));
            if unit.is_empty() && !number.contains('.') && number == text {
                return Err(ConfigError::DurationUnit { text: text.to_owned() });
            }
            let length = unit_ns(unit).ok_or_else(wrong)?;
            let amount = part_ns(number, length).ok_or_else(wrong)?;
            total = total.saturating_add(amount);
            rest = next;
        }
        if negative && total > 0 {
            return Err(ConfigError::Negative { text: text.to_owned() });
        }
        if total > MAX_NS {
            return Err(ConfigError::TooLarge { text: text.to_owned(), largest: MAX_TEXT });
        }
        Ok(Self(Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX))))
    }
}

/// Length of a unit in nanoseconds; both Unicode spellings of micro are known to Go.
fn unit_ns(unit: &str) -> Option<u64> {
    let unit = if unit == "\u{b5}s" || unit == "\u{3bc}s" { "us" } else { unit };
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, length)| *length)
}

/// `number` times `length`, cut to whole nanoseconds; none if it has no digit or two points.
/// Numbers too long to hold come out as a huge amount, which the caller refuses.
fn part_ns(number: &str, length: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole_value = match whole.trim_start_matches('0') {
        "" => 0,
        digits => digits.parse::<u128>().unwrap_or(u128::MAX),
    };
    let mut amount = whole_value.saturating_mul(u128::from(length));
    let digits = fraction.get(..fraction.len().min(MAX_FRACTION_DIGITS)).unwrap_or_default();
    if !digits.is_empty() {
        let scale = 10u128.pow(u32::try_from(digits.len()).unwrap_or(0));
        amount = amount.saturating_add(digits.parse::<u128>().ok()? * u128::from(length) / scale);
    }
    Some(amount)
}

/// The shortest exact form: `1h30m`, `250ms`, `1s500ms`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return out.write_str("0s");
        }
        for (unit, length) in UNITS {
            let length = u128::from(length);
            if rest >= length {
                write!(out, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = GoDuration;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a duration such as '250ms'")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<GoDuration, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<GoDuration, E> {
        number.to_string().parse().map_err(E::custom)
    }
}

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-type": "duration" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(text: &str) -> u128 {
        text.parse::<GoDuration>().unwrap().get().as_nanos()
    }

    #[test]
    fn go_durations_are_read() {
        assert_eq!(ns("250ms"), 250_000_000);
        assert_eq!(ns("1h30m"), 5_400_000_000_000);
        assert_eq!(ns("1.5s"), 1_500_000_000);
        assert_eq!(ns(".5s"), 500_000_000);
        assert_eq!(ns("1.s"), 1_000_000_000);
        assert_eq!(ns("+2m"), 120_000_000_000);
        assert_eq!(ns("3us") + ns("3\u{b5}s") + ns("3\u{3bc}s"), 9_000);
        assert_eq!((ns("0"), ns("-0"), ns("0h")), (0, 0, 0));
        assert_eq!(ns("2562047h"), 2_562_047 * 3_600_000_000_000);
    }

    #[test]
    fn other_texts_are_no_duration() {
        for text in ["", "+", "s", ".s", "1.2.3s", "1x", "1s2", "1 s", "1D", "ms1"] {
            assert!(
                matches!(text.parse::<GoDuration>(), Err(ConfigError::Duration { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_bare_number_asks_for_its_unit() {
        let error = "30".parse::<GoDuration>().unwrap_err().to_string();
        assert_eq!(error, "duration '30' has no unit, expected for example '30s' or '30ms'");
    }

    #[test]
    fn durations_outside_their_range_are_refused() {
        assert!(matches!("-1s".parse::<GoDuration>(), Err(ConfigError::Negative { .. })));
        for text in ["2562048h", "99999999999999999999999999999999999999999999h"] {
            assert!(
                matches!(text.parse::<GoDuration>(), Err(ConfigError::TooLarge { .. })),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ns in 0u64..=i64::MAX as u64) {
            let duration = GoDuration(Duration::from_nanos(ns));
            prop_assert_eq!(duration.to_string().parse::<GoDuration>().unwrap(), duration);
        }

        #[test]
        fn no_text_panics(text in "[-+.0-9hmsnuµ]{0,40}|.{0,40}") {
            if let Ok(duration) = text.parse::<GoDuration>() {
                prop_assert!(duration.get().as_nanos() <= MAX_NS);
            }
        }
    }
}
