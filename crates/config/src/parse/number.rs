//! Booleans, numbers and dates: what the dialect has, and the further forms of TOML 1.0.
//!
//! Invariant: `010` is ten, as in the dialect.

use super::shown;
use crate::value::Data;

/// What is said about a word that must not be shown.
pub(super) const NO_VALUE: &str = "the text of a variable is no value here, a text needs quotes";

/// Length of the word that `text` begins with; a date and its time may be parted by a space.
pub(super) fn word_length(text: &str) -> usize {
    let end = |text: &str| {
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}' | '#');
        text.find(ends).unwrap_or(text.len())
    };
    let length = end(text);
    let word = text.get(..length).unwrap_or_default();
    let Some(behind) = text.get(length..).and_then(|behind| behind.strip_prefix(' ')) else {
        return length;
    };
    let time_follows = behind.get(..3).is_some_and(|start| matches_form(start, "00:"));
    if matches_form(word, "0000-00-00") && time_follows { length + 1 + end(behind) } else { length }
}

/// Reads a word that is no string.
pub(super) fn read(word: &str) -> Result<Data, String> {
    match word {
        "true" => return Ok(Data::Boolean(true)),
        "false" => return Ok(Data::Boolean(false)),
        _ => {}
    }
    if is_date(word) {
        return Ok(Data::Datetime(word.to_owned()));
    }
    if let Some(plain) = without_underscores(word) {
        if let Some(number) = integer(&plain) {
            let number = number.ok_or_else(|| format!("{} is too large", shown(word)))?;
            return Ok(Data::Integer(number));
        }
        if let Some(number) = float(&plain) {
            return Ok(Data::Float(number));
        }
    }
    Err(match word.chars().next() {
        None => "missing value".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("{} is no number", shown(word)),
        Some(_) => format!("{} is no value, a text needs quotes", shown(word)),
    })
}

/// The word without underscores; none if one does not stand between two digits.
fn without_underscores(word: &str) -> Option<String> {
    let bytes = word.as_bytes();
    let digit = |index: Option<usize>| {
        index.and_then(|index| bytes.get(index)).is_some_and(u8::is_ascii_hexdigit)
    };
    let placed = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'_')
        .all(|(index, _)| digit(index.checked_sub(1)) && digit(index.checked_add(1)));
    placed.then(|| word.replace('_', ""))
}

/// The number if the word has the form of an integer; `Some(None)` if it does not fit.
fn integer(word: &str) -> Option<Option<i64>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = word.strip_prefix(prefix) {
            let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            return valid.then(|| i64::from_str_radix(digits, radix).ok());
        }
    }
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| word.parse().ok())
}

/// The number if the word has the form of a float: digits, then a fraction, an exponent or both.
fn float(word: &str) -> Option<f64> {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    if matches!(unsigned, "inf" | "nan") {
        return word.parse().ok();
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent_digits = exponent.map(|text| text.strip_prefix(['-', '+']).unwrap_or(text));
    let valid = digits(whole)
        && fraction.is_none_or(digits)
        && exponent_digits.is_none_or(digits)
        && (fraction.is_some() || exponent.is_some());
    if valid { word.parse().ok() } else { None }
}

/// True for dates, times and both together, in the forms of TOML 1.0.
fn is_date(word: &str) -> bool {
    let is_time = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        matches_form(whole, "00:00:00")
            && !fraction.is_empty()
            && fraction.bytes().all(|byte| byte.is_ascii_digit())
            && in_range(whole, 0, 23)
            && in_range(whole, 3, 59)
            && in_range(whole, 6, 60)
    };
    if is_time(word) {
        return true;
    }
    let (Some(date), Some(behind)) = (word.get(..10), word.get(10..)) else { return false };
    let is_day = matches_form(date, "0000-00-00")
        && (in_range(date, 5, 12) && !date.contains("-00"))
        && in_range(date, 8, 31);
    if !is_day || behind.is_empty() {
        return is_day;
    }
    let Some(time) = behind.strip_prefix(['T', 't', ' ']) else { return false };
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return is_time(time);
    }
    match time.rfind(['+', '-']).map(|index| time.split_at(index)) {
        Some((time, offset)) => {
            let offset = offset.get(1..).unwrap_or_default();
            let is_offset = matches_form(offset, "00:00") && in_range(offset, 0, 23);
            is_time(time) && is_offset && in_range(offset, 3, 59)
        }
        None => is_time(time),
    }
}

/// True if the two digits at `index` are at most `most`.
fn in_range(text: &str, index: usize, most: u32) -> bool {
    let digits = text.get(index..index + 2).and_then(|digits| digits.parse::<u32>().ok());
    digits.is_some_and(|number| number <= most)
}

/// True if the text has digits where `form` has a zero, and is equal to it elsewhere.
fn matches_form(text: &str, form: &str) -> bool {
    let same = |(byte, wanted): (u8, u8)| {
        if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted }
    };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(same)
}
