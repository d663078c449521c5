//! Splitters: bytes to records.

use std::ops::Range;

/// Finds records in a stream of bytes, a whole buffer at a time.
pub trait Splitter: Send {
    /// Finds all complete records of `data` in order and returns the number of bytes done with: those of the
    /// records and of what lies between them. The rest is presented again at the start of the next `data`.
    fn split(&mut self, data: &[u8], scan: Scan, frames: &mut Frames) -> usize;

    /// The stream ends, or nothing more came for a while: turns what `split` left over into records. `rest` says
    /// whether the unterminated rest is a record too, or only what was held back complete.
    ///
    /// The default holds nothing back, and makes one record of the rest.
    fn finish(&mut self, data: &[u8], rest: bool, frames: &mut Frames) {
        if rest && !data.is_empty() {
            frames.push(0..data.len());
        }
    }

    /// Forgets what it knows of the stream so far: the next `data` begins another one.
    fn reset(&mut self) {}

    /// Name of the signer that a frame carries the number of.
    fn signer(&self, number: u16) -> &[u8] {
        let _number = number;
        &[]
    }
}

/// What is known of the data given to [`Splitter::split`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    /// The first `seen` bytes were presented before and no record ended in them.
    pub seen: usize,
}

/// One record found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Offset of its first byte.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
    /// Number of the verified signer, see [`Splitter::signer`]; 0: none.
    pub signer: u16,
}

impl Frame {
    /// Its bytes' place.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// The records found in one buffer, and what was found between them.
#[derive(Debug, Default)]
pub struct Frames {
    pub(crate) list: Vec<Frame>,
    /// Bytes that belonged to no record.
    pub skipped_bytes: u64,
    /// Records dropped since their signature did not verify.
    pub bad_signature: u64,
}

impl Frames {
    /// Adds a record; empty ones too.
    pub fn push(&mut self, range: Range<usize>) {
        self.push_signed(range, 0);
    }

    /// Adds a record with the number of its verified signer.
    pub fn push_signed(&mut self, range: Range<usize>, signer: u16) {
        let (start, len) = (range.start as u32, range.len() as u32);
        self.list.push(Frame { start, len, signer });
    }

    /// The records in order.
    #[must_use]
    pub fn list(&self) -> &[Frame] {
        &self.list
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True if no record was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.list.clear();
        self.skipped_bytes = 0;
        self.bad_signature = 0;
    }
}

/// What happens to a record over the size limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oversize {
    /// It is dropped and counted, up to the next delimiter.
    #[default]
    Drop,
    /// Its first bytes are delivered, marked with the field `record_truncated`; the rest is dropped.
    Truncate,
    /// All of it is delivered, in pieces of the limit.
    Keep,
}
