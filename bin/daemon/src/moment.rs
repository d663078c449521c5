//! Times on the command line and in what commands print.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// A time as a user says it: `2026-01-31T09:30:00Z`, or so long ago: `-15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nanoseconds since 1970.
    At(i64),
    /// So many nanoseconds before now.
    Ago(i64),
}

/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;
/// Units of times ago, and their seconds.
const UNITS: [(&str, i64); 5] =
    [("s", 1), ("m", 60), ("h", 3600), ("d", 24 * 3600), ("w", 7 * 24 * 3600)];

/// A time that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MomentError;

impl fmt::Display for MomentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("write it as 2026-01-31T09:30:00Z, or -15m, -2h, -3d for so long ago")
    }
}

impl std::error::Error for MomentError {}

impl Moment {
    /// Nanoseconds since 1970, given those of now.
    pub(crate) fn resolve(self, now_ns: i64) -> i64 {
        match self {
            Self::At(ns) => ns,
            Self::Ago(ns) => now_ns.saturating_sub(ns),
        }
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        if let Some(ago) = text.strip_prefix('-') {
            return duration(ago).map(Self::Ago).ok_or(MomentError);
        }
        let time: Timestamp = text.parse().map_err(|_| MomentError)?;
        // Messages have no times beyond these, which lie in 1677 and 2262.
        let ns = time.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into());
        i64::try_from(ns).map(Self::At).map_err(|_| MomentError)
    }
}

/// One or more numbers with their units, as in `1h30m`.
fn duration(text: &str) -> Option<i64> {
    let (mut rest, mut total) = (text, 0_i64);
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit_on) = rest.split_at(digits);
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| unit_on.starts_with(unit))?;
        let ns = number.parse::<i64>().ok()?.checked_mul(*seconds)?.checked_mul(SECOND_NS)?;
        total = total.checked_add(ns)?;
        rest = &unit_on[unit.len()..];
        if rest.is_empty() {
            return Some(total);
        }
    }
}

/// A time for people and programs: RFC 3339 in UTC, to the millisecond.
pub(crate) fn text(ns: i64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_and_as_so_long_ago() {
        for (text, moment) in [
            ("1970-01-01T00:00:01Z", Moment::At(1_000_000_000)),
            ("1970-01-01T01:00:00.5+01:00", Moment::At(500_000_000)),
            ("2999-01-01T00:00:00+02:00", Moment::At(i64::MAX)),
            ("-15m", Moment::Ago(900 * SECOND_NS)),
            ("-1h30m", Moment::Ago(5400 * SECOND_NS)),
            ("-2w", Moment::Ago(14 * 86_400 * SECOND_NS)),
        ] {
            assert_eq!(text.parse(), Ok(moment), "{text}");
        }
        assert_eq!(Moment::Ago(5).resolve(7), 2);
        assert_eq!(Moment::At(5).resolve(7), 5);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "15m",
            "-15",
            "-m",
            "-15x",
            "-15m!",
            "yesterday",
            "2026-01-31",
            "-99999999999w",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(MomentError), "{text}");
        }
    }

    #[test]
    fn times_are_printed_in_utc() {
        assert_eq!(text(1_500_000_000_123_456_789), "2017-07-14T02:40:00.123Z");
    }
}
