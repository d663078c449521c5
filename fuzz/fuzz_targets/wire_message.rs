//! Encoded messages: what is decoded can be encoded and comes back the same.

#![no_main]

use heka_fuzz::{assert_same, builder, read_all};
use heka_message::{Batch, NameRegistry};
use heka_wire::{MessageDecoder, WireError, decode_message, encode_message};
use libfuzzer_sys::fuzz_target;

/// A message with fields `a` and `b`, so that the decoder under test has names to remember.
const EARLIER: &[u8] = b"\x0a\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x52\x0a\x0a\x01a\x10\0\x1a\0\x22\x01x\x52\x0a\x0a\x01b\x10\0\x1a\0\x22\x01y";

fn decode(
    names: &NameRegistry,
    data: &[u8],
    decoder: Option<&mut MessageDecoder>,
) -> Result<Batch, WireError> {
    let mut builder = builder(names, data);
    let raw = builder.raw().clone();
    let mut record = builder.record();
    match decoder {
        Some(decoder) => decoder.decode(&raw, &mut record)?,
        None => decode_message(&raw, &mut record)?,
    }
    record.commit().expect("a small record fits");
    Ok(builder.finish())
}

fuzz_target!(|data: &[u8]| {
    let names = NameRegistry::new();
    names.intern(b"a");
    let decoded = decode(&names, data, None);

    let mut decoder = MessageDecoder::new();
    decode(&names, EARLIER, Some(&mut decoder)).expect("a good message");
    let again = decode(&names, data, Some(&mut decoder));
    let batch = match (decoded, again) {
        (Ok(batch), Ok(again)) => {
            let (left, right) = (batch.record(0), again.record(0));
            assert_same(&left.expect("one record"), &right.expect("one record"));
            batch
        }
        (Err(left), Err(right)) => return assert_eq!(left.to_string(), right.to_string()),
        (left, right) => panic!("{left:?} but with names remembered {right:?}"),
    };

    let record = batch.record(0).expect("one record");
    read_all(&record);
    let mut bytes = Vec::new();
    encode_message(&record, &mut bytes);
    assert_eq!(bytes, data, "an untouched message keeps its bytes");

    // Removing no field at all makes it a touched one.
    let mut touched = builder(&names, &[]);
    let mut copy = touched.record();
    copy.detach().copy_from(&record);
    copy.remove_field(record.field_count());
    copy.commit().expect("a small record fits");
    let touched = touched.finish();
    let copy = touched.record(0).expect("one record");
    assert!(copy.wire().is_none());
    assert_same(&record, &copy);
    bytes.clear();
    encode_message(&copy, &mut bytes);
    let back = decode(&names, &bytes, None).expect("what was encoded can be decoded");
    assert_same(&record, &back.record(0).expect("one record"));
});
