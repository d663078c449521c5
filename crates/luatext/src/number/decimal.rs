//! Decimal digits of binary numbers, rounded as C does: exactly, a tie to the even digit.
//!
//! Here: integer arithmetic where 128 bits hold the number times a power of ten, the standard library elsewhere.

use std::io::Write;

/// Digits that a format can ask for: one before the point and 99 behind it.
const DIGITS_MAX: usize = 100;

/// Powers of ten that 64 bits hold.
const POWERS: [u64; 20] = powers();

const fn powers() -> [u64; 20] {
    let mut powers = [1; 20];
    let mut index = 1;
    while index < 20 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
}

/// Significant digits of a number, the point behind the first, and a power of ten.
#[derive(Debug, Clone)]
pub(crate) struct Decimal {
    digits: [u8; DIGITS_MAX],
    count: usize,
    exponent: i32,
}

impl Decimal {
    /// The digits of a finite number that is not negative: `count` of them, 1 to 100.
    pub(crate) fn new(number: f64, count: usize) -> Self {
        debug_assert!(number.is_finite() && number.is_sign_positive());
        let count = count.clamp(1, DIGITS_MAX);
        let mut decimal = Self { digits: [b'0'; DIGITS_MAX], count, exponent: 0 };
        if number == 0.0 {
            return decimal;
        }
        if let Some((value, exponent)) = significant(number, count) {
            decimal.exponent = exponent;
            let mut rest = value;
            for digit in decimal.digits[..count].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            return decimal;
        }
        decimal.by_library(number);
        decimal
    }

    #[cold]
    fn by_library(&mut self, number: f64) {
        // One digit, the point, 99 digits and an exponent.
        let mut text = [0_u8; DIGITS_MAX + 16];
        let mut rest = text.as_mut_slice();
        write!(rest, "{:.*e}", self.count - 1, number).expect("the text has room");
        let unused = rest.len();
        let text = &text[..text.len() - unused];
        let mut parts = text.split(|byte| *byte == b'e');
        let digits = parts.next().unwrap_or_default().iter().filter(|byte| **byte != b'.');
        self.digits.iter_mut().zip(digits).for_each(|(to, from)| *to = *from);
        let exponent = parts.next().and_then(|text| std::str::from_utf8(text).ok());
        self.exponent = exponent.and_then(|text| text.parse().ok()).unwrap_or(0);
    }

    /// Appends C's `%e` of the digits: `d.ddde+xx`. `alternate` keeps a point without digits behind it.
    pub(crate) fn write_exponent(&self, alternate: bool, letter: u8, out: &mut Vec<u8>) {
        out.push(self.digits[0]);
        if self.count > 1 || alternate {
            out.push(b'.');
        }
        out.extend_from_slice(&self.digits[1..self.count]);
        out.push(letter);
        out.push(if self.exponent < 0 { b'-' } else { b'+' });
        let exponent = u64::from(self.exponent.unsigned_abs());
        write_padded(exponent, if exponent < 100 { 2 } else { 3 }, out);
    }

    /// Appends C's `%g` of the digits. `alternate` keeps zeros at the end.
    pub(crate) fn write_general(mut self, alternate: bool, letter: u8, out: &mut Vec<u8>) {
        let precision = self.count;
        if !alternate {
            let digits = &self.digits[..self.count];
            let last = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
            self.count = last + 1;
        }
        let exponent = self.exponent;
        if exponent < -4 || usize::try_from(exponent).is_ok_and(|exponent| exponent >= precision) {
            return self.write_exponent(alternate, letter, out);
        }
        let digits = &self.digits[..self.count];
        let Ok(exponent) = usize::try_from(exponent) else {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + exponent.unsigned_abs() as usize - 1, b'0');
            return out.extend_from_slice(digits);
        };
        let whole = exponent + 1;
        out.extend_from_slice(&digits[..whole.min(digits.len())]);
        // Zeros that were cut, but stand before the point.
        out.resize(out.len() + whole.saturating_sub(digits.len()), b'0');
        let places = digits.get(whole..).unwrap_or_default();
        if !places.is_empty() || alternate {
            out.push(b'.');
        }
        out.extend_from_slice(places);
    }
}

/// The number as an integer of `count` digits and the exponent of its first; none if 128 bits are too few.
fn significant(number: f64, count: usize) -> Option<(u64, i32)> {
    let limit = *POWERS.get(count)?;
    // Not more than the exponent, and at most one less.
    let log2 = (number.to_bits() >> 52) as i32 - 1023;
    let mut exponent = (log2 * 78_913) >> 18;
    loop {
        let scale = count as i32 - 1 - exponent;
        let value = match u32::try_from(scale) {
            Ok(scale) => scaled(number, scale)?,
            Err(_) => divided(number, scale.unsigned_abs())?,
        };
        if value < limit {
            return Some((value, exponent));
        }
        exponent += 1;
    }
}

/// The number times a power of ten, rounded to an integer; none if 128 bits do not hold what that takes.
pub(crate) fn scaled(number: f64, power: u32) -> Option<u64> {
    // 53 bits of the number and 10^22 have 127 bits.
    const POWER_MAX: u32 = 22;
    if power > POWER_MAX {
        return None;
    }
    let (mantissa, exponent) = parts(number);
    let product = u128::from(mantissa) * 10_u128.pow(power);
    let Ok(down) = u32::try_from(-exponent) else {
        // The number is 2^53 or more; what overflows is too large anyway.
        let whole = product.checked_mul(1_u128.checked_shl(exponent.unsigned_abs())?)?;
        return u64::try_from(whole).ok();
    };
    if down >= u128::BITS {
        return Some(0);
    }
    if down == 0 {
        return u64::try_from(product).ok();
    }
    let whole = product >> down;
    let rest = product - (whole << down);
    let half = 1 << (down - 1);
    let up = rest > half || (rest == half && whole & 1 == 1);
    u64::try_from(whole + u128::from(up)).ok()
}

/// The number divided by a power of ten, rounded to an integer; none if 64 bits are too few.
fn divided(number: f64, power: u32) -> Option<u64> {
    // 2^64.
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    let power = *POWERS.get(power as usize)?;
    if number >= LIMIT {
        return None;
    }
    let whole = number as u64;
    let has_fraction = whole as f64 != number;
    let (quotient, rest) = (whole / power, whole % power);
    // Powers of ten are even, so that half of one is an integer.
    let half = power / 2;
    let up = rest > half || (rest == half && (has_fraction || quotient & 1 == 1));
    Some(quotient + u64::from(up))
}

/// A finite number as an integer and a power of two.
fn parts(number: f64) -> (u64, i32) {
    const FRACTION_BITS: u32 = 52;
    let bits = number.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    match (bits >> FRACTION_BITS) as i32 & 0x7ff {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << FRACTION_BITS, exponent - 1075),
    }
}

/// Appends an integer.
#[inline]
pub(crate) fn write_integer(integer: u64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let mut first = text.len();
    let mut rest = integer;
    loop {
        first -= 1;
        text[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[first..]);
}

/// Appends an integer with zeros before it, so that it has `width` digits; `width` is 20 or less.
#[inline]
pub(crate) fn write_padded(integer: u64, width: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut rest = integer;
    for digit in text.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[text.len() - width.min(text.len())..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_library(number: f64, count: usize) -> Decimal {
        let mut decimal = Decimal { digits: [b'0'; DIGITS_MAX], count, exponent: 0 };
        decimal.by_library(number);
        decimal
    }

    fn check(number: f64, count: usize) {
        let (found, wanted) = (Decimal::new(number, count), by_library(number, count));
        assert_eq!(found.exponent, wanted.exponent, "{number:e} {count}");
        assert_eq!(found.digits, wanted.digits, "{number:e} {count}");
    }

    #[test]
    fn the_short_way_gives_what_the_library_gives_at_powers_of_ten() {
        for power in -320..=308 {
            let number: f64 = format!("1e{power}").parse().unwrap();
            let near = [number.next_down(), number, number.next_up(), number * 9.5];
            for number in near.into_iter().filter(|number| number.is_finite() && *number >= 0.0) {
                (1..=19).for_each(|count| check(number, count));
            }
        }
    }

    #[test]
    fn ties_go_to_the_even_digit() {
        assert_eq!(scaled(0.5, 0), Some(0));
        assert_eq!(scaled(1.5, 0), Some(2));
        assert_eq!(scaled(2.5, 0), Some(2));
        assert_eq!(scaled(0.125, 2), Some(12));
        assert_eq!(scaled(0.375, 2), Some(38));
        assert_eq!(divided(25.0, 1), Some(2));
        assert_eq!(divided(35.0, 1), Some(4));
        assert_eq!(divided(25.5, 1), Some(3));
        assert_eq!(scaled(1e300, 2), None);
        assert_eq!(scaled(5e-324, 22), Some(0));
    }

    proptest! {
        #[test]
        fn the_short_way_gives_what_the_library_gives(bits: u64, count in 1_usize..=20) {
            let number = f64::from_bits(bits & !(1 << 63));
            prop_assume!(number.is_finite());
            check(number, count);
        }

        #[test]
        fn also_for_numbers_as_people_write_them(digits in 0_u64..1 << 54, power in -20_i32..20) {
            let number: f64 = format!("{digits}e{power}").parse().unwrap();
            (1..=17).for_each(|count| check(number, count));
        }
    }
}
