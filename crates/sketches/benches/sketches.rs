//! What does a key or value cost?
//!
//! Prints nanoseconds per call, the best of some rounds. Keys are texts of 16 bytes.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use heka_sketches::{BloomFilter, CuckooFilter, HyperLogLog, SaxWindow};

/// Rounds; the best counts.
const ROUNDS: usize = 30;
/// Keys of a round.
const KEYS: usize = 10_000;

fn measure(
    out: &mut impl Write,
    name: &str,
    calls: usize,
    mut round: impl FnMut(),
) -> io::Result<()> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        round();
        best = best.min(begun.elapsed().as_secs_f64());
    }
    writeln!(out, "{name:<28} {:9.1} ns", best * 1e9 / calls as f64)
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let keys: Vec<String> = (0..KEYS).map(|number| format!("{number:016}")).collect();

    let mut bloom = BloomFilter::new(100_000, 0.01).map_err(io::Error::other)?;
    measure(&mut out, "bloom add", KEYS, || {
        bloom.clear();
        keys.iter().for_each(|key| _ = black_box(bloom.add(key.as_str())));
    })?;
    measure(&mut out, "bloom query", KEYS, || {
        keys.iter().for_each(|key| _ = black_box(bloom.query(key.as_str())));
    })?;
    let mut log = HyperLogLog::new().map_err(io::Error::other)?;
    measure(&mut out, "hyperloglog add", KEYS, || {
        keys.iter().for_each(|key| _ = black_box(log.add(key.as_str())));
    })?;
    measure(&mut out, "hyperloglog count", 1, || {
        log.clear();
        black_box(log.count());
    })?;
    let mut cuckoo = CuckooFilter::new(10_000).map_err(io::Error::other)?;
    measure(&mut out, "cuckoo add", KEYS, || {
        cuckoo.clear();
        keys.iter().for_each(|key| _ = black_box(cuckoo.add(key.as_str())));
    })?;
    let mut window = SaxWindow::new(1440, 24, 8).map_err(io::Error::other)?;
    measure(&mut out, "sax add", KEYS, || (0..KEYS).for_each(|it| window.add(it as f64)))?;
    measure(&mut out, "sax word of 1440 values", 1, || _ = black_box(window.word()))
}
