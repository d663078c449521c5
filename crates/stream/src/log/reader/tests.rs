//! Readers beside a writer. Not here: what a whole log promises (`tests/it/log_*`).

use std::collections::BTreeMap;
use std::sync::Mutex;

use heka_message::Buffer;

use super::*;
use crate::log::{LogSettings, LogState, LogWriter, RecordKind, RecordMeta};
use crate::storage::{Durability, MemoryStorage, SimOperation, SimRandom, SimStorage};

const SEGMENT_BYTES: u64 = 4096;

fn open(storage: &Arc<dyn Storage>) -> LogWriter {
    let settings = LogSettings { directory: "/log".into(), segment_bytes: SEGMENT_BYTES };
    LogWriter::open(Arc::clone(storage), settings).unwrap().0
}

fn body(sequence: u64) -> Vec<u8> {
    let len = (sequence * 977 % 1500) as usize;
    [&vec![b'x'; len][..], &sequence.to_le_bytes(), &[0; 4]].concat()
}

fn write(writer: &mut LogWriter, sequences: std::ops::Range<u64>) -> Result<(), LogError> {
    let mut group = writer.group();
    let state = LogState { next_sequence: sequences.start, ..LogState::default() };
    for sequence in sequences {
        let meta = RecordMeta { kind: RecordKind::Batch, messages: 1, sequence, time_ns: 1 };
        group.push(meta, &Buffer::from(body(sequence)), |_| {});
    }
    writer.write(&group, &state, 1)
}

/// Reads up to the tail; returns the numbers.
fn drain(reader: &mut LogReader, tail: Option<Tail>) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(record) = reader.next_before(tail).unwrap() {
        assert_eq!(record.body, body(record.header.sequence));
        found.push(record.header.sequence);
    }
    found
}

/// Writers that fail, readers that come at any moment: each sees all up to the tail, once, in order.
fn history(seed: u64) {
    let mut random = SimRandom::new(seed);
    let sim = SimStorage::new(seed);
    let storage: Arc<dyn Storage> = Arc::new(sim.clone());
    let mut writer = open(&storage);
    let (mut safe, mut written, mut most) = (0, 0, 0);
    let mut remains = false;
    let mut readers: BTreeMap<u64, (LogReader, u64)> = BTreeMap::new();
    for _ in 0..80 {
        match random.below(12) {
            0..4 => {
                let more = 1 + random.below(4) as u64;
                match write(&mut writer, written..written + more) {
                    Ok(()) => {
                        written += more;
                        most = most.max(written);
                    }
                    Err(LogError::Sync { .. }) => written = safe,
                    Err(_) => {}
                }
            }
            4..6 => match writer.sync() {
                Ok(()) => safe = written,
                Err(_) => written = safe,
            },
            6 => writer.end_segment(),
            7 => {
                let kinds = [SimOperation::Write, SimOperation::Sync, SimOperation::Truncate];
                let kind = kinds[random.below(3)];
                remains |= kind == SimOperation::Truncate;
                sim.fail(kind, 1 + random.below(2) as u64);
            }
            8 => {
                let from = random.below(safe as usize + 1) as u64;
                let reader = LogReader::new(Arc::clone(&storage), Path::new("/log"), from);
                readers.insert(from, (reader, from));
            }
            _ => {
                let chosen = random.below(readers.len().max(1));
                let Some((reader, next)) = readers.values_mut().nth(chosen) else { continue };
                let tail = writer.tail();
                if tail.is_none() {
                    continue;
                }
                // After a failed sync the tail may be behind what was read before, and what became safe when a
                // segment was begun may be behind the tail, though the writer starts again before it.
                let found = drain(reader, tail);
                let behind = *next + found.len() as u64;
                assert_eq!(found, (*next..behind).collect::<Vec<_>>(), "HEKA_SEED={seed}");
                assert!((written..=most).contains(&behind), "HEKA_SEED={seed}: {behind}");
                *next = behind;
                // Half a write that could not be cut off either is damage to a reader.
                let damage = reader.take_damage();
                assert!(damage.is_empty() || remains, "HEKA_SEED={seed}: {damage:?}");
            }
        }
    }
}

#[test]
fn a_reader_beside_a_writer_that_fails_sees_all_up_to_the_tail_once() {
    match std::env::var("HEKA_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => history(seed),
        None => (0..300).for_each(history),
    }
}

#[test]
fn nothing_behind_the_tail_is_read() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let mut writer = open(&storage);
    write(&mut writer, 0..2).unwrap();
    let early = writer.tail();
    write(&mut writer, 2..3).unwrap();
    writer.end_segment();
    write(&mut writer, 3..9).unwrap();
    let new = |from| LogReader::new(Arc::clone(&storage), Path::new("/log"), from);
    let mut reader = new(0);
    assert_eq!(drain(&mut reader, early), [0, 1]);
    assert_eq!(drain(&mut new(3), early), [0; 0], "its segment lies behind the tail");
    assert_eq!(drain(&mut reader, writer.tail()), (2..9).collect::<Vec<_>>());
    assert!(reader.take_damage().is_empty());
}

#[test]
fn a_reader_goes_on_when_the_segment_it_is_in_or_the_next_one_is_removed() {
    let sim = SimStorage::new(1);
    let storage: Arc<dyn Storage> = Arc::new(sim);
    let mut writer = open(&storage);
    for sequence in 0..6 {
        write(&mut writer, sequence..sequence + 1).unwrap();
        writer.end_segment();
    }
    let mut reader = LogReader::new(Arc::clone(&storage), Path::new("/log"), 0);
    assert_eq!(reader.next_before(writer.tail()).unwrap().unwrap().header.sequence, 0);
    for _ in 0..3 {
        writer.remove_oldest().unwrap();
    }
    assert_eq!(drain(&mut reader, writer.tail()), [3, 4, 5]);
}

#[test]
fn a_reader_on_another_thread_never_sees_half_a_record() {
    const BATCHES: u64 = 600;
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(crate::storage::FileStorage);
    let settings = LogSettings { directory: folder.path().into(), segment_bytes: SEGMENT_BYTES };
    let mut writer = LogWriter::open(Arc::clone(&storage), settings).unwrap().0;
    let tail = Mutex::new(None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in (0..BATCHES).step_by(3) {
                write(&mut writer, sequence..sequence + 3).unwrap();
                *tail.lock().unwrap() = writer.tail();
            }
        });
        let mut reader = LogReader::new(Arc::clone(&storage), folder.path(), 0);
        let mut next = 0;
        while next < BATCHES {
            let known = *tail.lock().unwrap();
            if known.is_none() {
                std::thread::yield_now();
                continue;
            }
            for sequence in drain(&mut reader, known) {
                assert_eq!(sequence, next);
                next += 1;
            }
        }
        assert!(reader.take_damage().is_empty());
    });
}

#[test]
fn what_is_written_behind_a_block_that_cannot_be_read_is_read() {
    let sim = SimStorage::new(1);
    let storage: Arc<dyn Storage> = Arc::new(sim.clone());
    let mut writer = open(&storage);
    write(&mut writer, 0..1).unwrap();
    let bad = writer.tail().unwrap().bytes as usize;
    write(&mut writer, 1..2).unwrap();
    let path = Path::new("/log").join(writer.segments().next().unwrap().name());
    sim.spoil(&path, bad..bad + 1);
    let mut reader = LogReader::new(Arc::clone(&storage), Path::new("/log"), 0);
    let before = drain(&mut reader, writer.tail());
    assert!(before.len() < 2, "{before:?}");
    write(&mut writer, 2..3).unwrap();
    assert_eq!(drain(&mut reader, writer.tail()), [2]);
    assert_eq!(reader.take_damage().len(), 1);
}

/// Lists a segment that is removed before it can be opened.
#[derive(Debug)]
struct Stale(Arc<dyn Storage>);

impl Storage for Stale {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.0.read(path)
    }

    fn replace(&self, path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
        self.0.replace(path, content, durability)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = self.0.list(directory)?;
        names.push(segment_name(1, 1));
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        self.0.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn GrowingFile>> {
        self.0.open(path)
    }

    fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        self.0.free_bytes(directory)
    }
}

#[test]
fn a_segment_that_is_removed_before_it_can_be_opened_is_passed_over() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let mut writer = open(&storage);
    write(&mut writer, 0..1).unwrap();
    writer.end_segment();
    write(&mut writer, 1..3).unwrap();
    let stale: Arc<dyn Storage> = Arc::new(Stale(storage));
    let mut reader = LogReader::new(stale, Path::new("/log"), 0);
    assert_eq!(drain(&mut reader, writer.tail()), [0, 1, 2]);
}
