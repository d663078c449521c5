//! Encoded records: bytes of batches that are shared, and bytes that were made, in order.

use heka_message::Batch;
use heka_stream::Keep;

/// Shared bytes shorter than this are copied: a chunk of its own would cost more.
const SHARE_BYTES_MIN: usize = 64;

/// Encoded records waiting to be sent.
///
/// An encoder that emits a part of the message as it is shares the batch's bytes; neighbours grow together, so
/// that a whole batch of untouched lines is one chunk.
#[derive(Debug, Default)]
pub struct Encoded {
    made: Vec<u8>,
    chunks: Vec<Chunk>,
    keeps: Vec<Keep>,
    /// Offset behind each record.
    ends: Vec<usize>,
    len: usize,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    /// Place in `keeps` plus one; 0: the chunk lies in `made`.
    keep: u32,
    start: usize,
    len: usize,
}

impl Encoded {
    /// Nothing encoded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of records.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.ends.len()
    }

    /// Offset behind record `index`.
    #[must_use]
    pub fn record_end(&self, index: usize) -> Option<usize> {
        self.ends.get(index).copied()
    }

    /// The bytes of record `index`, copied; empty if there is none.
    #[must_use]
    pub fn record_bytes(&self, index: usize) -> Vec<u8> {
        let Some(end) = self.record_end(index) else { return Vec::new() };
        let start = index.checked_sub(1).and_then(|before| self.record_end(before)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(end - start);
        for slice in self.slices(start) {
            let rest = end - start - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(rest)]);
            if bytes.len() == end - start {
                break;
            }
        }
        bytes
    }

    /// Number of records that end at or before `offset`.
    #[must_use]
    pub fn records_before(&self, offset: usize) -> usize {
        self.ends.partition_point(|&end| end <= offset)
    }

    /// Forgets all but the memory it has.
    pub fn clear(&mut self) {
        self.made.clear();
        self.chunks.clear();
        self.keeps.clear();
        self.ends.clear();
        self.len = 0;
    }

    /// The bytes from offset `from` on, in pieces.
    pub fn slices(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let mut skip = from;
        self.chunks.iter().filter_map(move |chunk| {
            let bytes = self.bytes(chunk);
            let cut = skip.min(bytes.len());
            skip -= cut;
            (cut < bytes.len()).then(|| &bytes[cut..])
        })
    }

    /// Calls `each` with the bytes of every record in order, in one piece.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn each_record<E>(
        &self,
        mut each: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut joined = Vec::new();
        let mut chunks = self.chunks.iter();
        let mut rest: &[u8] = &[];
        let mut start = 0;
        for (index, &end) in self.ends.iter().enumerate() {
            let len = end - start;
            start = end;
            while rest.is_empty() && len > 0 {
                rest = chunks.next().map_or(&[], |chunk| self.bytes(chunk));
            }
            if rest.len() >= len {
                let (record, after) = rest.split_at(len);
                rest = after;
                each(index, record)?;
                continue;
            }
            joined.clear();
            while joined.len() < len {
                if rest.is_empty() {
                    let Some(chunk) = chunks.next() else { break };
                    rest = self.bytes(chunk);
                }
                let (part, after) = rest.split_at(rest.len().min(len - joined.len()));
                joined.extend_from_slice(part);
                rest = after;
            }
            each(index, &joined)?;
        }
        Ok(())
    }

    /// All bytes in one piece, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.slices(0).flatten().copied().collect()
    }

    /// Keeps the batch alive whose records are encoded next.
    pub(crate) fn keep(&mut self, keep: Keep) {
        self.keeps.push(keep);
    }

    /// Adds a record that follows the last one in the batch's own bytes; false if it does not.
    pub(crate) fn extend_shared(&mut self, batch: &Batch, bytes: &[u8]) -> bool {
        let keep = self.keeps.len() as u32;
        let Some(last) = self.chunks.last_mut().filter(|last| last.keep == keep && keep > 0) else {
            return false;
        };
        if batch.raw_offset(bytes) != Some(last.start + last.len) {
            return false;
        }
        last.len += bytes.len();
        self.len += bytes.len();
        self.ends.push(self.len);
        true
    }

    /// Begins a record of the batch given to `keep` last.
    pub(crate) fn begin<'a>(&'a mut self, batch: &'a Batch) -> EncodeBuffer<'a> {
        let mark = Mark { made: self.made.len(), chunks: self.chunks.len(), len: self.len };
        let last = self.chunks.last().map_or(0, |chunk| chunk.len);
        EncodeBuffer { flushed: self.made.len(), encoded: self, batch, mark, last }
    }

    fn bytes(&self, chunk: &Chunk) -> &[u8] {
        let range = chunk.start..chunk.start + chunk.len;
        match chunk.keep.checked_sub(1).and_then(|place| self.keeps.get(place as usize)) {
            Some(keep) => keep.batch().raw().get(range).unwrap_or(&[]),
            None => self.made.get(range).unwrap_or(&[]),
        }
    }

    fn push(&mut self, keep: u32, start: usize, len: usize) {
        if len == 0 {
            return;
        }
        self.len += len;
        if let Some(last) = self.chunks.last_mut()
            && last.keep == keep
            && last.start + last.len == start
        {
            last.len += len;
            return;
        }
        self.chunks.push(Chunk { keep, start, len });
    }
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    made: usize,
    chunks: usize,
    len: usize,
}

/// Where an encoder writes one record.
#[derive(Debug)]
pub struct EncodeBuffer<'a> {
    encoded: &'a mut Encoded,
    batch: &'a Batch,
    mark: Mark,
    /// Length of the chunk that was last when the record began.
    last: usize,
    /// Bytes of `made` that belong to chunks.
    flushed: usize,
}

impl EncodeBuffer<'_> {
    /// Emits bytes of the message as they are: shared if they lie in what the input read, else copied.
    pub fn share(&mut self, bytes: &[u8]) {
        let keep = self.encoded.keeps.len() as u32;
        let Some(start) = self.batch.raw_offset(bytes).filter(|_| keep > 0) else {
            self.encoded.made.extend_from_slice(bytes);
            return;
        };
        self.flush();
        let grows = self
            .encoded
            .chunks
            .last()
            .is_some_and(|last| last.keep == keep && last.start + last.len == start);
        if grows || bytes.len() >= SHARE_BYTES_MIN {
            self.encoded.push(keep, start, bytes.len());
        } else {
            self.encoded.made.extend_from_slice(bytes);
        }
    }

    /// Where to append bytes that are made.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.encoded.made
    }

    /// Bytes of the record so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.encoded.len - self.mark.len + self.encoded.made.len() - self.flushed
    }

    /// True if the record has no bytes so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the record.
    pub(crate) fn finish(mut self) {
        self.flush();
        self.encoded.ends.push(self.encoded.len);
    }

    /// Puts `header(length)` before the record and ends it.
    pub(crate) fn finish_framed(mut self, header: fn(usize, &mut Vec<u8>)) {
        self.flush();
        let len = self.encoded.len - self.mark.len;
        let mut head = std::mem::take(&mut self.encoded.scratch);
        head.clear();
        header(len, &mut head);
        if !self.frame_shared(&head, len) {
            self.frame_made(&head, len);
        }
        self.encoded.scratch = head;
        self.encoded.ends.push(self.encoded.len);
    }

    /// Puts the header before a body that is made, or copies one of several pieces behind it.
    fn frame_made(&mut self, head: &[u8], len: usize) {
        let start = self.mark.made;
        if self.encoded.made.len() - start == len {
            let made = &mut self.encoded.made;
            made.resize(start + head.len() + len, 0);
            made.copy_within(start..start + len, start + head.len());
            made[start..start + head.len()].copy_from_slice(head);
            self.forget_chunks();
        } else {
            let mut body = Vec::with_capacity(len);
            self.encoded.slices(self.mark.len).for_each(|slice| body.extend_from_slice(slice));
            self.rewind();
            self.encoded.made.extend_from_slice(head);
            self.encoded.made.extend_from_slice(&body);
        }
        self.flush();
    }

    /// If the body lies in the arena right behind the very header that it needs, shares both: what came in as
    /// frames goes out as the same bytes. If it is long, shares it behind a header that is made.
    fn frame_shared(&mut self, head: &[u8], len: usize) -> bool {
        let chunks = self.encoded.chunks.len();
        let Some(&body) = self.encoded.chunks.last() else { return false };
        let alone = chunks == self.mark.chunks + 1 && body.len == len
            || chunks == self.mark.chunks && body.len == self.last + len;
        if !alone || body.keep == 0 {
            return false;
        }
        let start = body.start + body.len - len;
        let raw = self.batch.raw();
        let before = start.checked_sub(head.len()).map(|from| &raw[from..start]);
        if before == Some(head) {
            self.rewind();
            self.encoded.push(body.keep, start - head.len(), head.len() + len);
            return true;
        }
        if len < SHARE_BYTES_MIN {
            return false;
        }
        self.rewind();
        self.encoded.made.extend_from_slice(head);
        self.flush();
        self.encoded.push(body.keep, start, len);
        true
    }

    /// Takes the record back.
    pub(crate) fn rewind(&mut self) {
        self.encoded.made.truncate(self.mark.made);
        self.forget_chunks();
    }

    /// Takes back what says where the record's bytes are.
    fn forget_chunks(&mut self) {
        self.encoded.chunks.truncate(self.mark.chunks);
        if let Some(last) = self.encoded.chunks.last_mut() {
            last.len = self.last;
        }
        self.encoded.len = self.mark.len;
        self.flushed = self.mark.made;
    }

    fn flush(&mut self) {
        let (start, end) = (self.flushed, self.encoded.made.len());
        self.encoded.push(0, start, end - start);
        self.flushed = end;
    }
}
