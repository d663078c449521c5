//! State of sets, and words: any bytes make a set or none, members stay members, what is written is read again.

#![no_main]

use heka_fuzz::choice;
use heka_sketches::{BloomFilter, CuckooFilter, HyperLogLog, SaxWindow, SaxWord};
use libfuzzer_sys::fuzz_target;

/// The first `length` bytes, zeros where there are none.
fn fitting(data: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(length, 0);
    bytes
}

fn check_sets(choices: u8, data: &[u8]) {
    let items = 5 + i64::from(choices);
    let mut bloom = BloomFilter::new(items, 0.01).expect("a small filter can be made");
    let mut cuckoo = CuckooFilter::new(items).expect("a small filter can be made");
    let mut log = HyperLogLog::new().expect("there is memory");
    assert_eq!(bloom.restore(None, data).is_ok(), data.len() == bloom.bytes().len());
    assert_eq!(cuckoo.restore(0, data).is_ok(), data.len() == cuckoo.bytes().len());
    if data.len() < HyperLogLog::MEMORY {
        assert!(log.restore(data).is_err());
    }
    let bytes = fitting(data, bloom.bytes().len());
    bloom.restore(Some(7), &bytes).expect("the length is right");
    assert_eq!(bloom.bytes(), bytes);
    let bytes = fitting(data, cuckoo.bytes().len());
    cuckoo.restore(7, &bytes).expect("the length is right");
    assert_eq!(cuckoo.bytes(), bytes);
    let mut bytes = fitting(data, HyperLogLog::MEMORY);
    bytes[..6].copy_from_slice(b"HYLL\0\0");
    bytes[15] |= 0x80;
    log.restore(&bytes).expect("the header is right");
    log.count();
    for key in data.chunks(5) {
        bloom.add(key);
        assert!(bloom.query(key));
        let is_full = !cuckoo.add(key) && !cuckoo.query(key);
        assert!(is_full || cuckoo.delete(key));
        log.add(key);
        assert!(!log.add(key));
    }
}

fn check_words(choices: u8, data: &[u8]) {
    let cardinality = i64::from(choices & 15) + 1;
    let Ok(word) = SaxWord::parse(data, cardinality) else { return };
    assert_eq!(word.to_string().as_bytes(), data);
    let distance = word.mindist(&word).expect("a word is like itself");
    assert_eq!(distance.distance, 0.0);
}

fn check_windows(choices: u8, data: &[u8]) {
    let frames = 2 + i64::from(choices & 3);
    let length = frames * (1 + i64::from(choices >> 2 & 3));
    let cardinality = 2 + i64::from(choices >> 4) % 15;
    let mut window = SaxWindow::new(length, frames, cardinality).expect("dimensions are right");
    data.as_chunks().0.iter().for_each(|bytes| window.add(f64::from_le_bytes(*bytes)));
    let word = window.word();
    let again = SaxWord::parse(word.as_bytes(), cardinality).expect("what is written is read");
    assert_eq!(word, again);
    window.preserve(b"k", &mut Vec::new());
}

fuzz_target!(|data: &[u8]| {
    let (choices, data) = choice(data);
    check_sets(choices, data);
    check_words(choices, data);
    check_windows(choices, data);
});
