//! Numbers as text.
//!
//! A number below 2^31 in size is written with at most eight decimals and never with an exponent; larger ones as C's
//! `%.17g` writes them. Readers of payloads and files of preserved state know these forms.

/// Largest number that is written without an exponent in all cases.
const PLAIN_MAX: f64 = 2_147_483_647.0;
/// Decimals of a plain number, as a factor.
const DECIMALS: u32 = 100_000_000;
/// Whole numbers below this one have at most 17 digits.
const WHOLE_MAX: f64 = 1e17;
/// Digits that tell any two doubles apart.
const DIGITS_MAX: usize = 17;

/// Appends a number as `add_to_payload` writes it: `nan`, `inf`, `-inf`, `0.33333333`, `1.5000000001234568e+18`.
///
/// Beyond 2147483647 in size the text is that of C's `%.17g`; else it is rounded to eight decimals, trailing zeros
/// are dropped and there is no exponent (1e-9 is `0`, -1e-9 is `-0`).
pub fn append_number(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"nan");
    } else if number > PLAIN_MAX || number <= -PLAIN_MAX - 1.0 {
        append_general(out, number, DIGITS_MAX);
    } else {
        append_plain(out, number);
    }
}

/// Appends a number as an expression of Lua: as [`append_number`], but `0/0`, `1/0` and `-1/0`.
pub fn append_lua_number(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"0/0");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"1/0" } else { b"-1/0" });
    } else {
        append_number(out, number);
    }
}

/// A number below 2^31 in size.
fn append_plain(out: &mut Vec<u8>, number: f64) {
    let size = number.abs();
    let mut whole = size as u64;
    let scaled = (size - whole as f64) * f64::from(DECIMALS);
    let mut fraction = scaled as u32;
    let rest = scaled - f64::from(fraction);
    // Half a unit goes to the even neighbour, but never down to nothing.
    if rest > 0.5 || (rest == 0.5 && (fraction == 0 || fraction % 2 == 1)) {
        fraction += 1;
        if fraction == DECIMALS {
            fraction = 0;
            whole += 1;
        }
    }
    if number < 0.0 {
        out.push(b'-');
    }
    append_whole(out, whole);
    if fraction > 0 {
        append_fraction(out, fraction);
    }
}

fn append_whole(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// A point and the eight decimals of `fraction` without zeros at the end; it is not 0.
fn append_fraction(out: &mut Vec<u8>, fraction: u32) {
    let mut text = *b".00000000";
    let mut end = 1;
    let mut rest = fraction;
    for place in (1..text.len()).rev() {
        let digit = (rest % 10) as u8;
        text[place] = b'0' + digit;
        rest /= 10;
        if digit > 0 && end == 1 {
            end = place + 1;
        }
    }
    out.extend_from_slice(&text[..end]);
}

/// Appends a number as C's `%.Ng` writes it, N being the number of digits, at least 1.
pub fn append_general(out: &mut Vec<u8>, number: f64, digits: usize) {
    debug_assert!(digits > 0, "a number has a digit");
    if !number.is_finite() {
        out.extend_from_slice(match number {
            _ if number.is_nan() => b"nan",
            _ if number > 0.0 => b"inf",
            _ => b"-inf",
        });
    } else if digits >= DIGITS_MAX && number.abs() < WHOLE_MAX && number.fract() == 0.0 {
        if number.is_sign_negative() {
            out.push(b'-');
        }
        append_whole(out, number.abs() as u64);
    } else {
        append_scientific(out, &format!("{number:.*e}", digits - 1), digits);
    }
}

/// Rewrites `-1.2300e-7`: without zeros at the end, and with an exponent only where C writes one.
fn append_scientific(out: &mut Vec<u8>, text: &str, digits_max: usize) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    if unsigned.len() < mantissa.len() {
        out.push(b'-');
    }
    let mut digits: Vec<u8> = unsigned.bytes().filter(u8::is_ascii_digit).collect();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    let whole_digits = usize::try_from(exponent).ok().filter(|&exponent| exponent < digits_max);
    match whole_digits {
        Some(exponent) => {
            digits.resize(digits.len().max(exponent + 1), b'0');
            append_pointed(out, &digits, exponent + 1);
        }
        None if (-4..0).contains(&exponent) => {
            out.extend_from_slice(b"0.");
            out.extend((exponent + 1..0).map(|_| b'0'));
            out.extend_from_slice(&digits);
        }
        None => {
            append_pointed(out, &digits, 1);
            out.extend_from_slice(format!("e{}{:02}", sign(exponent), exponent.abs()).as_bytes());
        }
    }
}

fn sign(exponent: i32) -> char {
    if exponent < 0 { '-' } else { '+' }
}

/// Digits with a point behind the first `whole` of them, if any follow.
fn append_pointed(out: &mut Vec<u8>, digits: &[u8], whole: usize) {
    let (whole, fraction) = digits.split_at(whole);
    out.extend_from_slice(whole);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(number: f64) -> String {
        let mut out = Vec::new();
        append_number(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    fn general(number: f64, digits: usize) -> String {
        let mut out = Vec::new();
        append_general(&mut out, number, digits);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn small_numbers_have_eight_decimals_at_most() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (2.5, "2.5"),
            (-0.25, "-0.25"),
            (1e-9, "0"),
            (-1e-9, "-0"),
            (1e-8, "0.00000001"),
            (1.0 / 3.0, "0.33333333"),
            (2.0 / 3.0, "0.66666667"),
            (0.05, "0.05"),
            (12.000_000_01, "12.00000001"),
            (0.999_999_999, "1"),
            (-9.999_999_999, "-10"),
            (1234.5, "1234.5"),
            (2_147_483_647.0, "2147483647"),
            (-2_147_483_647.0, "-2147483647"),
            (-2_147_483_647.5, "-2147483647.5"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn halves_go_to_the_even_neighbour_but_not_to_nothing() {
        // 2^-9 and such: the ninth decimal and all behind it are exact.
        assert_eq!(number(0.001_953_125), "0.00195312");
        assert_eq!(number(0.005_859_375), "0.00585938");
        // A carry of a half reaches the whole part.
        let half = 1.0 - 1.0 / 512.0;
        assert_eq!(number(half), "0.99804688");
    }

    #[test]
    fn large_numbers_have_up_to_17_digits() {
        let cases = [
            (2_147_483_648.0, "2147483648"),
            (2_147_483_647.5, "2147483647.5"),
            (1_500_000_000_123_456_789.0, "1.5000000001234568e+18"),
            (-2_147_483_648.0, "-2147483648"),
            (-1e300, "-1.0000000000000001e+300"),
            (1e17, "1e+17"),
            (99_999_999_999_999_984.0, "99999999999999984"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn general_numbers_are_those_of_c() {
        let cases = [
            (0.01, 6, "0.01"),
            (0.0001, 6, "0.0001"),
            (0.000_012_345_678, 6, "1.23457e-05"),
            (123_456_789.0, 6, "1.23457e+08"),
            (999_999.5, 6, "1e+06"),
            (100_000.0, 6, "100000"),
            (-0.5, 6, "-0.5"),
            (0.0, 6, "0"),
            (1e-100, 6, "1e-100"),
            (0.1, 17, "0.10000000000000001"),
            (3.0, 1, "3"),
            (f64::NAN, 6, "nan"),
        ];
        for (value, digits, text) in cases {
            assert_eq!(general(value, digits), text);
        }
    }

    #[test]
    fn lua_has_no_words_for_numbers_that_are_none() {
        let text = |number| {
            let mut out = Vec::new();
            append_lua_number(&mut out, number);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(f64::NAN), "0/0");
        assert_eq!(text(f64::INFINITY), "1/0");
        assert_eq!(text(f64::NEG_INFINITY), "-1/0");
        assert_eq!(text(-2.5), "-2.5");
    }

    proptest! {
        #[test]
        fn seventeen_digits_are_read_back_as_the_same_number(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(general(value, 17).parse::<f64>().unwrap(), value);
        }

        #[test]
        fn plain_numbers_are_near(value in -2_147_483_647.0..2_147_483_647.0_f64) {
            let text = number(value);
            prop_assert!(!text.contains('e'));
            prop_assert!((text.parse::<f64>().unwrap() - value).abs() <= 0.6e-8 + value.abs() * 1e-15);
        }
    }
}
