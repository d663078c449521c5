//! The harness: a directory, the streams over it, and the lines that came out.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use heka_logstream::{
    Error, JournalStore, LogStreams, MemoryStore, Now, ReadEvent, Settings, StreamId,
};

/// Reads per poll and stream after which a stream is said to spin.
const READS_MAX: usize = 100_000;

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) settings: Settings,
    pub(crate) store: MemoryStore,
    pub(crate) now: Now,
    pub(crate) buffer_bytes: usize,
    pub(crate) streams: Option<LogStreams>,
    rests: HashMap<StreamId, Vec<u8>>,
    lines: Vec<String>,
    problems: Vec<Error>,
}

impl World {
    /// A stopped world; streams are called by `differentiator`, whose first element may be a group.
    pub(crate) fn new(file_match: &str, priority: &[&str], differentiator: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let settings = Settings {
            log_directory: directory.path().to_owned(),
            file_match: file_match.to_owned(),
            priority: owned(priority),
            differentiator: owned(differentiator),
            use_inotify: false,
            ..Settings::default()
        };
        Self {
            directory,
            settings,
            store: MemoryStore::default(),
            now: Now::read(),
            buffer_bytes: 64,
            streams: None,
            rests: HashMap::new(),
            lines: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// `app.log`, `app.log.1`, .. as rotated by number, perhaps compressed.
    pub(crate) fn numbered() -> Self {
        Self::new(r"app\.log\.?(?P<Seq>\d*)(\.gz)?", &["^Seq"], &["app"])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn append(&self, name: &str, content: &str) {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(crate) fn truncate(&self, name: &str) {
        File::options().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    pub(crate) fn copy_truncate(&self, name: &str, copy: &str) {
        fs::copy(self.path(name), self.path(copy)).unwrap();
        self.truncate(name);
    }

    /// Replaces a file by its compressed form.
    pub(crate) fn gzip(&self, name: &str) {
        let content = fs::read(self.path(name)).unwrap();
        fs::write(self.path(&format!("{name}.gz")), gzipped(&content)).unwrap();
        self.remove(name);
    }

    pub(crate) fn set_age(&self, name: &str, age: Duration) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    pub(crate) fn start(&mut self) {
        let store = Box::new(self.store.clone());
        let mut streams = LogStreams::new(self.settings.clone(), store).unwrap();
        streams.rescan(self.now);
        self.streams = Some(streams);
    }

    pub(crate) fn stop(&mut self) {
        self.streams = None;
        self.rests.clear();
    }

    pub(crate) fn streams(&mut self) -> &mut LogStreams {
        self.streams.as_mut().unwrap()
    }

    pub(crate) fn rescan(&mut self) {
        let now = self.now;
        self.streams().rescan(now);
    }

    pub(crate) fn tick(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    /// Reads all streams until they are idle; returns the lines and journals what was consumed.
    pub(crate) fn poll(&mut self) -> Vec<String> {
        let mut index = 0;
        // Streams may be found while others are read.
        while let Some(id) = self.streams().ids().nth(index) {
            self.read_all(id);
            index += 1;
        }
        std::mem::take(&mut self.lines)
    }

    pub(crate) fn read_all(&mut self, id: StreamId) {
        let mut buffer = vec![0; self.buffer_bytes];
        for _ in 0..READS_MAX {
            let now = self.now;
            match self.streams().read(id, &mut buffer, now) {
                Ok(ReadEvent::Data(count)) => self.split(id, &buffer[..count]),
                Ok(ReadEvent::EndOfFile | ReadEvent::Truncated) => self.flush(id),
                Ok(ReadEvent::Idle) => return,
                Err(error) => {
                    self.problems.push(error);
                    return;
                }
            }
        }
        panic!("a stream does not come to rest");
    }

    fn split(&mut self, id: StreamId, bytes: &[u8]) {
        let rest = self.rests.entry(id).or_default();
        rest.extend_from_slice(bytes);
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
        let records: Vec<u8> = rest.drain(..end).collect();
        for line in String::from_utf8_lossy(&records).lines() {
            self.lines.push(line.to_owned());
        }
        self.settle(id, &records);
    }

    fn flush(&mut self, id: StreamId) {
        let rest = self.rests.remove(&id).unwrap_or_default();
        if !rest.is_empty() {
            self.lines.push(String::from_utf8_lossy(&rest).into_owned());
        }
        self.settle(id, &rest);
    }

    fn settle(&mut self, id: StreamId, records: &[u8]) {
        let streams = self.streams();
        let position = streams.consume(id, records);
        streams.checkpoint(id, &position).unwrap();
    }

    pub(crate) fn journal(&self, stream: &str) -> serde_json::Value {
        let journal = self.store.load(stream).unwrap().unwrap_or_default();
        serde_json::from_slice(&journal).unwrap_or(serde_json::Value::Null)
    }

    pub(crate) fn set_journal(&mut self, stream: &str, journal: &str) {
        self.store.replace(stream, journal.as_bytes()).unwrap();
    }

    pub(crate) fn seek(&self, stream: &str) -> u64 {
        self.journal(stream)["seek"].as_u64().unwrap()
    }

    pub(crate) fn names(&mut self) -> Vec<String> {
        let streams = self.streams();
        streams.ids().map(|id| streams.stream(id).name().to_owned()).collect()
    }

    /// File names of a stream, oldest first.
    pub(crate) fn files(&mut self, stream: &str) -> Vec<String> {
        let root = fs::canonicalize(self.directory.path()).unwrap();
        let streams = self.streams();
        let id = streams.ids().find(|id| streams.stream(*id).name() == stream).unwrap();
        let name = |path: &std::path::Path| {
            path.strip_prefix(&root).unwrap().to_string_lossy().into_owned()
        };
        streams.stream(id).files().map(name).collect()
    }

    pub(crate) fn problems(&mut self) -> Vec<Error> {
        if let Some(streams) = &mut self.streams {
            self.problems.append(&mut streams.take_problems());
        }
        std::mem::take(&mut self.problems)
    }
}

pub(crate) fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
