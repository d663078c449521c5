//! Stamps that count from the epoch: `1414448234.638504391`.

use crate::digits;

/// What the integer part of an epoch stamp counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds, layout `Epoch`.
    Seconds,
    /// Milliseconds, layout `EpochMilli`.
    Milliseconds,
    /// Microseconds, layout `EpochMicro`.
    Microseconds,
    /// Nanoseconds, layout `EpochNano`.
    Nanoseconds,
}

impl EpochUnit {
    /// The unit of a layout's name.
    #[must_use]
    pub fn from_layout(layout: &str) -> Option<Self> {
        match layout {
            "Epoch" => Some(Self::Seconds),
            "EpochMilli" => Some(Self::Milliseconds),
            "EpochMicro" => Some(Self::Microseconds),
            "EpochNano" => Some(Self::Nanoseconds),
            _ => None,
        }
    }

    fn ns(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1_000,
            Self::Nanoseconds => 1,
        }
    }

    /// Reads an unsigned decimal with an optional fraction, digit by digit; no float is involved.
    ///
    /// Digits past the nanosecond are cut off. `None` if `text` is anything else or too large.
    #[must_use]
    pub fn parse(self, text: &[u8]) -> Option<i64> {
        let whole_bytes = digits::leading(text);
        let (whole, fraction) = text.split_at(whole_bytes);
        let fraction = match fraction {
            [] => fraction,
            [b'.', digits @ ..] if digits::leading(digits) == digits.len() => digits,
            _ => return None,
        };
        if whole.is_empty() {
            return None;
        }
        let units = whole.iter().try_fold(0_i64, |sum, &byte| {
            sum.checked_mul(10)?.checked_add(i64::from(byte - b'0'))
        })?;
        let below = i64::from(digits::fraction_ns(fraction)) / (1_000_000_000 / self.ns());
        units.checked_mul(self.ns())?.checked_add(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_heka_hold() {
        for (layout, text, ns) in [
            ("Epoch", "1414448234", 1_414_448_234_000_000_000),
            ("Epoch", "1414448234.638504391", 1_414_448_234_638_504_391),
            ("EpochMilli", "1414448234638.5043911232", 1_414_448_234_638_504_391),
            ("EpochMicro", "1414448234638504.391", 1_414_448_234_638_504_391),
            ("EpochNano", "1414448234638504391.99999", 1_414_448_234_638_504_391),
            ("Epoch", "0.1", 100_000_000),
            ("Epoch", "7.", 7_000_000_000),
        ] {
            let unit = EpochUnit::from_layout(layout).unwrap();
            assert_eq!(unit.parse(text.as_bytes()), Some(ns), "{layout} {text}");
        }
    }

    #[test]
    fn what_is_no_unsigned_decimal_is_refused() {
        let too_large = b"9223372037";
        let garbage =
            [&b""[..], b".", b".5", b"-1", b"+1", b"1.2.3", b"1e9", b" 1", b"1 ", too_large];
        for text in garbage {
            assert_eq!(EpochUnit::Seconds.parse(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(EpochUnit::from_layout("EpochPico"), None);
    }
}
