//! Dead letters: messages that were given up for good, kept with the reason in a log of their own.
//!
//! Invariants: nothing waits for this; what cannot be kept is counted; the log never grows past its limit.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Record, RecordBuilder};

use crate::bell::Bell;
use crate::clock::Clock;
use crate::log::{
    Damage, LogError, LogReader, LogSettings, LogState, LogWriter, RecordKind, RecordMeta,
    StoredRecord, put_texts, take_texts,
};
use crate::storage::Storage;

/// Bytes of letters that may wait to be written; more are counted and not kept.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Parts of the limit that a segment takes: the oldest one is removed at a time.
const SEGMENTS: u64 = 8;
/// How often the letters' thread looks for the end at least.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Why a message was given up.
#[derive(Debug, Clone, Copy)]
pub struct LetterMeta<'a> {
    /// Section name of the plugin that gave it up.
    pub plugin: &'a str,
    /// Why.
    pub why: &'a str,
    /// Section name of the input whose decoder refused the record; `None`: the message was complete.
    pub input: Option<&'a str>,
}

/// A dead letter as it was read.
#[derive(Debug)]
pub struct DeadLetter {
    /// Its number in the log.
    pub sequence: u64,
    /// When it was given up, ns since 1970.
    pub time_ns: i64,
    /// Section name of the plugin that gave it up.
    pub plugin: String,
    /// Why.
    pub why: String,
    /// Section name of the input whose decoder refused the record; `None`: the message was complete.
    pub input: Option<String>,
    /// The message; one that no decoder could read has its bytes as payload.
    pub batch: Batch,
}

impl DeadLetter {
    /// True if this is no message that could be delivered again, only the bytes that were made of one.
    #[must_use]
    pub fn is_remains(&self) -> bool {
        // What a plugin sees carries the name of the input or filter that it came from.
        self.input.is_none() && *self.batch.envelope().source == *self.plugin
    }
}

/// Where dead letters go; a clone is the same place.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    names: Arc<NameRegistry>,
    directory: PathBuf,
    bytes_max: u64,
    waiting: Mutex<Waiting>,
    bell: Bell,
    closing: AtomicBool,
    kept: AtomicU64,
    lost: AtomicU64,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    letters: Vec<Letter>,
    bytes: usize,
}

#[derive(Debug)]
struct Letter {
    time_ns: i64,
    texts: [Box<str>; 3],
    batch: Batch,
}

impl DeadLetters {
    /// A place in a directory that keeps the newest `bytes_max` bytes.
    #[must_use]
    pub fn new(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        names: Arc<NameRegistry>,
        (directory, bytes_max): (&Path, u64),
    ) -> Self {
        let inner = Inner {
            storage,
            clock,
            names,
            directory: directory.to_path_buf(),
            bytes_max,
            waiting: Mutex::default(),
            bell: Bell::default(),
            closing: AtomicBool::new(false),
            kept: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            thread: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Keeps a message that was given up. Does not wait.
    pub fn send(&self, meta: &LetterMeta<'_>, record: &Record<'_>) {
        self.keep(meta, |inner, time_ns| inner.copy(record, time_ns));
    }

    /// Keeps a record that no message could be made of: `fill` sets what is known of it, in a message of its input.
    pub fn send_refused(
        &self,
        meta: &LetterMeta<'_>,
        envelope: &Arc<Envelope>,
        fill: impl FnOnce(&mut RecordBuilder<'_>),
    ) {
        self.keep(meta, |inner, time_ns| {
            let (names, envelope) = (inner.names.snapshot(), Arc::clone(envelope));
            let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), time_ns);
            let mut record = builder.record();
            fill(&mut record);
            record.commit().ok()?;
            Some(builder.finish())
        });
    }

    /// Keeps the bytes that are all that is left of a message. Only [`DeadLetter::is_remains`] tells that from a whole one.
    pub fn send_bytes(&self, meta: &LetterMeta<'_>, bytes: &[u8]) {
        self.keep(meta, |inner, time_ns| inner.wrap(meta, bytes, time_ns));
    }

    fn keep(&self, meta: &LetterMeta<'_>, make: impl FnOnce(&Inner, i64) -> Option<Batch>) {
        let inner = &self.inner;
        let time_ns = inner.clock.now_ns();
        let full = inner.lock().bytes >= WAITING_BYTES_MAX;
        let batch = if full { None } else { make(inner, time_ns) };
        let Some(batch) = batch else {
            inner.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let texts = [meta.plugin.into(), meta.why.into(), meta.input.unwrap_or("").into()];
        let mut waiting = inner.lock();
        waiting.bytes += batch.memory_bytes();
        waiting.letters.push(Letter { time_ns, texts, batch });
        drop(waiting);
        self.wake();
    }

    /// Letters kept since the start, and letters that could not be kept.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.inner.kept.load(Ordering::Relaxed), self.inner.lost.load(Ordering::Relaxed))
    }

    /// Writes what waits, and ends.
    pub fn close(&self) {
        self.inner.closing.store(true, Ordering::Release);
        self.inner.bell.ring();
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that keeps dead letters panicked");
        }
    }

    /// The thread is started by the first letter: most daemons never have one.
    fn wake(&self) {
        let mut thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() && !self.inner.closing.load(Ordering::Acquire) {
            let inner = Arc::clone(&self.inner);
            let named = std::thread::Builder::new().name("heka-letters".to_owned());
            match named.spawn(move || inner.run()) {
                Ok(started) => *thread = Some(started),
                Err(error) => tracing::error!(%error, "dead letters are not kept"),
            }
        }
        self.inner.bell.ring();
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy(&self, record: &Record<'_>, time_ns: i64) -> Option<Batch> {
        let envelope = Arc::new(Envelope { source: record.source().into(), ..Envelope::default() });
        let names = self.names.snapshot();
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), time_ns);
        let mut copy = builder.record();
        copy.copy_from(record);
        copy.commit().ok()?;
        Some(builder.finish())
    }

    fn wrap(&self, meta: &LetterMeta<'_>, bytes: &[u8], time_ns: i64) -> Option<Batch> {
        let envelope = Arc::new(Envelope::new(meta.input.unwrap_or(meta.plugin)));
        let names = self.names.snapshot();
        let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), time_ns);
        builder.push_payload(bytes).ok()?;
        Some(builder.finish())
    }

    fn run(&self) {
        let settings = LogSettings {
            directory: self.directory.clone(),
            segment_bytes: (self.bytes_max / SEGMENTS).max(1),
        };
        let mut log = match LogWriter::open(Arc::clone(&self.storage), settings) {
            Ok((writer, recovered)) => Some((writer, recovered.state)),
            Err(error) => {
                tracing::error!(%error, "dead letters are not kept");
                None
            }
        };
        loop {
            self.bell.wait(LOOK_INTERVAL);
            let waiting = std::mem::take(&mut *self.lock());
            if !waiting.letters.is_empty() {
                self.store(log.as_mut(), &waiting.letters);
            } else if self.closing.load(Ordering::Acquire) {
                return;
            }
        }
    }

    fn store(&self, log: Option<&mut (LogWriter, LogState)>, letters: &[Letter]) {
        let count = letters.len() as u64;
        let outcome = log.map(|(writer, state)| self.write(writer, state, letters));
        match outcome {
            Some(Ok(())) => {
                self.kept.fetch_add(count, Ordering::Relaxed);
            }
            Some(Err(error)) => {
                tracing::error!(%error, letters = count, "dead letters are not kept");
                self.lost.fetch_add(count, Ordering::Relaxed);
            }
            None => {
                self.lost.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    fn write(
        &self,
        writer: &mut LogWriter,
        state: &mut LogState,
        letters: &[Letter],
    ) -> Result<(), LogError> {
        let mut group = writer.group();
        let mut next = state.next_sequence;
        for letter in letters {
            let (batch, time_ns) = (&letter.batch, letter.time_ns);
            let meta =
                RecordMeta { kind: RecordKind::DeadLetters, messages: 1, sequence: next, time_ns };
            group.push(meta, batch.raw(), |out| {
                batch.write_stored(out);
                put_texts(out, &letter.texts);
            });
            next += 1;
        }
        writer.write(&group, state, self.clock.now_ns())?;
        writer.sync()?;
        state.next_sequence = next;
        while writer.bytes() > self.bytes_max && writer.segments().len() > 1 {
            writer.remove_oldest()?;
        }
        Ok(())
    }
}

/// Reads dead letters from a number on, oldest first.
#[derive(Debug)]
pub struct LetterReader {
    reader: LogReader,
    names: Arc<NameRegistry>,
}

impl LetterReader {
    /// A reader of the letters in a directory.
    #[must_use]
    pub fn new(
        storage: Arc<dyn Storage>,
        names: Arc<NameRegistry>,
        (directory, from): (&Path, u64),
    ) -> Self {
        Self { reader: LogReader::new(storage, directory, from), names }
    }

    /// The next letter.
    ///
    /// # Errors
    /// If the log cannot be read at all, or a letter cannot be understood; the next call goes on behind it.
    pub fn next_letter(&mut self) -> Result<Option<DeadLetter>, LogError> {
        loop {
            let Some(StoredRecord { header, mut body, .. }) = self.reader.next()? else {
                return Ok(None);
            };
            if header.kind != RecordKind::DeadLetters {
                continue;
            }
            let [plugin, why, input] = take_texts(&mut body)?;
            let batch = Batch::from_stored(body, &self.names.snapshot())
                .map_err(|error| LogError::Content(error.to_string()))?;
            let input = Some(input).filter(|input| !input.is_empty());
            let (sequence, time_ns) = (header.sequence, header.time_ns);
            return Ok(Some(DeadLetter { sequence, time_ns, plugin, why, input, batch }));
        }
    }

    /// What was passed over since the last call.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        self.reader.take_damage()
    }
}
