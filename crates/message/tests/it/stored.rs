//! The stored form: what is written reads back the same elsewhere, what is not a stored batch is refused.

use std::sync::Arc;

use heka_message::{
    Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Selection, StoredError, Value, ValueType,
};
use proptest::prelude::*;

use crate::model::{NAMES, check_names, names, plan, shown, shown_batch, some_names, stored};

/// Bytes of the trailer, and where in it things lie.
const TRAILER: usize = 128;
const MADE: usize = 8;
const RECORDS: usize = 16;
const NUMBER: usize = 96;
const ID_KEY: usize = 104;
const FLAGS: usize = 122;
const VERSION: usize = 124;

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Reads everything of whatever was accepted; what was accepted can be stored and read again.
fn walk(bytes: Vec<u8>) {
    let names = names(&[1, 2], 3);
    let Ok(batch) = Batch::from_stored(bytes, &names) else { return };
    check_names(&batch, &names);
    let records: Vec<String> = batch.records().map(|record| shown(&batch, &record)).collect();
    let again = Batch::from_stored(stored(&batch), &names).expect("what was read can be stored");
    assert_eq!(shown_batch(&batch), shown_batch(&again));
    let compact = batch.compact(&Selection::All);
    for other in [&again, &compact] {
        let found: Vec<String> = other.records().map(|record| shown(other, &record)).collect();
        assert_eq!(found, records);
    }
}

proptest! {
    #[test]
    fn a_batch_reads_back_the_same_whatever_names_are_global_there(
        plan in plan(), other in some_names(), before in 0_usize..150,
    ) {
        let batch = plan.build();
        let names = names(&other, before);
        let bytes = stored(&batch);
        let (address, capacity) = (bytes.as_ptr() as usize, bytes.capacity());
        let back = Batch::from_stored(bytes, &names).unwrap();
        prop_assert_eq!(shown_batch(&batch), shown_batch(&back));
        for (left, right) in batch.records().zip(back.records()) {
            prop_assert_eq!(shown(&batch, &left), shown(&back, &right));
            let offsets = (batch.raw_offset(left.payload()), back.raw_offset(right.payload()));
            if !left.payload().is_empty() {
                prop_assert_eq!(offsets.0, offsets.1);
            }
        }
        check_names(&back, &names);
        prop_assert_eq!(back.global_names(), names.len());
        prop_assert_eq!(back.raw().as_ptr() as usize, address, "the raw bytes were copied");
        prop_assert!(back.memory_bytes() > capacity);
    }

    #[test]
    fn flipped_bits_cause_no_panic(
        plan in plan(), flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..8), 1..4),
    ) {
        let mut bytes = stored(&plan.build());
        for (place, bit) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
        }
        walk(bytes);
    }

    #[test]
    fn odd_numbers_at_any_place_cause_no_panic(
        plan in plan(), near_end in any::<bool>(), place in any::<prop::sample::Index>(),
        number in prop_oneof![any::<u64>(), 0_u64..70, Just(u64::MAX), Just(1 << 61), Just(1 << 31)],
        width in prop_oneof![Just(4_usize), Just(8)],
    ) {
        let mut bytes = stored(&plan.build());
        let from = if near_end { bytes.len() - TRAILER } else { 0 };
        let place = from + place.index(bytes.len() - from - width + 1);
        put(&mut bytes, place, &number.to_le_bytes()[..width]);
        walk(bytes);
    }

    #[test]
    fn a_part_of_a_stored_batch_is_none(plan in plan(), cut in any::<prop::sample::Index>(), front in any::<bool>()) {
        let bytes = stored(&plan.build());
        let cut = cut.index(bytes.len());
        let part = if front { bytes[cut + 1..].to_vec() } else { bytes[..cut].to_vec() };
        walk(part.clone());
        prop_assert!(Batch::from_stored(part, &names(&[], 0)).is_err());
    }

    #[test]
    fn any_bytes_before_a_trailer_cause_no_panic(
        body in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..400),
        lengths in prop::array::uniform11(0_u64..4), varying in 0_u16..4096, flags in 0_u16..2,
    ) {
        let entries = [1, 1, 48, 28, 8, 48, 8, 8, 1, 4, 1];
        let used: u64 = lengths.iter().zip(entries).map(|(count, entry)| count * entry).sum();
        let mut body = body;
        body.resize(used as usize, 0);
        lengths.iter().for_each(|length| body.extend(length.to_le_bytes()));
        body.extend([7; 32]);
        body.extend(varying.to_le_bytes());
        body.extend(flags.to_le_bytes());
        body.extend(1_u32.to_le_bytes());
        walk(body);
    }
}

/// A batch of one record with one field, and where its parts lie.
fn small() -> (Vec<u8>, usize) {
    let registry = NameRegistry::new();
    ["x", "y", "status"].iter().for_each(|name| _ = registry.intern(name.as_bytes()));
    let raw = Buffer::from(b"rawbytes".to_vec());
    let envelope = Arc::new(Envelope::new("in").pid(-2));
    let mut builder = BatchBuilder::new(registry.snapshot(), envelope, raw.clone(), 0x0102);
    let mut record = builder.record();
    let (global, local) = (record.name_id(b"status"), record.name_id(b"local"));
    record.payload(&raw[3..]).hostname("h").severity(-1).pid(5).loops(9).timestamp(-2);
    record.field_with(global, b"B", Value::Int(-3));
    record.empty_field(local, b"", ValueType::Bytes);
    record.push_value(Value::Bytes(&raw[..1])).unwrap();
    record.push_value(Value::Bytes(b"zz")).unwrap();
    record.commit().unwrap();
    let bytes = stored(&builder.finish());
    let trailer = bytes.len() - TRAILER;
    (bytes, trailer)
}

/// A change of these bytes makes logs of earlier builds unreadable: it needs a new layout version.
#[test]
fn the_layout_is_the_documented_one() {
    let (bytes, trailer) = small();
    let mut expected = Vec::new();
    let mut push = |bytes: &[u8]| expected.extend_from_slice(bytes);
    push(b"rawbytes");
    push(b"localhBzz");
    push(&(-2_i64).to_le_bytes()); // timestamp
    push(b"\x05\0\0\0\x03\0\0\0"); // payload: 5 raw bytes at 3
    push(&[0; 8]); // wire
    push(b"\0\0\0\0\x02\0\0\0"); // fields 0..2
    push(b"\x01\0\0\0\xff\xff\xff\xff\x05\0\0\0"); // headers, severity, pid
    push(b"\xb2\x01\0\x09"); // own: timestamp, severity, payload, pid, hostname; not detached; loops
    push(b"\x02\0\0\0\x01\0\0\0"); // field: global id 2, one value
    push(b"\x01\0\0\0\x06\0\0\x80"); // representation: one made byte at 6
    push(&(-3_i64).to_le_bytes());
    push(b"\x02\0\0\0"); // integer
    push(b"\0\0\0\x80\x02\0\0\0"); // field: local id 0, two values
    push(&[0; 8]);
    push(&[0; 8]); // from values[0]
    push(b"\x01\0\0\0"); // bytes
    push(b"\x01\0\0\0\0\0\0\0"); // values: one raw byte at 0
    push(b"\x02\0\0\0\x07\0\0\x80"); // two made bytes at 7
    push(&[0; 24]); // headers: uuid, type, logger
    push(b"\x01\0\0\0\x05\0\0\x80"); // hostname
    push(&[0; 16]); // version, signer
    push(b"\x05\0\0\0\0\0\0\x80"); // local name: five made bytes at 0
    push(&[4, 0, 0, 0, 0, 0, 0, 0]); // global id 2 is in use
    push(b"\x06\0\0\0status");
    push(b"\x22\0\0\0\0\0\0\0\xfe\xff\xff\xff"); // envelope: logger, pid
    push(b"\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0inin");
    assert_eq!(expected.len(), trailer);
    for length in [8_u64, 9, 1, 2, 2, 1, 1, 1, 10, 0, 36] {
        expected.extend(length.to_le_bytes());
    }
    expected.extend(0x0102_u64.to_le_bytes());
    expected.extend(&bytes[trailer + 96..trailer + 120]); // number and key of this process
    expected.extend(b"\xb2\x03\0\0\x01\0\0\0"); // varying: with fields; flags; version
    assert_eq!(bytes, expected);
}

#[test]
fn what_cannot_be_is_refused_with_its_offset() {
    let (good, trailer) = small();
    let (records, fields, values, headers) = (17, 17 + 48, 17 + 48 + 56, 17 + 48 + 56 + 16);
    let (local_names, table) = (headers + 48, headers + 48 + 8 + 8);
    let envelope = table + 10;
    let far = &u32::MAX.to_le_bytes()[..];
    let cases: &[(usize, &[u8], StoredError)] = &[
        (trailer + VERSION, &[2], StoredError::Version { found: 2, newest: 1 }),
        (trailer, &[0xff; 8], StoredError::Lengths { offset: trailer }),
        (trailer + RECORDS + 7, &[0x10], StoredError::Lengths { offset: trailer + RECORDS }),
        (trailer + MADE, &[8], StoredError::Lengths { offset: trailer }),
        (trailer + 80, &[37], StoredError::Lengths { offset: trailer + 80 }),
        (trailer + FLAGS, &[2], StoredError::Flags { offset: trailer + 120 }),
        (trailer + 121, &[0x13], StoredError::Flags { offset: trailer + 120 }),
        (trailer + 121, &[0x01], StoredError::Flags { offset: records }),
        (trailer + 120, &[0x82], StoredError::Flags { offset: records }),
        (records + 8, &[6], StoredError::Span { offset: records }),
        (records + 20, far, StoredError::Span { offset: records }),
        (records + 24, &[3], StoredError::Fields { offset: records }),
        (records + 28, &[3], StoredError::Fields { offset: records }),
        (records + 32, &[2], StoredError::Headers { offset: records }),
        (records + 45, &[0x81], StoredError::Flags { offset: records }),
        (records + 46, &[1], StoredError::Flags { offset: records }),
        (records + 46, &[2], StoredError::Flags { offset: records }),
        (fields, &[1], StoredError::Name { offset: fields }),
        (fields, &[66], StoredError::Name { offset: fields }),
        (fields + 28, &[1], StoredError::Name { offset: fields + 28 }),
        (fields + 8, &[4], StoredError::Span { offset: fields }),
        (fields + 24, &[5], StoredError::ValueType { offset: fields }),
        (fields + 24, &[255], StoredError::ValueType { offset: fields }),
        (fields + 24, &[0], StoredError::Span { offset: fields }),
        (fields + 28 + 4, &[3], StoredError::Values { offset: fields + 28 }),
        (fields + 28 + 16, &[1], StoredError::Values { offset: fields + 28 }),
        (fields + 28 + 16, &[0xff; 8], StoredError::Values { offset: fields + 28 }),
        (values + 8, &[3], StoredError::Span { offset: values + 8 }),
        (headers + 24, &[5], StoredError::Span { offset: headers }),
        (local_names, &[10], StoredError::Span { offset: local_names }),
        (local_names + 8, &[5], StoredError::NameTable { offset: table }),
        (local_names + 8, &[0], StoredError::NameTable { offset: table }),
        (table, &[7], StoredError::NameTable { offset: table }),
        (table, &[5], StoredError::NameTable { offset: table }),
        (envelope, &[0x62], StoredError::Envelope { offset: envelope }),
        (envelope + 12, &[3], StoredError::Envelope { offset: envelope }),
        (envelope + 12, &[1], StoredError::Envelope { offset: envelope }),
        (envelope + 32, &[0xff], StoredError::Envelope { offset: envelope }),
    ];
    let names = names(&[], 0);
    for (at, value, error) in cases {
        let mut bytes = good.clone();
        put(&mut bytes, *at, value);
        let found = Batch::from_stored(bytes, &names).map(|batch| batch.len());
        assert_eq!(found, Err(*error), "{value:?} at {at}");
    }
    let short = Batch::from_stored(good[..127].to_vec(), &names).map(|batch| batch.len());
    assert_eq!(short, Err(StoredError::TooShort { bytes: 127 }));
    assert!(Batch::from_stored(good, &names).is_ok());
    let text = StoredError::Span { offset: 17 }.to_string();
    assert_eq!(text, "bytes outside the arena at offset 17 of a stored batch");
}

/// Else a hostile log could have a few megabytes read as if they were terabytes.
#[test]
fn no_field_or_value_belongs_to_two() {
    let mut builder = BatchBuilder::new(
        NameRegistry::new().snapshot(),
        Arc::new(Envelope::new("in")),
        Buffer::empty(),
        0,
    );
    for _ in 0..2 {
        let mut record = builder.record();
        let name = record.name_id(b"n");
        record.empty_field(name, b"", ValueType::Integer);
        (0..2).for_each(|value| record.push_value(Value::Int(value)).unwrap());
        record.commit().unwrap();
    }
    let good = stored(&builder.finish());
    let names = names(&[], 0);
    let (second, field) = (1 + 48, 1 + 2 * 48 + 28);
    let mut bytes = good.clone();
    bytes[second + 24] = 0;
    let error = Batch::from_stored(bytes, &names).map(|batch| batch.len());
    assert_eq!(error, Err(StoredError::Fields { offset: second }));
    let mut bytes = good.clone();
    bytes[field + 16] = 1;
    let error = Batch::from_stored(bytes, &names).map(|batch| batch.len());
    assert_eq!(error, Err(StoredError::Values { offset: field }));
    assert!(Batch::from_stored(good, &names).is_ok());
}

#[test]
fn derived_ids_come_from_the_stored_key_and_number() {
    let mut builder = BatchBuilder::new(
        NameRegistry::new().snapshot(),
        Arc::new(Envelope::new("in")),
        Buffer::empty(),
        0,
    );
    builder.push_payload(b"one").unwrap();
    let batch = builder.finish();
    let mut bytes = stored(&batch);
    let names = names(&[], 0);
    let uuid = |bytes: &[u8]| {
        Batch::from_stored(bytes.to_vec(), &names).unwrap().record(0).unwrap().uuid()
    };
    assert_eq!(uuid(&bytes), batch.record(0).unwrap().uuid());
    for at in [NUMBER, ID_KEY, ID_KEY + 8] {
        let at = bytes.len() - TRAILER + at;
        bytes[at] ^= 1;
        assert_ne!(uuid(&bytes), batch.record(0).unwrap().uuid(), "as another batch has it");
        bytes[at] ^= 1;
    }
}

#[test]
fn names_that_change_sides_stay_one_name() {
    let local = names(&[], 0);
    let registry = NameRegistry::new();
    let (status, later) = (registry.intern(b"status"), registry.intern(b"x"));
    let all = registry.snapshot();
    let envelope = Arc::new(Envelope::new("in"));
    let mut builder = BatchBuilder::new(Arc::clone(&all), envelope, Buffer::empty(), 0);
    let mut record = builder.record();
    let other = record.name_id(b"other");
    record.field(status, Value::Int(1)).field(other, Value::Int(2)).field(status, Value::Int(3));
    record.commit().unwrap();
    let batch = builder.finish();

    let back = Batch::from_stored(stored(&batch), &local).unwrap();
    let id = back.find_name(b"status").unwrap();
    assert!(!id.is_global());
    let record = back.record(0).unwrap();
    assert_eq!(record.nth_field(id, 1).unwrap().first(), Some(Value::Int(3)));

    let again = Batch::from_stored(stored(&back), &all).unwrap();
    assert_eq!(again.find_name(b"status"), Some(status));
    assert!(again.may_have_field(status) && !again.may_have_field(later));
    assert_eq!(again.find_name(b"x"), None);
    assert_eq!(again.record(0).unwrap().nth_field(status, 1).unwrap().first(), Some(Value::Int(3)));
}

/// Plugins may hold ids that were given out after the batch's snapshot, or in another batch.
#[test]
fn a_field_with_an_unknown_id_reads_back_without_a_name() {
    let registry = NameRegistry::new();
    let before = registry.snapshot();
    let late = registry.intern(NAMES[2]);
    let envelope = Arc::new(Envelope::new("in"));
    let mut builder =
        BatchBuilder::new(Arc::clone(&before), Arc::clone(&envelope), Buffer::empty(), 0);
    let foreign = {
        let mut other = BatchBuilder::new(before, envelope, Buffer::empty(), 0);
        other.name_id(b"foreign")
    };
    let mut record = builder.record();
    record.field(late, Value::Int(1)).field(foreign, Value::Int(2));
    record.commit().unwrap();
    let batch = builder.finish();
    for batch in [&batch, &batch.compact(&Selection::All)] {
        let back = Batch::from_stored(stored(batch), &registry.snapshot()).unwrap();
        let fields: Vec<_> = back.record(0).unwrap().fields().collect();
        assert_eq!(format!("{fields:?}"), "[=[Int(1)], =[Int(2)]]");
        check_names(&back, &registry.snapshot());
    }
}
