//! Small files that must survive a crash (checkpoints, journals), behind a trait so that tests can lose them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// When a replaced file is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After a crash of the daemon; after a power cut the old content may be back. Costs no disk flush.
    Crash,
    /// After a power cut too.
    PowerCut,
}

/// Whole small files, replaced atomically.
pub trait Storage: Send + Sync + Debug {
    /// The content of a file; `None` if there is none.
    ///
    /// # Errors
    /// What the operating system says, except that the file does not exist.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Replaces a file, making its directory if needed: after a crash it holds the old or the new content.
    ///
    /// # Errors
    /// What the operating system says; the old content then stands.
    fn replace(&self, path: &Path, content: &[u8], durability: Durability) -> io::Result<()>;

    /// Removes a file; none is fine.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileStorage;

impl Storage for FileStorage {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let mut file = match File::create(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
                File::create(&temporary)?
            }
            created => created?,
        };
        file.write_all(content)?;
        if durability == Durability::PowerCut {
            // Without this a power cut could leave the new name with no content.
            file.sync_data()?;
        }
        fs::rename(&temporary, path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Files in memory; a switch makes every write fail.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    files: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    full: std::sync::atomic::AtomicBool,
}

impl MemoryStorage {
    /// From now on writes fail as on a full disk, or no longer do.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Storage for MemoryStorage {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned())
    }

    fn replace(&self, path: &Path, content: &[u8], _: Durability) -> io::Result<()> {
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_path_buf(), content.to_vec());
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaces_and_removes(storage: &dyn Storage, folder: &Path) {
        let path = folder.join("deep/er/file");
        assert_eq!(storage.read(&path).unwrap(), None);
        storage.remove(&path).unwrap();
        storage.replace(&path, b"one", Durability::Crash).unwrap();
        storage.replace(&path, b"two!", Durability::PowerCut).unwrap();
        assert_eq!(storage.read(&path).unwrap().as_deref(), Some(&b"two!"[..]));
        storage.remove(&path).unwrap();
        assert_eq!(storage.read(&path).unwrap(), None);
    }

    #[test]
    fn both_storages_replace_whole_files() {
        let folder = tempfile::tempdir().unwrap();
        replaces_and_removes(&FileStorage, folder.path());
        assert!(fs::read_dir(folder.path().join("deep/er")).unwrap().next().is_none());
        replaces_and_removes(&MemoryStorage::default(), Path::new("/nowhere"));
    }

    #[test]
    fn a_full_disk_keeps_the_old_content() {
        let storage = MemoryStorage::default();
        storage.replace(Path::new("a"), b"old", Durability::Crash).unwrap();
        storage.set_full(true);
        assert!(storage.replace(Path::new("a"), b"new", Durability::Crash).is_err());
        assert_eq!(storage.read(Path::new("a")).unwrap().as_deref(), Some(&b"old"[..]));
    }
}
