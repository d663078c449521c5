//! What do a change and a text of a circular buffer cost?
//!
//! Prints nanoseconds per call, the best of some rounds; texts are those of a day in minutes with four columns.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use heka_circular_buffer::{CircularBuffer, Error, Format};

/// Rounds; the best counts.
const ROUNDS: usize = 50;
/// Changes of a round.
const CHANGES: u32 = 10_000;
/// Texts of a round.
const TEXTS: u32 = 20;
/// 2014-05-07 22:12:00.
const START: f64 = 1_399_500_720e9;

fn measure(
    out: &mut impl Write,
    name: &str,
    calls: u32,
    mut round: impl FnMut() -> Result<(), Error>,
) -> io::Result<()> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        round().map_err(io::Error::other)?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    writeln!(out, "{name:<34} {:9.1} ns", best * 1e9 / f64::from(calls))
}

fn changes(out: &mut impl Write, deltas: bool) -> io::Result<()> {
    let name = |what| format!("{what}{}", if deltas { ", with deltas" } else { "" });
    let mut ring = CircularBuffer::new(1440, 4, 60, deltas).map_err(io::Error::other)?;
    ring.add(START, 1, 1.0).map_err(io::Error::other)?;
    let times: Vec<f64> = (0..CHANGES).map(|index| START + f64::from(index) * 1e6).collect();
    measure(out, &name("add to the newest row"), CHANGES, || {
        times.iter().try_for_each(|&ns| ring.add(ns, 2, 1.0).map(|sum| _ = black_box(sum)))
    })?;
    measure(out, &name("set in the newest row"), CHANGES, || {
        times.iter().try_for_each(|&ns| ring.set(ns, 3, ns).map(|value| _ = black_box(value)))
    })?;
    let spread: Vec<f64> =
        (0..CHANGES).map(|index| START - f64::from(index * 7919 % 1400) * 60e9).collect();
    measure(out, &name("add to rows of a day"), CHANGES, || {
        spread.iter().try_for_each(|&ns| ring.add(ns, 2, 1.0).map(|sum| _ = black_box(sum)))
    })?;
    let mut now = START;
    measure(out, &name("add to the next row"), CHANGES, || {
        (0..CHANGES).try_for_each(|_| {
            now += 60e9;
            ring.add(now, 1, 1.0).map(|sum| _ = black_box(sum))
        })
    })
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    changes(&mut out, false)?;
    changes(&mut out, true)?;

    let mut ring = CircularBuffer::new(1440, 4, 60, true).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    let fill = |ring: &mut CircularBuffer| {
        (0..1440_u32).try_for_each(|row| {
            let ns = f64::from(row) * 60e9;
            ring.add(ns, 1, f64::from(row * 37 % 5000))?;
            ring.set(ns, 2, f64::from(row) / 7.0).map(drop)
        })
    };
    fill(&mut ring).map_err(io::Error::other)?;
    measure(&mut out, "write cbuf of 1440 rows", TEXTS, || {
        (0..TEXTS).try_for_each(|_| {
            bytes.clear();
            ring.write_text(&mut bytes, usize::MAX)
        })
    })?;
    writeln!(out, "{:<34} {:9}", "  bytes", bytes.len())?;
    measure(&mut out, "change and write cbufd, 1440 rows", TEXTS, || {
        ring.set_format(Format::Cbufd);
        (0..TEXTS).try_for_each(|_| {
            bytes.clear();
            fill(&mut ring)?;
            ring.write_text(&mut bytes, usize::MAX)
        })
    })?;
    let mut saved = Vec::new();
    measure(&mut out, "preserve 1440 rows", TEXTS, || {
        (0..TEXTS).for_each(|_| {
            saved.clear();
            ring.preserve(b"k", &mut saved);
        });
        Ok(())
    })?;
    let start = saved.windows(12).position(|window| window == b":fromstring(").unwrap_or(0) + 13;
    let state = saved[start..saved.len() - 3].to_vec();
    measure(&mut out, "restore 1440 rows", TEXTS, || {
        (0..TEXTS).try_for_each(|_| ring.restore(&state))
    })
}
