//! Numbers as C's `strtod` reads them.

/// Significant hexadecimal digits that are kept.
const HEX_DIGITS_MAX: u32 = 15;
/// Integers of so many digits are exact.
const EXACT_DIGITS: usize = 15;

/// The number that a text begins with, and its length in bytes; `None` if it begins with none.
///
/// As in C: a sign, then decimal digits with point and exponent, hexadecimal ones after `0x`, `inf`, `infinity`, `nan`.
pub(super) fn parse(text: &[u8]) -> Option<(f64, usize)> {
    let (is_negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let sign = text.len() - unsigned.len();
    let (number, len) = match unsigned.first()? {
        b'0' if is_hex(unsigned) => parse_hex(unsigned),
        b'0'..=b'9' | b'.' => parse_decimal(unsigned)?,
        _ => parse_word(unsigned)?,
    };
    Some((if is_negative { -number } else { number }, sign + len))
}

/// True if JSON does not know a number that begins so, though [`parse`] may.
pub(super) fn is_invalid(text: &[u8]) -> bool {
    match text.strip_prefix(b"-").unwrap_or(text) {
        [b'+', ..] => true,
        [b'0', b'x' | b'X' | b'0'..=b'9', ..] => true,
        rest => begins_with(rest, b"inf") || begins_with(rest, b"nan"),
    }
}

fn begins_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn parse_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(text);
    let fraction = match text.get(whole) {
        Some(b'.') => 1 + digits(&text[whole + 1..]),
        _ => 0,
    };
    if whole == 0 && fraction <= 1 {
        return None;
    }
    let mantissa = whole + fraction;
    let len = mantissa + exponent_len(&text[mantissa..], *b"eE");
    if len == whole && whole <= EXACT_DIGITS {
        let value = text[..len].iter().fold(0_u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        return Some((value as f64, len));
    }
    let number = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((number, len))
}

/// Bytes of an exponent, 0 if it has no digits.
fn exponent_len(text: &[u8], letters: [u8; 2]) -> usize {
    let after = match text {
        [letter, b'+' | b'-', after @ ..] if letters.contains(letter) => after,
        [letter, after @ ..] if letters.contains(letter) => after,
        _ => return 0,
    };
    match digits(after) {
        0 => 0,
        count => text.len() - after.len() + count,
    }
}

/// True if digits follow `0x`.
fn is_hex(text: &[u8]) -> bool {
    match text {
        [_, b'x' | b'X', b'.', digit, ..] | [_, b'x' | b'X', digit, ..] => {
            digit.is_ascii_hexdigit()
        }
        _ => false,
    }
}

/// A number whose digits follow `0x`; the exponent is one of 2.
fn parse_hex(text: &[u8]) -> (f64, usize) {
    let (mut mantissa, mut kept, mut exponent) = (0_u64, 0, 0_i64);
    let (mut at, mut has_point) = (2, false);
    while let Some(&byte) = text.get(at) {
        if byte == b'.' && !has_point {
            has_point = true;
        } else if let Some(digit) = (byte as char).to_digit(16) {
            exponent -= if has_point { 4 } else { 0 };
            if kept < HEX_DIGITS_MAX {
                mantissa = mantissa << 4 | u64::from(digit);
                kept += u32::from(mantissa != 0);
            } else {
                // It only matters that there is something.
                mantissa |= u64::from(digit != 0);
                exponent += 4;
            }
        } else {
            break;
        }
        at += 1;
    }
    let len = exponent_len(&text[at..], *b"pP");
    if len > 0 {
        let given = std::str::from_utf8(&text[at + 1..at + len]).ok();
        let given = given.and_then(|given| given.parse::<i64>().ok());
        let is_negative = text.get(at + 1) == Some(&b'-');
        let beyond = if is_negative { -1_000_000_000 } else { 1_000_000_000 };
        exponent = exponent.saturating_add(given.unwrap_or(beyond));
    }
    (scale(mantissa as f64, exponent), at + len)
}

/// A number times a power of 2.
fn scale(number: f64, exponent: i64) -> f64 {
    const STEP: i64 = 1000;
    // Two powers reach all results; beyond them it is 0 or infinite.
    let first = exponent.clamp(-STEP, STEP);
    let second = (exponent - first).clamp(-STEP, STEP);
    number * 2_f64.powi(first as i32) * 2_f64.powi(second as i32)
}

fn parse_word(text: &[u8]) -> Option<(f64, usize)> {
    if begins_with(text, b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if begins_with(text, b"inf") {
        return Some((f64::INFINITY, 3));
    }
    begins_with(text, b"nan").then_some((f64::NAN, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let cases: [(&str, f64, usize); 22] = [
            ("0", 0.0, 1),
            ("12,", 12.0, 2),
            ("-7]", -7.0, 2),
            ("+5", 5.0, 2),
            ("007", 7.0, 3),
            ("1.5e3x", 1500.0, 5),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("1.", 1.0, 2),
            (".5", 0.5, 2),
            ("-.5", -0.5, 3),
            ("123456789012345678", 123_456_789_012_345_680.0, 18),
            ("1e400", f64::INFINITY, 5),
            ("1e-400", 0.0, 6),
            ("0x10", 16.0, 4),
            ("0x", 0.0, 1),
            ("0X1.8p1", 3.0, 7),
            ("0x.8", 0.5, 4),
            ("0x1p-1074", 5e-324, 9),
            ("0x1p99999999999999999999", f64::INFINITY, 24),
            ("0xffffffffffffffffff", 4_722_366_482_869_645_213_696.0, 20),
            ("-Infinity", f64::NEG_INFINITY, 9),
        ];
        for (text, number, len) in cases {
            assert_eq!(parse(text.as_bytes()), Some((number, len)), "{text}");
        }
        assert!(parse(b"nan").is_some_and(|(number, len)| number.is_nan() && len == 3));
        for text in ["", "-", "+", ".", "-.", "e1", "x", "in", "- 1"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn strict_json_has_fewer_numbers() {
        for text in ["+1", "0x1", "00", "-01", "inf", "-NaN", "Infinity"] {
            assert!(is_invalid(text.as_bytes()), "{text}");
        }
        for text in ["0", "-1", "10", "1e5", "0.5", "-x"] {
            assert!(!is_invalid(text.as_bytes()), "{text}");
        }
    }
}
