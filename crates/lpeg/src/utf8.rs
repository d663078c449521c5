//! The UTF-8 encodings of a range of code points, as sequences of byte ranges.
//!
//! Invariant: the sequences are disjoint and cover exactly the range. As in LPeg surrogates are encoded like any
//! other code point.

use std::ops::RangeInclusive;

use crate::error::Error;

/// Last code point of each length of an encoding.
const LAST_OF_LENGTH: [u32; 4] = [0x7f, 0x7ff, 0xffff, 0x10_ffff];

/// Payload bits of a continuation byte.
const CONTINUATION_BITS: u32 = 6;

/// All that a continuation byte can carry.
const CONTINUATION_MASK: u32 = (1 << CONTINUATION_BITS) - 1;

/// A range of values for each byte.
pub(crate) type Sequence = Vec<RangeInclusive<u8>>;

/// Splits a range.
pub(crate) fn byte_ranges(first: u32, last: u32) -> Result<Vec<Sequence>, Error> {
    if first > last || last > LAST_OF_LENGTH[3] {
        return Err(Error::CodePoints);
    }
    let mut out = Vec::new();
    let mut from = 0;
    for (index, end) in LAST_OF_LENGTH.into_iter().enumerate() {
        let (low, high) = (first.max(from), last.min(end));
        if low <= high {
            split(low, high, index, &mut Vec::new(), &mut out);
        }
        from = end + 1;
    }
    Ok(out)
}

/// Splits a range of code points with `rest` continuation bytes; `head` are the bytes before, all fixed.
fn split(first: u32, last: u32, rest: usize, head: &mut Sequence, out: &mut Vec<Sequence>) {
    let shift = CONTINUATION_BITS * rest as u32;
    let tail = (1_u32 << shift) - 1;
    if first & tail != 0 && first | tail < last {
        split(first, first | tail, rest, head, out);
        return split((first | tail) + 1, last, rest, head, out);
    }
    if last & tail != tail && first & !tail != last & !tail {
        let cut = last & !tail;
        split(first, cut - 1, rest, head, out);
        return split(cut, last, rest, head, out);
    }
    let depth = head.len();
    head.push(byte(first, rest, depth)..=byte(last, rest, depth));
    if rest == 0 {
        out.push(head.clone());
    } else if first & tail == 0 && last & tail == tail {
        let mut whole = head.clone();
        whole.extend(std::iter::repeat_n(0x80..=0xbf, rest));
        out.push(whole);
    } else {
        split(first, last, rest - 1, head, out);
    }
    head.truncate(depth);
}

/// The byte of a code point that has so many bytes after it and before it.
fn byte(code: u32, rest: usize, before: usize) -> u8 {
    const LEAD: [u32; 4] = [0, 0xc0, 0xe0, 0xf0];
    let bits = code >> (CONTINUATION_BITS * rest as u32);
    let byte = if before > 0 { 0x80 | (bits & CONTINUATION_MASK) } else { LEAD[rest] | bits };
    byte as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(code: u32) -> Vec<u8> {
        let rest = LAST_OF_LENGTH.iter().position(|last| code <= *last).unwrap();
        (0..=rest).map(|index| byte(code, rest - index, index)).collect()
    }

    fn matches(sequence: &Sequence, text: &[u8]) -> bool {
        sequence.len() == text.len()
            && sequence.iter().zip(text).all(|(range, it)| range.contains(it))
    }

    #[test]
    fn each_code_point_of_the_range_has_one_sequence_and_others_none() {
        for (first, last) in [
            (0, 0x10_ffff),
            (0x41, 0x41),
            (0x7f, 0x80),
            (0x7ff, 0x800),
            (0xfffe, 0x10001),
            (0x123, 0x4567),
            (0x10_0000, 0x10_ffff),
            (0x3f, 0x1_0fff),
            (0x8c3, 0x8c3),
        ] {
            let sequences = byte_ranges(first, last).unwrap();
            for code in (0..0x11_0000).step_by(61).chain([first, last, first + 1, last - 1]) {
                let text = encode(code);
                let count = sequences.iter().filter(|it| matches(it, &text)).count();
                assert_eq!(count, usize::from((first..=last).contains(&code)), "{code:x}");
            }
        }
        assert_eq!(encode('€' as u32), "€".as_bytes());
        assert_eq!(byte_ranges(2, 1), Err(Error::CodePoints));
        assert_eq!(byte_ranges(0, 0x11_0000), Err(Error::CodePoints));
    }
}
