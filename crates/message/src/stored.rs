//! The stored form of a batch: its arrays as they lie in memory, as fixed entries in little-endian order.
//!
//! Here: the layout, and writing it. Reading it back: `stored::read`. Not here: files, checksums, when a batch is
//! stored (`heka-stream`). Invariants: the raw bytes come first, so that a writer need not copy them and a reader
//! keeps them where they are; the trailer alone tells where each part lies; nothing depends on the process that
//! wrote it. Byte by byte: docs/design.

mod read;

use crate::batch::Store;
use crate::field::FieldEntry;
use crate::record::{Headers, RecordEntry};
use crate::{Batch, Envelope};

/// The layout that is written; any change of a part or an entry makes a new one.
const VERSION: u32 = 1;

/// The parts of a stored batch in order; the trailer has a length for each.
#[derive(Debug, Clone, Copy)]
enum Part {
    Raw,
    Made,
    Records,
    Fields,
    Values,
    Headers,
    LocalNames,
    /// Bit per global id of the writing process: a name in use.
    UsedNames,
    /// Length of each name in use, then their bytes.
    NameTable,
    IdIndexes,
    Envelope,
}

const PARTS: usize = Part::Envelope as usize + 1;

const RECORD_BYTES: usize = 48;
const FIELD_BYTES: usize = 28;
const HEADERS_BYTES: usize = 48;
const SPAN_BYTES: usize = 8;
const WORD_BYTES: usize = 8;
const INDEX_BYTES: usize = 4;

/// Bytes of an entry of each part.
const ENTRY_BYTES: [usize; PARTS] = [
    1,
    1,
    RECORD_BYTES,
    FIELD_BYTES,
    WORD_BYTES,
    HEADERS_BYTES,
    SPAN_BYTES,
    WORD_BYTES,
    1,
    INDEX_BYTES,
    1,
];

/// Where the rest of the trailer lies behind the lengths.
const TIMESTAMP_AT: usize = PARTS * 8;
const NUMBER_AT: usize = TIMESTAMP_AT + 8;
const ID_KEY_AT: usize = NUMBER_AT + 8;
const VARYING_AT: usize = ID_KEY_AT + 16;
const FLAGS_AT: usize = VARYING_AT + 2;
const VERSION_AT: usize = FLAGS_AT + 2;
const TRAILER_BYTES: usize = VERSION_AT + 4;

/// Flag of the trailer: at least one record does not use the envelope.
const ANY_DETACHED: u16 = 1;

/// Name of a field whose id the batch does not know; it reads as the empty name.
const NO_NAME: u32 = u32::MAX;

/// Bytes of the envelope before its texts: what is set, severity, pid and five lengths.
const ENVELOPE_BYTES: usize = 32;
/// Bits for the texts that an envelope may lack, in their order.
const ENVELOPE_TEXTS: [u32; 4] = [1, 2, 4, 8];
const ENVELOPE_SEVERITY: u32 = 16;
const ENVELOPE_PID: u32 = 32;
const ENVELOPE_ALL: u32 = 63;

impl Batch {
    /// Appends all that follows the raw bytes in the stored form of the batch; [`raw`](Self::raw) comes before it.
    ///
    /// [`from_stored`](Self::from_stored) reads both together.
    pub fn write_stored(&self, out: &mut Vec<u8>) {
        let store = &self.store;
        let used_names = store.used_global_names();
        let name_table = used_names.clone().map(|name| 4 + name.len()).sum::<usize>();
        let envelope = envelope_bytes(&store.envelope);
        let lengths: [usize; PARTS] = [
            store.raw.len(),
            store.made.len(),
            store.records.len(),
            store.fields.len(),
            store.values.len(),
            store.headers.len(),
            store.local_names.len(),
            store.used_names.len(),
            name_table,
            store.id_indexes.len(),
            envelope,
        ];
        let bytes = lengths.iter().zip(ENTRY_BYTES).map(|(length, entry)| length * entry);
        out.reserve(bytes.skip(1).sum::<usize>() + TRAILER_BYTES);
        out.extend_from_slice(&store.made);
        extend(out, &store.records, record_entry);
        extend(out, &store.fields, |entry| field_entry(store, entry));
        extend(out, &store.values, |value| value.to_le_bytes());
        extend(out, &store.headers, headers_entry);
        extend(out, &store.local_names, |name| name.to_bits().to_le_bytes());
        extend(out, &store.used_names, |word| word.to_le_bytes());
        used_names.clone().for_each(|name| put_length(out, name));
        used_names.for_each(|name| out.extend_from_slice(name));
        extend(out, &store.id_indexes, |index| index.to_le_bytes());
        write_envelope(&store.envelope, out);
        out.extend_from_slice(&trailer(store, &lengths));
    }
}

impl Store {
    /// The global names in use, in the order of their ids.
    fn used_global_names(&self) -> impl Iterator<Item = &[u8]> + Clone {
        bits(&self.used_names).map(|index| self.names.name(crate::NameId::global(index)))
    }

    /// The name of a field as it is stored.
    fn stored_name(&self, name: crate::NameId) -> u32 {
        let known = if name.is_global() {
            let word = self.used_names.get(name.index() / 64);
            word.is_some_and(|word| word >> (name.index() % 64) & 1 == 1)
        } else {
            name.index() < self.local_names.len()
        };
        if known { name.to_bits() } else { NO_NAME }
    }
}

/// Places of the bits set in `words`.
fn bits(words: &[u64]) -> impl Iterator<Item = usize> + Clone {
    words.iter().enumerate().flat_map(|(place, &word)| {
        let set = (0..64).filter(move |bit| word >> bit & 1 == 1);
        set.map(move |bit| place * 64 + bit)
    })
}

/// Appends an array, each entry of `N` bytes.
fn extend<T, const N: usize>(out: &mut Vec<u8>, entries: &[T], encode: impl Fn(&T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + entries.len() * N, 0);
    let (places, _) = out[start..].as_chunks_mut::<N>();
    for (place, entry) in places.iter_mut().zip(entries) {
        *place = encode(entry);
    }
}

/// Puts `bytes` at `at`; both are constants where it is called.
#[inline(always)]
fn put<const N: usize, const M: usize>(entry: &mut [u8; N], at: usize, bytes: [u8; M]) {
    entry[at..at + M].copy_from_slice(&bytes);
}

fn record_entry(record: &RecordEntry) -> [u8; RECORD_BYTES] {
    let mut entry = [0; RECORD_BYTES];
    put(&mut entry, 0, record.timestamp.to_le_bytes());
    put(&mut entry, 8, record.payload.to_bits().to_le_bytes());
    put(&mut entry, 16, record.wire.to_bits().to_le_bytes());
    put(&mut entry, 24, record.fields_start.to_le_bytes());
    put(&mut entry, 28, record.fields_end.to_le_bytes());
    put(&mut entry, 32, record.headers.to_le_bytes());
    put(&mut entry, 36, record.severity.to_le_bytes());
    put(&mut entry, 40, record.pid.to_le_bytes());
    put(&mut entry, 44, record.own.to_bits().to_le_bytes());
    put(&mut entry, 46, [u8::from(record.detached), record.loops]);
    entry
}

fn field_entry(store: &Store, field: &FieldEntry) -> [u8; FIELD_BYTES] {
    let mut entry = [0; FIELD_BYTES];
    put(&mut entry, 0, store.stored_name(field.name).to_le_bytes());
    put(&mut entry, 4, field.count.to_le_bytes());
    put(&mut entry, 8, field.representation.to_bits().to_le_bytes());
    put(&mut entry, 16, field.value.to_le_bytes());
    put(&mut entry, 24, u32::from(field.value_type as u8).to_le_bytes());
    entry
}

fn headers_entry(headers: &Headers) -> [u8; HEADERS_BYTES] {
    let mut entry = [0; HEADERS_BYTES];
    put(&mut entry, 0, headers.uuid.to_bits().to_le_bytes());
    put(&mut entry, 8, headers.message_type.to_bits().to_le_bytes());
    put(&mut entry, 16, headers.logger.to_bits().to_le_bytes());
    put(&mut entry, 24, headers.hostname.to_bits().to_le_bytes());
    put(&mut entry, 32, headers.env_version.to_bits().to_le_bytes());
    put(&mut entry, 40, headers.signer.to_bits().to_le_bytes());
    entry
}

/// The texts of an envelope that may be missing.
fn envelope_texts(envelope: &Envelope) -> [Option<&[u8]>; ENVELOPE_TEXTS.len()] {
    [
        envelope.message_type.as_deref(),
        envelope.logger.as_deref(),
        envelope.hostname.as_deref(),
        envelope.env_version.as_deref(),
    ]
}

fn envelope_bytes(envelope: &Envelope) -> usize {
    let texts = envelope_texts(envelope).into_iter().flatten().map(<[u8]>::len).sum::<usize>();
    ENVELOPE_BYTES + envelope.source.len() + texts
}

fn write_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    let texts = envelope_texts(envelope);
    let mut set = 0;
    for (text, bit) in texts.iter().zip(ENVELOPE_TEXTS) {
        set |= if text.is_some() { bit } else { 0 };
    }
    set |= envelope.severity.map_or(0, |_| ENVELOPE_SEVERITY);
    set |= envelope.pid.map_or(0, |_| ENVELOPE_PID);
    out.extend_from_slice(&set.to_le_bytes());
    out.extend_from_slice(&envelope.severity.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&envelope.pid.unwrap_or(0).to_le_bytes());
    put_length(out, envelope.source.as_bytes());
    texts.iter().for_each(|text| put_length(out, text.unwrap_or(&[])));
    out.extend_from_slice(envelope.source.as_bytes());
    texts.into_iter().flatten().for_each(|text| out.extend_from_slice(text));
}

/// Appends a length of 32 bits: names and texts of envelopes come from the configuration or a connection.
fn put_length(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
}

fn trailer(store: &Store, lengths: &[usize; PARTS]) -> [u8; TRAILER_BYTES] {
    let mut trailer = [0; TRAILER_BYTES];
    for (part, &length) in lengths.iter().enumerate() {
        put(&mut trailer, part * 8, (length as u64).to_le_bytes());
    }
    put(&mut trailer, TIMESTAMP_AT, store.timestamp.to_le_bytes());
    put(&mut trailer, NUMBER_AT, store.number.to_le_bytes());
    put(&mut trailer, ID_KEY_AT, store.id_key[0].to_le_bytes());
    put(&mut trailer, ID_KEY_AT + 8, store.id_key[1].to_le_bytes());
    put(&mut trailer, VARYING_AT, store.varying.to_bits().to_le_bytes());
    let flags = if store.any_detached { ANY_DETACHED } else { 0 };
    put(&mut trailer, FLAGS_AT, flags.to_le_bytes());
    put(&mut trailer, VERSION_AT, VERSION.to_le_bytes());
    trailer
}
