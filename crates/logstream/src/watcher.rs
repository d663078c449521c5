//! Tells which files and directories changed, by inotify.
//!
//! Here: watches and their events. Not here: what follows from them (`streams`). A directory has a lasting watch for
//! names that come and go. A file has a watch that fires once and is then gone, and is watched anew when its stream
//! runs dry: a busy file thus makes no events, a thousand quiet files cost nothing. Invariant: an event may be
//! reported that did not happen, but none is lost without `overflow`.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask, Watches};

/// Room for events taken from the kernel at once.
const EVENT_BUFFER_BYTES: usize = 16 * 1024;

/// What changed since the last look.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Names that came or went; `true` if it is a directory.
    pub(crate) names: Vec<(PathBuf, bool)>,
    /// Streams whose file changed.
    pub(crate) streams: Vec<usize>,
    /// Events were lost: anything may have changed.
    pub(crate) overflow: bool,
}

/// Who is behind a watch.
#[derive(Debug, Default)]
struct Watched {
    directory: Option<PathBuf>,
    streams: Vec<usize>,
}

struct Shared {
    watches: Watches,
    watched: HashMap<WatchDescriptor, Watched>,
    failure: Option<io::Error>,
}

/// The inotify instance.
pub(crate) struct Watcher {
    inotify: Inotify,
    shared: Arc<Mutex<Shared>>,
    buffer: Vec<u8>,
}

/// Adds directory watches; goes to the place where directories are found.
#[derive(Clone)]
pub(crate) struct DirectoryWatcher {
    shared: Arc<Mutex<Shared>>,
}

impl Watcher {
    pub(crate) fn open() -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let shared = Shared { watches: inotify.watches(), watched: HashMap::new(), failure: None };
        let shared = Arc::new(Mutex::new(shared));
        Ok(Self { inotify, shared, buffer: vec![0; EVENT_BUFFER_BYTES] })
    }

    pub(crate) fn directories(&self) -> DirectoryWatcher {
        DirectoryWatcher { shared: Arc::clone(&self.shared) }
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// The first watch that could not be set since the last call, such as for lack of room in the kernel.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        lock(&self.shared).failure.take()
    }

    /// Wakes `stream` once at the next change of the open file `fd`, or of `path` where no descriptor is open.
    /// Whether it worked.
    pub(crate) fn watch_file(&mut self, stream: usize, fd: Option<RawFd>, path: &Path) -> bool {
        let mask = WatchMask::MODIFY
            | WatchMask::ATTRIB
            | WatchMask::MOVE_SELF
            | WatchMask::DELETE_SELF
            | WatchMask::ONESHOT;
        let mut shared = lock(&self.shared);
        // The link in /proc leads to the open file itself, whatever its name is by now.
        let by_fd = fd.map(|fd| shared.watches.add(format!("/proc/self/fd/{fd}"), mask));
        let added = match by_fd {
            Some(Ok(descriptor)) => Ok(descriptor),
            _ => shared.watches.add(path, mask),
        };
        match added {
            Ok(descriptor) => {
                let watched = shared.watched.entry(descriptor).or_default();
                if !watched.streams.contains(&stream) {
                    watched.streams.push(stream);
                }
                true
            }
            Err(error) => {
                shared.note_failure(error);
                false
            }
        }
    }

    /// Takes all events that wait, without blocking.
    pub(crate) fn take(&mut self) -> io::Result<Changes> {
        let mut changes = Changes::default();
        loop {
            let events = match self.inotify.read_events(&mut self.buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(changes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut shared = lock(&self.shared);
            for event in events {
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    changes.overflow = true;
                    continue;
                }
                let gone = event.mask.contains(EventMask::IGNORED);
                let Some(watched) = shared.watched.get_mut(&event.wd) else { continue };
                changes.streams.append(&mut watched.streams);
                if let (Some(directory), Some(name)) = (&watched.directory, event.name) {
                    let is_directory = event.mask.contains(EventMask::ISDIR);
                    changes.names.push((directory.join(name), is_directory));
                } else if let (Some(directory), true) = (&watched.directory, gone) {
                    changes.names.push((directory.clone(), true));
                }
                if gone {
                    shared.watched.remove(&event.wd);
                }
            }
        }
    }
}

impl DirectoryWatcher {
    /// Watches a directory; doing so again changes nothing.
    pub(crate) fn watch(&self, path: &Path) {
        let mask = WatchMask::CREATE
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::ONLYDIR;
        let mut shared = lock(&self.shared);
        match shared.watches.add(path, mask) {
            Ok(descriptor) => {
                shared.watched.entry(descriptor).or_default().directory = Some(path.to_owned());
            }
            // The walk reports a directory that is gone or closed to us.
            Err(error) if error.raw_os_error() != Some(nix::libc::ENOSPC) => {}
            Err(error) => shared.note_failure(error),
        }
    }
}

impl Shared {
    fn note_failure(&mut self, error: io::Error) {
        if error.kind() != io::ErrorKind::NotFound && self.failure.is_none() {
            self.failure = Some(error);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_and_files_that_change_are_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.log");
        fs::write(&file, "x").unwrap();
        let mut watcher = Watcher::open().unwrap();
        watcher.directories().watch(directory.path());
        assert!(watcher.watch_file(3, None, &file));
        assert!(watcher.take().unwrap().streams.is_empty());

        fs::write(&file, "longer").unwrap();
        fs::write(&file, "longer still").unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        let changes = watcher.take().unwrap();
        assert_eq!(changes.streams, [3]);
        assert_eq!(changes.names, [(directory.path().join("sub"), true)]);

        fs::write(&file, "unwatched by now").unwrap();
        let changes = watcher.take().unwrap();
        assert!(changes.streams.is_empty() && changes.names.is_empty() && !changes.overflow);
    }

    #[test]
    fn an_open_file_is_watched_under_any_name() {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut file = fs::File::create(&path).unwrap();
        fs::rename(&path, directory.path().join("b.log")).unwrap();
        let mut watcher = Watcher::open().unwrap();
        assert!(watcher.watch_file(0, Some(file.as_raw_fd()), &path));
        file.write_all(b"x").unwrap();
        assert_eq!(watcher.take().unwrap().streams, [0]);
    }
}
