//! Settings that Heka counts in whole seconds or milliseconds. Not here: durations (`duration`).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::duration::GoDuration;

/// A time that a bare number gives in the unit that Heka gave the key, `UNIT_MS` milliseconds.
///
/// A text such as `"1m30s"` is accepted as well. Bare numbers go up to 2^32 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Interval<const UNIT_MS: u64>(Duration);

/// A time that a bare number gives in seconds, as in `ticker_interval = 5`.
pub type Seconds = Interval<1000>;

/// A time that a bare number gives in milliseconds.
pub type Milliseconds = Interval<1>;

impl<const UNIT_MS: u64> Interval<UNIT_MS> {
    /// No time at all; what it means (mostly "never") is the key's affair.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// So many units.
    pub const fn new(count: u32) -> Self {
        Self(Duration::from_millis(count as u64 * UNIT_MS))
    }

    /// The duration for use with `std`.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// True if it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The count if it is a whole number of units.
    fn count(self) -> Option<u64> {
        let unit_ns = u128::from(UNIT_MS) * 1_000_000;
        let ns = self.0.as_nanos();
        let whole = unit_ns > 0 && ns.is_multiple_of(unit_ns);
        whole.then(|| u64::try_from(ns / unit_ns).ok()).flatten()
    }
}

impl<const UNIT_MS: u64> From<Interval<UNIT_MS>> for Duration {
    fn from(interval: Interval<UNIT_MS>) -> Self {
        interval.0
    }
}

/// As a duration with its unit.
impl<const UNIT_MS: u64> fmt::Display for Interval<UNIT_MS> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count() {
            Some(count) if UNIT_MS == 1000 => write!(out, "{count}s"),
            Some(count) if UNIT_MS == 1 => write!(out, "{count}ms"),
            _ => write!(out, "{:?}", self.0),
        }
    }
}

/// A bare number where that is exact, else a text.
impl<const UNIT_MS: u64> Serialize for Interval<UNIT_MS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.count() {
            Some(count) => serializer.serialize_u64(count),
            None => serializer.collect_str(&format_args!("{}ns", self.0.as_nanos())),
        }
    }
}

impl<'de, const UNIT_MS: u64> Deserialize<'de> for Interval<UNIT_MS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntervalVisitor)
    }
}

struct IntervalVisitor<const UNIT_MS: u64>;

impl<const UNIT_MS: u64> Visitor<'_> for IntervalVisitor<UNIT_MS> {
    type Value = Interval<UNIT_MS>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNIT_MS {
            1000 => out.write_str("a number of seconds"),
            1 => out.write_str("a number of milliseconds"),
            unit => write!(out, "a number of units of {unit} ms"),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let duration: GoDuration = text.parse().map_err(E::custom)?;
        Ok(Interval(duration.get()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let count = u32::try_from(number);
        count
            .map(Interval::new)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &"u32"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let count = u32::try_from(number);
        count
            .map(Interval::new)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &"u32"))
    }
}

impl<const UNIT_MS: u64> JsonSchema for Interval<UNIT_MS> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Interval{UNIT_MS}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let unit = if UNIT_MS == 1000 { "seconds" } else { "milliseconds" };
        json_schema!({ "type": ["integer", "string"], "x-type": unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(json: &str) -> Result<Seconds, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn bare_numbers_count_in_the_unit_of_the_key() {
        assert_eq!(seconds("5").unwrap().get(), Duration::from_secs(5));
        let ms: Milliseconds = serde_json::from_str("5").unwrap();
        assert_eq!(ms.get(), Duration::from_millis(5));
    }

    #[test]
    fn texts_name_their_unit() {
        assert_eq!(seconds("\"1m30s\"").unwrap(), Seconds::new(90));
        assert!(seconds("\"5\"").unwrap_err().contains("has no unit"));
    }

    #[test]
    fn numbers_outside_32_bits_and_fractions_are_refused() {
        assert_eq!(seconds("4294967295").unwrap(), Seconds::new(u32::MAX));
        for json in ["4294967296", "-1", "1.5", "true"] {
            assert!(seconds(json).is_err(), "{json}");
        }
    }

    #[test]
    fn intervals_are_written_as_they_are_read() {
        for json in ["5", "0", "\"1500000000ns\""] {
            let interval = seconds(json).unwrap();
            assert_eq!(serde_json::to_string(&interval).unwrap(), json);
        }
        assert_eq!(Seconds::new(5).to_string(), "5s");
        assert_eq!(Milliseconds::new(5).to_string(), "5ms");
        assert_eq!(seconds("\"1500ms\"").unwrap().to_string(), "1.5s");
    }
}
