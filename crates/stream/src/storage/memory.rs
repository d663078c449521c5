//! Files in memory, for tests.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Durability, GrowingFile, Storage};

/// Files in memory; a switch makes every write fail.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    full: AtomicBool,
}

impl MemoryStorage {
    /// From now on writes fail as on a full disk, or no longer do.
    pub fn set_full(&self, full: bool) {
        self.shared.full.store(full, Ordering::Relaxed);
    }
}

impl Shared {
    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Storage for MemoryStorage {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.shared.files().get(path).cloned())
    }

    fn replace(&self, path: &Path, content: &[u8], _: Durability) -> io::Result<()> {
        self.shared.room()?;
        self.shared.files().insert(path.to_path_buf(), content.to_vec());
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.shared.files().remove(path);
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let files = self.shared.files();
        let inside = files.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        self.shared.room()?;
        let mut files = self.shared.files();
        if files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.insert(path.to_path_buf(), Vec::new());
        Ok(Box::new(MemoryFile { shared: Arc::clone(&self.shared), path: path.to_path_buf() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        if !self.shared.files().contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(MemoryFile { shared: Arc::clone(&self.shared), path: path.to_path_buf() }))
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(if self.shared.room().is_ok() { u64::MAX } else { 0 })
    }
}

#[derive(Debug)]
struct MemoryFile {
    shared: Arc<Shared>,
    path: PathBuf,
}

impl MemoryFile {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> io::Result<T> {
        let mut files = self.shared.files();
        files.get_mut(&self.path).map(work).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl GrowingFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|content| content.len() as u64)
    }

    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.shared.room()?;
        self.with(|content| parts.iter().for_each(|part| content.extend_from_slice(part)))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|content| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let rest = &content[start..];
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.with(|content| content.truncate(usize::try_from(len).unwrap_or(usize::MAX)))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.shared.room()
    }
}
