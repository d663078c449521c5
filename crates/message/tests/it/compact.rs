//! A batch of a few records of another one.

use std::sync::Arc;

use heka_message::{BatchBuilder, Buffer, Envelope, NameRegistry, Selection, Value};
use proptest::prelude::*;

use crate::model::{check_names, names, plan, shown, stored};

fn selection(bits: u64, records: usize) -> Selection {
    let mask = (1_u128 << records.min(64)) - 1;
    Selection::from_bits(&[bits & mask as u64], records)
}

proptest! {
    #[test]
    fn a_compact_batch_has_the_selected_records_and_nothing_else(
        plan in plan(), first in any::<u64>(), second in any::<u64>(),
    ) {
        let batch = plan.build();
        let names = names(&plan.names, 70);
        let selected = selection(first, batch.len());
        let compact = batch.compact(&selected);
        let kept: Vec<String> = selected
            .iter(batch.len())
            .map(|index| shown(&batch, &batch.record(index).unwrap()))
            .collect();
        let found: Vec<String> = compact.records().map(|record| shown(&compact, &record)).collect();
        prop_assert_eq!(&kept, &found);
        check_names(&compact, &names);
        prop_assert!(compact.raw().len() <= batch.raw().len());
        prop_assert_eq!(compact.envelope(), batch.envelope());
        prop_assert_eq!(compact.timestamp(), batch.timestamp());

        let again = selection(second, compact.len());
        let smaller = compact.compact(&again);
        let back = heka_message::Batch::from_stored(stored(&smaller), &names).unwrap();
        for batch in [&smaller, &back] {
            let kept = again.iter(compact.len()).map(|index| found[index].clone());
            let found = batch.records().map(|record| shown(batch, &record));
            prop_assert!(kept.eq(found));
        }
    }
}

#[test]
fn bytes_that_records_share_are_copied_once_and_others_not_at_all() {
    let raw = Buffer::from(b"one key=value\ntwo key=value\nthree key=value\n".to_vec());
    let envelope = Arc::new(Envelope::new("in"));
    let names = NameRegistry::new().snapshot();
    let mut builder = BatchBuilder::new(names, envelope, raw.clone(), 1);
    for line in [0..13, 14..27, 28..43] {
        let mut record = builder.record();
        let name = record.name_id(&raw[line.end - 9..line.end - 6]);
        record.payload(&raw[line.clone()]).field(name, Value::Str(&raw[line.end - 5..line.end]));
        record.field(name, Value::Str(b"made")).wire(&raw[line]);
        record.commit().unwrap();
    }
    let batch = builder.finish();
    let compact = batch.compact(&Selection::from_bits(&[0b010], 3));
    // The name lies in the first line, where it was seen first.
    assert_eq!(&compact.raw()[..], b"keytwo key=value");
    let record = compact.record(0).unwrap();
    assert_eq!(record.payload(), b"two key=value");
    assert_eq!(compact.raw_offset(record.payload()), Some(3), "still no copy for encoders");
    assert_eq!(record.uuid(), batch.record(1).unwrap().uuid());
    assert!(compact.memory_bytes() < batch.memory_bytes());
}

#[test]
fn an_encoded_message_that_a_change_made_stale_is_not_copied() {
    let raw = Buffer::from(b"encoded".to_vec());
    let names = NameRegistry::new().snapshot();
    let mut builder = BatchBuilder::new(names, Arc::new(Envelope::new("in")), raw.clone(), 1);
    let mut record = builder.record();
    record.wire(&raw).payload(&raw[2..4]);
    record.commit().unwrap();
    let compact = builder.finish().compact(&Selection::All);
    assert_eq!(&compact.raw()[..], b"co");
    assert_eq!((compact.record(0).unwrap().wire(), compact.len()), (None, 1));
}

#[test]
fn a_selection_of_other_records_than_there_are_is_cut() {
    let envelope = Arc::new(Envelope::new("in"));
    let names = NameRegistry::new().snapshot();
    let mut builder = BatchBuilder::new(names, envelope, Buffer::empty(), 1);
    builder.push_payload(b"one").unwrap();
    let batch = builder.finish();
    assert_eq!(batch.compact(&Selection::from_bits(&[0b101], 3)).len(), 1);
    assert!(batch.compact(&Selection::None).is_empty());
    assert_eq!(batch.compact(&Selection::All).record(0).unwrap().payload(), b"one");
}
