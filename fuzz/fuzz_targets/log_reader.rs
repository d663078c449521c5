//! Segments of a log: whatever is in the files, a log opens, a reader ends, and records have the right checksums.

#![no_main]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heka_message::Buffer;
use heka_stream::{
    Damage, Durability, LogReader, LogSettings, LogState, LogWriter, MemoryStorage, RecordKind,
    RecordMeta, Recovered, Storage,
};
use libfuzzer_sys::fuzz_target;

const DIRECTORY: &str = "/log";
const ID: [u8; 16] = [7; 16];
const SEGMENT_HEADER_BYTES: usize = 64;
const RECORD_HEADER_BYTES: usize = 40;
const SEGMENT_BYTES: u64 = 4096;
const SEGMENTS_MAX: usize = 4;
/// Longest growth of a record, in bytes, that a choice asks for.
const GROWTH_MAX: usize = 20_000;

/// CRC32C, bit by bit: the program's own is what is tested.
fn checksum(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Makes the checksums of what looks like headers right, else no input would get past them; those of bodies too, if asked.
fn repair(file: &mut [u8], bodies: bool) {
    if file.len() >= SEGMENT_HEADER_BYTES && file.starts_with(b"HEKASEG\n") {
        file[8..16].copy_from_slice(&[1, 0, 0, 0, SEGMENT_HEADER_BYTES as u8, 0, 0, 0]);
        file[16..32].copy_from_slice(&ID);
        let sum = checksum(&[&file[..60]]);
        file[60..64].copy_from_slice(&sum.to_le_bytes());
    }
    let mut at = file.len() / 8 * 8;
    // From the end, so that a body that holds records has its checksum behind theirs.
    while at >= 8 {
        at -= 8;
        if at + RECORD_HEADER_BYTES > file.len() || !file[at..].starts_with(b"HEK1") {
            continue;
        }
        let body_at = at + RECORD_HEADER_BYTES;
        let body = file.get(body_at..body_at.saturating_add(word(file, at + 8) as usize));
        if let Some(body) = body.filter(|_| bodies) {
            let sum = checksum(&[body]);
            file[at + 32..at + 36].copy_from_slice(&sum.to_le_bytes());
        }
        let sum = checksum(&[&ID, &file[at..at + 36]]);
        file[at + 36..at + 40].copy_from_slice(&sum.to_le_bytes());
    }
}

type Found = BTreeMap<u64, Vec<u8>>;

/// Reads everything and checks what holds for every record and every damage.
fn read(storage: &Arc<dyn Storage>, files: &[(PathBuf, Vec<u8>)]) -> Found {
    let mut reader = LogReader::new(Arc::clone(storage), Path::new(DIRECTORY), 0);
    let mut found = Found::new();
    let longest = files.iter().map(|(_, file)| file.len()).max().unwrap_or(0);
    while let Some(record) = reader.next().expect("files in memory can be read") {
        assert_eq!(record.body.len(), record.header.body_bytes as usize);
        assert_eq!(checksum(&[&record.body]), record.header.checksum);
        assert!(matches!(record.header.kind, RecordKind::Batch | RecordKind::DeadLetters));
        assert!(record.body.capacity() <= longest + SEGMENT_HEADER_BYTES, "more than there is");
        let sequence = record.header.sequence;
        assert!(found.last_key_value().is_none_or(|(&last, _)| last < sequence));
        found.insert(sequence, record.body);
    }
    check(&reader.take_damage(), files);
    found
}

fn check(damage: &[Damage], files: &[(PathBuf, Vec<u8>)]) {
    for damage in damage {
        let file = files.iter().find(|(path, _)| *path == damage.path);
        let (_, file) = file.expect("a file that is there");
        assert!(damage.from < damage.to && damage.to <= file.len() as u64, "{damage}");
    }
}

fn open(storage: &Arc<dyn Storage>) -> (LogWriter, Recovered) {
    let settings = LogSettings { directory: DIRECTORY.into(), segment_bytes: SEGMENT_BYTES };
    LogWriter::open(Arc::clone(storage), settings).expect("what is in the files is no error")
}

/// Cuts the input into files: a choice, then for each its number and its length.
fn files(data: &[u8]) -> Vec<(PathBuf, Vec<u8>)> {
    let Some((&choice, mut rest)) = data.split_first() else { return Vec::new() };
    let mut files: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    while let [first, low, high, more @ ..] = rest {
        if files.len() == SEGMENTS_MAX {
            break;
        }
        let len = (usize::from(*low) | usize::from(*high) << 8).min(more.len());
        let (content, behind) = more.split_at(len);
        let mut content = content.to_vec();
        if choice & 4 != 0 {
            content.resize(content.len() + usize::from(*high) * (GROWTH_MAX / 255), b'x');
        }
        if choice & 1 != 0 {
            repair(&mut content, choice & 2 != 0);
        }
        let name = format!("{first:020}-{:04}.log", files.len());
        files.insert(Path::new(DIRECTORY).join(name), content);
        rest = behind;
    }
    files.into_iter().collect()
}

fuzz_target!(|data: &[u8]| {
    let files = files(data);
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let put = |path: &Path, content: &[u8]| {
        storage.replace(path, content, Durability::Crash).expect("there is room");
    };
    put(&Path::new(DIRECTORY).join("id"), &ID);
    files.iter().for_each(|(path, content)| put(path, content));

    let before = read(&storage, &files);
    let (_, recovered) = open(&storage);
    check(&recovered.damage, &files);
    let (mut writer, again) = open(&storage);
    assert!(again.torn.is_none(), "cut twice: {:?}, {:?}", recovered.torn, again.torn);
    assert_eq!(recovered.state, again.state);

    let sequence = again.state.next_sequence;
    if sequence == u64::MAX || before.last_key_value().is_some_and(|(&last, _)| last >= sequence) {
        return;
    }
    let mut group = writer.group();
    let meta = RecordMeta { kind: RecordKind::Batch, messages: 1, sequence, time_ns: 1 };
    group.push(meta, &Buffer::from(b"more".to_vec()), |_| {});
    writer.write(&group, &LogState::default(), 1).expect("there is room");
    writer.sync().expect("there is room");
    let mut reader = LogReader::new(storage, Path::new(DIRECTORY), 0);
    let mut expected = before;
    expected.insert(sequence, b"more".to_vec());
    while let Some(record) = reader.next().expect("files in memory can be read") {
        assert_eq!(expected.remove(&record.header.sequence).as_ref(), Some(&record.body));
    }
    assert!(expected.is_empty(), "lost: {:?}", expected.keys());
});
