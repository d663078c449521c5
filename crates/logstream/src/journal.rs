//! The journal: where reading of a stream goes on after a restart.
//!
//! Here: positions, the JSON text of a journal and where journals are kept. Not here: finding a position again
//! (`locate`). Format: Heka's object `{"seek":4,"file_name":"…","last_hash":"…"}` followed by members of our own, which
//! Heka skips and whose absence we accept. Invariants: a journal is replaced as a whole or not at all; no text in a
//! journal file is fatal.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::identity::{Digest, FileId, Fingerprint};
use crate::source::OpenFile;

/// How many files that were read to their end are remembered, to find the way when the current one is gone.
pub(crate) const FINISHED_FILES_MAX: usize = 8;
/// Longest name of a journal file; a longer stream name is cut and told apart by its digest.
const FILE_NAME_BYTES_MAX: usize = 200;

/// A place in a stream: all bytes before it were consumed.
///
/// Cheap to clone and independent of the stream, which may read on, switch files or lose the file meanwhile.
#[derive(Debug, Clone)]
pub struct Position {
    pub(crate) serial: u64,
    pub(crate) id: FileId,
    pub(crate) path: Arc<Path>,
    pub(crate) offset: u64,
    pub(crate) window: Arc<[u8]>,
    pub(crate) head: Option<Digest>,
    pub(crate) finished: Arc<[Finished]>,
}

impl Position {
    /// Bytes before the position in its file; decompressed bytes if it is a gzip file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the file was called when it was read there.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal text for this position, for those who keep it elsewhere: what a [`JournalStore`] returns.
    pub fn to_journal(&self) -> Vec<u8> {
        // Numbers, text and digests: there is nothing that JSON could refuse.
        self.to_record(&self.path).to_json().unwrap_or_default()
    }

    /// The journal text for this position; the file is called `path` by now.
    pub(crate) fn to_record(&self, path: &Path) -> Record {
        Record {
            seek: self.offset,
            file_name: path.to_string_lossy().into_owned(),
            last_hash: Some(Digest::of_window(&self.window)),
            device: Some(self.id.device),
            inode: Some(self.id.inode),
            head_hash: self.head,
            finished: self.finished.to_vec(),
        }
    }
}

/// A file that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) seek: u64,
    pub(crate) last_hash: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head_hash: Option<Digest>,
}

impl Finished {
    /// The file as read so far.
    pub(crate) fn of(file: &OpenFile) -> Self {
        Self {
            device: file.id.device,
            inode: file.id.inode,
            seek: file.mark.offset,
            last_hash: file.mark.digest(),
            head_hash: file.head.digest(),
        }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint { offset: self.seek, last: self.last_hash, head: self.head_hash }
    }
}

/// The JSON object of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(default)]
    pub(crate) seek: u64,
    #[serde(default)]
    pub(crate) file_name: String,
    #[serde(default)]
    pub(crate) last_hash: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inode: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head_hash: Option<Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) finished: Vec<Finished>,
}

impl Record {
    /// Reads a journal; `Ok(None)` where it is blank. Text behind the object (a torn write of Heka) is ignored.
    pub(crate) fn parse(text: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        match serde_json::Deserializer::from_slice(text).into_iter::<Self>().next() {
            None => Ok(None),
            Some(record) => record.map(Some),
        }
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Absent in a journal that Heka wrote.
    pub(crate) fn id(&self) -> Option<FileId> {
        Some(FileId { device: self.device?, inode: self.inode? })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let last = self.last_hash.unwrap_or_else(|| Digest::of_window(&[]));
        Fingerprint { offset: self.seek, last, head: self.head_hash }
    }
}

/// Keeps the journals of streams, one small text for each stream name.
pub trait JournalStore: Send {
    /// The journal of `stream`; `None` if there is none.
    fn load(&self, stream: &str) -> io::Result<Option<Vec<u8>>>;

    /// Puts `journal` in the place of the old one, which stays as it is on failure.
    fn replace(&mut self, stream: &str, journal: &[u8]) -> io::Result<()>;
}

/// Keeps journals as files of a directory.
#[derive(Debug)]
pub struct DirectoryStore {
    directory: PathBuf,
    sync: bool,
}

impl DirectoryStore {
    /// Opens the directory, and makes it if need be. With `sync`, each journal is forced to disk before it replaces
    /// the old one: it survives a power cut, and costs a disk flush.
    pub fn open(directory: &Path, sync: bool) -> Result<Self, Error> {
        match fs::DirBuilder::new().recursive(true).mode(0o744).create(directory) {
            Ok(()) => Ok(Self { directory: directory.to_owned(), sync }),
            Err(source) => Err(Error::JournalDirectory { path: directory.to_owned(), source }),
        }
    }
}

impl JournalStore for DirectoryStore {
    fn load(&self, stream: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.directory.join(journal_file_name(stream))) {
            Ok(journal) => Ok(Some(journal)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&mut self, stream: &str, journal: &[u8]) -> io::Result<()> {
        let path = self.directory.join(journal_file_name(stream));
        // A lone `%` stands in no escaped name, so the temporary name is nobody's journal.
        let temporary = self.directory.join(format!("{}%tmp", journal_file_name(stream)));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o660);
        let written = options.open(&temporary).and_then(|mut file| {
            file.write_all(journal)?;
            if self.sync { file.sync_data() } else { Ok(()) }
        });
        written.and_then(|()| fs::rename(&temporary, &path))
    }
}

/// The file name of a stream's journal: the stream name, but for what a file name cannot hold, written `%XX`.
///
/// A name with `%` is escaped too where what follows looks like an escape, so that no two streams share a file.
pub fn journal_file_name(stream: &str) -> String {
    let bytes = stream.as_bytes();
    let mut name = String::with_capacity(stream.len());
    for (index, character) in stream.char_indices() {
        match character {
            '%' if !is_escape(&bytes[index + 1..]) => name.push('%'),
            '/' | '\0' | '%' => name.push_str(&format!("%{:02X}", u32::from(character))),
            _ => name.push(character),
        }
    }
    if name.is_empty() || name == "." || name == ".." {
        return format!("%2E{name}");
    }
    if name.len() > FILE_NAME_BYTES_MAX {
        let digest = Digest::of_all(bytes);
        let end = name.floor_char_boundary(FILE_NAME_BYTES_MAX - 41);
        name.truncate(end);
        return format!("{name}-{digest}");
    }
    name
}

/// Whether a `%` with `rest` behind it would read as one of our escapes or as our temporary name.
fn is_escape(rest: &[u8]) -> bool {
    matches!(rest, [b'0', b'0', ..] | [b'2', b'5' | b'E' | b'F', ..]) || rest == b"tmp"
}

/// Keeps journals in memory; clones share them. For tests and for trying a configuration.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    journals: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl JournalStore for MemoryStore {
    fn load(&self, stream: &str) -> io::Result<Option<Vec<u8>>> {
        let journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(journals.get(stream).cloned())
    }

    fn replace(&mut self, stream: &str, journal: &[u8]) -> io::Result<()> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.insert(stream.to_owned(), journal.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Record> {
        Record::parse(text.as_bytes()).ok().flatten()
    }

    #[test]
    fn a_journal_of_heka_is_read() {
        let hash = "935e0d0991ac076f5784dce2fabae2eff811a457";
        let text =
            format!(r#"{{"seek":4,"file_name":"/var/log/system.log","last_hash":"{hash}"}}"#);
        let record = parse(&text).unwrap();
        assert_eq!((record.seek, record.file_name.as_str()), (4, "/var/log/system.log"));
        assert_eq!((record.id(), record.fingerprint().last), (None, Digest::of_window(b"a\nb\n")));
        assert_eq!(String::from_utf8(record.to_json().unwrap()).unwrap(), text);
    }

    #[test]
    fn our_journal_starts_with_hekas_members_and_is_read_back() {
        let id = FileId { device: 7, inode: 8 };
        let last = Digest::of_window(b"a\nb\n");
        let finished =
            Finished { device: 7, inode: 6, seek: 9, last_hash: last, head_hash: Some(last) };
        let position = Position {
            serial: 1,
            id,
            path: Path::new("/old").into(),
            offset: 4,
            window: Arc::from(b"a\nb\n".as_slice()),
            head: None,
            finished: Arc::from([finished]),
        };
        let record = position.to_record(Path::new("/new"));
        let text = String::from_utf8(record.to_json().unwrap()).unwrap();
        assert!(text.starts_with(
            r#"{"seek":4,"file_name":"/new","last_hash":"935e0d0991ac076f5784dce2fabae2eff811a457","device":7"#
        ));
        assert_eq!(parse(&text), Some(record));
    }

    #[test]
    fn garbage_is_an_error_or_ignored_but_never_fatal() {
        assert!(Record::parse(b"{bad").is_err());
        assert!(Record::parse(br#"{"seek":-1}"#).is_err());
        assert!(Record::parse(br#"{"seek":1,"last_hash":"short"}"#).is_err());
        assert_eq!(parse(" \n"), None);
        assert_eq!(parse(r#"{"seek":5,"file_name":"x"} sh":"12"}"#).unwrap().seek, 5);
    }

    #[test]
    fn stream_names_become_distinct_file_names() {
        let long = "x".repeat(300);
        let other = format!("{}y", "x".repeat(299));
        let names = [
            "plain", "a/b", "a%2Fb", "a%252Fb", "", ".", "..", "100%", "a\0b", "x%tmp", &long,
            &other,
        ];
        let files: Vec<String> = names.iter().map(|name| journal_file_name(name)).collect();
        for (index, file) in files.iter().enumerate() {
            assert!(!file.contains('/') && !file.contains('\0') && file.len() <= 255, "{file}");
            assert!(!files[..index].contains(file), "{file} twice");
        }
        assert_eq!(
            (files[0].as_str(), files[1].as_str(), files[7].as_str()),
            ("plain", "a%2Fb", "100%")
        );
    }

    #[test]
    fn a_directory_store_replaces_whole_journals() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/for/it");
        let mut store = DirectoryStore::open(&path, true).unwrap();
        assert_eq!(store.load("a/b").unwrap(), None);
        store.replace("a/b", b"a long first text").unwrap();
        store.replace("a/b", b"short").unwrap();
        assert_eq!(store.load("a/b").unwrap(), Some(b"short".to_vec()));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }
}
