//! Reading and writing of decimal digits.

use std::num::NonZeroU8;

/// Powers of ten up to a whole second of nanoseconds.
pub(crate) const TEN_TO: [u32; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// The value of one digit.
pub(crate) fn digit(byte: u8) -> Option<u8> {
    let value = byte.wrapping_sub(b'0');
    (value < 10).then_some(value)
}

/// The value of two digits.
pub(crate) fn two(text: [u8; 2]) -> Option<u8> {
    Some(digit(text[0])? * 10 + digit(text[1])?)
}

/// The value of four digits.
pub(crate) fn four(text: [u8; 4]) -> Option<i32> {
    let high = two([text[0], text[1]])?;
    let low = two([text[2], text[3]])?;
    Some(i32::from(high) * 100 + i32::from(low))
}

/// Number of digits that `text` starts with.
pub(crate) fn leading(text: &[u8]) -> usize {
    text.iter().position(|&byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

/// Digits after a decimal point as nanoseconds; those past the ninth are cut off, not rounded.
pub(crate) fn fraction_ns(digits: &[u8]) -> u32 {
    let kept = &digits[..digits.len().min(9)];
    let value = kept.iter().fold(0, |sum, &byte| sum * 10 + u32::from(byte.wrapping_sub(b'0')));
    value * TEN_TO[9 - kept.len()]
}

/// A point and digits at the start of `text`, if there: nanoseconds, and bytes taken.
pub(crate) fn point_fraction(text: &[u8]) -> Option<(u32, usize)> {
    if !matches!(text.first(), Some(b'.' | b',')) {
        return None;
    }
    let count = leading(&text[1..]);
    (count > 0).then(|| (fraction_ns(&text[1..1 + count]), 1 + count))
}

/// Appends `number`, below 100, as two digits.
pub(crate) fn push_two(out: &mut Vec<u8>, number: u8) {
    out.extend_from_slice(&pair(number));
}

/// Appends `number`, below 100, as two characters, the first a space if it is below 10.
pub(crate) fn push_two_spaced(out: &mut Vec<u8>, number: u8) {
    let [high, low] = pair(number);
    out.extend_from_slice(&[if number < 10 { b' ' } else { high }, low]);
}

/// The two digits of a number below 100.
pub(crate) fn pair(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// The four digits of a year from 0 to 9999; others are taken modulo 10,000.
pub(crate) fn year_digits(year: i32) -> [u8; 4] {
    let year = year.rem_euclid(10_000);
    let ([a, b], [c, d]) = (pair((year / 100) as u8), pair((year % 100) as u8));
    [a, b, c, d]
}

/// Appends the low `width` (up to 9) digits of `number`.
pub(crate) fn push_padded(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let mut text = [b'0'; 9];
    for place in text.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text[9 - width.min(9)..]);
}

/// Appends a signed number in decimal.
pub(crate) fn push_integer(out: &mut Vec<u8>, number: i64) {
    let mut text = [0; 20];
    let mut at = text.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&text[at..]);
}

/// Reads `+hhmm` style offsets: sign, hours, minutes, the separator between them if there is one.
pub(crate) fn offset_s(text: &[u8], separator: Option<NonZeroU8>) -> Option<i32> {
    let (hours, minutes) = match (separator, text) {
        (None, &[_, a, b, c, d]) => (two([a, b])?, two([c, d])?),
        (Some(wanted), &[_, a, b, s, c, d]) if s == wanted.get() => (two([a, b])?, two([c, d])?),
        _ => return None,
    };
    if hours > 24 || minutes > 59 {
        return None;
    }
    let seconds = i32::from(hours) * 3_600 + i32::from(minutes) * 60;
    match text[0] {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// `:` between hours and minutes.
pub(crate) const COLON: Option<NonZeroU8> = NonZeroU8::new(b':');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_cut_at_nanoseconds() {
        assert_eq!(fraction_ns(b"5"), 500_000_000);
        assert_eq!(fraction_ns(b"0000000019"), 1);
        assert_eq!(fraction_ns(b"999999999999"), 999_999_999);
        assert_eq!(point_fraction(b".25x"), Some((250_000_000, 3)));
        assert_eq!((point_fraction(b"."), point_fraction(b"25")), (None, None));
    }

    #[test]
    fn integers_print_as_the_standard_library_prints_them() {
        for number in [0, 7, -7, 10, 1_392_050_801, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            push_integer(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn offsets_need_sign_and_range() {
        assert_eq!(offset_s(b"-0330", None), Some(-12_600));
        assert_eq!(offset_s(b"+05:30", COLON), Some(19_800));
        for wrong in [&b"0330"[..], b"*0330", b"+2500", b"+0060", b"+03:30", b"+0a00", b""] {
            assert_eq!(offset_s(wrong, None), None);
        }
    }
}
