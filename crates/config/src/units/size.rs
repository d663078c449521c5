//! Numbers of bytes. Not here: counts of other things.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::ConfigError;

/// Units in lower case; those with an `i` are powers of 1024, the others of 1000.
const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Units that sizes are written with, largest first.
const WRITTEN_UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// What a TOML integer can hold.
const MAX_BYTES: u128 = i64::MAX as u128;
const MAX_TEXT: &str = "9223372036854775807";

/// Fraction digits that can still make a difference; more are read and cut off.
const MAX_FRACTION_DIGITS: usize = 18;

/// A number of bytes: `65536`, `"64MiB"`, `"10kB"`, `"1.5GiB"`.
///
/// A bare number counts bytes. KiB, MiB, GiB and TiB are powers of 1024; kB, MB, GB and TB are
/// powers of 1000; case does not matter. At most 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

impl Size {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many KiB.
    pub const fn kib(count: u32) -> Self {
        Self((count as u64) << 10)
    }

    /// So many MiB.
    pub const fn mib(count: u32) -> Self {
        Self((count as u64) << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes for lengths in memory; on a small machine the largest possible one.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Size { text: text.to_owned() };
        if text.starts_with('-') {
            return Err(ConfigError::Negative { text: text.to_owned() });
        }
        let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.split_at(number_end.unwrap_or(text.len()));
        let unit = unit.trim_start().to_ascii_lowercase();
        let unit = if unit.is_empty() { "b" } else { unit.as_str() };
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;

        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u128::MAX) };
        let fraction = fraction.get(..fraction.len().min(MAX_FRACTION_DIGITS)).unwrap_or("0");
        let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        let part = fraction.parse::<u128>().unwrap_or(0) * u128::from(*factor) / scale;
        let total = whole.saturating_mul(u128::from(*factor)).saturating_add(part);
        if total > MAX_BYTES {
            return Err(ConfigError::TooLarge { text: text.to_owned(), largest: MAX_TEXT });
        }
        Ok(Self(u64::try_from(total).unwrap_or(u64::MAX)))
    }
}

/// With the largest unit that is exact: `64MiB`, `1500B`.
impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in WRITTEN_UNITS {
            if self.0 > 0 && self.0.is_multiple_of(factor) {
                return write!(out, "{}{unit}", self.0 / factor);
            }
        }
        write!(out, "{}B", self.0)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a size such as 65536 or '64KiB'")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
        let bytes = u64::try_from(number);
        bytes.map(Size).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &"u64"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
        number.to_string().parse().map_err(E::custom)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "x-type": "size" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_in_both_kinds_of_units() {
        let bytes = |text: &str| text.parse::<Size>().unwrap().bytes();
        assert_eq!(bytes("64MiB"), 64 << 20);
        assert_eq!(bytes("10kB"), 10_000);
        assert_eq!(bytes("1.5gib"), 3 << 29);
        assert_eq!(bytes("2 TB"), 2_000_000_000_000);
        assert_eq!((bytes("0"), bytes("77"), bytes("77B")), (0, 77, 77));
        assert_eq!(bytes("9223372036854775807"), i64::MAX as u64);
    }

    #[test]
    fn other_texts_are_no_size() {
        for text in ["", "MiB", "1M", "1.", ".5kB", "1.2.3kB", "1 2", "kB1", "0x10"] {
            assert!(matches!(text.parse::<Size>(), Err(ConfigError::Size { .. })), "{text}");
        }
        assert!(matches!("-1".parse::<Size>(), Err(ConfigError::Negative { .. })));
        for text in ["9223372036854775808", "8388608TiB", &"9".repeat(60)] {
            assert!(matches!(text.parse::<Size>(), Err(ConfigError::TooLarge { .. })), "{text}");
        }
    }

    #[test]
    fn sizes_are_written_with_their_largest_exact_unit() {
        let texts = [Size::mib(128), Size::kib(1), Size::new(1500), Size::new(0)];
        let texts: Vec<String> = texts.iter().map(Size::to_string).collect();
        assert_eq!(texts, ["128MiB", "1KiB", "1500B", "0B"]);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes in 0u64..=i64::MAX as u64, shift in 0u32..50) {
            let size = Size::new(bytes >> shift << shift);
            prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }

        #[test]
        fn no_text_panics(text in "[-.0-9kKMGTiB ]{0,40}|.{0,40}") {
            if let Ok(size) = text.parse::<Size>() {
                prop_assert!(u128::from(size.bytes()) <= MAX_BYTES);
            }
        }
    }
}
