//! Batches of one message, and readable bytes.

use std::sync::Arc;

use heka_message::{Batch, BatchBuilder, Buffer, Envelope, NameRegistry, RecordBuilder, Variables};
use heka_wire::{WireError, decode_message, encode_message};

/// Bytes written as hex; spaces and bars are ignored.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|character| character.to_digit(16)).collect();
    assert_eq!(digits.len() % 2, 0, "half a byte in {text}");
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// A builder whose buffer holds `raw`; `known` has a global id.
pub(crate) fn builder(raw: &[u8]) -> BatchBuilder {
    let registry = NameRegistry::new();
    registry.intern(b"known");
    let envelope = Arc::new(Envelope::new("in").message_type("kind").hostname("host"));
    BatchBuilder::new(registry.snapshot(), envelope, Buffer::from(raw.to_vec()), 77)
}

/// The batch of the message that `bytes` are.
pub(crate) fn decoded(bytes: &[u8]) -> Result<Batch, WireError> {
    let mut builder = builder(bytes);
    let raw = builder.raw().clone();
    let mut record = builder.record();
    decode_message(&raw, &mut record)?;
    record.commit()?;
    Ok(builder.finish())
}

/// The batch of the message that `fill` makes out of nothing.
pub(crate) fn made(fill: impl FnOnce(&mut RecordBuilder<'_>)) -> Batch {
    let mut builder = builder(b"");
    let mut record = builder.record();
    record.detach();
    fill(&mut record);
    record.commit().unwrap();
    builder.finish()
}

/// The first message of a batch, encoded.
pub(crate) fn encoded(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    encode_message(&batch.record(0).unwrap(), &mut out);
    out
}

/// The first message encoded from its parts, its wire bytes forgotten.
pub(crate) fn encoded_anew(batch: &Batch) -> Vec<u8> {
    let mut builder = builder(b"");
    let mut record = builder.record();
    let original = batch.record(0).unwrap();
    record.copy_from(&original);
    if original.is_set(Variables::UUID) && original.uuid().is_none() {
        record.uuid(original.uuid_bytes());
    }
    record.loops(0).remove_field(usize::MAX);
    record.commit().unwrap();
    let copy = builder.finish();
    assert!(copy.record(0).unwrap().wire().is_none());
    encoded(&copy)
}
