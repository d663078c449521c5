//! How a file is recognised: by device and inode, and by a hash of what was read of it.
//!
//! Here: the identity, the window of last bytes, the head, and their digests. The digest of the last bytes is Heka's
//! (SHA-1 of the 500 bytes before the offset, padded with zeros on the left) and stands in journals. Invariant: a
//! window always holds the last `min(offset, 500)` bytes before the offset that it goes with.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest as _, Sha1};

/// How many bytes before a position are hashed.
pub(crate) const WINDOW_BYTES: usize = 500;

/// Device and inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// A SHA-1 digest, written as 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 20]);

impl Digest {
    /// Hashes a window, padded on the left to its full size.
    pub(crate) fn of_window(bytes: &[u8]) -> Self {
        let mut padded = [0; WINDOW_BYTES];
        let bytes = &bytes[bytes.len().saturating_sub(WINDOW_BYTES)..];
        padded[WINDOW_BYTES - bytes.len()..].copy_from_slice(bytes);
        Self(Sha1::digest(padded).into())
    }

    /// Hashes all of `bytes`.
    pub(crate) fn of_all(bytes: &[u8]) -> Self {
        Self(Sha1::digest(bytes).into())
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let mut digest = [0; 20];
        if text.len() != 2 * digest.len() {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-1 digest"))
    }
}

/// An offset and the last bytes before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    window: Vec<u8>,
}

impl Mark {
    /// Begins at `offset`; the bytes before it are about to follow by `advance` or do not exist.
    pub(crate) fn start_at(&mut self, offset: u64) {
        *self = Self { offset, window: Vec::new() };
    }

    /// Moves over `bytes`, which directly follow.
    pub(crate) fn advance(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        if bytes.len() >= WINDOW_BYTES {
            self.window.clear();
            self.window.extend_from_slice(&bytes[bytes.len() - WINDOW_BYTES..]);
            return;
        }
        let surplus = (self.window.len() + bytes.len()).saturating_sub(WINDOW_BYTES);
        self.window.drain(..surplus);
        self.window.extend_from_slice(bytes);
    }

    /// The last bytes before the offset, at most `WINDOW_BYTES`.
    pub(crate) fn window(&self) -> &[u8] {
        &self.window
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of_window(&self.window)
    }
}

/// The first bytes of a file and, once there are enough of them, their digest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    digest: Option<Digest>,
}

impl Head {
    /// Takes what belongs to the head of `bytes`, which lie at `offset`; offsets must come in order.
    pub(crate) fn advance(&mut self, offset: u64, bytes: &[u8]) {
        if self.digest.is_some() || offset != self.bytes.len() as u64 {
            return;
        }
        let room = WINDOW_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if self.bytes.len() == WINDOW_BYTES {
            self.digest = Some(Digest::of_window(&self.bytes));
            self.bytes = Vec::new();
        }
    }

    /// `None` as long as the file is shorter than the head.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest
    }
}

/// What the content of a file must look like to be the file that was read up to `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) offset: u64,
    pub(crate) last: Digest,
    /// Absent where fewer bytes were read, and in journals of Heka.
    pub(crate) head: Option<Digest>,
}

impl Fingerprint {
    pub(crate) fn new(mark: &Mark, head: &Head) -> Self {
        Self { offset: mark.offset, last: mark.digest(), head: head.digest() }
    }

    /// Whether what was read of a file up to `mark` is what this describes.
    pub(crate) fn matches(&self, mark: &Mark, head: &Head) -> bool {
        let same_head = self.head.is_none_or(|wanted| head.digest() == Some(wanted));
        self.offset == mark.offset && same_head && self.last == mark.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(content: &[u8]) -> String {
        let mut mark = Mark::default();
        content.chunks(7).for_each(|chunk| mark.advance(chunk));
        mark.digest().to_string()
    }

    #[test]
    fn the_digest_of_the_last_bytes_is_hekas() {
        assert_eq!(digest_of(b""), "fc56d4b3c72a8bfe593373c740d558ec1340ac73");
        assert_eq!(digest_of(b"a\nb\n"), "935e0d0991ac076f5784dce2fabae2eff811a457");
        let mut digits: Vec<u8> = (0..600).map(|index| b'0' + (index % 10) as u8).collect();
        digits.push(b'\n');
        assert_eq!(digest_of(&digits), "e47669b89872852b33ca045502d36b0e6b59a738");
    }

    #[test]
    fn a_mark_holds_the_same_window_however_the_bytes_came() {
        let content: Vec<u8> = (0..2000_u32).map(|index| (index % 251) as u8).collect();
        for size in [1, 3, 499, 500, 501, 1999] {
            let mut mark = Mark::default();
            content.chunks(size).for_each(|chunk| mark.advance(chunk));
            assert_eq!(mark.window(), &content[1500..], "chunks of {size}");
            assert_eq!(mark.offset, 2000);
        }
    }

    #[test]
    fn the_head_is_known_from_its_last_byte_on() {
        let mut head = Head::default();
        head.advance(0, &[1; 499]);
        assert_eq!(head.digest(), None);
        head.advance(499, &[1; 7]);
        assert_eq!(head.digest(), Some(Digest::of_window(&[1; 500])));
    }

    #[test]
    fn digests_are_read_back_and_garbage_is_refused() {
        let digest = Digest::of_window(b"x");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for text in
            ["", "zz", "fc56", "+c56d4b3c72a8bfe593373c740d558ec1340ac73", "éééééééééééééééééééé"]
        {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}
