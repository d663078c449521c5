//! Writing of JSON values.
//!
//! Texts are looked at eight bytes at a time: what needs no escape is copied in one piece.

use std::io::Write;

use crate::number::{EXACT_INTEGER_MAX, write_integer};

/// What stands for bytes that are not UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
/// From here on doubles are written with an exponent.
const PLAIN_MAX: f64 = 1e17;
/// Below this doubles are written with an exponent.
const PLAIN_MIN: f64 = 1e-5;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a text in quotes; what is not UTF-8 becomes U+FFFD.
pub(super) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    if text.is_ascii() {
        write_escaped(text, out);
    } else {
        for chunk in text.utf8_chunks() {
            write_escaped(chunk.valid().as_bytes(), out);
            if !chunk.invalid().is_empty() {
                out.extend_from_slice(REPLACEMENT);
            }
        }
    }
    out.push(b'"');
}

/// Appends bytes as text if they are UTF-8, else in base64.
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(bytes).is_ok() {
        return write_text(bytes, out);
    }
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place)) as usize % 64;
            out.push(if place <= chunk.len() { BASE64[digit] } else { b'=' });
        }
    }
    out.push(b'"');
}

/// Appends a double: as an integer if it is one, else with the fewest digits that read back as the same; what is no
/// number becomes `null`.
pub(super) fn write_double(number: f64, out: &mut Vec<u8>) {
    let magnitude = number.abs();
    if magnitude < EXACT_INTEGER_MAX as f64 && number.trunc() == number {
        return write_integer(number as i64, out);
    }
    if !number.is_finite() {
        return out.extend_from_slice(b"null");
    }
    let written = if (PLAIN_MIN..PLAIN_MAX).contains(&magnitude) {
        write!(out, "{number}")
    } else {
        write!(out, "{number:e}")
    };
    written.expect("writing to memory cannot fail");
}

/// Appends text with `"`, `\` and control characters escaped.
fn write_escaped(mut text: &[u8], out: &mut Vec<u8>) {
    loop {
        let plain = plain_bytes(text);
        out.extend_from_slice(&text[..plain]);
        let Some(&byte) = text.get(plain) else { return };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            }
        }
        text = &text[plain + 1..];
    }
}

/// Number of bytes at the start of `text` that need no escape.
fn plain_bytes(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&chunk) = text[at..].first_chunk::<8>() {
        let marks = special(u64::from_le_bytes(chunk));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_special = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
    text[at..].iter().position(is_special).map_or(text.len(), |found| at + found)
}

/// The top bit of each byte of `word` that needs an escape; bytes above the first such one may be marked wrongly.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = is_zero(word ^ (ONES * b'"' as u64));
    let backslash = is_zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    (quote | backslash | control) & TOPS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &[u8]) -> String {
        let mut out = Vec::new();
        write_text(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn double(number: f64) -> String {
        let mut out = Vec::new();
        write_double(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(text(b""), "\"\"");
        assert_eq!(text(b"GET / HTTP/1.1"), "\"GET / HTTP/1.1\"");
        assert_eq!(
            text(b"say \"hi\"\\\n\r\t\x01\x1f\x7f"),
            "\"say \\\"hi\\\"\\\\\\n\\r\\t\\u0001\\u001f\x7f\""
        );
        assert_eq!(text("käse \u{1f600}".as_bytes()), "\"käse \u{1f600}\"");
        assert_eq!(text(b"a\xffb\xe2\x82c"), "\"a\u{fffd}b\u{fffd}c\"");
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        for (bytes, expected) in [
            (&b"me"[..], "\"me\""),
            (b"\xff", "\"/w==\""),
            (b"\xff\xfe", "\"//4=\""),
            (b"\xff\xfe\xfd", "\"//79\""),
            (b"\xff\xfe\xfd\x00", "\"//79AA==\""),
        ] {
            let mut out = Vec::new();
            write_bytes(bytes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn doubles_are_plain_where_people_read_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (82.0, "82"),
            (1e6, "1000000"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (-1234567.0, "-1234567"),
            (123456.5, "123456.5"),
            (0.005, "0.005"),
            (1e-7, "1e-7"),
            (1.5e300, "1.5e300"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
        ] {
            assert_eq!(double(number), expected);
        }
    }

    proptest! {
        #[test]
        fn texts_read_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let read: String = sonic_rs::from_str(&text(&bytes)).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn one_special_byte_is_found_wherever_it_stands(
            length in 1..40usize, at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = vec![b'a'; length];
            let at = at.index(length);
            bytes[at] = byte;
            let special = byte < b' ' || byte == b'"' || byte == b'\\';
            prop_assert_eq!(plain_bytes(&bytes), if special { at } else { length });
        }

        #[test]
        fn doubles_read_back(number in any::<f64>()) {
            prop_assume!(number.is_finite());
            let read: f64 = double(number).parse().unwrap();
            prop_assert_eq!(read, number);
        }
    }
}
