//! Saved state of filters: what it is, and the place in the log that it belongs to.
//!
//! One file a filter, replaced whole. Layout, integers little-endian: 8 bytes `HEKAFST1`, 16 bytes id of the log (zero
//! without one), 8 bytes sequence number (everything below it is in the state), 4 bytes CRC32C of all the rest, the state.

use std::path::PathBuf;
use std::sync::Arc;

use heka_plugin::{Durability, Storage};

const MAGIC: &[u8; 8] = b"HEKAFST1";
/// Bytes before the state.
const HEADER_BYTES: usize = 36;
/// Where the checksum lies in the header.
const CHECKSUM_AT: usize = 32;

/// The file of one filter.
#[derive(Debug, Clone)]
pub(crate) struct StateFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    log_id: [u8; 16],
}

/// What was in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Everything below this number is in the state; `None` if that belongs to another log, or to none.
    pub(crate) sequence: Option<u64>,
    pub(crate) state: Vec<u8>,
}

impl StateFile {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        directory: PathBuf,
        (name, log_id): (&str, [u8; 16]),
    ) -> Self {
        let mut file = String::new();
        for byte in name.bytes() {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-' => file.push(byte.into()),
                _ => file.push_str(&format!("%{byte:02X}")),
            }
        }
        file.push_str(".state");
        Self { storage, path: directory.join(file), log_id }
    }

    /// What was saved last; a file that cannot be used is told and left alone.
    pub(crate) fn load(&self) -> Option<Saved> {
        let content = match self.storage.read(&self.path) {
            Ok(content) => content?,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "cannot read the saved state");
                return None;
            }
        };
        let saved = self.parse(&content);
        if saved.is_none() {
            tracing::error!(path = %self.path.display(), "the saved state is damaged, and not used");
        }
        saved
    }

    /// Saves a state in which everything below `sequence` is.
    pub(crate) fn save(&self, sequence: u64, state: &[u8]) -> std::io::Result<()> {
        let mut content = Vec::with_capacity(HEADER_BYTES + state.len());
        content.extend_from_slice(MAGIC);
        content.extend_from_slice(&self.log_id);
        content.extend_from_slice(&sequence.to_le_bytes());
        content.extend_from_slice(&checksum(&content, state).to_le_bytes());
        content.extend_from_slice(state);
        self.storage.replace(&self.path, &content, Durability::Crash)
    }

    fn parse(&self, content: &[u8]) -> Option<Saved> {
        let (header, state) = content.split_at_checked(HEADER_BYTES)?;
        let written = header.get(CHECKSUM_AT..)?.try_into().ok()?;
        if !header.starts_with(MAGIC)
            || u32::from_le_bytes(written) != checksum(&header[..CHECKSUM_AT], state)
        {
            return None;
        }
        let sequence = u64::from_le_bytes(header.get(24..32)?.try_into().ok()?);
        let is_ours = header.get(8..24)? == self.log_id && self.log_id != [0; 16];
        Some(Saved { sequence: is_ours.then_some(sequence), state: state.to_vec() })
    }
}

fn checksum(header: &[u8], state: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(header), state)
}

#[cfg(test)]
mod tests {
    use heka_stream::MemoryStorage;

    use super::*;

    fn file(storage: &Arc<MemoryStorage>, id: u8) -> StateFile {
        StateFile::new(Arc::clone(storage) as _, "/base".into(), ("a filter/ö", [id; 16]))
    }

    #[test]
    fn a_state_comes_back_with_its_place_only_in_the_log_it_belongs_to() {
        let storage = Arc::new(MemoryStorage::default());
        assert_eq!(file(&storage, 1).load(), None);
        file(&storage, 1).save(77, b"counted").unwrap();
        let state = b"counted".to_vec();
        let saved = |sequence| Some(Saved { sequence, state: state.clone() });
        assert_eq!(file(&storage, 1).load(), saved(Some(77)));
        assert_eq!(file(&storage, 2).load(), saved(None));
        assert_eq!(file(&storage, 0).load(), saved(None));
    }

    #[test]
    fn a_damaged_state_is_not_used() {
        let storage = Arc::new(MemoryStorage::default());
        let file = file(&storage, 1);
        file.save(77, b"counted").unwrap();
        let content = storage.read(&file.path).unwrap().unwrap();
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] ^= 4;
            assert_eq!(file.parse(&damaged), None, "{at}");
            assert_eq!(file.parse(&content[..at]), None, "{at}");
        }
    }
}
