//! Stored batches: what is accepted can be read to the end, and comes back the same when it is stored again.

#![no_main]

use std::sync::Arc;

use heka_fuzz::{assert_same, choice, read_all};
use heka_message::{Batch, NameRegistry, Names, Selection};
use libfuzzer_sys::fuzz_target;

/// Bytes of an entry of each part, in the order of their lengths in the trailer.
const ENTRY_BYTES: [usize; 11] = [1, 1, 48, 28, 8, 48, 8, 8, 1, 4, 1];
/// Bytes of the trailer behind the lengths and before the layout version.
const REST_BYTES: usize = 36;

/// A body and a trailer whose lengths fit it, so that few inputs end at the lengths.
fn fitting(data: &[u8]) -> Option<Vec<u8>> {
    let (counts, data) = data.split_first_chunk::<{ ENTRY_BYTES.len() }>()?;
    let (rest, body) = data.split_first_chunk::<REST_BYTES>()?;
    let counts = counts.map(usize::from);
    let mut bytes = body.to_vec();
    bytes.resize(counts.iter().zip(ENTRY_BYTES).map(|(count, entry)| count * entry).sum(), 0);
    counts.iter().for_each(|&count| bytes.extend((count as u64).to_le_bytes()));
    bytes.extend(rest);
    bytes.extend(1_u32.to_le_bytes());
    Some(bytes)
}

fn check(batch: &Batch, other: &Batch) {
    assert_eq!(batch.len(), other.len());
    for (left, right) in batch.records().zip(other.records()) {
        assert_same(&left, &right);
        assert_eq!(left.uuid(), right.uuid());
        assert_eq!(left.wire(), right.wire());
        assert_eq!(left.signer(), right.signer());
        assert_eq!(left.loops(), right.loops());
        assert_eq!(left.source(), right.source());
    }
}

/// Each field is found by the bytes of its name, which is either global or local.
fn check_names(batch: &Batch, names: &Names) {
    for field in batch.records().flat_map(|record| record.fields()) {
        let id = field.name_id();
        assert_eq!(batch.find_name(field.name()), Some(id));
        assert_eq!(names.find(field.name()), id.is_global().then_some(id));
        assert!(batch.may_have_field(id));
    }
}

fn store(batch: &Batch) -> Vec<u8> {
    let mut bytes = batch.raw().to_vec();
    batch.write_stored(&mut bytes);
    bytes
}

fuzz_target!(|data: &[u8]| {
    let (choices, data) = choice(data);
    let bytes = if choices & 1 == 0 { Some(data.to_vec()) } else { fitting(data) };
    let Some(bytes) = bytes else { return };
    let length = bytes.len();
    let names = NameRegistry::new();
    ["a", "status", ""].iter().for_each(|name| _ = names.intern(name.as_bytes()));
    let names = names.snapshot();
    let batch = match Batch::from_stored(bytes, &names) {
        Ok(batch) => batch,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(batch.memory_bytes() >= length);
    batch.records().for_each(|record| read_all(&record));
    check_names(&batch, &names);

    let other = NameRegistry::new();
    other.intern(b"b");
    for names in [&names, &other.snapshot(), &Arc::default()] {
        let again = Batch::from_stored(store(&batch), names).expect("what was read can be stored");
        check(&batch, &again);
        check_names(&again, names);
        assert_eq!(batch.raw()[..], again.raw()[..]);
        assert_eq!(batch.envelope(), again.envelope());
        assert_eq!(batch.uniform(), again.uniform());
    }
    let compact = batch.compact(&Selection::All);
    check(&batch, &compact);
    check_names(&compact, &names);
    let one = usize::from(choices >> 1) % batch.len().max(1);
    let mut bits = vec![0; batch.len().div_ceil(64)];
    if let Some(word) = bits.get_mut(one / 64) {
        *word |= 1 << (one % 64);
    }
    let one_of = batch.compact(&Selection::from_bits(&bits, batch.len()));
    let back = Batch::from_stored(store(&one_of), &names).expect("a compact batch can be stored");
    check(&one_of, &back);
    if let (Some(left), Some(right)) = (batch.record(one), back.record(0)) {
        assert_same(&left, &right);
        assert_eq!(left.uuid(), right.uuid());
    }
});
