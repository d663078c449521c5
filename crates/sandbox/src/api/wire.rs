//! Members of protobuf messages, as they are written one after the other.
//!
//! Here: writing and reading of single members. Not here: which there are. Format: protobuf's encoding.

/// Wire types.
pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const BYTES: u8 = 2;

/// Longest varint, in bytes.
const VARINT_BYTES_MAX: usize = 10;

/// Numbers of a message's members.
pub(super) mod member {
    pub(crate) const UUID: u8 = 1;
    pub(crate) const TIMESTAMP: u8 = 2;
    pub(crate) const TYPE: u8 = 3;
    pub(crate) const LOGGER: u8 = 4;
    pub(crate) const SEVERITY: u8 = 5;
    pub(crate) const PAYLOAD: u8 = 6;
    pub(crate) const ENV_VERSION: u8 = 7;
    pub(crate) const PID: u8 = 8;
    pub(crate) const HOSTNAME: u8 = 9;
    pub(crate) const FIELDS: u8 = 10;
}

/// Numbers of a field's members.
pub(super) mod field {
    pub(crate) const NAME: u8 = 1;
    pub(crate) const VALUE_TYPE: u8 = 2;
    pub(crate) const REPRESENTATION: u8 = 3;
    pub(crate) const STRING: u8 = 4;
    pub(crate) const BYTES: u8 = 5;
    pub(crate) const INTEGER: u8 = 6;
    pub(crate) const DOUBLE: u8 = 7;
    pub(crate) const BOOL: u8 = 8;
}

pub(super) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn write_number(number: u8, value: u64, out: &mut Vec<u8>) {
    out.push(number << 3 | VARINT);
    write_varint(value, out);
}

pub(super) fn write_double(number: u8, value: f64, out: &mut Vec<u8>) {
    out.push(number << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn write_bytes(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | BYTES);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Begins a member that holds others; [`end_nested`] takes what this gives.
pub(super) fn begin_nested(number: u8, out: &mut Vec<u8>) -> usize {
    out.push(number << 3 | BYTES);
    // Most are shorter than 128 bytes.
    out.push(0);
    out.len()
}

/// Ends a member that holds others: puts its length before it.
pub(super) fn end_nested(start: usize, out: &mut Vec<u8>) {
    let mut length = out.len() - start;
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let mut varint = [0; VARINT_BYTES_MAX];
    let mut used = 0;
    while length >= 0x80 {
        varint[used] = length as u8 | 0x80;
        length >>= 7;
        used += 1;
    }
    varint[used] = length as u8;
    used += 1;
    let end = out.len();
    out.resize(end + used - 1, 0);
    out.copy_within(start..end, start + used - 1);
    out[start - 1..start - 1 + used].copy_from_slice(&varint[..used]);
}

/// Reads members.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for index in 0..VARINT_BYTES_MAX {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << (7 * index).min(63);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn fixed64(&mut self) -> Option<f64> {
        let bytes = self.bytes.get(self.at..self.at + 8)?;
        self.at += 8;
        Some(f64::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn block(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let block = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(block)
    }
}
