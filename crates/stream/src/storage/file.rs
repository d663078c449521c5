//! The file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::{Durability, GrowingFile, Storage};

/// The file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileStorage;

/// Parts handed to the system in one call; more are refused by it (`IOV_MAX`).
const PARTS_MAX: usize = 1024;

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
        let mut file = in_directory(path, || File::create(&temporary))?;
        file.write_all(content)?;
        if durability == Durability::PowerCut {
            // Without this a power cut could leave the new name with no content.
            file.sync_data()?;
        }
        fs::rename(&temporary, path)?;
        if durability == Durability::PowerCut { sync_directory(path) } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // Names that are not text are none of ours.
        entries
            .map(|entry| Ok(entry?.file_name().into_string().ok()))
            .filter_map(Result::transpose)
            .collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        let file = in_directory(path, || options.open(path))?;
        Ok(Box::new(OpenFile { file, unsynced_name: Some(path.to_path_buf()) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        // The process that made it may have been killed before it synced the name.
        Ok(Box::new(OpenFile { file, unsynced_name: Some(path.to_path_buf()) }))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        Ok(Box::new(OpenFile { file: File::open(path)?, unsynced_name: None }))
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let mut nearest = directory;
        loop {
            match (statvfs(nearest), nearest.parent()) {
                (Ok(figures), _) => {
                    // The types differ between systems.
                    #[allow(clippy::useless_conversion)]
                    let (blocks, size) =
                        (u64::from(figures.blocks_available()), figures.fragment_size());
                    return Ok(blocks.saturating_mul(size));
                }
                (Err(nix::errno::Errno::ENOENT), Some(parent)) => {
                    nearest = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    }
}

/// Opens a file; if its directory is missing, makes that first.
fn in_directory(path: &Path, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(path.parent().unwrap_or(Path::new("/")))?;
            open()
        }
        opened => opened,
    }
}

/// Makes a directory and those above it, so that none is lost in a power cut once it is there.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(above) = directory.parent() {
        make_directory(above)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_directory(directory),
    }
}

/// Without this a power cut could take the name of a file whose content is safe.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    /// Its path while its directory was not synced since it was opened.
    unsynced_name: Option<PathBuf>,
}

impl GrowingFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut rest = parts;
        IoSlice::advance_slices(&mut rest, 0); // Leaves out empty parts in front.
        while !rest.is_empty() {
            let count = rest.len().min(PARTS_MAX);
            match self.file.write_vectored(&rest[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        if let Some(path) = &self.unsynced_name {
            sync_directory(path)?;
            self.unsynced_name = None;
        }
        Ok(())
    }
}
