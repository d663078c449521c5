//! The file of a Unix socket: who may write to it, and that it goes when its socket does.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Socket, Type};

use crate::address;

/// Everyone on the machine may send, as in Heka.
const MODE: u32 = 0o666;

/// A socket's file; dropped, it removes the file if it is still the same one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_path_buf(), device: metadata.dev(), inode: metadata.ino() })
    }

    fn is(&self, metadata: &Metadata) -> bool {
        metadata.dev() == self.device && metadata.ino() == self.inode
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path).is_ok_and(|metadata| self.is(&metadata));
        if same && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "socket file not removed");
        }
    }
}

/// A non-blocking socket bound to a path or to `@name`. The file of a socket that nobody listens to any more is
/// replaced.
pub(crate) fn bind(address: &str, kind: Type) -> io::Result<(Socket, Option<SocketFile>)> {
    let target = address::unix(address)?;
    let path = (!address.starts_with('@')).then(|| Path::new(address));
    if let Some(path) = path {
        remove_stale(path, kind)?;
    }
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&target)?;
    let Some(path) = path else { return Ok((socket, None)) };
    let file = SocketFile::of(path)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    Ok((socket, Some(file)))
}

/// Removes a socket file if connecting says that no process has it open.
fn remove_stale(path: &Path, kind: Type) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        // Something else in the way is the caller's error.
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let probe = Socket::new(Domain::UNIX, kind, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&socket2::SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "stale socket file replaced");
            fs::remove_file(path)
        }
        // Someone listens, or will say why not when we bind.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_file_is_open_to_all_and_goes_with_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let (_socket, file) = bind(path.to_str().unwrap(), Type::DGRAM).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_another_sockets_by_now_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let (_socket, file) = bind(path.to_str().unwrap(), Type::DGRAM).unwrap();
        fs::rename(&path, folder.path().join("moved.sock")).unwrap();
        fs::write(&path, "").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn a_stale_file_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let address = path.to_str().unwrap();
        let (socket, file) = bind(address, Type::DGRAM).unwrap();
        assert_eq!(bind(address, Type::DGRAM).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        std::mem::forget(file);
        drop(socket);
        assert!(path.exists());
        assert!(bind(address, Type::DGRAM).is_ok());
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "text").unwrap();
        assert!(bind(path.to_str().unwrap(), Type::STREAM).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"text");
    }

    #[test]
    fn abstract_names_have_no_file() {
        let name = format!("@heka-test-{}", std::process::id());
        let (_socket, file) = bind(&name, Type::DGRAM).unwrap();
        assert!(file.is_none());
        assert!(bind(&name, Type::DGRAM).is_err());
    }
}
