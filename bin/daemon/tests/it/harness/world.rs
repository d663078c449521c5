//! A directory with a configuration and files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Daemon;

/// Times that a start is tried again because a port was taken by somebody else meanwhile.
const PORT_ATTEMPTS: usize = 5;

/// A directory of its own for a test, and what every configuration in it begins with.
#[derive(Debug)]
pub(crate) struct World {
    directory: tempfile::TempDir,
    globals: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), globals: String::new() }
    }

    /// With further settings of `[hekad]`.
    pub(crate) fn with(globals: &str) -> Self {
        Self { globals: globals.to_owned(), ..Self::new() }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text_path(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Replaces a file, folders made as needed.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    /// Content of a file; nothing if there is none.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Writes `config` behind the daemon's own settings; `$DIR` stands for the directory.
    pub(crate) fn configure(&self, config: &str) -> String {
        let text = format!(
            "[hekad]\nbase_dir = '$DIR/base'\nmaxprocs = 2\nlog_flags = 0\n{}\n{config}",
            self.globals
        );
        let directory = self.directory().to_str().unwrap();
        self.write("hekad.toml", text.replace("$DIR", directory));
        self.text_path("hekad.toml")
    }

    /// Starts the daemon without waiting for anything.
    pub(crate) fn spawn(&self, config: &str) -> Daemon {
        Daemon::spawn(&["-config", &self.configure(config)])
    }

    /// Starts the daemon and waits until it runs.
    pub(crate) fn start(&self, config: &str) -> Daemon {
        let mut daemon = self.spawn(config);
        assert!(daemon.is_started(), "does not start:\n{}", daemon.log());
        daemon
    }

    /// As `start`, where another process may take a port between its choice and the start: `make` chooses anew.
    pub(crate) fn start_with<T>(&self, mut make: impl FnMut() -> (T, String)) -> (Daemon, T) {
        for _ in 1..PORT_ATTEMPTS {
            let (chosen, config) = make();
            let mut daemon = self.spawn(&config);
            if daemon.is_started() {
                return (daemon, chosen);
            }
            assert!(daemon.log().contains("in use"), "does not start:\n{}", daemon.log());
        }
        let (chosen, config) = make();
        (self.start(&config), chosen)
    }
}

/// The folder with real logs; `None`, with a word about it, where it is missing.
pub(crate) fn real_logs() -> Option<PathBuf> {
    let folder = std::env::var_os("HEKA_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if folder.join("access_combined.log").is_file() {
        return Some(folder);
    }
    println!("skipped: no real logs in {}, see HEKA_TEST_DATA", folder.display());
    None
}
