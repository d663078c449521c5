//! What the fuzz targets share: chunks of a stream, decoders and splitters run as a feed runs them.
//!
//! Here: driving code under test and what must hold for all of a kind. Not here: a target (`fuzz_targets/`).
//! Invariant: all depends on the input bytes only, so that a crash comes again from its file.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Record, Value, Variables};
use heka_plugin::{
    Decode, DecodeError, Decoder, Frames, MakeDecoder, Reload, Scan, Splitter, StartContext, StartError,
};
use heka_stream::{ManualClock, MemoryStorage};

/// Time of the clock: 2014-02-10 12:00 in UTC.
pub const NOW_NS: i64 = 1_392_033_600_000_000_000;

/// Longest message, in the context of plugins.
const MESSAGE_BYTES_MAX: usize = 65_536;

/// Takes the first byte as a choice; without one it is 0.
#[must_use]
pub fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(&first, rest)| (first, rest))
}

/// The text before the first NUL byte, and all bytes behind it; `None` if the first is not UTF-8.
#[must_use]
pub fn text_and_rest(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let rest = data.get(end + 1..).unwrap_or(&[]);
    std::str::from_utf8(&data[..end]).ok().map(|text| (text, rest))
}

/// Cuts a stream into chunks; which ones depends on `seed` alone.
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    rest: &'a [u8],
    state: u32,
    max: usize,
}

impl<'a> Chunks<'a> {
    /// Chunks of one byte for seed 0, else of one byte to as many as its lower bits say.
    #[must_use]
    pub fn new(seed: u8, data: &'a [u8]) -> Self {
        Self { rest: data, state: u32::from(seed), max: 1 + usize::from(seed & 0x3f) }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = 1 + (self.state >> 16) as usize % self.max;
        let (chunk, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        Some(chunk)
    }
}

/// Makes no decoder.
struct NoDecoders;

impl MakeDecoder for NoDecoders {
    fn make_decoder(&self, name: &str, _: &StartContext) -> Result<Box<dyn Decoder>, StartError> {
        Err(StartError::new(format!("there is no decoder {name}")))
    }
}

/// What plugins are started with: nothing of the machine.
#[must_use]
pub fn context(names: Arc<NameRegistry>) -> StartContext {
    StartContext {
        name: "fuzzed".into(),
        names,
        hostname: "host".into(),
        pid: 1,
        base_dir: Path::new("/nonexistent").into(),
        share_dir: Path::new("/nonexistent").into(),
        max_message_size: MESSAGE_BYTES_MAX,
        log_flags: 0,
        clock: Arc::new(ManualClock::new(NOW_NS)),
        storage: Arc::new(MemoryStorage::default()),
        decoders: Arc::new(NoDecoders),
        log: None,
        letters: None,
        reload: Reload::default(),
        filters: None,
    }
}

/// The envelope of decoded records.
fn envelope() -> Arc<Envelope> {
    static ENVELOPE: OnceLock<Arc<Envelope>> = OnceLock::new();
    Arc::clone(ENVELOPE.get_or_init(|| Arc::new(Envelope::new("fuzzed"))))
}

/// An empty batch whose input buffer holds `data`.
#[must_use]
pub fn builder(names: &NameRegistry, data: &[u8]) -> BatchBuilder {
    BatchBuilder::new(names.snapshot(), envelope(), Buffer::from(data.to_vec()), NOW_NS)
}

/// Decodes a payload as a feed does and checks what holds for all decoders.
///
/// # Errors
/// If the decoder refuses it; that nothing of it is left was checked.
pub fn decode(
    decoder: &mut dyn Decoder,
    names: &NameRegistry,
    data: &[u8],
) -> Result<Batch, DecodeError> {
    let mut builder = builder(names, data);
    let raw = builder.raw().clone();
    let mut record = builder.record();
    record.payload(&raw[..]);
    match decoder.decode(&raw, &mut record) {
        Ok(Decode::Done) => record.commit().expect("a small record fits"),
        Ok(Decode::Discard) => record.discard(),
        Err(error) => {
            drop(record);
            assert!(builder.is_empty(), "an error left records behind");
            assert!(error.offset().is_none_or(|at| at <= data.len()), "no such byte: {error}");
            assert!(!error.to_string().is_empty());
            return Err(error);
        }
    }
    let batch = builder.finish();
    batch.records().for_each(|record| read_all(&record));
    Ok(batch)
}

/// Reads everything of a record.
pub fn read_all(record: &Record<'_>) {
    let headers = [
        record.uuid_bytes(),
        record.message_type(),
        record.logger(),
        record.payload(),
        record.env_version(),
        record.hostname(),
        record.signer(),
    ];
    let headers: usize = headers.iter().map(|header| header.len()).sum();
    let mut values = record.severity() as usize ^ record.pid() as usize ^ headers;
    for field in record.fields() {
        assert_eq!(field.values().count(), field.len());
        values ^= field.name().len() ^ field.representation().len();
        values ^= field.values().filter_map(Value::as_bytes).map(<[u8]>::len).sum::<usize>();
    }
    std::hint::black_box(values);
}

/// All variables of a message that travel on the wire.
const VARIABLES: [Variables; 9] = [
    Variables::UUID,
    Variables::TIMESTAMP,
    Variables::TYPE,
    Variables::LOGGER,
    Variables::SEVERITY,
    Variables::PAYLOAD,
    Variables::ENV_VERSION,
    Variables::PID,
    Variables::HOSTNAME,
];

/// Fails unless two messages are equal but for ids that they did not set; NaN is equal to itself.
pub fn assert_same(left: &Record<'_>, right: &Record<'_>) {
    for variable in VARIABLES {
        assert_eq!(left.is_set(variable), right.is_set(variable), "{variable:?}");
    }
    assert_eq!(left.uuid_bytes(), right.uuid_bytes());
    assert_eq!(left.timestamp(), right.timestamp());
    assert_eq!(left.message_type(), right.message_type());
    assert_eq!(left.logger(), right.logger());
    assert_eq!(left.severity(), right.severity());
    assert_eq!(left.payload(), right.payload());
    assert_eq!(left.env_version(), right.env_version());
    assert_eq!(left.pid(), right.pid());
    assert_eq!(left.hostname(), right.hostname());
    assert_eq!(left.field_count(), right.field_count());
    for (left, right) in left.fields().zip(right.fields()) {
        assert_eq!(left.name(), right.name());
        assert_eq!(left.representation(), right.representation());
        assert_eq!(left.value_type(), right.value_type());
        assert_eq!(left.len(), right.len());
        for (left, right) in left.values().zip(right.values()) {
            match (left, right) {
                (Value::Double(left), Value::Double(right)) => {
                    assert_eq!(left.to_bits(), right.to_bits());
                }
                _ => assert_eq!(left, right),
            }
        }
    }
}

/// A record of a stream: the offset of its first byte, its bytes, its signer.
pub type Found = (usize, Vec<u8>, Vec<u8>);

/// The records that `splitter` finds in a stream that comes in these chunks, the unfinished rest included, and the bytes
/// that it passed over.
///
/// `seen_again`: all of what it left over is presented to it as not seen yet, as a feed does that moved it.
pub fn split<'a>(
    splitter: &mut dyn Splitter,
    chunks: impl Iterator<Item = &'a [u8]>,
    seen_again: bool,
) -> (Vec<Found>, u64) {
    let (mut pending, mut offset, mut seen) = (Vec::new(), 0, 0);
    let (mut found, mut skipped) = (Vec::new(), 0);
    let mut frames = Frames::default();
    for chunk in chunks {
        pending.extend_from_slice(chunk);
        frames.clear();
        let consumed = splitter.split(&pending, Scan { seen }, &mut frames);
        assert!(consumed <= pending.len(), "done with bytes that are not there");
        add(splitter, &frames, &pending, consumed, offset, &mut found);
        skipped += frames.skipped_bytes;
        pending.drain(..consumed);
        offset += consumed;
        seen = if consumed > 0 && seen_again { 0 } else { pending.len() };
    }
    frames.clear();
    splitter.finish(&pending, true, &mut frames);
    add(splitter, &frames, &pending, pending.len(), offset, &mut found);
    skipped += frames.skipped_bytes;
    splitter.reset();
    (found, skipped)
}

/// Adds the records of one buffer; they must lie one behind the other in what the splitter is done with.
fn add(
    splitter: &dyn Splitter,
    frames: &Frames,
    data: &[u8],
    consumed: usize,
    offset: usize,
    found: &mut Vec<Found>,
) {
    let mut end = 0;
    for frame in frames.list() {
        let range = frame.range();
        assert!(range.start >= end && range.end <= consumed, "a record out of place: {range:?}");
        end = range.end;
        let signer = splitter.signer(frame.signer).to_vec();
        found.push((offset + range.start, data[range].to_vec(), signer));
    }
}

/// Fails unless a splitter finds the same records whatever the chunks are; it is to be in its first state.
pub fn assert_chunks_do_not_matter(splitter: &mut dyn Splitter, seed: u8, data: &[u8]) {
    let whole = split(splitter, std::iter::once(data), false);
    for seen_again in [false, true] {
        let chunked = split(splitter, Chunks::new(seed, data), seen_again);
        assert_eq!(whole, chunked, "whole and in chunks, seen again: {seen_again}");
    }
}

/// Fails unless a decoder made the same of the same bytes twice: what it remembers must change nothing.
pub fn assert_same_outcome(first: &Result<Batch, String>, second: &Result<Batch, String>) {
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.len(), second.len());
            for (first, second) in first.records().zip(second.records()) {
                assert_same(&first, &second);
            }
        }
        (Err(first), Err(second)) => assert_eq!(first, second),
        (first, second) => panic!("first {first:?}, then {second:?}"),
    }
}
