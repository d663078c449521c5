//! Random batches, and everything that can be read of a batch.
//!
//! Invariant: what [`shown`] and [`shown_batch`] leave out, no test here compares.

use std::sync::Arc;

use heka_message::{
    Batch, BatchBuilder, Buffer, Envelope, NameRegistry, Names, Record, RecordBuilder, Value,
    ValueType, Variables,
};
use proptest::prelude::*;
use proptest::sample::subsequence;

/// Names of fields; which of them are global is up to the registry.
pub(crate) const NAMES: [&[u8]; 9] =
    [b"", b"a", b"status", b"msg", b"local name", b"\xff\0", b"request", b"remote_addr", b"n"];

/// What a batch has read.
const RAW: &[u8] =
    b"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /apache_pb.gif HTTP/1.0\" 200 2326\n";

pub(crate) const VARIABLES: [Variables; 12] = [
    Variables::UUID,
    Variables::TIMESTAMP,
    Variables::TYPE,
    Variables::LOGGER,
    Variables::SEVERITY,
    Variables::PAYLOAD,
    Variables::ENV_VERSION,
    Variables::PID,
    Variables::HOSTNAME,
    Variables::FIELDS,
    Variables::SIGNER,
    Variables::WIRE,
];

/// Bytes of the raw buffer, or others.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    Raw(usize, usize),
    Made(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Header(u8, Text),
    Timestamp(i64),
    Severity(i32),
    Pid(i32),
    Loops(u8),
    Detach,
    Wire(Text),
    Field { name: usize, value_type: u8, representation: Text, values: Vec<(i64, Text)> },
    Replace(usize, Text),
    Remove(usize),
    ClearFields,
    Emit,
}

#[derive(Debug, Clone)]
pub(crate) enum End {
    Commit,
    Discard,
    Drop,
    PushPayload(Text),
}

/// How to build a batch.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) names: Vec<usize>,
    envelope: Envelope,
    timestamp: i64,
    records: Vec<(Vec<Step>, End)>,
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        (0..RAW.len(), 0_usize..20).prop_map(|(start, len)| Text::Raw(start, len)),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Text::Made),
        prop::collection::vec(any::<u8>(), 16).prop_map(Text::Made),
    ]
}

fn field() -> impl Strategy<Value = Step> {
    let values = prop::collection::vec((any::<i64>(), text()), 0..4);
    (0..NAMES.len(), 0_u8..6, text(), values).prop_map(
        |(name, value_type, representation, values)| Step::Field {
            name,
            value_type,
            representation,
            values,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..7, text()).prop_map(|(header, text)| Step::Header(header, text)),
        1 => any::<i64>().prop_map(Step::Timestamp),
        1 => any::<i32>().prop_map(Step::Severity),
        1 => any::<i32>().prop_map(Step::Pid),
        1 => any::<u8>().prop_map(Step::Loops),
        1 => Just(Step::Detach),
        2 => text().prop_map(Step::Wire),
        6 => field(),
        1 => (0_usize..4, text()).prop_map(|(index, text)| Step::Replace(index, text)),
        1 => (0_usize..4).prop_map(Step::Remove),
        1 => Just(Step::ClearFields),
        1 => Just(Step::Emit),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => Just(End::Commit),
        1 => Just(End::Discard),
        1 => Just(End::Drop),
        2 => text().prop_map(End::PushPayload),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let text = || prop::option::of(prop::collection::vec(any::<u8>(), 0..6));
    let texts = (text(), text(), text(), text());
    let numbers = (prop::option::of(any::<i32>()), prop::option::of(any::<i32>()));
    ("[a-zé ]{0,6}", texts, numbers).prop_map(|(source, texts, (severity, pid))| Envelope {
        source: source.into(),
        message_type: texts.0.map(Into::into),
        logger: texts.1.map(Into::into),
        hostname: texts.2.map(Into::into),
        env_version: texts.3.map(Into::into),
        severity,
        pid,
    })
}

/// Some of the names in any order, by their places.
pub(crate) fn some_names() -> impl Strategy<Value = Vec<usize>> {
    subsequence((0..NAMES.len()).collect::<Vec<_>>(), 0..=NAMES.len()).prop_shuffle()
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let records = prop::collection::vec((prop::collection::vec(step(), 0..8), end()), 0..12);
    (some_names(), envelope(), any::<i64>(), records).prop_map(
        |(names, envelope, timestamp, records)| Plan { names, envelope, timestamp, records },
    )
}

/// A registry's table with these names, behind `before` others.
pub(crate) fn names(places: &[usize], before: usize) -> Arc<Names> {
    let registry = NameRegistry::new();
    (0..before).for_each(|number| _ = registry.intern(format!("other {number}").as_bytes()));
    places.iter().for_each(|&place| _ = registry.intern(NAMES[place]));
    registry.snapshot()
}

impl Text {
    fn bytes<'a>(&'a self, raw: &'a Buffer) -> &'a [u8] {
        match self {
            Self::Raw(start, len) => &raw[*start..(start + len).min(raw.len())],
            Self::Made(bytes) => bytes,
        }
    }
}

impl Plan {
    pub(crate) fn build(&self) -> Batch {
        let envelope = Arc::new(self.envelope.clone());
        let raw = Buffer::from(RAW.to_vec());
        let names = names(&self.names, 70);
        let mut builder = BatchBuilder::new(names, envelope, raw.clone(), self.timestamp);
        for (steps, end) in &self.records {
            if let End::PushPayload(text) = end {
                builder.push_payload(text.bytes(&raw)).unwrap();
                continue;
            }
            let mut record = builder.record();
            steps.iter().for_each(|step| step.run(&raw, &mut record));
            match end {
                End::Discard => record.discard(),
                End::Drop => drop(record),
                _ => record.commit().unwrap(),
            }
        }
        builder.finish()
    }
}

impl Step {
    fn run(&self, raw: &Buffer, record: &mut RecordBuilder<'_>) {
        match self {
            Self::Header(header, text) => {
                let text = text.bytes(raw);
                match header {
                    0 => record.uuid(text),
                    1 => record.message_type(text),
                    2 => record.logger(text),
                    3 => record.hostname(text),
                    4 => record.env_version(text),
                    5 => record.signer(text),
                    _ => record.payload(text),
                }
            }
            Self::Timestamp(ns) => record.timestamp(*ns),
            Self::Severity(severity) => record.severity(*severity),
            Self::Pid(pid) => record.pid(*pid),
            Self::Loops(loops) => record.loops(*loops),
            Self::Detach => record.detach(),
            Self::Wire(text) => record.wire(text.bytes(raw)),
            Self::Replace(index, text) => {
                record.replace_field(*index, b"r", Value::Str(text.bytes(raw)))
            }
            Self::Remove(index) => record.remove_field(*index),
            Self::ClearFields => record.clear_fields(),
            Self::Emit => {
                record.emit().unwrap();
                record
            }
            Self::Field { name, value_type, representation, values } => {
                let name = record.name_id(NAMES[*name]);
                let value_type = ValueType::from_wire((*value_type).into());
                record.empty_field(name, representation.bytes(raw), value_type);
                let values = values
                    .iter()
                    .filter_map(|(number, text)| value_of(value_type, *number, text.bytes(raw)));
                values.for_each(|value| record.push_value(value).unwrap());
                record
            }
        };
    }
}

fn value_of(value_type: ValueType, number: i64, text: &[u8]) -> Option<Value<'_>> {
    Some(match value_type {
        ValueType::String => Value::Str(text),
        ValueType::Bytes => Value::Bytes(text),
        ValueType::Integer => Value::Int(number),
        ValueType::Double => Value::Double(f64::from_bits(number as u64)),
        ValueType::Bool => Value::Bool(number % 2 == 0),
        ValueType::Unknown => return None,
    })
}

/// The stored form, raw bytes included.
pub(crate) fn stored(batch: &Batch) -> Vec<u8> {
    let mut bytes = batch.raw().to_vec();
    batch.write_stored(&mut bytes);
    bytes
}

fn shown_value(value: Value<'_>) -> String {
    match value {
        Value::Double(number) => format!("double {:x}", number.to_bits()),
        other => format!("{other:?}"),
    }
}

/// All that can be read of a record but its place and the ids of its names.
pub(crate) fn shown(batch: &Batch, record: &Record<'_>) -> String {
    let fields: Vec<_> = record
        .fields()
        .map(|field| {
            let values: Vec<_> = field.values().map(shown_value).collect();
            assert_eq!(values.len(), field.len());
            (field.name(), field.representation(), field.value_type(), field.len(), values)
        })
        .collect();
    let found: Vec<_> = NAMES
        .iter()
        .map(|name| {
            let id = batch.find_name(name);
            let nth = |nth| id.and_then(|id| record.nth_field(id, nth)).is_some();
            let first = id.and_then(|id| record.field(id)).and_then(|field| field.first());
            let named = record.field_named(name).map(|field| field.len());
            (nth(0), nth(1), nth(2), first.map(shown_value), named)
        })
        .collect();
    let headers = [
        record.message_type(),
        record.logger(),
        record.hostname(),
        record.env_version(),
        record.signer(),
        record.payload(),
        record.uuid_bytes(),
    ];
    let numbers = (record.timestamp(), record.severity(), record.pid(), record.loops());
    let set = VARIABLES.map(|variable| record.is_set(variable));
    format!(
        "{headers:?} {numbers:?} {set:?} {:?} {:?} {:?} {fields:?} {found:?}",
        record.uuid(),
        record.wire(),
        record.source()
    )
}

/// All that can be read of a batch beside its records.
pub(crate) fn shown_batch(batch: &Batch) -> String {
    let uniform = VARIABLES.map(|variable| batch.uniform().contains(variable));
    let numbers = (batch.len(), batch.is_empty(), batch.timestamp(), batch.number());
    let found = NAMES.map(|name| batch.find_name(name).is_some());
    format!("{numbers:?} {:?} {uniform:?} {found:?} {:?}", batch.envelope(), &batch.raw()[..])
}

/// Fails if a name is not found under the id that a field has, or is local though `names` has it.
pub(crate) fn check_names(batch: &Batch, names: &Names) {
    for field in batch.records().flat_map(|record| record.fields()) {
        let id = field.name_id();
        assert_eq!(batch.find_name(field.name()), Some(id));
        assert_eq!(names.find(field.name()), id.is_global().then_some(id));
        assert!(batch.may_have_field(id));
        assert_eq!(batch.name(id), field.name());
    }
}
