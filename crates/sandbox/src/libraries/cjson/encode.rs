//! Values of Lua to JSON.
//!
//! A table that is being written stays on the stack with, above it, the key of its entry that is being written, if it has
//! keys. Its frame says what remains.

use std::ffi::c_int;

use heka_luatext::{general_number, lua_number};

use super::super::KEPT_BYTES_MAX;
use super::{BYTES_A_STEP, CjsonState, InvalidNumbers, options};
use crate::error::Raise;
use crate::lua::{Lua, Type};

/// Slots of the stack for a table: itself, the key, the value.
const STACK_A_TABLE: usize = 3;
/// Digits for which there is a fast way.
const LUA_DIGITS: i64 = 14;

/// A table that is being written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frame {
    /// Entries from `next` to `last`.
    Array { next: i64, last: i64 },
    /// The entries behind the key on top.
    Object { is_first: bool },
}

/// `encode(value)`.
pub(super) fn encode(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.top() != 1 {
        return Err(Raise::argument(1, "expected 1 argument"));
    }
    let mut out = std::mem::take(&mut lua.host().scratch);
    out.clear();
    let mut frames = std::mem::take(&mut options(lua).writing);
    frames.clear();
    let mut encoder = Encoder::new(lua, &mut out, &mut frames);
    let encoded = encoder.run();
    let pushed = encoded.and_then(|()| {
        lua.ask_memory(out.len())?;
        lua.push_bytes(&out);
        Ok(1)
    });
    options(lua).writing = frames;
    if out.capacity() <= KEPT_BYTES_MAX {
        lua.host().scratch = out;
    }
    pushed
}

struct Encoder<'l, 'b> {
    lua: Lua<'l>,
    out: &'b mut Vec<u8>,
    frames: &'b mut Vec<Frame>,
    /// Bytes that the text may not reach.
    end: usize,
    /// Steps that are not charged yet.
    steps: usize,
    /// Bytes that were charged.
    charged: usize,
    precision: usize,
}

impl<'l, 'b> Encoder<'l, 'b> {
    fn new(lua: Lua<'l>, out: &'b mut Vec<u8>, frames: &'b mut Vec<Frame>) -> Self {
        let end = match lua.host().output.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let precision = usize::try_from(options(lua).precision).unwrap_or_default();
        Self { lua, out, frames, end, steps: 0, charged: 0, precision }
    }

    /// Writes the value on top.
    fn run(&mut self) -> Result<(), Raise> {
        self.value()?;
        while let Some(&frame) = self.frames.last() {
            match frame {
                Frame::Array { next, last } => self.array(next, last)?,
                Frame::Object { is_first } => self.object(is_first)?,
            }
            self.step()?;
        }
        self.lua.charge(self.steps + (self.out.len() - self.charged) / BYTES_A_STEP)
    }

    /// Charges now and then.
    #[inline]
    fn step(&mut self) -> Result<(), Raise> {
        const STEPS_AT_ONCE: usize = 64;
        self.steps += 1;
        if self.steps >= STEPS_AT_ONCE {
            let bytes = self.out.len() - self.charged;
            self.lua.charge(self.steps + bytes / BYTES_A_STEP)?;
            self.charged = self.out.len();
            self.steps = 0;
        }
        Ok(())
    }

    /// Looks whether so many bytes more are allowed.
    #[inline]
    fn room_for(&self, bytes: usize) -> Result<(), Raise> {
        if self.out.len() + bytes >= self.end {
            return Err(Raise::text("strbuf output_limit exceeded"));
        }
        if self.end == usize::MAX {
            // Without that limit, that of memory holds.
            self.lua.ask_memory(self.out.len() + bytes)?;
        }
        Ok(())
    }

    #[inline]
    fn append(&mut self, text: &[u8]) -> Result<(), Raise> {
        self.room_for(text.len())?;
        self.out.extend_from_slice(text);
        Ok(())
    }

    /// Writes the value on top and removes it, or begins a table, which stays.
    fn value(&mut self) -> Result<(), Raise> {
        let lua = self.lua;
        match lua.type_of(-1) {
            Type::String => self.string(lua.bytes(-1).unwrap_or_default())?,
            Type::Number => self.number(lua.number(-1).unwrap_or_default())?,
            Type::Boolean if lua.boolean(-1) => self.append(b"true")?,
            Type::Boolean => self.append(b"false")?,
            Type::Nil => self.append(b"null")?,
            Type::LightUserdata if lua.userdata(-1).is_null() => self.append(b"null")?,
            Type::Table => return self.table(),
            other => return Err(refused(other, "type not supported")),
        }
        lua.pop(1);
        Ok(())
    }

    /// Begins the table on top.
    fn table(&mut self) -> Result<(), Raise> {
        let depth = self.frames.len() as i64 + 1;
        let is_too_deep = depth > options(self.lua).encode_depth_max;
        if is_too_deep || self.lua.reserve_stack(STACK_A_TABLE).is_err() {
            return Err(Raise::text(format!("Cannot serialise, excessive nesting ({depth})")));
        }
        let frame = match self.array_length()? {
            Some(last) => {
                self.append(b"[")?;
                Frame::Array { next: 1, last }
            }
            None => {
                self.append(b"{")?;
                self.lua.push_nil();
                Frame::Object { is_first: true }
            }
        };
        self.frames.push(frame);
        Ok(())
    }

    /// The last index of the table on top, if it is an array with elements.
    fn array_length(&mut self) -> Result<Option<i64>, Raise> {
        let lua = self.lua;
        let table = lua.top();
        let (mut last, mut items) = (0.0_f64, 0_i64);
        lua.push_nil();
        while lua.next(table) {
            let index = match lua.type_of(-2) {
                Type::Number => lua.number(-2).unwrap_or_default(),
                _ => 0.0,
            };
            if !(index >= 1.0 && index.floor() == index) {
                lua.pop(2);
                return Ok(None);
            }
            last = last.max(index);
            items += 1;
            lua.pop(1);
            self.step()?;
        }
        // Conversions from floating point saturate.
        let last = last as i64;
        let CjsonState { sparse_converts, sparse_ratio, sparse_safe, .. } = *options(lua);
        let is_sparse =
            sparse_ratio > 0 && last > items.saturating_mul(sparse_ratio) && last > sparse_safe;
        match is_sparse {
            true if sparse_converts => Ok(None),
            true => Err(refused(Type::Table, "excessively sparse array")),
            false => Ok((last > 0).then_some(last)),
        }
    }

    /// Writes the next element of an array, which is on top.
    fn array(&mut self, next: i64, last: i64) -> Result<(), Raise> {
        if next > last {
            return self.end(b"]");
        }
        if next > 1 {
            self.append(b",")?;
        }
        if let Some(frame) = self.frames.last_mut() {
            *frame = Frame::Array { next: next + 1, last };
        }
        match c_int::try_from(next) {
            Ok(index) => self.lua.raw_get_index(-1, index),
            Err(_) => {
                self.lua.push_number(next as f64);
                self.lua.raw_get(-2);
            }
        }
        self.value()
    }

    /// Writes the next entry of an object, which is below the key of the one before.
    fn object(&mut self, is_first: bool) -> Result<(), Raise> {
        let lua = self.lua;
        if !lua.next(-2) {
            return self.end(b"}");
        }
        if is_first {
            if let Some(frame) = self.frames.last_mut() {
                *frame = Frame::Object { is_first: false };
            }
        } else {
            self.append(b",")?;
        }
        match lua.type_of(-2) {
            Type::String => {
                self.string(lua.bytes(-2).unwrap_or_default())?;
                self.append(b":")?;
            }
            Type::Number => {
                self.append(b"\"")?;
                self.number(lua.number(-2).unwrap_or_default())?;
                self.append(b"\":")?;
            }
            other => return Err(refused(other, "table key must be a number or string")),
        }
        self.value()
    }

    /// Ends the table on top.
    fn end(&mut self, bracket: &[u8]) -> Result<(), Raise> {
        self.append(bracket)?;
        self.frames.pop();
        self.lua.pop(1);
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Raise> {
        if !number.is_finite() {
            return match options(self.lua).encode_invalid {
                InvalidNumbers::Refused => {
                    Err(refused(Type::Number, "must not be NaN or Infinity"))
                }
                InvalidNumbers::Null => self.append(b"null"),
                InvalidNumbers::Written if number.is_nan() => self.append(b"NaN"),
                InvalidNumbers::Written if number > 0.0 => self.append(b"Infinity"),
                InvalidNumbers::Written => self.append(b"-Infinity"),
            };
        }
        if self.precision == LUA_DIGITS as usize {
            lua_number(number, self.out);
        } else {
            general_number(number, self.precision, self.out);
        }
        self.room_for(0)
    }

    fn string(&mut self, text: &[u8]) -> Result<(), Raise> {
        self.room_for(text.len() + 2)?;
        self.out.push(b'"');
        let mut rest = text;
        loop {
            let (plain, special) = rest.split_at(plain_len(rest));
            self.out.extend_from_slice(plain);
            let Some((&byte, after)) = special.split_first() else { break };
            append_escape(byte, self.out);
            rest = after;
            if self.out.len() >= self.end {
                break;
            }
        }
        self.out.push(b'"');
        self.room_for(0)
    }
}

#[cold]
fn refused(of: Type, reason: &str) -> Raise {
    Raise::text(format!("Cannot serialise {}: {reason}", of.name()))
}

/// Bytes that stand for themselves, up to the first one that does not.
fn plain_len(text: &[u8]) -> usize {
    const STEP: usize = size_of::<u64>();
    let (words, rest) = text.as_chunks::<STEP>();
    let full = words.iter().position(|word| has_special(u64::from_le_bytes(*word)));
    let start = full.unwrap_or(words.len()) * STEP;
    let tail = if full.is_some() { &text[start..] } else { rest };
    start + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len())
}

fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'/' | b'\\' | 0x7f)
}

/// True if one of eight bytes is special; rarely also if none is, which costs time only.
fn has_special(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let has_below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let has = |byte: u8| has_below(word ^ (ONES * u64::from(byte)), 1);
    (has_below(word, 0x20) | has(b'"') | has(b'/') | has(b'\\') | has(0x7f)) & HIGHS != 0
}

fn append_escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let letter = match byte {
        b'"' | b'/' | b'\\' => byte,
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        12 => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_wherever_they_are() {
        for byte in 0..=255 {
            for at in 0..20 {
                let mut text = *b"abcdefghijklmnopqrst";
                text[at] = byte;
                let expected = if is_special(byte) { at } else { text.len() };
                assert_eq!(plain_len(&text), expected, "{byte} at {at}");
            }
        }
    }
}
