//! The pid file: one daemon a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// A pid file that is removed at the end.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file; an empty path writes none.
    ///
    /// # Errors
    /// If its process lives, or it holds no number.
    pub(crate) fn write(path: &Path) -> anyhow::Result<Option<Self>> {
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        match fs::read_to_string(path) {
            Ok(text) => refuse_if_alive(path, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
        }
        if let Err(error) = fs::write(path, std::process::id().to_string()) {
            tracing::error!(%error, path = %path.display(), "cannot write the pid file");
            return Ok(None);
        }
        Ok(Some(Self(path.to_path_buf())))
    }
}

fn refuse_if_alive(path: &Path, text: &str) -> anyhow::Result<()> {
    let number: i32 = text
        .trim()
        .parse()
        .with_context(|| format!("{} does not hold a process number", path.display()))?;
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    // A process of another user lives too.
    let alive = number > 0
        && number != own
        && matches!(kill(Pid::from_raw(number), None), Ok(()) | Err(Errno::EPERM));
    if alive {
        bail!("Process {number} is already running.");
    }
    Ok(())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "cannot remove the pid file");
        }
    }
}
