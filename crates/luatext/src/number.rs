//! The texts of numbers, and numbers as C's integers.
//!
//! Here: what `tostring` and Heka's `add_to_payload` write. Not here: directives of a format (`format`), how digits are
//! found (`decimal`).

mod decimal;

pub(crate) use decimal::{Decimal, scaled, write_integer, write_padded};

/// Bytes that the text of a number has at most.
pub const NUMBER_BYTES_MAX: usize = 24;

/// Significant digits of a number's text in Lua.
const LUA_DIGITS: usize = 14;

/// Significant digits that tell all numbers apart.
const EXACT_DIGITS: usize = 17;

/// Numbers below it have all their digits in the text, if they are integers.
const LUA_INTEGER_MAX: f64 = 1e14;

/// Appends a number as `tostring` and `..` write it: C's `%.14g`.
#[inline]
pub fn lua_number(number: f64, out: &mut Vec<u8>) {
    let integer = number as i64;
    let is_integer = integer as f64 == number && number.abs() < LUA_INTEGER_MAX;
    if is_integer && (integer != 0 || number.is_sign_positive()) {
        if integer < 0 {
            out.push(b'-');
        }
        return write_integer(integer.unsigned_abs(), out);
    }
    general(number, LUA_DIGITS, out);
}

/// Appends a number as Heka's sandbox writes it into payloads.
///
/// That is a plain decimal rounded to 8 places, without zeros at its end and never with an exponent; C's `%.17g` for
/// what is no integer of 32 bits with some distance; `nan`, `inf` and `-inf`.
#[inline]
pub fn heka_number(number: f64, out: &mut Vec<u8>) {
    const SMALLEST: f64 = i32::MIN as f64;
    const GREATEST: f64 = i32::MAX as f64;
    const SCALE: f64 = 1e8;
    if !(number > SMALLEST && number <= GREATEST) {
        return large(number, out);
    }
    if number < 0.0 {
        out.push(b'-');
    }
    let number = number.abs();
    let mut whole = number as u64;
    // In floating point and with a tie at 0 rounded up, so that graphs come out byte for byte as they used to.
    let scaled = (number - whole as f64) * SCALE;
    let mut places = scaled as u64;
    let rest = scaled - places as f64;
    if rest > 0.5 || (rest == 0.5 && (places == 0 || places & 1 == 1)) {
        places += 1;
        if places == SCALE as u64 {
            places = 0;
            whole += 1;
        }
    }
    write_integer(whole, out);
    if places != 0 {
        out.push(b'.');
        write_padded(places, 8, out);
        trim_zeros(out);
    }
}

#[cold]
fn large(number: f64, out: &mut Vec<u8>) {
    if number.is_nan() {
        out.extend_from_slice(b"nan");
    } else {
        general(number, EXACT_DIGITS, out);
    }
}

/// Appends a number as an expression of Lua: as [`heka_number`], but `0/0`, `1/0` and `-1/0`.
pub fn heka_literal(number: f64, out: &mut Vec<u8>) {
    if number.is_nan() {
        out.extend_from_slice(b"0/0");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"1/0" } else { b"-1/0" });
    } else {
        heka_number(number, out);
    }
}

/// Appends a number as C's `%.{digits}g`.
pub fn general_number(number: f64, digits: usize, out: &mut Vec<u8>) {
    general(number, digits, out);
}

fn general(number: f64, digits: usize, out: &mut Vec<u8>) {
    if number.is_sign_negative() {
        out.push(b'-');
    }
    if number.is_finite() {
        Decimal::new(number.abs(), digits).write_general(false, b'e', out);
    } else {
        out.extend_from_slice(if number.is_nan() { b"nan" } else { b"inf" });
    }
}

/// Removes zeros at the end of a text that has other bytes.
fn trim_zeros(out: &mut Vec<u8>) {
    let kept = out.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
    out.truncate(kept);
}

/// A number as C's `long`, as x86-64 converts it: without its fraction, and the least integer if it does not fit.
#[inline]
#[must_use]
pub fn to_signed(number: f64) -> i64 {
    // 2^63.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

/// A number as C's `unsigned long`, as compilers for x86-64 convert it: negative ones wrap.
#[inline]
#[must_use]
pub fn to_unsigned(number: f64) -> u64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number >= LIMIT {
        to_signed(number - LIMIT) as u64 ^ 1 << 63
    } else {
        to_signed(number) as u64
    }
}

/// A number as C's `int`, as x86-64 converts it.
#[inline]
#[must_use]
pub fn to_int32(number: f64) -> i32 {
    i32::try_from(to_signed(number)).unwrap_or(i32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lua(number: f64) -> String {
        let mut out = Vec::new();
        lua_number(number, &mut out);
        assert!(out.len() <= NUMBER_BYTES_MAX);
        String::from_utf8(out).unwrap()
    }

    fn heka(number: f64) -> String {
        let mut out = Vec::new();
        heka_number(number, &mut out);
        assert!(out.len() <= NUMBER_BYTES_MAX);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lua_writes_fourteen_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-42.0, "-42"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333333333333"),
            (99_999_999_999_999.0, "99999999999999"),
            (100_000_000_000_000.0, "1e+14"),
            (123_456_789_012_345.0, "1.2345678901234e+14"),
            (1_500_000_000_123_456_789.0, "1.5000000001235e+18"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623e+308"),
            (5e-324, "4.9406564584125e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (-f64::NAN, "-nan"),
        ];
        for (number, text) in cases {
            assert_eq!(lua(number), text);
        }
    }

    #[test]
    fn heka_writes_plain_decimals() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1e-9, "0"),
            (-1e-9, "-0"),
            (5e-9, "0.00000001"),
            (1.0 / 3.0, "0.33333333"),
            (2.0 / 3.0, "0.66666667"),
            (0.999_999_999, "1"),
            (-1.5, "-1.5"),
            (10.0, "10"),
            (100.25, "100.25"),
            (2_147_483_647.0, "2147483647"),
            (2_147_483_648.0, "2147483648"),
            (-2_147_483_647.5, "-2147483647.5"),
            (-2_147_483_648.0, "-2147483648"),
            (1_500_000_000_123_456_789.0, "1.5000000001234568e+18"),
            (-1_500_000_000_123_456_789.0, "-1.5000000001234568e+18"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (-f64::NAN, "nan"),
        ];
        for (number, text) in cases {
            assert_eq!(heka(number), text);
        }
    }

    #[test]
    fn conversions_are_those_of_the_processor() {
        assert_eq!(to_signed(-1.9), -1);
        assert_eq!(to_signed(f64::NAN), i64::MIN);
        assert_eq!(to_signed(9.3e18), i64::MIN);
        assert_eq!(to_unsigned(-1.5), u64::MAX);
        assert_eq!(to_unsigned(9_223_372_036_854_775_808.0), 1 << 63);
        assert_eq!(to_unsigned(18_446_744_073_709_551_616.0), 0);
        assert_eq!(to_unsigned(f64::NAN), 1 << 63);
        assert_eq!(to_int32(300.7), 300);
        assert_eq!(to_int32(3e9), i32::MIN);
    }
}
