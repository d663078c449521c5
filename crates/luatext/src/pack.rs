//! Numbers and strings in binary structures: the library `struct` 0.2.
//!
//! Here: formats, and what they make of numbers, strings and data. Not here: arguments and results. Invariant: what is
//! made is bounded by what is given: a format alone makes at most 32 bytes for each of its own.

use crate::error::Error;
use crate::number::{to_signed, to_unsigned};

/// Longest integer, in bytes.
const INTEGER_BYTES_MAX: u32 = 32;

/// Bytes of an integer that come from the number; those above repeat its sign or are zero.
const VALUE_BYTES: usize = 8;

/// Alignment of `!` without a number.
const NATIVE_ALIGNMENT: u32 = 8;

/// A format, read from the left.
#[derive(Debug, Clone)]
pub struct PackFormat<'a> {
    rest: &'a [u8],
    big_endian: bool,
    alignment: u32,
}

/// An argument that a format asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackItem {
    /// An integer of 0 to 32 bytes.
    Integer {
        /// Its bytes.
        size: usize,
        /// The first byte is the highest.
        big_endian: bool,
    },
    /// A floating-point number.
    Float {
        /// 8 bytes, not 4.
        double: bool,
        /// The first byte is the highest.
        big_endian: bool,
    },
    /// A string.
    Text {
        /// As many of its bytes; none for all.
        size: Option<usize>,
        /// A zero follows.
        zero: bool,
    },
}

/// A value that a format finds in data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unpacked<'a> {
    /// A number.
    Number(f64),
    /// A string.
    Text(&'a [u8]),
}

/// A value, and whether the value before it was its size and is to be dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnpackItem<'a> {
    /// The value.
    pub value: Unpacked<'a>,
    /// Takes the place of the value before it.
    pub drops_previous: bool,
}

/// A letter of a format.
#[derive(Debug, Clone, Copy)]
struct Letter {
    letter: u8,
    /// Bytes that it stands for, as far as the format tells.
    size: usize,
}

impl<'a> PackFormat<'a> {
    /// A format; it ends before its first zero byte.
    #[must_use]
    pub fn new(format: &'a [u8]) -> Self {
        let rest = memchr::memchr(0, format).map_or(format, |end| &format[..end]);
        Self { rest, big_endian: cfg!(target_endian = "big"), alignment: 1 }
    }

    /// The next argument that the format asks for, none at its end. Padding before it is appended to `out`, which holds
    /// the structure from its start.
    pub fn next_pack(&mut self, out: &mut Vec<u8>) -> Result<Option<PackItem>, Error> {
        while let Some(Letter { letter, size }) = self.letter()? {
            out.resize(out.len() + self.padding(out.len(), letter, size), 0);
            let big_endian = self.big_endian;
            return Ok(Some(match letter {
                b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                    PackItem::Integer { size, big_endian }
                }
                b'f' | b'd' => PackItem::Float { double: letter == b'd', big_endian },
                b'c' => PackItem::Text { size: (size > 0).then_some(size), zero: false },
                b's' => PackItem::Text { size: None, zero: true },
                b'x' => {
                    out.push(0);
                    continue;
                }
                letter => {
                    self.control(letter)?;
                    continue;
                }
            }));
        }
        Ok(None)
    }

    /// The next value in the data, none at the end of the format. `at` is its index, and then the one behind it.
    ///
    /// `previous` gives the value before it as a number, if there is one that is a number or can be one; it is called
    /// for `c0` only.
    pub fn next_unpack<'d>(
        &mut self,
        data: &'d [u8],
        at: &mut usize,
        previous: impl FnOnce() -> Option<f64>,
    ) -> Result<Option<UnpackItem<'d>>, Error> {
        while let Some(Letter { letter, size }) = self.letter()? {
            *at = at.saturating_add(self.padding(*at, letter, size));
            let rest = data.get(*at..).ok_or(Error::DataTooShort)?;
            let bytes = rest.get(..size).ok_or(Error::DataTooShort)?;
            let mut drops_previous = false;
            let (value, length) = match letter {
                b'b' | b'h' | b'l' | b'i' => (Unpacked::Number(self.integer(bytes, true)), size),
                b'B' | b'H' | b'L' | b'T' | b'I' => {
                    (Unpacked::Number(self.integer(bytes, false)), size)
                }
                b'f' | b'd' => (Unpacked::Number(self.float(bytes)), size),
                b'c' if size == 0 => {
                    drops_previous = true;
                    let length = length_of(previous().ok_or(Error::NoPreviousSize)?)?;
                    (Unpacked::Text(rest.get(..length).ok_or(Error::DataTooShort)?), length)
                }
                b'c' => (Unpacked::Text(bytes), size),
                b's' => {
                    let end = memchr::memchr(0, rest).ok_or(Error::UnfinishedString)?;
                    (Unpacked::Text(&rest[..end]), end + 1)
                }
                b'x' => {
                    *at += size;
                    continue;
                }
                letter => {
                    self.control(letter)?;
                    continue;
                }
            };
            *at += length;
            return Ok(Some(UnpackItem { value, drops_previous }));
        }
        Ok(None)
    }

    /// Reads a letter and the number behind it.
    fn letter(&mut self) -> Result<Option<Letter>, Error> {
        let Some((&letter, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match letter {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => match self.number(4)? {
                size if size > INTEGER_BYTES_MAX => return Err(Error::IntegralSize { size }),
                size => size,
            },
            _ => 0,
        };
        Ok(Some(Letter { letter, size: size as usize }))
    }

    fn number(&mut self, default: u32) -> Result<u32, Error> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let value = text.iter().try_fold(0_i32, |value, digit| {
            value.checked_mul(10)?.checked_add(i32::from(digit - b'0'))
        });
        value.map(i32::unsigned_abs).ok_or(Error::IntegralOverflow)
    }

    /// Bytes before an item. Sizes that are no powers of 2 are not refused; what comes of them is as it always was.
    fn padding(&self, length: usize, letter: u8, size: usize) -> usize {
        if size == 0 || letter == b'c' {
            return 0;
        }
        let size = size.min(self.alignment as usize);
        size.wrapping_sub(length & (size - 1)) & (size - 1)
    }

    /// What changes the items that follow.
    fn control(&mut self, letter: u8) -> Result<(), Error> {
        match letter {
            b' ' => {}
            b'>' => self.big_endian = true,
            b'<' => self.big_endian = false,
            b'!' => {
                let alignment = self.number(NATIVE_ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    return Err(Error::Alignment { alignment });
                }
                self.alignment = alignment;
            }
            letter => return Err(Error::InvalidPackOption { letter }),
        }
        Ok(())
    }

    /// Integers of more than 8 bytes keep their low ones.
    fn integer(&self, bytes: &[u8], signed: bool) -> f64 {
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let value = if self.big_endian {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        };
        if !signed {
            return value as f64;
        }
        let unused = 64 - 8 * bytes.len().clamp(1, VALUE_BYTES);
        (((value << unused) as i64) >> unused) as f64
    }

    /// The bytes are 4 or 8.
    fn float(&self, bytes: &[u8]) -> f64 {
        let mut value = [0; 8];
        value.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let size = bytes.len().min(value.len());
        if self.big_endian {
            value[..size].reverse();
        }
        let [a, b, c, d, ..] = value;
        if size == 4 { f32::from_le_bytes([a, b, c, d]).into() } else { f64::from_le_bytes(value) }
    }
}

/// A number as the length of a string.
fn length_of(number: f64) -> Result<usize, Error> {
    let length = to_signed(number);
    usize::try_from(length).map_err(|_| Error::DataTooShort)
}

impl PackItem {
    /// Whether the argument is a string, not a number.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }

    /// Appends a number; nothing if the item is a string.
    pub fn write_number(&self, number: f64, out: &mut Vec<u8>) {
        match *self {
            Self::Integer { size, big_endian } => {
                let value =
                    if number < 0.0 { to_signed(number) as u64 } else { to_unsigned(number) };
                let start = out.len();
                // Without the sign: bytes above the eighth are zero.
                let bytes = value.to_le_bytes();
                out.extend(bytes.into_iter().chain(std::iter::repeat(0)).take(size));
                if big_endian {
                    out[start..].reverse();
                }
            }
            Self::Float { double, big_endian } => {
                let start = out.len();
                if double {
                    out.extend(number.to_le_bytes());
                } else {
                    out.extend((number as f32).to_le_bytes());
                }
                if big_endian {
                    out[start..].reverse();
                }
            }
            Self::Text { .. } => {}
        }
    }

    /// Bytes that a string makes, before it is written.
    #[must_use]
    pub fn text_bytes(&self, text: &[u8]) -> usize {
        match *self {
            Self::Text { size, zero } => size.unwrap_or(text.len()) + usize::from(zero),
            _ => 0,
        }
    }

    /// Appends a string; nothing if the item is a number.
    pub fn write_text(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if let Self::Text { size, zero } = *self {
            let size = size.unwrap_or(text.len());
            out.extend_from_slice(text.get(..size).ok_or(Error::StringTooShort)?);
            out.extend(zero.then_some(0));
        }
        Ok(())
    }
}

/// The bytes of a structure of a format without strings of unknown length.
///
/// Letters and digits without a meaning count nothing, as in struct 0.2; all else without one is an error.
pub fn pack_size(format: &[u8]) -> Result<u64, Error> {
    let mut format = PackFormat::new(format);
    let mut total = 0_usize;
    while let Some(Letter { letter, size }) = format.letter()? {
        total = total.saturating_add(format.padding(total, letter, size));
        match letter {
            b's' => return Err(Error::StringSize),
            b'c' if size == 0 => return Err(Error::CharsSize),
            letter if !letter.is_ascii_alphanumeric() => format.control(letter)?,
            _ => {}
        }
        total = total.saturating_add(size);
    }
    Ok(total as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Argument<'a> {
        Number(f64),
        Text(&'a [u8]),
    }
    use Argument::{Number, Text};

    fn pack(format: &str, arguments: &[Argument<'_>]) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let mut format = PackFormat::new(format.as_bytes());
        let mut arguments = arguments.iter();
        while let Some(item) = format.next_pack(&mut out)? {
            match arguments.next().unwrap() {
                Number(number) => item.write_number(*number, &mut out),
                Text(text) => item.write_text(text, &mut out)?,
            }
        }
        Ok(out)
    }

    fn unpack<'d>(format: &str, data: &'d [u8]) -> Result<(Vec<Unpacked<'d>>, usize), Error> {
        let mut format = PackFormat::new(format.as_bytes());
        let mut values = Vec::new();
        let mut at = 0;
        loop {
            let previous = || match values.last() {
                Some(Unpacked::Number(number)) => Some(*number),
                _ => None,
            };
            let Some(item) = format.next_unpack(data, &mut at, previous)? else {
                return Ok((values, at));
            };
            if item.drops_previous {
                values.pop();
            }
            values.push(item.value);
        }
    }

    #[test]
    fn integers_take_their_bytes_in_the_order_asked_for() {
        assert_eq!(pack(">H<H", &[Number(1.0), Number(1.0)]).unwrap(), [0, 1, 1, 0]);
        assert_eq!(pack(">i3", &[Number(-2.0)]).unwrap(), [255, 255, 254]);
        assert_eq!(pack("<i10", &[Number(-1.0)]).unwrap()[7..], [255, 0, 0]);
        assert_eq!(pack(">I", &[Number(4_294_967_295.0)]).unwrap(), [255; 4]);
        assert_eq!(pack("i0", &[Number(7.0)]).unwrap(), []);
        let (values, end) = unpack(">bBhH", &[255, 255, 255, 254, 255, 254]).unwrap();
        let wanted = [-1.0, 255.0, -2.0, 65_534.0].map(Unpacked::Number);
        assert_eq!((values.as_slice(), end), (wanted.as_slice(), 6));
        assert_eq!(unpack(">i3", &[255, 255, 254]).unwrap().0, [Unpacked::Number(-2.0)]);
        assert_eq!(unpack("i0I0", &[]).unwrap().0, [Unpacked::Number(0.0); 2]);
        let wide = unpack(">i10", &[0, 0, 255, 255, 255, 255, 255, 255, 255, 253]).unwrap().0;
        assert_eq!(wide, [Unpacked::Number(-3.0)]);
    }

    #[test]
    fn floats_come_back() {
        for format in ["<d", ">d", "<f", ">f"] {
            let data = pack(format, &[Number(-0.75)]).unwrap();
            assert_eq!(unpack(format, &data).unwrap().0, [Unpacked::Number(-0.75)], "{format}");
        }
        assert_eq!(pack(">f", &[Number(1.0)]).unwrap(), [0x3f, 0x80, 0, 0]);
        assert_eq!(pack(">d", &[Number(1.0)]).unwrap(), [0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn strings_are_fixed_counted_or_ended() {
        let data = pack("Bc0sc2x", &[Number(3.0), Text(b"abc"), Text(b"de"), Text(b"fgh")]);
        let data = data.unwrap();
        assert_eq!(data, b"\x03abcde\0fg\0");
        let (values, end) = unpack("Bc0sc2x", &data).unwrap();
        assert_eq!(values, [&b"abc"[..], b"de", b"fg"].map(Unpacked::Text));
        assert_eq!(end, data.len());
    }

    #[test]
    fn items_are_aligned_where_it_is_asked_for() {
        let numbers = [Number(1.0), Number(2.0)];
        assert_eq!(pack("<!4 bi", &numbers).unwrap(), [1, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(pack("<!bl", &numbers).unwrap().len(), 16);
        assert_eq!(pack("<!2bi", &numbers).unwrap(), [1, 0, 2, 0, 0, 0]);
        assert_eq!(pack("<bi", &numbers).unwrap(), [1, 2, 0, 0, 0]);
        assert_eq!(pack_size(b"!4bi"), Ok(8));
        assert_eq!(pack_size(b"!c5d"), Ok(16));
        assert_eq!(unpack("<!4bi", &[1, 0, 0, 0, 2, 0, 0, 0]).unwrap().1, 8);
    }

    #[test]
    fn faults_have_the_texts_of_the_library() {
        let text = |error: Error| error.to_string();
        let unpacked = |format, data| unpack(format, data).unwrap_err().to_string();
        assert_eq!(text(pack("y", &[]).unwrap_err()), "invalid format option 'y'");
        assert_eq!(text(pack("c3", &[Text(b"ab")]).unwrap_err()), "string too short");
        assert_eq!(
            text(pack("i33", &[]).unwrap_err()),
            "integral size 33 is larger than limit of 32"
        );
        assert_eq!(text(pack("!3", &[]).unwrap_err()), "alignment 3 is not a power of 2");
        assert_eq!(text(pack("!0", &[]).unwrap_err()), "alignment 0 is not a power of 2");
        assert_eq!(text(pack("c99999999999", &[]).unwrap_err()), "integral size overflow");
        assert_eq!(text(pack_size(b"s").unwrap_err()), "option 's' has no fixed size");
        assert_eq!(text(pack_size(b"c0").unwrap_err()), "option 'c0' has no fixed size");
        assert_eq!(unpacked("i", b"abc"), "data string too short");
        assert_eq!(unpacked("Bc0", b"\x03ab"), "data string too short");
        assert_eq!(unpacked("bc0", b"\xff"), "data string too short");
        assert_eq!(unpacked("s", b"abc"), "unfinished string in data");
        assert_eq!(unpacked("c0", b"abc"), "format `c0' needs a previous size");
        assert_eq!(unpacked("sc0", b"abc\0abc"), "format `c0' needs a previous size");
    }
}
