//! What libraries that make texts share: the buffer they write into, and errors of `heka-luatext`.
//!
//! Invariant: what is made is asked for before it is long, and charged.

use std::ffi::c_int;

use heka_luatext::Error;

use crate::error::Raise;
use crate::lua::Lua;

/// Bytes that are read or copied for a step.
pub(super) const BYTES_PER_STEP: usize = 32;

/// Longest text that is made without asking for memory and steps: what it takes is like that of any other value.
const SHORT_BYTES: usize = 64;

/// Largest buffer that is kept for the next call, in bytes.
const SCRATCH_BYTES_MAX: usize = 1 << 16;

/// An error without an argument's number.
#[cold]
pub(super) fn raise(error: Error) -> Raise {
    match error {
        Error::OutOfBudget => Raise::Breach,
        Error::TooLong => Raise::Memory,
        error => Raise::text(error.to_string()),
    }
}

impl Lua<'_> {
    /// Lends the buffer of texts, which is empty.
    #[inline]
    pub(crate) fn with_scratch<R>(&self, make: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut scratch = std::mem::take(&mut self.host().scratch);
        scratch.clear();
        let made = make(&mut scratch);
        if scratch.capacity() <= SCRATCH_BYTES_MAX {
            self.host().scratch = scratch;
        }
        made
    }

    /// Pushes a text that is written into a buffer.
    #[inline]
    pub(crate) fn build(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Raise>,
    ) -> Result<c_int, Raise> {
        self.with_scratch(|out| {
            write(out)?;
            self.push_bytes(out);
            Ok(1)
        })
    }

    /// Charges reading or making a text of that many bytes, and asks for the memory.
    #[inline]
    pub(crate) fn ask_text(&self, bytes: usize) -> Result<(), Raise> {
        if bytes <= SHORT_BYTES {
            return Ok(());
        }
        self.ask_memory(bytes)?;
        self.charge(bytes / BYTES_PER_STEP)
    }

    /// Pushes an index or a length, which is less than 2^63.
    #[inline]
    pub(crate) fn push_index(&self, index: usize) {
        // By way of a signed integer, for which there is an instruction.
        self.push_number(index as i64 as f64);
    }

    /// Pushes a part of a text that is on the stack.
    #[inline]
    pub(crate) fn push_part(&self, bytes: &[u8]) -> Result<(), Raise> {
        self.ask_text(bytes.len())?;
        self.push_bytes(bytes);
        Ok(())
    }
}
