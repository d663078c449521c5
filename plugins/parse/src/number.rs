//! Reading numbers from text, and writing them, without the standard library's detours.

/// Largest integer below which every integer is a double.
pub(crate) const EXACT_INTEGER_MAX: u64 = 1 << 53;
/// Digits that surely fit a `u64`.
const DIGITS_MAX: usize = 19;
/// Powers of ten that are doubles exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Number of digits that `text` starts with.
pub(crate) fn leading_digits(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

/// Adds digits to `value`; the caller made sure that they fit.
fn accumulate(value: u64, digits: &[u8]) -> u64 {
    digits.iter().fold(value, |sum, &byte| sum * 10 + u64::from(byte.wrapping_sub(b'0')))
}

/// The digits at the start of `text` as a double, and their number.
pub(crate) fn read_integer(text: &[u8]) -> Option<(f64, usize)> {
    let count = leading_digits(text);
    if count == 0 {
        return None;
    }
    let digits = &text[..count];
    let value =
        if count <= DIGITS_MAX { accumulate(0, digits) as f64 } else { parse_slowly(digits)? };
    Some((value, count))
}

/// Digits, a point and digits at the start of `text` as a double, and their length.
pub(crate) fn read_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = leading_digits(text);
    if whole == 0 || text.get(whole) != Some(&b'.') {
        return None;
    }
    let fraction = leading_digits(&text[whole + 1..]);
    if fraction == 0 {
        return None;
    }
    let length = whole + 1 + fraction;
    if whole + fraction <= DIGITS_MAX {
        let mantissa = accumulate(accumulate(0, &text[..whole]), &text[whole + 1..length]);
        if let Some(value) = exact(mantissa, -(fraction as i32)) {
            return Some((value, length));
        }
    }
    Some((parse_slowly(&text[..length])?, length))
}

/// `mantissa` times ten to `exponent`, if one correctly rounded operation yields it.
pub(crate) fn exact(mantissa: u64, exponent: i32) -> Option<f64> {
    if mantissa > EXACT_INTEGER_MAX {
        return None;
    }
    let power = *EXACT_POWERS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    let mantissa = mantissa as f64;
    Some(if exponent < 0 { mantissa / power } else { mantissa * power })
}

/// A whole text as an integer with an optional minus sign; `None` if it is none or does not fit.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX || leading_digits(digits) != digits.len() {
        return None;
    }
    let magnitude = accumulate(0, digits);
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// A number as JSON writes it, read by the standard library; not finite becomes `None`.
pub(crate) fn parse_slowly(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Appends an integer in decimal, two digits a step.
pub(crate) fn write_integer(number: i64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut at = text.len();
    let mut rest = number.unsigned_abs();
    while rest >= 100 {
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if rest >= 10 {
        let pair = rest as usize * 2;
        at -= 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        text[at] = b'0' + rest as u8;
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&text[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stop_at_the_first_other_byte() {
        assert_eq!(read_integer(b"203023 \"x"), Some((203_023.0, 6)));
        assert_eq!(read_integer(b"0"), Some((0.0, 1)));
        assert_eq!(read_integer(b"18446744073709551616"), Some((18_446_744_073_709_551_616.0, 20)));
        assert_eq!((read_integer(b""), read_integer(b"-1")), (None, None));
    }

    #[test]
    fn decimals_are_rounded_as_the_standard_library_rounds_them() {
        for text in
            ["0.005", "1399500744.123", "0.1", "9007199254740993.5", "1.00000000000000000000001"]
        {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(read_decimal(text.as_bytes()), Some((expected, text.len())));
        }
        for text in ["1", "1.", ".5", "", "-1.5", "x"] {
            assert_eq!(read_decimal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn whole_integers_have_a_range() {
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        for text in [&b"9223372036854775808"[..], b"-9223372036854775809", b"", b"-", b"1x", b"+1"]
        {
            assert_eq!(parse_i64(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn integers_print_as_the_standard_library_prints_them() {
        for number in [0, 9, 10, 99, 100, 101, 12_345, -7, -10, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_integer(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
