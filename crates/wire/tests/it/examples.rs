//! Messages byte for byte as the original writes them.

use heka_message::{RecordBuilder, Uuid, Value, ValueType, Variables};

use crate::support::{decoded, encoded, encoded_anew, hex, made};

pub(crate) const TEST_MESSAGE: &str = "10 80 c4 8c 94 91 a9 e8 d4 13 1a 04 54 45 53 54";

pub(crate) const FULL_MESSAGE: &str = "
    0a 10 8e 41 4f 01 9d 7f 4a 48 a5 e1 ae 92 e5 95 4d f5
    10 80 c4 8c 94 91 a9 e8 d4 13
    1a 04 54 45 53 54
    22 06 47 6f 53 70 65 63
    28 06
    32 0c 54 65 73 74 20 50 61 79 6c 6f 61 64
    3a 03 30 2e 38
    40 d2 09
    4a 10 68 6f 73 74 2e 65 78 61 6d 70 6c 65 2e 63 6f 6d
    52 0e 0a 03 66 6f 6f 10 00 1a 00 22 03 62 61 72
    52 1c 0a 03 69 6e 74 10 02 1a 05 63 6f 75 6e 74 32 0c e7 07 ff ff ff ff ff ff ff ff ff 01
    52 13 0a 03 64 62 6c 10 03 1a 00 3a 08 9a 99 99 99 99 f9 58 40
    52 0c 0a 02 6f 6b 10 04 1a 00 42 02 01 00
    52 0d 0a 03 72 61 77 10 01 1a 00 2a 02 00 ff";

fn fill_full(record: &mut RecordBuilder<'_>) {
    let uuid = Uuid::parse(b"8e414f01-9d7f-4a48-a5e1-ae92e5954df5").unwrap();
    record.uuid(&uuid.0).timestamp(1_416_840_893_000_000_000).message_type("TEST");
    record.logger("GoSpec").severity(6).payload("Test Payload").env_version("0.8");
    record.pid(1234).hostname("host.example.com");
    let names = [&b"foo"[..], b"int", b"dbl", b"ok", b"raw"].map(|name| record.name_id(name));
    record.field(names[0], Value::Str(b"bar"));
    record.empty_field(names[1], b"count", ValueType::Integer);
    record.push_value(Value::Int(999)).unwrap();
    record.push_value(Value::Int(-1)).unwrap();
    record.field(names[2], Value::Double(99.9)).field(names[3], Value::Bool(true));
    record.push_value(Value::Bool(false)).unwrap();
    record.field(names[4], Value::Bytes(b"\0\xff"));
}

#[test]
fn a_message_of_type_and_time_stamp_is_written_as_heka_writes_it() {
    let batch = made(|record| {
        record.message_type("TEST").timestamp(1_416_840_893_000_000_000);
    });
    assert_eq!(encoded(&batch), hex(TEST_MESSAGE));
    let read = decoded(&hex(TEST_MESSAGE)).unwrap();
    let record = read.record(0).unwrap();
    assert_eq!(
        (record.message_type(), record.timestamp(), record.uuid()),
        (&b"TEST"[..], 1_416_840_893_000_000_000, None)
    );
    assert_eq!((record.hostname(), record.logger()), (&b""[..], &b""[..]), "no envelope");
}

#[test]
fn a_full_message_is_written_as_heka_writes_it() {
    let bytes = hex(FULL_MESSAGE);
    assert_eq!(bytes.len(), 180);
    assert_eq!(encoded(&made(fill_full)), bytes);
}

#[test]
fn a_full_message_is_read_as_heka_reads_it() {
    let read = decoded(&hex(FULL_MESSAGE)).unwrap();
    let record = read.record(0).unwrap();
    assert_eq!(record.uuid().unwrap().to_string(), "8e414f01-9d7f-4a48-a5e1-ae92e5954df5");
    assert_eq!((record.severity(), record.pid()), (6, 1234));
    assert_eq!((record.payload(), record.env_version()), (&b"Test Payload"[..], &b"0.8"[..]));
    assert_eq!((record.logger(), record.hostname()), (&b"GoSpec"[..], &b"host.example.com"[..]));
    assert_eq!(
        format!("{:?}", record.fields().collect::<Vec<_>>()),
        "[foo=[Str([98, 97, 114])], int=[Int(999), Int(-1)], dbl=[Double(99.9)], \
         ok=[Bool(true), Bool(false)], raw=[Bytes([0, 255])]]"
    );
    assert_eq!(record.field_named(b"int").unwrap().representation(), b"count");
    assert_eq!(read.raw_offset(record.payload()), Some(46), "the payload was not copied");
    assert_eq!(encoded_anew(&read), hex(FULL_MESSAGE));
}

#[test]
fn negative_int32_take_five_bytes() {
    let batch = made(|record| {
        record.severity(-1).pid(-2);
    });
    assert_eq!(encoded(&batch), hex("28 ff ff ff ff 0f 40 fe ff ff ff 0f"));
    for bytes in [
        "28 ff ff ff ff 0f 40 fe ff ff ff 0f",
        "28 ff ff ff ff ff ff ff ff ff 01 40 fe ff ff ff ff ff ff ff ff 01",
    ] {
        let read = decoded(&hex(bytes)).unwrap();
        let record = read.record(0).unwrap();
        assert_eq!((record.severity(), record.pid()), (-1, -2), "{bytes}");
    }
}

#[test]
fn what_was_set_is_written_even_if_empty_and_what_was_not_is_not() {
    let batch = made(|record| {
        record.payload("").severity(0).pid(0).message_type("").timestamp(0);
        let name = record.name_id(b"");
        record.empty_field(name, b"", ValueType::Integer).field(name, Value::Str(b""));
    });
    let expected =
        "10 00 1a 00 28 00 32 00 40 00 52 06 0a 00 10 02 1a 00 52 08 0a 00 10 00 1a 00 22 00";
    assert_eq!(encoded(&batch), hex(expected));
    assert_eq!(encoded(&made(|_| {})), b"");
}

#[test]
fn a_record_of_an_input_is_written_with_its_envelope_and_a_derived_id() {
    let mut builder = crate::support::builder(b"");
    let mut record = builder.record();
    record.payload("p");
    record.commit().unwrap();
    let batch = builder.finish();
    let read = decoded(&encoded(&batch)).unwrap();
    let (made, read) = (batch.record(0).unwrap(), read.record(0).unwrap());
    assert_eq!(read.uuid(), made.uuid());
    assert!(read.uuid().is_some());
    assert_eq!((read.timestamp(), read.payload()), (77, &b"p"[..]));
    assert_eq!(
        (read.message_type(), read.logger(), read.hostname()),
        (&b"kind"[..], &b"in"[..], &b"host"[..])
    );
    assert!(!read.is_set(Variables::SEVERITY) && !read.is_set(Variables::PID));
}

#[test]
fn an_untouched_message_is_passed_on_byte_for_byte() {
    // Odd order, an unknown member, a second type.
    let bytes = hex("1a 01 61 f8 01 05 10 07 1a 01 62 fa 01 01 2a");
    let read = decoded(&bytes).unwrap();
    assert_eq!(encoded(&read), bytes);
    assert_eq!(encoded_anew(&read), hex("10 07 1a 01 62"), "a changed one is written anew");
}
