//! `string.format`: directives of a format, and what they make of numbers and strings.
//!
//! Here: the syntax that Lua 5.1 checks, and what C's `printf` writes for it. Not here: arguments and their types.

use crate::error::Error;
use crate::number::{
    Decimal, scaled, to_int32, to_signed, to_unsigned, write_integer, write_padded,
};

/// Bytes that a directive makes of a number at most: 309 digits, a point, 99 digits and a sign, or its width.
pub const ITEM_BYTES_MAX: usize = 512;

/// Longest width and precision: two digits.
pub const FORM_MAX: usize = 99;

/// Flags of a directive, at most.
const FLAGS_MAX: usize = 5;

/// A string that is as long is not cut at a zero byte, if the directive has no precision.
const WHOLE_BYTES_MIN: usize = 100;

/// The pieces of a format, from the left.
#[derive(Debug, Clone)]
pub struct Directives<'a> {
    rest: &'a [u8],
}

/// A piece of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes that stand for themselves.
    Literal(&'a [u8]),
    /// A directive, which takes an argument.
    Directive(Directive),
}

/// What a directive makes of its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// `c`: the byte of that number.
    Char,
    /// `d` and `i`.
    Signed,
    /// `u`.
    Unsigned,
    /// `o`.
    Octal,
    /// `x` and `X`.
    Hex {
        /// Capitals.
        upper: bool,
    },
    /// `e` and `E`.
    Exponent {
        /// Capitals.
        upper: bool,
    },
    /// `f`.
    Fixed,
    /// `g` and `G`.
    General {
        /// Capitals.
        upper: bool,
    },
    /// `q`: a string as Lua reads it.
    Quoted,
    /// `s`.
    Text,
}

/// A directive: `%`, flags, width, precision and a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directive {
    /// What it makes of its argument.
    pub conversion: Conversion,
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: u8,
    precision: Option<u8>,
}

impl<'a> Directives<'a> {
    /// The pieces of a format.
    #[must_use]
    pub fn new(format: &'a [u8]) -> Self {
        Self { rest: format }
    }

    /// The next piece, none at the end. `has_argument` tells whether there is one for a directive: that it is missing
    /// is seen before the directive is read.
    pub fn next(&mut self, has_argument: bool) -> Result<Option<Piece<'a>>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = memchr::memchr(b'%', self.rest).unwrap_or(self.rest.len());
        if length > 0 {
            let (literal, rest) = self.rest.split_at(length);
            self.rest = rest;
            return Ok(Some(Piece::Literal(literal)));
        }
        let rest = &self.rest[1..];
        if rest.first() == Some(&b'%') {
            self.rest = &rest[1..];
            return Ok(Some(Piece::Literal(&rest[..1])));
        }
        if !has_argument {
            return Err(Error::NoValue);
        }
        let (directive, length) = Directive::read(rest)?;
        self.rest = &rest[length..];
        Ok(Some(Piece::Directive(directive)))
    }
}

impl Directive {
    /// Reads what stands behind a `%`; gives its length too.
    fn read(text: &[u8]) -> Result<(Self, usize), Error> {
        let is_flag = |byte: &&u8| b"-+ #0".contains(byte);
        let flags = text.iter().take_while(is_flag).count();
        if flags > FLAGS_MAX {
            return Err(Error::RepeatedFlags);
        }
        let has = |flag| text[..flags].contains(&flag);
        let (width, mut at) = two_digits(text, flags);
        let mut precision = None;
        if text.get(at) == Some(&b'.') {
            let (value, end) = two_digits(text, at + 1);
            (precision, at) = (Some(value), end);
        }
        let letter = text.get(at).copied().unwrap_or(0);
        if letter.is_ascii_digit() {
            return Err(Error::WidthTooLong);
        }
        let conversion = conversion(letter).ok_or(Error::InvalidOption { letter })?;
        let directive = Self {
            conversion,
            left: has(b'-'),
            plus: has(b'+'),
            space: has(b' '),
            alternate: has(b'#'),
            zero: has(b'0'),
            width,
            precision,
        };
        Ok((directive, at + 1))
    }

    /// Whether the argument is a string (`q` and `s`), not a number.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        matches!(self.conversion, Conversion::Quoted | Conversion::Text)
    }

    /// Appends a number, at most [`ITEM_BYTES_MAX`] bytes; nothing if the directive takes a string.
    pub fn write_number(&self, number: f64, out: &mut Vec<u8>) {
        match self.conversion {
            Conversion::Char => self.write_char(to_int32(number) as u8, out),
            Conversion::Signed => {
                let integer = to_signed(number);
                self.write_digits(self.sign(integer < 0), integer.unsigned_abs(), 10, false, out);
            }
            Conversion::Unsigned => self.write_digits(b"", to_unsigned(number), 10, false, out),
            Conversion::Octal => self.write_digits(b"", to_unsigned(number), 8, false, out),
            Conversion::Hex { upper } => {
                let integer = to_unsigned(number);
                let prefix: &[u8] = match (self.alternate && integer != 0, upper) {
                    (false, _) => b"",
                    (true, false) => b"0x",
                    (true, true) => b"0X",
                };
                self.write_digits(prefix, integer, 16, upper, out);
            }
            Conversion::Exponent { .. } | Conversion::Fixed | Conversion::General { .. } => {
                self.write_float(number, out);
            }
            Conversion::Quoted | Conversion::Text => {}
        }
    }

    /// Appends a string: at most [`FORM_MAX`] bytes more than it has for `s`, and four times its bytes and two for `q`;
    /// nothing if the directive takes a number.
    pub fn write_text(&self, text: &[u8], out: &mut Vec<u8>) {
        match self.conversion {
            Conversion::Quoted => quote(text, out),
            Conversion::Text if self.precision.is_none() && text.len() >= WHOLE_BYTES_MIN => {
                out.extend_from_slice(text);
            }
            Conversion::Text => {
                let text = memchr::memchr(0, text).map_or(text, |end| &text[..end]);
                let length = self.precision.map_or(text.len(), usize::from).min(text.len());
                self.write_spaced(&text[..length], out);
            }
            _ => {}
        }
    }

    /// C writes the byte, but Lua reads what was written up to the first zero.
    fn write_char(&self, byte: u8, out: &mut Vec<u8>) {
        if byte != 0 {
            self.write_spaced(&[byte], out);
        } else if !self.left {
            let width = usize::from(self.width);
            out.resize(out.len() + width.saturating_sub(1), b' ');
        }
    }

    fn write_spaced(&self, text: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(text);
        self.fill(start, 0, false, out);
    }

    fn sign(&self, negative: bool) -> &'static [u8] {
        match (negative, self.plus, self.space) {
            (true, ..) => b"-",
            (false, true, _) => b"+",
            (false, false, true) => b" ",
            (false, false, false) => b"",
        }
    }

    fn write_digits(&self, prefix: &[u8], integer: u64, base: u64, upper: bool, out: &mut Vec<u8>) {
        let letters: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        // 2^64 has 22 octal digits; a precision can ask for more.
        let mut text = [b'0'; FORM_MAX + 1];
        let mut first = text.len();
        let mut rest = integer;
        while rest != 0 {
            first -= 1;
            text[first] = letters[(rest % base) as usize];
            rest /= base;
        }
        let precision = usize::from(self.precision.unwrap_or(1));
        first = first.min(text.len() - precision);
        if base == 8 && self.alternate && text.get(first) != Some(&b'0') {
            first -= 1;
        }
        let start = out.len();
        out.extend_from_slice(prefix);
        out.extend_from_slice(&text[first..]);
        self.fill(start, prefix.len(), self.zero && self.precision.is_none(), out);
    }

    fn write_float(&self, number: f64, out: &mut Vec<u8>) {
        let start = out.len();
        let sign = self.sign(number.is_sign_negative());
        out.extend_from_slice(sign);
        let upper = matches!(
            self.conversion,
            Conversion::Exponent { upper: true } | Conversion::General { upper: true }
        );
        if !number.is_finite() {
            let text = if number.is_nan() { b"nan" } else { b"inf" };
            out.extend(
                text.iter().map(|byte| if upper { byte.to_ascii_uppercase() } else { *byte }),
            );
            return self.fill(start, sign.len(), false, out);
        }
        let number = number.abs();
        let precision = usize::from(self.precision.unwrap_or(6));
        let letter = if upper { b'E' } else { b'e' };
        match self.conversion {
            Conversion::Exponent { .. } => {
                Decimal::new(number, precision + 1).write_exponent(self.alternate, letter, out);
            }
            Conversion::General { .. } => {
                Decimal::new(number, precision.max(1)).write_general(self.alternate, letter, out);
            }
            _ => write_fixed(number, precision, self.alternate, out),
        }
        self.fill(start, sign.len(), self.zero, out);
    }

    /// Fills up what was written from `start` to the width, with zeros behind the prefix or with spaces.
    fn fill(&self, start: usize, prefix: usize, zeros: bool, out: &mut Vec<u8>) {
        let missing = usize::from(self.width).saturating_sub(out.len() - start);
        if missing == 0 {
            return;
        }
        let (at, byte) = match (self.left, zeros) {
            (true, _) => return out.resize(out.len() + missing, b' '),
            (false, true) => (start + prefix, b'0'),
            (false, false) => (start, b' '),
        };
        let end = out.len();
        out.resize(end + missing, byte);
        out.copy_within(at..end, at + missing);
        out[at..at + missing].fill(byte);
    }
}

/// Reads a number of at most two digits; gives where it ends too.
fn two_digits(text: &[u8], from: usize) -> (u8, usize) {
    let digits = text.iter().skip(from).take(2).take_while(|byte| byte.is_ascii_digit());
    digits.fold((0, from), |(value, at), digit| (value * 10 + (digit - b'0'), at + 1))
}

fn conversion(letter: u8) -> Option<Conversion> {
    Some(match letter {
        b'c' => Conversion::Char,
        b'd' | b'i' => Conversion::Signed,
        b'u' => Conversion::Unsigned,
        b'o' => Conversion::Octal,
        b'x' | b'X' => Conversion::Hex { upper: letter == b'X' },
        b'e' | b'E' => Conversion::Exponent { upper: letter == b'E' },
        b'f' => Conversion::Fixed,
        b'g' | b'G' => Conversion::General { upper: letter == b'G' },
        b'q' => Conversion::Quoted,
        b's' => Conversion::Text,
        _ => return None,
    })
}

fn write_fixed(number: f64, precision: usize, alternate: bool, out: &mut Vec<u8>) {
    // Powers of ten to 10^19 fit into 64 bits.
    let short = u32::try_from(precision).ok().filter(|power| *power < 20);
    if let Some((power, value)) = short.and_then(|power| Some((power, scaled(number, power)?))) {
        let unit = 10_u64.pow(power);
        write_integer(value / unit, out);
        if precision > 0 {
            out.push(b'.');
            write_padded(value % unit, precision, out);
        }
    } else {
        use std::io::Write;
        write!(out, "{number:.precision$}").expect("a vector takes all bytes");
    }
    if precision == 0 && alternate {
        out.push(b'.');
    }
}

fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' | b'\n' => out.extend([b'\\', *byte]),
            b'\r' => out.extend(b"\\r"),
            0 => out.extend(b"\\000"),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(format: &str, number: f64) -> String {
        let mut directives = Directives::new(format.as_bytes());
        let Ok(Some(Piece::Directive(directive))) = directives.next(true) else {
            panic!("{format}")
        };
        let mut out = b"before".to_vec();
        directive.write_number(number, &mut out);
        assert_eq!(directives.next(true), Ok(None));
        String::from_utf8(out.split_off(6)).unwrap()
    }

    fn text(format: &str, text: &[u8]) -> Vec<u8> {
        let mut directives = Directives::new(format.as_bytes());
        let Ok(Some(Piece::Directive(directive))) = directives.next(true) else {
            panic!("{format}")
        };
        let mut out = Vec::new();
        directive.write_text(text, &mut out);
        out
    }

    #[test]
    fn numbers_fill_their_width() {
        assert_eq!(number("%5d", 42.9), "   42");
        assert_eq!(number("%-5d", 42.0), "42   ");
        assert_eq!(number("%05d", -42.0), "-0042");
        assert_eq!(number("%+.3d", 5.0), "+005");
        assert_eq!(number("%.0d", 0.0), "");
        assert_eq!(number("%#o", 0.0), "0");
        assert_eq!(number("%#.0o", 0.0), "0");
        assert_eq!(number("%#o", 8.0), "010");
        assert_eq!(number("%#08x", 255.0), "0x0000ff");
        assert_eq!(number("%X", -1.0), "FFFFFFFFFFFFFFFF");
        assert_eq!(number("%08.3f", -2.71651), "-002.717");
        assert_eq!(number("%010f", f64::NEG_INFINITY), "      -inf");
        assert_eq!(number("%G", f64::NAN), "NAN");
        assert_eq!(number("%#.0f", 2.5), "2.");
        assert_eq!(number("%.2f", 1e22), "10000000000000000000000.00");
        assert_eq!(number("%.99f", f64::MAX).len(), 309 + 1 + 99);
        assert_eq!(number("%99.99d", 1.0).len(), 99);
        assert_eq!(number("%3c", 65.0), "  A");
        assert_eq!(number("%3c", 0.0), "  ");
    }

    #[test]
    fn strings_are_cut_and_quoted() {
        assert_eq!(text("%5s", b"ab"), b"   ab");
        assert_eq!(text("%-5.1s", b"ab"), b"a    ");
        assert_eq!(text("%.s", b"ab"), b"");
        assert_eq!(text("%s", b"a\0b"), b"a");
        assert_eq!(text("%s", &[0; 100]), [0; 100]);
        assert_eq!(text("%.99s", &[b'a'; 200]), [b'a'; 99]);
        assert_eq!(text("%q", b"a\n\"\\\r\0z"), b"\"a\\\n\\\"\\\\\\r\\000z\"");
    }

    #[test]
    fn faults_are_found_in_lua_s_order() {
        let next = |format: &'static str, has_argument| {
            Directives::new(format.as_bytes()).next(has_argument).map(|_| ())
        };
        assert_eq!(next("%", false), Err(Error::NoValue));
        assert_eq!(next("%", true), Err(Error::InvalidOption { letter: 0 }));
        assert_eq!(next("%y", true).unwrap_err().to_string(), "invalid option '%y' to 'format'");
        assert_eq!(next("%------d", true), Err(Error::RepeatedFlags));
        assert_eq!(next("%-----d", true), Ok(()));
        assert_eq!(next("%100d", true), Err(Error::WidthTooLong));
        assert_eq!(next("%.100d", true), Err(Error::WidthTooLong));
        assert_eq!(next("%99.99d", true), Ok(()));
        assert_eq!(next("%%", false), Ok(()));
    }
}
