//! Files that must survive a crash, behind a trait so that tests can tear and lose them.
//!
//! Here: small files that are replaced whole (checkpoints, journals), and files that only grow (segments of logs).
//! Not here: what is in them.

mod file;
mod memory;
mod read_only;
mod sim;

pub use file::FileStorage;
pub use memory::MemoryStorage;
pub use read_only::ReadOnlyStorage;
pub use sim::{SimOperation, SimRandom, SimStop, SimStorage};

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;

/// When a replaced file is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After a crash of the daemon; after a power cut the old content may be back. Costs no disk flush.
    Crash,
    /// After a power cut too.
    PowerCut,
}

/// The files of a daemon.
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

    /// Names of the files in a directory, in any order; none if there is no such directory.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// A new, empty file that grows, with its directory. Its name lasts from its first [`GrowingFile::sync`] on.
    ///
    /// # Errors
    /// What the operating system says; also if there is such a file.
    fn create(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>>;

    /// A file that exists, to read, cut or make longer.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>>;

    /// As [`open`](Self::open), only to read: enough where the file may not be written.
    ///
    /// # Errors
    /// What the operating system says.
    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        self.open(path)
    }

    /// Bytes that can still be written to the file system of a directory, or of the nearest one above it.
    ///
    /// # Errors
    /// What the operating system says.
    fn free_bytes(&self, directory: &Path) -> io::Result<u64>;
}

/// An open file that only grows at its end.
#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait GrowingFile: Send + Sync + Debug {
    /// Length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Writes all parts behind the end.
    ///
    /// # Errors
    /// What the operating system says; any beginning of the parts may then be in the file.
    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Reads at an offset; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    /// What the operating system says.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Makes all that was written safe from a power cut; the first time also the file's name, and what was made and
    /// removed in its directory before. After an error nothing is known of what was written since the last success.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync(&mut self) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    fn files_grow(storage: &dyn Storage, folder: &Path) {
        let path = folder.join("log/1.log");
        assert!(storage.list(&folder.join("log")).unwrap().is_empty());
        assert!(storage.open(&path).is_err());
        let mut file = storage.create(&path).unwrap();
        assert!(storage.create(&path).is_err(), "it exists");
        file.append(&mut [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two ")])
            .unwrap();
        file.append(&mut [IoSlice::new(b"three")]).unwrap();
        file.sync().unwrap();
        let mut buffer = [0; 6];
        assert_eq!(file.read_at(&mut buffer, 2).unwrap(), 6);
        assert_eq!(&buffer, b"e two ");
        assert_eq!(file.read_at(&mut buffer, 10).unwrap(), 3);
        file.truncate(4).unwrap();
        let mut again = storage.open(&path).unwrap();
        again.append(&mut [IoSlice::new(b"four")]).unwrap();
        assert_eq!(again.len().unwrap(), 8);
        assert_eq!(storage.read(&path).unwrap().unwrap(), b"one four");
        assert_eq!(storage.list(&folder.join("log")).unwrap(), ["1.log"]);
        assert!(storage.free_bytes(&folder.join("not/there")).unwrap() > 0);
    }

    #[test]
    fn both_storages_have_files_that_grow() {
        let folder = tempfile::tempdir().unwrap();
        files_grow(&FileStorage, folder.path());
        files_grow(&MemoryStorage::default(), Path::new("/nowhere"));
    }
}
