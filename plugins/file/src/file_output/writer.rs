//! The file being written. Everything here may block.
//!
//! Invariants: after a failed write the file is as long as before it, at the latest when the next one begins; what
//! others append to the same file is never cut off but for what stands behind our own torn record.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use heka_plugin::Encoded;

/// Pieces handed to the kernel in one call.
const SLICES_MAX: usize = 512;

/// Modes of what is made, and when a file is full.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) file_mode: u32,
    pub(super) folder_mode: u32,
    /// Bytes after which a file is moved away; 0: never.
    pub(super) bytes_max: u64,
    /// Files moved away that are kept.
    pub(super) old_max: u32,
}

/// What was tried, and why it failed.
#[derive(Debug)]
pub(super) struct WriteError {
    /// Completes "cannot …".
    pub(super) tried: String,
    pub(super) source: io::Error,
}

/// Appends to one path.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    rules: Rules,
    open: Option<Target>,
}

#[derive(Debug)]
struct Target {
    file: File,
    /// Not a device, a pipe, …
    is_regular: bool,
    /// Length to cut back to before anything else is written.
    torn_at: Option<u64>,
}

impl Writer {
    pub(super) fn new(path: PathBuf, rules: Rules) -> Self {
        Self { path, rules, open: None }
    }

    /// Goes on with another file; the one before must be closed.
    pub(super) fn set_path(&mut self, path: &Path) {
        debug_assert!(self.open.is_none(), "the file before is closed");
        self.path = path.to_path_buf();
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Makes the folder and checks that files can be made in it, as rotation will have to. `unique` tells the probe
    /// from those of other processes.
    pub(super) fn probe(&self, unique: i64) -> Result<(), WriteError> {
        if fs::metadata(&self.path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
        {
            // A device: there is nothing to make beside it.
            return Ok(());
        }
        let folder = self.make_folder()?;
        let name = format!(".hekad.perm_check{}-{unique}", std::process::id());
        let probe = folder.join(name);
        let made = OpenOptions::new().write(true).create_new(true).open(&probe);
        made.and_then(|_| fs::remove_file(&probe)).map_err(|source| WriteError {
            tried: format!("write in {}", folder.display()),
            source,
        })
    }

    /// Opens the file if it is not open.
    pub(super) fn open(&mut self) -> Result<(), WriteError> {
        if self.open.is_some() {
            return Ok(());
        }
        let folder = self.make_folder()?;
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(self.rules.file_mode)
            .open(&self.path)
            .and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|source| self.failed("open", source))?;
        if metadata.is_file() && metadata.len() == 0 {
            sync_folder(&folder);
        }
        self.open = Some(Target { file, is_regular: metadata.is_file(), torn_at: None });
        Ok(())
    }

    /// Appends all of it and waits until it is on the disk.
    pub(super) fn append(&mut self, pending: &Encoded) -> Result<(), WriteError> {
        self.open()?;
        if self.is_full(pending.len()) {
            self.move_away();
            self.open()?;
        }
        let Some(target) = &mut self.open else { return Ok(()) };
        let result = target.append(pending);
        result.map_err(|source| self.failed("write to", source))
    }

    /// True if the file would grow past its limit. One that is empty never is: what is too long for it is too long
    /// for the next one.
    fn is_full(&self, more: usize) -> bool {
        let Some(target) = &self.open else { return false };
        if self.rules.bytes_max == 0 || more == 0 || !target.is_regular || target.torn_at.is_some()
        {
            return false;
        }
        let len = target.file.metadata().map_or(0, |metadata| metadata.len());
        len > 0 && len.saturating_add(more as u64) > self.rules.bytes_max
    }

    /// Renames the file to `.1`, the one before to `.2` and so on; the last one is overwritten. Where that fails,
    /// the file just grows on: no message is worth less than its place.
    fn move_away(&mut self) {
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (0..self.rules.old_max).rev() {
            let from = if number == 0 { self.path.clone() } else { numbered(number) };
            match fs::rename(&from, numbered(number + 1)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(path = %from.display(), %error, "full file not moved away");
                    return;
                }
            }
        }
        self.close();
    }

    fn make_folder(&self) -> Result<PathBuf, WriteError> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let made = DirBuilder::new().recursive(true).mode(self.rules.folder_mode).create(folder);
        match made {
            Ok(()) => Ok(folder.to_path_buf()),
            Err(source) => {
                Err(WriteError { tried: format!("make folder {}", folder.display()), source })
            }
        }
    }

    fn failed(&self, tried: &str, source: io::Error) -> WriteError {
        WriteError { tried: format!("{tried} {}", self.path.display()), source }
    }
}

impl Target {
    fn append(&mut self, pending: &Encoded) -> io::Result<()> {
        self.mend()?;
        if pending.is_empty() {
            return Ok(());
        }
        if !self.is_regular {
            return write_all(&mut self.file, pending);
        }
        let good = self.file.metadata()?.len();
        let written = write_all(&mut self.file, pending).and_then(|()| self.file.sync_data());
        if written.is_err() {
            self.torn_at = Some(good);
            if let Err(error) = self.mend() {
                tracing::warn!(%error, "torn write not cut off yet");
            }
        }
        written
    }

    /// Cuts off what a failed write left.
    fn mend(&mut self) -> io::Result<()> {
        let Some(good) = self.torn_at else { return Ok(()) };
        // Shorter: someone else cut the file meanwhile, and must not get a hole.
        if self.file.metadata()?.len() > good {
            self.file.set_len(good)?;
        }
        self.torn_at = None;
        Ok(())
    }
}

/// Makes the name of a new file last. Not all file systems can do that, and none is worse off for the attempt.
fn sync_folder(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::debug!(folder = %folder.display(), %error, "folder not synced");
    }
}

fn write_all(file: &mut File, pending: &Encoded) -> io::Result<()> {
    let mut written = 0;
    while written < pending.len() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut used = 0;
        for (place, bytes) in slices.iter_mut().zip(pending.slices(written)) {
            *place = IoSlice::new(bytes);
            used += 1;
        }
        match file.write_vectored(&slices[..used]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { file_mode: 0o644, folder_mode: 0o700, bytes_max: 0, old_max: 1 };

    fn target(folder: &tempfile::TempDir, content: &str) -> Target {
        let path = folder.path().join("out.log");
        fs::write(&path, content).unwrap();
        let mut writer = Writer::new(path, RULES);
        writer.open().unwrap();
        writer.open.unwrap()
    }

    #[test]
    fn a_torn_record_is_cut_off_before_the_next_write() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = target(&folder, "good\ntor");
        target.torn_at = Some(5);
        target.append(&Encoded::new()).unwrap();
        assert_eq!(fs::read(folder.path().join("out.log")).unwrap(), b"good\n");
        target.file.write_all(b"next\n").unwrap();
        target.append(&Encoded::new()).unwrap();
        assert_eq!(fs::read(folder.path().join("out.log")).unwrap(), b"good\nnext\n");
    }

    #[test]
    fn a_file_that_someone_cut_meanwhile_gets_no_hole() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = target(&folder, "");
        target.torn_at = Some(5);
        target.append(&Encoded::new()).unwrap();
        assert_eq!(fs::metadata(folder.path().join("out.log")).unwrap().len(), 0);
        assert_eq!(target.torn_at, None);
    }

    #[test]
    fn nothing_is_probed_beside_a_device() {
        let writer = Writer::new("/dev/null".into(), RULES);
        writer.probe(1).unwrap();
        let writer = Writer::new("/proc/x".into(), RULES);
        assert!(writer.probe(1).unwrap_err().tried.starts_with("write in /proc"));
    }
}
