//! What holds for all keys, series and bytes.

use std::collections::HashSet;

use heka_sketches::{BloomFilter, CuckooFilter, HyperLogLog, SaxWindow, SaxWord};
use proptest::prelude::*;

use crate::{preserved, unquoted};

fn keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..60)
}

fn series() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        8 => -100.0..100.0_f64,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ];
    prop::collection::vec(value, 0..60)
}

proptest! {
    #[test]
    fn sets_know_their_members_and_are_restored(keys in keys()) {
        let mut bloom = BloomFilter::new(100, 0.001).unwrap();
        let mut cuckoo = CuckooFilter::new(256).unwrap();
        let mut log = HyperLogLog::new().unwrap();
        for key in &keys {
            bloom.add(key.as_slice());
            cuckoo.add(key.as_slice());
            log.add(key.as_slice());
        }
        prop_assert!(keys.iter().all(|key| bloom.query(key.as_slice())));
        prop_assert!(keys.iter().all(|key| cuckoo.query(key.as_slice())));
        let distinct = keys.iter().collect::<HashSet<_>>().len() as u64;
        prop_assert!(bloom.count() <= distinct && cuckoo.count() <= distinct);
        prop_assert!(log.count().abs_diff(distinct) <= 2);

        let saved = preserved(|out| bloom.preserve(b"k", out));
        let start = format!("\nk:fromstring({}, ", bloom.count());
        prop_assert_eq!(unquoted(&saved, start.as_bytes()), bloom.bytes());
        let saved = preserved(|out| cuckoo.preserve(b"k", out));
        let start = format!("\nk:fromstring({}, ", cuckoo.count());
        prop_assert_eq!(unquoted(&saved, start.as_bytes()), cuckoo.bytes());
        let saved = preserved(|out| log.preserve(b"k", out));
        prop_assert_eq!(unquoted(&saved, b"\nk:fromstring("), log.bytes());
    }

    #[test]
    fn a_cuckoo_filter_follows_a_set(actions in prop::collection::vec((0..40_u32, any::<bool>()), 0..300)) {
        // So few keys have no fingerprint and bucket in common.
        let mut filter = CuckooFilter::new(64).unwrap();
        let mut set = HashSet::new();
        for (number, is_added) in actions {
            let key = f64::from(number);
            if is_added {
                prop_assert_eq!(filter.add(key), set.insert(number));
            } else {
                prop_assert_eq!(filter.delete(key), set.remove(&number));
            }
            prop_assert_eq!(filter.count(), set.len() as u64);
        }
        prop_assert!((0..40).all(|number| filter.query(f64::from(number)) == set.contains(&number)));
    }

    #[test]
    fn merging_is_adding(first in keys(), second in keys()) {
        let log = |keys: &[Vec<u8>]| {
            let mut log = HyperLogLog::new().unwrap();
            keys.iter().for_each(|key| _ = log.add(key.as_slice()));
            log
        };
        let (mut left, right) = (log(&first), log(&second));
        let together = HyperLogLog::count_all(&[&left, &right]);
        left.merge(&right);
        let mut both = log(&[first, second].concat());
        prop_assert_eq!(&left.bytes()[16..], &both.bytes()[16..]);
        prop_assert_eq!((left.count(), both.count()), (together, together));
    }

    #[test]
    fn windows_have_the_word_of_their_values(
        values in series(),
        frames in 2..5_usize,
        per_frame in 1..4_usize,
        cardinality in 2..17_i64,
    ) {
        let length = frames * per_frame;
        let mut window = SaxWindow::new(length as i64, frames as i64, cardinality).unwrap();
        values.iter().for_each(|&value| window.add(value));
        let mut last = vec![f64::NAN; length];
        last.extend(&values);
        let last = &last[values.len()..];
        let word = SaxWord::from_values(last, frames as i64, cardinality).unwrap();
        prop_assert_eq!(&window.word(), &word);
        prop_assert_eq!(&SaxWord::parse(word.to_string().as_bytes(), cardinality).unwrap(), &word);
        let distance = word.mindist(&word).unwrap();
        prop_assert_eq!(distance.distance, 0.0);
    }

    #[test]
    fn distances_are_symmetric(
        (cardinality, left, right) in (2..17_u8, 2..9_usize).prop_flat_map(|(cardinality, length)| {
            let letter = prop_oneof![(b'A'..b'A' + cardinality), Just(b'#')];
            let word = prop::collection::vec(letter, length);
            (Just(cardinality), word.clone(), word)
        }),
    ) {
        let word = |text: &[u8]| SaxWord::parse(text, i64::from(cardinality)).unwrap();
        let (left, right) = (word(&left), word(&right));
        let there = left.mindist(&right).unwrap();
        let back = right.mindist(&left).unwrap();
        prop_assert_eq!((there.distance, there.above, there.below), (back.distance, back.below, back.above));
    }

    #[test]
    fn garbage_is_refused_or_kept(mut bytes in prop::collection::vec(any::<u8>(), 12304), keys in keys()) {
        let mut log = HyperLogLog::new().unwrap();
        prop_assert!(log.restore(&bytes).is_err());
        bytes[..6].copy_from_slice(b"HYLL\0\0");
        bytes[15] |= 0x80;
        log.restore(&bytes).unwrap();
        log.count();
        let mut cuckoo = CuckooFilter::new(64).unwrap();
        cuckoo.restore(u64::MAX, &bytes[..128]).unwrap();
        let mut bloom = BloomFilter::new(100, 0.01).unwrap();
        let length = bloom.bytes().len();
        bloom.restore(Some(u64::MAX), &bytes[..length]).unwrap();
        for key in &keys {
            log.add(key.as_slice());
            bloom.add(key.as_slice());
            if !cuckoo.add(key.as_slice()) {
                cuckoo.delete(key.as_slice());
            }
        }
        prop_assert_eq!(bloom.count(), u64::MAX);
    }
}
