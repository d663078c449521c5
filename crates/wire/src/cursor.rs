//! Reading protobuf primitives, with the position of every fault.
//!
//! Invariant: `at <= bytes.len()`. A nested cursor sees the same bytes cut at its end, so that all offsets
//! count from the start of the whole message.

use crate::WireError;

/// How a member is encoded.
pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const BYTES: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

/// A position in protobuf bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A member's number, its wire type and where its tag stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub(crate) number: u64,
    pub(crate) wire_type: u8,
    offset: usize,
}

impl Tag {
    /// Fails unless the member has this wire type.
    #[inline]
    pub(crate) fn expect(self, wire_type: u8) -> Result<(), WireError> {
        if self.wire_type == wire_type { Ok(()) } else { Err(self.wrong_type()) }
    }

    #[cold]
    pub(crate) fn wrong_type(self) -> WireError {
        let Self { number, wire_type, offset } = self;
        WireError::WireType { offset, number, wire_type }
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Offset of the next byte in the whole message.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The next tag; `None` at the end.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<Option<Tag>, WireError> {
        if self.is_at_end() {
            return Ok(None);
        }
        let offset = self.at;
        let word = self.varint()?;
        let tag = Tag { number: word >> 3, wire_type: (word & 7) as u8, offset };
        if tag.number == 0 || tag.wire_type > FIXED32 {
            return Err(WireError::Tag { offset });
        }
        Ok(Some(tag))
    }

    /// A varint. Bits past the 64th are dropped, however long it is.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let mut value = 0_u64;
        let mut shift = 0_u32;
        for (index, &byte) in rest.iter().enumerate() {
            if shift < u64::BITS {
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
            }
            if byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(WireError::Truncated { offset: self.at })
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let Some((word, _)) = rest.split_first_chunk::<8>() else {
            return Err(WireError::Truncated { offset: self.at });
        };
        self.at += 8;
        Ok(u64::from_le_bytes(*word))
    }

    /// A length and as many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let offset = self.at;
        let length = self.varint()?;
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        match usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
            Some(part) => {
                self.at += part.len();
                Ok(part)
            }
            None => Err(WireError::Length { offset, length }),
        }
    }

    /// A length and a cursor over as many bytes.
    #[inline]
    pub(crate) fn nested(&mut self) -> Result<Self, WireError> {
        let length = self.bytes()?.len();
        Ok(Self { bytes: &self.bytes[..self.at], at: self.at - length })
    }

    /// The text of a member with this tag and a length of one byte, if that comes next and fits.
    #[inline]
    pub(crate) fn short_text(&mut self, tag: u8) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let (&[found, length], rest) = rest.split_first_chunk::<2>()?;
        if found != tag || length >= 0x80 {
            return None;
        }
        let text = rest.get(..usize::from(length))?;
        self.at += 2 + text.len();
        Some(text)
    }

    /// The number of a member with this tag and a value of one byte, if that comes next.
    #[inline]
    pub(crate) fn short_number(&mut self, tag: u8) -> Option<u8> {
        match *self.bytes.get(self.at..)?.first_chunk::<2>()? {
            [found, number] if found == tag && number < 0x80 => {
                self.at += 2;
                Some(number)
            }
            _ => None,
        }
    }

    /// Passes over an unknown member, groups included.
    pub(crate) fn skip(&mut self, tag: Tag) -> Result<(), WireError> {
        let mut open_groups = 0_usize;
        let mut current = tag;
        loop {
            match current.wire_type {
                VARINT => {
                    self.varint()?;
                }
                FIXED64 => {
                    self.fixed64()?;
                }
                BYTES => {
                    self.bytes()?;
                }
                GROUP_START => open_groups += 1,
                GROUP_END if open_groups > 0 => open_groups -= 1,
                FIXED32 => self.fixed32()?,
                _ => return Err(WireError::Tag { offset: current.offset }),
            }
            if open_groups == 0 {
                return Ok(());
            }
            current = self.tag()?.ok_or(WireError::Truncated { offset: tag.offset })?;
        }
    }

    fn fixed32(&mut self) -> Result<(), WireError> {
        if self.bytes.len() - self.at < 4 {
            return Err(WireError::Truncated { offset: self.at });
        }
        self.at += 4;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_any_length_keep_their_low_64_bits() {
        let read = |bytes: &[u8]| Cursor::new(bytes).varint();
        assert_eq!(read(&[0x7f]), Ok(127));
        assert_eq!(read(&[0xb4, 0x01]), Ok(180));
        let ones = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(read(&ones), Ok(u64::MAX));
        let mut long = vec![0x81; 30];
        long.push(0x7f);
        assert_eq!(read(&long).map(|value| value & 0xff), Ok(0x81));
        assert_eq!(read(&[0x80, 0x80]), Err(WireError::Truncated { offset: 0 }));
        assert_eq!(read(&[]), Err(WireError::Truncated { offset: 0 }));
    }

    #[test]
    fn lengths_past_the_end_are_errors_at_their_offset() {
        let hostile = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 7];
        let mut cursor = Cursor::new(&hostile);
        assert_eq!(cursor.varint(), Ok(0));
        assert_eq!(cursor.bytes(), Err(WireError::Length { offset: 1, length: u64::MAX }));
        assert!(Cursor::new(&[2, 1]).bytes().is_err());
        assert_eq!(Cursor::new(&[1, 9]).bytes(), Ok(&[9][..]));
    }

    #[test]
    fn unknown_members_of_all_kinds_are_passed_over() {
        let bytes = [
            0xf8, 0x01, 0x96, 0x01, // varint
            0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, // 64 bits
            0xfa, 0x01, 0x02, 9, 9, // bytes
            0xfd, 0x01, 1, 2, 3, 4, // 32 bits
            0xfb, 0x01, 0x0b, 0x08, 0x05, 0x0c, 0xfc, 0x01, // a group in a group
        ];
        let mut cursor = Cursor::new(&bytes);
        let mut seen = 0;
        while let Some(tag) = cursor.tag().unwrap() {
            cursor.skip(tag).unwrap();
            seen += 1;
        }
        assert_eq!(seen, 5);
    }

    #[test]
    fn broken_tags_and_groups_are_errors() {
        let skip = |bytes: &[u8]| {
            let mut cursor = Cursor::new(bytes);
            let tag = cursor.tag()?.expect("a tag");
            cursor.skip(tag)
        };
        assert_eq!(skip(&[0x00, 0x01]), Err(WireError::Tag { offset: 0 }), "number 0");
        assert_eq!(skip(&[0xfe, 0x01]), Err(WireError::Tag { offset: 0 }), "wire type 6");
        assert_eq!(skip(&[0xfc, 0x01]), Err(WireError::Tag { offset: 0 }), "end without start");
        assert_eq!(skip(&[0xfb, 0x01, 0x08]), Err(WireError::Truncated { offset: 3 }));
        assert_eq!(skip(&[0xfb, 0x01]), Err(WireError::Truncated { offset: 0 }));
        assert_eq!(skip(&[0xfd, 0x01, 1, 2]), Err(WireError::Truncated { offset: 2 }));
        assert_eq!(skip(&[0xf9, 0x01, 1, 2]), Err(WireError::Truncated { offset: 2 }));
    }
}
