//! The messages that the cases are about.

use std::sync::Arc;

use heka_matcher::{Evaluation, Matcher, MatcherSet};
use heka_message::{
    Batch, BatchBuilder, Buffer, Envelope, NameRegistry, RecordBuilder, Selection, Value, ValueType,
};

/// A builder of batches without anything in common but what `envelope` says.
pub(crate) fn builder(registry: &NameRegistry, envelope: Envelope) -> BatchBuilder {
    BatchBuilder::new(registry.snapshot(), Arc::new(envelope), Buffer::from(Vec::new()), 77)
}

/// Batches of one message each: A, full of fields, and E, empty.
pub(crate) fn a_and_e(registry: &NameRegistry) -> [Batch; 2] {
    let mut with_a = builder(registry, Envelope::default());
    let mut record = with_a.record();
    fill_a(&mut record);
    record.commit().unwrap();
    let mut with_e = builder(registry, Envelope::default());
    let mut record = with_e.record();
    record.detach();
    record.commit().unwrap();
    [with_a.finish(), with_e.finish()]
}

/// Both in one batch, so that nothing is uniform.
pub(crate) fn a_with_e(registry: &NameRegistry) -> Batch {
    let mut builder = builder(registry, Envelope::default());
    let mut record = builder.record();
    fill_a(&mut record);
    record.commit().unwrap();
    let mut record = builder.record();
    record.detach();
    record.commit().unwrap();
    builder.finish()
}

fn fill_a(record: &mut RecordBuilder<'_>) {
    record.detach();
    let uuid = [
        0x8e, 0x41, 0x4f, 0x01, 0x9d, 0x7f, 0x4a, 0x48, 0xa5, 0xe1, 0xae, 0x92, 0xe5, 0x95, 0x4d,
        0xf5,
    ];
    record.uuid(&uuid).timestamp(1_416_840_893_000_000_000).message_type("TEST").logger("GoSpec");
    record.severity(6).payload("Test Payload").env_version("0.8").pid(1234);
    record.hostname("host.example.com");
    let integers = |record: &mut RecordBuilder<'_>, name: &str, values: &[i64]| {
        let id = record.name_id(name.as_bytes());
        record.empty_field(id, b"", ValueType::Integer);
        values.iter().for_each(|value| record.push_value(Value::Int(*value)).unwrap());
    };
    let text = |record: &mut RecordBuilder<'_>, name: &str, value: &str| {
        let id = record.name_id(name.as_bytes());
        record.field(id, Value::from(value));
    };
    text(record, "foo", "bar");
    integers(record, "number", &[64]);
    let id = record.name_id(b"bytes");
    record.field(id, Value::Bytes(b"data"));
    integers(record, "int", &[999, 1024]);
    let id = record.name_id(b"double");
    record.field(id, Value::Double(99.9));
    let id = record.name_id(b"bool");
    record.field(id, Value::Bool(true)).push_value(Value::Bool(false)).unwrap();
    text(record, "foo", "alternate");
    text(record, "Payload", "name=test;type=web;");
    integers(record, "zero", &[0]);
    text(record, "string", "43");
    text(record, "word", "TRUE");
    text(record, "empty", "");
    text(record, "a b.c[x", "odd");
    integers(record, "big", &[9_007_199_254_740_993]);
    integers(record, "neg", &[-5]);
    integers(record, "novals", &[]);
    text(record, "multi", "line1\nline2");
    text(record, "quote", "it's");
    text(record, "bs", r"a\b");
    text(record, "slash", "a/b");
}

/// Parses an expression that must be one.
pub(crate) fn matcher(text: &str) -> Matcher {
    match Matcher::parse(text) {
        Ok((matcher, _)) => matcher,
        Err(error) => panic!("{text}: {error}"),
    }
}

/// What single matchers say about a batch.
pub(crate) fn direct(matchers: &[Matcher], batch: &Batch) -> Vec<Vec<usize>> {
    let of_matcher = |matcher: &Matcher| {
        let records = batch.records().filter(|record| matcher.matches(record));
        records.map(|record| record.index()).collect()
    };
    matchers.iter().map(of_matcher).collect()
}

/// What their set says.
pub(crate) fn selected(
    set: &MatcherSet,
    evaluation: &mut Evaluation,
    batch: &Batch,
) -> Vec<Vec<usize>> {
    set.evaluate(batch, evaluation);
    let mut listed = evaluation.selected().to_vec();
    listed.sort_unstable();
    let some = (0_u32..).zip(evaluation.selections()).filter(|(_, selection)| !selection.is_none());
    assert_eq!(listed, some.map(|(number, _)| number).collect::<Vec<_>>());
    let lists = evaluation.selections().iter().map(|selection| {
        assert!(
            batch.is_empty()
                || !matches!(selection, Selection::Bits(bits) if selection.count(batch.len())
                == batch.len() || bits.iter().all(|word| *word == 0)),
            "all and none have forms of their own"
        );
        selection.iter(batch.len()).collect()
    });
    lists.collect()
}
