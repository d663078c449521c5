//! A storage of which nothing is ever changed.

use std::io::{self, IoSlice};
use std::path::Path;

use super::{Durability, GrowingFile, Storage};

/// Reads what another storage holds and refuses every change, so that who looks at the files of a running daemon cannot
/// harm them by mistake.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOnlyStorage<S>(pub S);

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl<S: Storage> Storage for ReadOnlyStorage<S> {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.0.read(path)
    }

    fn replace(&self, _: &Path, _: &[u8], _: Durability) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.0.list(directory)
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn GrowingFile>> {
        refused()
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        Ok(Box::new(ReadOnlyFile(self.0.open_to_read(path)?)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        self.open(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        self.0.free_bytes(directory)
    }
}

#[derive(Debug)]
struct ReadOnlyFile(Box<dyn GrowingFile>);

impl GrowingFile for ReadOnlyFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn append(&mut self, _: &mut [IoSlice<'_>]) -> io::Result<()> {
        refused()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        refused()
    }

    fn sync(&mut self) -> io::Result<()> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{FileStorage, MemoryStorage};

    fn changes_nothing(storage: impl Storage, path: &Path) {
        storage.create(path).unwrap().append(&mut [IoSlice::new(b"content")]).unwrap();
        let read_only = ReadOnlyStorage(storage);
        assert!(read_only.replace(path, b"other", Durability::Crash).is_err());
        assert!(read_only.remove(path).is_err());
        assert!(read_only.create(&path.with_extension("new")).is_err());
        let mut file = read_only.open(path).unwrap();
        assert!(file.truncate(0).is_err() && file.sync().is_err());
        assert!(file.append(&mut [IoSlice::new(b"more")]).is_err());
        let mut buffer = [0; 4];
        assert_eq!((file.len().unwrap(), file.read_at(&mut buffer, 3).unwrap()), (7, 4));
        assert_eq!(read_only.read(path).unwrap().as_deref(), Some(&b"content"[..]));
        assert_eq!(read_only.list(path.parent().unwrap()).unwrap(), ["file"]);
    }

    #[test]
    fn nothing_is_changed_through_it() {
        let folder = tempfile::tempdir().unwrap();
        changes_nothing(FileStorage, &folder.path().join("file"));
        changes_nothing(MemoryStorage::default(), Path::new("/memory/file"));
    }

    #[test]
    fn files_that_may_only_be_read_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        assert_eq!(ReadOnlyStorage(FileStorage).open(&path).unwrap().len().unwrap(), 7);
    }
}
