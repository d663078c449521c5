//! Byte buffers that inputs read into, shared with the batches made of them, and used again afterwards.
//!
//! Fresh pages cost more than the copy that fills them, so a buffer goes back to its pool when its last batch
//! is dropped.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded stock of equally long buffers.
#[derive(Debug)]
pub struct BufferPool {
    idle: Mutex<Vec<Vec<u8>>>,
    buffer_bytes: usize,
    idle_max: usize,
}

impl BufferPool {
    /// A pool of buffers of `buffer_bytes` bytes that keeps at most `idle_max` unused ones.
    #[must_use]
    pub fn new(buffer_bytes: usize, idle_max: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::new(Vec::new()), buffer_bytes, idle_max })
    }

    /// A buffer to fill: an idle one, else a new one. Its content is unspecified.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> BufferMut {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = idle.unwrap_or_else(|| vec![0; self.buffer_bytes]);
        BufferMut { bytes, pool: Some(Arc::clone(self)) }
    }

    /// Length of its buffers in bytes.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    fn give_back(&self, bytes: Vec<u8>) {
        if bytes.len() != self.buffer_bytes {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_max {
            idle.push(bytes);
        }
    }
}

/// A buffer with one owner, being filled.
#[derive(Debug)]
pub struct BufferMut {
    bytes: Vec<u8>,
    pool: Option<Arc<BufferPool>>,
}

impl BufferMut {
    /// A buffer of `len` zero bytes that belongs to no pool.
    #[must_use]
    pub fn unpooled(len: usize) -> Self {
        Self { bytes: vec![0; len], pool: None }
    }

    /// Ends the filling: the first `len` bytes can be shared from now on.
    ///
    /// A `len` past the end is cut to the buffer's length.
    #[must_use]
    pub fn freeze(mut self, len: usize) -> Buffer {
        let bytes = std::mem::take(&mut self.bytes);
        let pool = self.pool.take();
        let len = len.min(bytes.len());
        Buffer(Arc::new(Shared { bytes, len, pool }))
    }

    /// Makes the buffer longer, keeping its content; it then no longer returns to its pool.
    pub fn grow(&mut self, len: usize) {
        if len > self.bytes.len() {
            self.bytes.resize(len, 0);
        }
    }
}

impl Deref for BufferMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for BufferMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for BufferMut {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// A filled buffer, shared and immutable; a clone shares the bytes.
#[derive(Clone)]
pub struct Buffer(Arc<Shared>);

struct Shared {
    bytes: Vec<u8>,
    len: usize,
    pool: Option<Arc<BufferPool>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Buffer {
    /// A buffer without bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::from(Vec::new())
    }

    /// A buffer of the first `len` of `bytes`; the rest is kept but not seen.
    pub(crate) fn of_prefix(bytes: Vec<u8>, len: usize) -> Self {
        let len = len.min(bytes.len());
        Self(Arc::new(Shared { bytes, len, pool: None }))
    }

    /// Bytes that it occupies, used or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.bytes.capacity()
    }

    /// Where `part` lies in this buffer, if it is a part of it.
    #[must_use]
    pub fn offset_of(&self, part: &[u8]) -> Option<usize> {
        let offset = (part.as_ptr() as usize).checked_sub(self.0.bytes.as_ptr() as usize)?;
        (offset + part.len() <= self.0.len).then_some(offset)
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self(Arc::new(Shared { bytes, len, pool: None }))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes[..self.0.len]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Buffer({} of {} bytes)", self.0.len, self.0.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_to_its_pool_with_its_last_share() {
        let pool = BufferPool::new(16, 1);
        let mut buffer = pool.take();
        buffer[0] = 7;
        let frozen = buffer.freeze(4);
        let share = frozen.clone();
        drop(frozen);
        assert!(pool.idle.lock().unwrap().is_empty());
        drop(share);
        assert_eq!(pool.idle.lock().unwrap().len(), 1);
        assert_eq!(pool.take()[0], 7, "the same pages come back");
    }

    #[test]
    fn a_pool_keeps_no_more_than_its_limit_and_no_grown_buffer() {
        let pool = BufferPool::new(16, 1);
        let (first, second) = (pool.take(), pool.take());
        drop(first);
        drop(second);
        assert_eq!(pool.idle.lock().unwrap().len(), 1);
        let mut grown = pool.take();
        grown.grow(32);
        drop(grown);
        assert!(pool.idle.lock().unwrap().is_empty());
    }

    #[test]
    fn parts_are_told_from_copies() {
        let buffer = Buffer::from(b"hello world".to_vec());
        assert_eq!(buffer.offset_of(&buffer[6..]), Some(6));
        assert_eq!(buffer.offset_of(String::from("world").as_bytes()), None);
        assert_eq!(buffer.offset_of(&buffer[11..]), Some(11));
    }
}
