//! Time stamps in whatever way an option `timestamp_format` says.

use heka_datetime::{
    Civil, DatetimeError, EpochUnit, Location, Rfc3339Cache, StrptimeGrammar, parse_rfc3339,
};
use heka_plugin::FieldProblems;

use crate::error::ParseError;
use crate::number::leading_digits;

/// The format that stands for RFC 3339, which strftime cannot describe.
pub(crate) const RFC3339: &str = "RFC3339";

/// Bytes of a date.
const DATE_BYTES: usize = 10;
/// Bytes of a stamp up to its whole seconds.
const SECOND_BYTES: usize = 19;
/// How much longer the strict form of a stamp may be.
const LOOSE_BYTES_MORE: usize = 3;

/// How stamps are written.
#[derive(Debug)]
enum Form {
    /// A number or a string of digits.
    Epoch(EpochUnit),
    Rfc3339(Rfc3339Cache),
    Grammar(StrptimeGrammar),
}

impl Form {
    fn parse(format: &str) -> Result<Self, DatetimeError> {
        if format.is_empty() {
            return Ok(Self::Epoch(EpochUnit::Nanoseconds));
        }
        if format == RFC3339 {
            return Ok(Self::Rfc3339(Rfc3339Cache::default()));
        }
        match EpochUnit::from_layout(format) {
            Some(unit) => Ok(Self::Epoch(unit)),
            None => StrptimeGrammar::parse(format).map(Self::Grammar),
        }
    }
}

/// Reads stamps of one format and zone.
#[derive(Debug)]
pub(crate) struct StampReader {
    form: Form,
    location: Location,
}

impl StampReader {
    /// Takes the options `timestamp_format` and `tz`; no format means nanoseconds.
    pub(crate) fn parse(format: &str, zone: &str) -> Result<Self, ParseError> {
        let form = Form::parse(format).map_err(ParseError::TimeFormat)?;
        Ok(Self { form, location: Location::parse(zone).map_err(ParseError::Zone)? })
    }

    /// Checks these two options.
    pub(crate) fn validate(format: &str, zone: &str, problems: &mut FieldProblems) {
        if let Err(error) = Form::parse(format) {
            problems.error("timestamp_format", format!("cannot be used: {error}"));
        }
        if let Err(error) = Location::parse(zone) {
            problems.error("tz", format!("cannot be used: {error}"));
        }
    }

    /// Reads a stamp, in ns since the epoch.
    pub(crate) fn read(&mut self, text: &[u8], now_ns: i64) -> Option<i64> {
        match &mut self.form {
            Form::Epoch(unit) => unit.parse(text).or_else(|| inexact(*unit, text)),
            Form::Rfc3339(cache) => match cache.parse(text) {
                Some((ns, taken)) if taken == text.len() => Some(ns),
                _ => loose_rfc3339(text, &self.location),
            },
            Form::Grammar(grammar) => grammar.parse_time(text, &self.location, now_ns).ok(),
        }
    }
}

/// RFC 3339 as programs write it that take it less strictly: a space or `t` between date and time, a comma before the
/// fraction, `z`, an offset without colon or without minutes, or none at all, which means a time at `location`.
fn loose_rfc3339(text: &[u8], location: &Location) -> Option<i64> {
    let mut strict = Vec::with_capacity(text.len() + LOOSE_BYTES_MORE);
    let (seconds, rest) = text.split_at_checked(SECOND_BYTES)?;
    strict.extend_from_slice(seconds);
    if let b' ' | b't' = strict[DATE_BYTES] {
        strict[DATE_BYTES] = b'T';
    }
    let mut offset = rest;
    if let [b'.' | b',', fraction @ ..] = rest {
        let digits = leading_digits(fraction);
        strict.push(b'.');
        strict.extend_from_slice(&fraction[..digits]);
        offset = &fraction[digits..];
    }
    let is_local = offset.is_empty();
    match offset.strip_prefix(b" ").unwrap_or(offset) {
        [] | [b'z' | b'Z'] => strict.push(b'Z'),
        [sign, a, b] => strict.extend_from_slice(&[*sign, *a, *b, b':', b'0', b'0']),
        [sign, a, b, c, d] | [sign, a, b, b':', c, d] => {
            strict.extend_from_slice(&[*sign, *a, *b, b':', *c, *d]);
        }
        _ => return None,
    }
    let (ns, taken) = parse_rfc3339(&strict)?;
    if taken != strict.len() {
        return None;
    }
    if is_local { location.to_ns(&Civil::from_ns(ns, 0)) } else { Some(ns) }
}

/// A stamp with a sign or an exponent: read as a double, as exact as that is.
fn inexact(unit: EpochUnit, text: &[u8]) -> Option<i64> {
    let factor = unit.parse(b"1")? as f64;
    let ns = crate::number::parse_slowly(text)? * factor;
    (ns.abs() < i64::MAX as f64).then_some(ns as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        for (format, text, ns) in [
            ("", "1399475544000000001", Some(1_399_475_544_000_000_001)),
            ("", "1.399475544e18", Some(1_399_475_544_000_000_000)),
            ("", "x", None),
            ("", "1e300", None),
            ("Epoch", "1385053862.3072", Some(1_385_053_862_307_200_000)),
            ("EpochMilli", "-1", Some(-1_000_000)),
            ("RFC3339", "1970-01-01T00:00:01Z", Some(1_000_000_000)),
            ("RFC3339", "1970-01-01T00:00:01Z ", None),
            ("RFC3339", "1970-01-01 00:00:01,5z", Some(1_500_000_000)),
            ("RFC3339", "1970-01-01t01:00:01.5 +0100", Some(1_500_000_000)),
            ("RFC3339", "1970-01-01 01:00:01+01", Some(1_000_000_000)),
            ("RFC3339", "1970-01-01 01:00:01 +01:00", Some(1_000_000_000)),
            ("RFC3339", "1970-01-01T00:00:01", Some(1_000_000_000)),
            ("RFC3339", "1970-01-01T00:00:01.", None),
            ("RFC3339", "1970-01-01T00:00:01 UTC", None),
            ("RFC3339", "1970-01-01T00:00", None),
            ("RFC3339", "", None),
            ("%m/%d/%Y %H:%M:%S", "05/07/2014 15:12:24", Some(1_399_475_544_000_000_000)),
        ] {
            let mut reader = StampReader::parse(format, "UTC").unwrap();
            assert_eq!(reader.read(text.as_bytes(), 0), ns, "{format} <- {text}");
        }
    }

    #[test]
    fn a_stamp_without_an_offset_is_of_the_zone() {
        let mut reader = StampReader::parse("RFC3339", "Asia/Kolkata").unwrap();
        assert_eq!(reader.read(b"1970-01-01 05:30:01", 0), Some(1_000_000_000));
        assert_eq!(reader.read(b"1970-01-01T00:00:01Z", 0), Some(1_000_000_000));
    }

    #[test]
    fn wrong_options_are_refused() {
        let mut problems = FieldProblems::new();
        StampReader::validate("RFC3339", "UTC", &mut problems);
        assert!(problems.is_empty());
        StampReader::validate("%Q", "UTC", &mut problems);
        assert!(!problems.is_empty());
        assert!(matches!(StampReader::parse("", "Nowhere"), Err(ParseError::Zone(_))));
    }
}
