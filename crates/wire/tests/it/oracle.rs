//! The codec against another implementation of protobuf, both ways.

use heka_message::{Batch, RecordBuilder, Value, ValueType};
use heka_wire::{MessageDecoder, decode_message, encode_message};
use proptest::prelude::*;
use prost::Message as _;

use crate::support::{builder, decoded, encoded, encoded_anew};

/// `Message` of the original's schema; strings as bytes, since it never checked them.
#[derive(Clone, PartialEq, prost::Message)]
struct ProtoMessage {
    #[prost(bytes = "vec", optional, tag = "1")]
    uuid: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "2")]
    timestamp: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    message_type: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    logger: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "5")]
    severity: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "6")]
    payload: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "7")]
    env_version: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "8")]
    pid: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "9")]
    hostname: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "10")]
    fields: Vec<ProtoField>,
}

/// `Field` of the original's schema.
#[derive(Clone, PartialEq, prost::Message)]
struct ProtoField {
    #[prost(bytes = "vec", optional, tag = "1")]
    name: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    value_type: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "3")]
    representation: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    value_string: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    value_bytes: Vec<Vec<u8>>,
    #[prost(int64, repeated, packed = "true", tag = "6")]
    value_integer: Vec<i64>,
    #[prost(double, repeated, packed = "true", tag = "7")]
    value_double: Vec<f64>,
    #[prost(bool, repeated, packed = "true", tag = "8")]
    value_bool: Vec<bool>,
}

fn short_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => proptest::collection::vec(any::<u8>(), 120..140),
        1 => Just(b"known".to_vec()),
    ]
}

fn field_strategy() -> impl Strategy<Value = ProtoField> {
    let values = |size| {
        (
            proptest::collection::vec(short_bytes(), 0..size),
            proptest::collection::vec(short_bytes(), 0..size),
            proptest::collection::vec(any::<i64>(), 0..size * 8),
            proptest::collection::vec(-1e300..1e300_f64, 0..size * 8),
            proptest::collection::vec(any::<bool>(), 0..size),
        )
    };
    (short_bytes(), 0..5_i32, short_bytes(), values(4)).prop_map(
        |(name, value_type, representation, values)| {
            let mut field = ProtoField {
                name: Some(name),
                value_type: Some(value_type),
                representation: Some(representation),
                ..ProtoField::default()
            };
            match value_type {
                0 => field.value_string = values.0,
                1 => field.value_bytes = values.1,
                2 => field.value_integer = values.2,
                3 => field.value_double = values.3,
                _ => field.value_bool = values.4,
            }
            field
        },
    )
}

fn message_strategy() -> impl Strategy<Value = ProtoMessage> {
    let text = || proptest::option::of(short_bytes());
    let texts = (text(), text(), text(), text(), text(), text());
    let numbers = (any::<Option<i64>>(), any::<Option<i32>>(), any::<Option<i32>>());
    (texts, numbers, proptest::collection::vec(field_strategy(), 0..6)).prop_map(
        |(texts, (timestamp, severity, pid), fields)| ProtoMessage {
            uuid: texts.0,
            timestamp,
            message_type: texts.1,
            logger: texts.2,
            severity,
            payload: texts.3,
            env_version: texts.4,
            pid,
            hostname: texts.5,
            fields,
        },
    )
}

/// Makes `record` that message through its setters.
fn fill(message: &ProtoMessage, record: &mut RecordBuilder<'_>) {
    record.detach();
    if let Some(uuid) = &message.uuid {
        record.uuid(uuid);
    }
    if let Some(timestamp) = message.timestamp {
        record.timestamp(timestamp);
    }
    if let Some(message_type) = &message.message_type {
        record.message_type(message_type);
    }
    if let Some(logger) = &message.logger {
        record.logger(logger);
    }
    if let Some(severity) = message.severity {
        record.severity(severity);
    }
    if let Some(payload) = &message.payload {
        record.payload(payload);
    }
    if let Some(env_version) = &message.env_version {
        record.env_version(env_version);
    }
    if let Some(pid) = message.pid {
        record.pid(pid);
    }
    if let Some(hostname) = &message.hostname {
        record.hostname(hostname);
    }
    for field in &message.fields {
        fill_field(field, record);
    }
}

fn fill_field(field: &ProtoField, record: &mut RecordBuilder<'_>) {
    let name = record.name_id(field.name.as_deref().unwrap());
    let value_type = ValueType::from_wire(field.value_type.unwrap() as u64);
    record.empty_field(name, field.representation.as_deref().unwrap(), value_type);
    let strings = field.value_string.iter().map(|text| Value::Str(text));
    let bytes = field.value_bytes.iter().map(|bytes| Value::Bytes(bytes));
    let integers = field.value_integer.iter().map(|&number| Value::Int(number));
    let doubles = field.value_double.iter().map(|&number| Value::Double(number));
    let flags = field.value_bool.iter().map(|&flag| Value::Bool(flag));
    for value in strings.chain(bytes).chain(integers).chain(doubles).chain(flags) {
        record.push_value(value).unwrap();
    }
}

fn made(message: &ProtoMessage) -> Batch {
    let mut builder = builder(b"");
    let mut record = builder.record();
    fill(message, &mut record);
    record.commit().unwrap();
    builder.finish()
}

proptest! {
    #[test]
    fn what_we_write_the_oracle_reads(message in message_strategy()) {
        let bytes = encoded(&made(&message));
        prop_assert_eq!(ProtoMessage::decode(&bytes[..]).unwrap(), message);
    }

    #[test]
    fn what_the_oracle_writes_we_read(message in message_strategy()) {
        let read = decoded(&message.encode_to_vec()).unwrap();
        let anew = encoded_anew(&read);
        prop_assert_eq!(ProtoMessage::decode(&anew[..]).unwrap(), message);
    }

    #[test]
    fn a_message_survives_encoding_and_decoding(message in message_strategy()) {
        let bytes = encoded(&made(&message));
        prop_assert_eq!(encoded_anew(&decoded(&bytes).unwrap()), bytes);
    }

    /// Batches follow each other with other names of their own: a remembered id must never be believed.
    #[test]
    fn a_decoder_with_memory_reads_what_one_without_reads(
        batches in proptest::collection::vec(proptest::collection::vec(message_strategy(), 1..4), 1..4)
    ) {
        let mut decoder = MessageDecoder::new();
        for messages in &batches {
            let mut stream = Vec::new();
            let mut ends = vec![0];
            for message in messages {
                message.encode(&mut stream).unwrap();
                ends.push(stream.len());
            }
            let (mut with, mut without) = (builder(&stream), builder(&stream));
            for end in ends.windows(2) {
                let mut record = with.record();
                let raw = record.raw().clone();
                decoder.decode(&raw[end[0]..end[1]], &mut record).unwrap();
                record.commit().unwrap();
                let mut record = without.record();
                let raw = record.raw().clone();
                decode_message(&raw[end[0]..end[1]], &mut record).unwrap();
                record.commit().unwrap();
            }
            let (with, without) = (with.finish(), without.finish());
            for (left, right) in with.records().zip(without.records()) {
                let (left, right) = (left.fields(), right.fields());
                for (left, right) in left.zip(right) {
                    prop_assert_eq!(format!("{left:?}"), format!("{right:?}"));
                }
            }
        }
    }
}

/// The order of the same few names differs from batch to batch, so their local ids change places.
#[test]
fn remembered_names_do_not_leak_into_the_next_batch() {
    let mut decoder = MessageDecoder::new();
    for names in
        [["a", "b", ""], ["", "a", "b"], ["c", "a", "b"], ["b", "c", "d"], ["known", "d", "a"]]
    {
        let mut builder = builder(b"");
        for _ in 0..2 {
            let mut message = ProtoMessage::default();
            for name in names {
                let name = Some(name.as_bytes().to_vec());
                message.fields.push(ProtoField { name, ..ProtoField::default() });
            }
            let mut record = builder.record();
            decoder.decode(&message.encode_to_vec(), &mut record).unwrap();
            record.commit().unwrap();
        }
        let batch = builder.finish();
        for record in batch.records() {
            let found: Vec<&[u8]> = record.fields().map(|field| field.name()).collect();
            assert_eq!(found, names.map(str::as_bytes));
            let mut out = Vec::new();
            encode_message(&record, &mut out);
            assert_eq!(record.wire(), Some(&out[..]));
        }
    }
}
