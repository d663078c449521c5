//! Writing, recovery and damage, case by case. Not here: random histories (`tests/it/log_*`).

use std::path::Path;

use super::*;
use crate::storage::{MemoryStorage, SimOperation};

const SEGMENT_BYTES: u64 = 4096;

fn open(storage: &Arc<dyn Storage>) -> (LogWriter, Recovered) {
    let settings = LogSettings { directory: "/log".into(), segment_bytes: SEGMENT_BYTES };
    LogWriter::open(Arc::clone(storage), settings).unwrap()
}

fn push(group: &mut Group, sequence: u64, raw: &[u8]) {
    let meta = RecordMeta { kind: RecordKind::Batch, messages: 1, sequence, time_ns: 5 };
    group.push(meta, &Buffer::from(raw.to_vec()), |out| {
        out.extend_from_slice(b"rest");
        crate::log::put_progress(out, Some(("in", sequence * 10)));
    });
}

fn write(writer: &mut LogWriter, state: &mut LogState, sequences: Range<u64>, len: usize) {
    let mut group = writer.group();
    sequences.clone().for_each(|sequence| push(&mut group, sequence, &vec![b'x'; len]));
    writer.write(&group, state, 1).unwrap();
    writer.sync().unwrap();
    state.next_sequence = sequences.end;
}

fn read(storage: &Arc<dyn Storage>, from: u64) -> (Vec<u64>, Vec<Damage>) {
    let mut reader = LogReader::new(Arc::clone(storage), Path::new("/log"), from);
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        found.push(record.header.sequence);
    }
    (found, reader.take_damage())
}

#[test]
fn what_is_written_is_read_over_segments_and_restarts() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, recovered) = open(&storage);
    assert_eq!(recovered.state, LogState::default());
    let mut state = LogState::default();
    for start in 0..20 {
        write(&mut writer, &mut state, start * 3..start * 3 + 3, 200);
    }
    write(&mut writer, &mut state, 60..61, 10_000);
    assert!(writer.segments().len() > 3);
    assert_eq!(read(&storage, 0), ((0..61).collect(), vec![]));
    assert_eq!(read(&storage, 37), ((37..61).collect(), vec![]));
    drop(writer);
    let (mut writer, recovered) = open(&storage);
    assert_eq!(recovered.state.next_sequence, 61);
    assert_eq!(recovered.state.positions["in"].logged, 600);
    assert!(recovered.damage.is_empty() && recovered.torn.is_none());
    let mut state = recovered.state;
    write(&mut writer, &mut state, 61..63, 20);
    assert_eq!(read(&storage, 55), ((55..63).collect(), vec![]));
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..5, 100);
    let path = writer.path_of_last();
    let whole = storage.read(&path).unwrap().unwrap();
    let last = whole.len() - whole.len() / 8;
    let padding = whole.iter().rev().take_while(|&&byte| byte == 0).count() - 3;
    for cut in (last..whole.len()).rev() {
        storage.replace(&path, &whole[..cut], Durability::Crash).unwrap();
        let (_, recovered) = open(&storage);
        let kept = if cut >= whole.len() - padding { 5 } else { 4 };
        assert_eq!(recovered.torn.map(|torn| torn.to), (kept == 4).then_some(cut as u64), "{cut}");
        assert_eq!(recovered.state.next_sequence, kept);
        assert!(recovered.damage.is_empty());
        assert_eq!(read(&storage, 0), ((0..kept).collect(), vec![]));
    }
}

#[test]
fn damage_costs_what_lies_in_it_and_is_told_with_its_place() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..10, 300);
    let path = writer.path_of_last();
    let whole = storage.read(&path).unwrap().unwrap();
    for at in SEGMENT_HEADER_BYTES..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        storage.replace(&path, &damaged, Durability::Crash).unwrap();
        let (found, damage) = read(&storage, 0);
        assert!(found.len() >= 9, "{at}: {found:?}");
        if found.len() == 9 {
            assert_eq!(damage.len(), 1, "{at}");
            assert!((damage[0].from..damage[0].to).contains(&(at as u64)), "{at}: {damage:?}");
        }
    }
}

#[test]
fn a_segment_without_its_header_is_read_all_the_same() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..10, 300);
    let path = writer.path_of_last();
    let mut content = storage.read(&path).unwrap().unwrap();
    content[..SEGMENT_HEADER_BYTES].fill(0xff);
    storage.replace(&path, &content, Durability::Crash).unwrap();
    let (found, damage) = read(&storage, 0);
    assert_eq!(found, (0..10).collect::<Vec<_>>());
    assert_eq!((damage[0].from, damage[0].to), (0, 64));
    assert_eq!(open(&storage).1.state.next_sequence, 10);
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    let memory = Arc::new(MemoryStorage::default());
    let storage: Arc<dyn Storage> = Arc::clone(&memory) as _;
    let (mut writer, _) = open(&storage);
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..3, 100);
    memory.set_full(true);
    let mut group = writer.group();
    push(&mut group, 3, b"more");
    assert!(writer.write(&group, &state, 1).unwrap_err().is_full());
    assert_eq!(read(&storage, 0).0, [0, 1, 2]);
    memory.set_full(false);
    writer.write(&group, &state, 1).unwrap();
    assert_eq!(read(&storage, 0), ((0..4).collect(), vec![]));
}

#[test]
fn the_oldest_segments_can_be_removed() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut state = LogState::default();
    for start in 0..6 {
        write(&mut writer, &mut state, start..start + 1, 3000);
    }
    while writer.segments().nth(1).is_some_and(|second| second.first() <= 3) {
        writer.remove_oldest().unwrap();
    }
    assert_eq!(read(&storage, 0).0, [3, 4, 5]);
    while writer.segments().next().is_some() {
        writer.remove_oldest().unwrap();
    }
    assert_eq!(writer.bytes(), 0);
    write(&mut writer, &mut state, 6..7, 10);
    assert_eq!(read(&storage, 0).0, [6]);
}

#[test]
fn bytes_of_a_message_that_look_like_a_record_are_not_one() {
    let other: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&other);
    write(&mut writer, &mut LogState::default(), 0..1, 50);
    let foreign = other.read(&writer.path_of_last()).unwrap().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut group = writer.group();
    push(&mut group, 7, &foreign[SEGMENT_HEADER_BYTES..]);
    push(&mut group, 8, b"behind");
    writer.write(&group, &LogState::default(), 1).unwrap();
    let path = writer.path_of_last();
    let mut content = storage.read(&path).unwrap().unwrap();
    let header = content.windows(4).rposition(|four| four == b"HEK1").unwrap();
    let (_, inner) = (header, &foreign[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + 8]);
    let embedded = content.windows(8).rposition(|eight| eight == inner).unwrap();
    let own = content[..embedded].windows(4).rposition(|four| four == b"HEK1").unwrap();
    content[own] ^= 1;
    storage.replace(&path, &content, Durability::Crash).unwrap();
    assert_eq!(read(&storage, 0).0, [8]);
}

#[test]
fn a_record_that_no_reader_would_take_is_not_written() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut group = writer.group();
    push(&mut group, 0, b"x");
    group.longest = BODY_BYTES_MAX + 1;
    assert!(writer.write(&group, &LogState::default(), 1).is_err());
    group.longest = BODY_BYTES_MAX;
    writer.write(&group, &LogState::default(), 1).unwrap();
}

#[test]
fn a_record_that_makes_no_sense_is_told_and_never_cut_off() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut group = writer.group();
    let meta = RecordMeta { kind: RecordKind::Batch, messages: 1, sequence: 4, time_ns: 5 };
    group.push(meta, &Buffer::from(vec![0xff; 16]), |_| {});
    writer.write(&group, &LogState::default(), 1).unwrap();
    let path = writer.path_of_last();
    let mut content = storage.read(&path).unwrap().unwrap();
    content.extend_from_slice(b"torn");
    storage.replace(&path, &content, Durability::Crash).unwrap();
    let (_, recovered) = open(&storage);
    assert_eq!(recovered.torn.unwrap().to, content.len() as u64);
    assert_eq!(recovered.damage.len(), 1);
    assert_eq!((recovered.state.next_sequence, read(&storage, 0).0), (5, vec![4]));
}

#[test]
fn the_segment_with_the_newest_cursors_stays_while_the_next_one_is_not_begun_well() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..3, 100);
    let stub = Path::new("/log").join(segment_name(3, 2));
    storage.replace(&stub, b"HEKA", Durability::Crash).unwrap();
    let (mut writer, recovered) = open(&storage);
    assert_eq!(recovered.torn.map(|torn| torn.path), Some(stub));
    assert!(matches!(writer.remove_oldest(), Err(LogError::Needed { .. })));
    let mut group = writer.group();
    push(&mut group, 3, b"more");
    writer.write(&group, &recovered.state, 1).unwrap();
    writer.remove_oldest().unwrap();
    assert_eq!(open(&storage).1.state.positions["in"].logged, 30);
}

#[test]
fn a_full_disk_is_not_filled_with_segments_that_were_begun_and_not_used() {
    let sim = crate::storage::SimStorage::new(1);
    let storage: Arc<dyn Storage> = Arc::new(sim.clone());
    let (mut writer, _) = open(&storage);
    let mut group = writer.group();
    push(&mut group, 0, &vec![b'x'; 2 * SEGMENT_BYTES as usize]);
    sim.set_room(Some(SEGMENT_BYTES));
    for _ in 0..5 {
        assert!(writer.write(&group, &LogState::default(), 1).unwrap_err().is_full());
    }
    assert_eq!(writer.segments().len(), 1);
    sim.set_room(None);
    writer.write(&group, &LogState::default(), 1).unwrap();
    assert_eq!((writer.segments().len(), read(&storage, 0).0), (1, vec![0]));
}

fn simulated() -> (crate::storage::SimStorage, Arc<dyn Storage>, LogWriter) {
    let sim = crate::storage::SimStorage::new(1);
    let storage: Arc<dyn Storage> = Arc::new(sim.clone());
    let (writer, _) = open(&storage);
    (sim, storage, writer)
}

#[test]
fn no_number_is_given_twice_though_the_caller_lost_more_than_the_log() {
    let (sim, _, mut writer) = simulated();
    let nothing = LogState::default();
    let mut group = writer.group();
    (0..3).for_each(|sequence| push(&mut group, sequence, b"x"));
    writer.write(&group, &nothing, 1).unwrap();
    // What is in the first segment becomes safe when the second one is begun.
    writer.end_segment();
    sim.fail(SimOperation::Sync, 2);
    let mut more = writer.group();
    push(&mut more, 3, b"x");
    writer.write(&more, &nothing, 1).unwrap();
    assert!(matches!(writer.sync(), Err(LogError::Sync { .. })));
    // A new segment is begun, and nothing else of the write is done.
    sim.set_room(Some(200));
    assert!(writer.write(&group, &nothing, 1).is_err());
    let storage: Arc<dyn Storage> = Arc::new(sim.kill());
    assert_eq!((open(&storage).1.state.next_sequence, read(&storage, 0).0), (3, vec![0, 1, 2]));
}

#[test]
fn what_failed_does_not_count_though_only_a_change_follows_at_first() {
    let (sim, storage, mut writer) = simulated();
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..3, 100);
    let mut group = writer.group();
    push(&mut group, 3, b"failed");
    writer.write(&group, &state, 1).unwrap();
    sim.fail(SimOperation::Sync, 1);
    sim.fail(SimOperation::Truncate, 1);
    assert!(writer.sync().is_err());
    for batch in [None, Some(3)] {
        group.clear();
        match batch {
            Some(sequence) => push(&mut group, sequence, b"again"),
            None => group.push_state(RecordKind::StateChange, &state, 1),
        }
        writer.write(&group, &state, 1).unwrap();
    }
    writer.sync().unwrap();
    let mut reader = LogReader::new(storage, Path::new("/log"), 3);
    assert!(reader.next().unwrap().unwrap().body.starts_with(b"again"));
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn a_progress_is_not_believed_if_its_batch_was_given_up() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (mut writer, _) = open(&storage);
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..2, 10);
    let mut group = writer.group();
    push(&mut group, 2, b"given up");
    let mut change = LogState { next_sequence: 3, ..LogState::default() };
    change.logged("in", 20);
    group.push_state(RecordKind::StateChange, &change, 1);
    writer.write(&group, &state, 1).unwrap();
    assert_eq!(open(&storage).1.state.positions["in"].logged, 20);
    // The next segment was begun, but nothing of it is there after a power cut.
    let stub = Path::new("/log").join(segment_name(2, 2));
    storage.replace(&stub, b"", Durability::Crash).unwrap();
    assert_eq!(read(&storage, 0).0, [0, 1]);
    assert_eq!(open(&storage).1.state.positions["in"].logged, 10);
}

#[test]
fn nothing_is_written_over_what_was_cut_off_before_the_cut_is_safe() {
    let (sim, storage, mut writer) = simulated();
    let mut state = LogState::default();
    write(&mut writer, &mut state, 0..1, 100);
    let mut group = writer.group();
    push(&mut group, 1, b"x");
    sim.fail(SimOperation::Write, 1);
    assert!(matches!(writer.write(&group, &state, 1), Err(LogError::Io { .. })));
    sim.fail(SimOperation::Sync, 1);
    assert!(matches!(writer.write(&group, &state, 1), Err(LogError::Sync { .. })));
    writer.write(&group, &state, 1).unwrap();
    assert_eq!(read(&storage, 0), (vec![0, 1], vec![]));
}
