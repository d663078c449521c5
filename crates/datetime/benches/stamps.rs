//! What does it cost to read or write one time stamp?
//!
//! Prints nanoseconds per stamp, the best of some rounds. Stamps are a few milliseconds apart, as in a busy log.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use heka_datetime::{
    ClfCache, GoLayout, Location, Rfc3164Cache, Rfc3339Cache, Rfc3339Writer, Strftime,
    StrftimeCache, StrptimeGrammar, parse_clf, parse_rfc3164, parse_rfc3339, write_rfc3339,
};

/// Stamps of a round.
const STAMPS: i64 = 10_000;
/// Rounds; the best counts.
const ROUNDS: usize = 50;
/// 2014-05-07 22:12:24.
const START: i64 = 1_399_500_744_000_000_000;
/// From stamp to stamp.
const STEP: i64 = 7_000_000;

fn measure(out: &mut impl Write, name: &str, mut round: impl FnMut()) -> io::Result<()> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        round();
        best = best.min(begun.elapsed().as_secs_f64());
    }
    writeln!(out, "{name:<28} {:6.1} ns", best * 1e9 / STAMPS as f64)
}

fn texts(format: &str) -> Vec<Vec<u8>> {
    let format = Strftime::parse(format);
    (0..STAMPS)
        .map(|index| {
            let mut text = Vec::new();
            format.format_into(START + index * STEP, &Location::utc(), &mut text);
            text
        })
        .collect()
}

fn reading(out: &mut impl Write) -> io::Result<()> {
    let utc = Location::utc();
    let all = |texts: &[Vec<u8>], read: &mut dyn FnMut(&[u8]) -> bool| {
        let read = texts.iter().filter(|text| read(text)).count();
        assert_eq!(black_box(read), texts.len());
    };

    let clf = texts("%d/%b/%Y:%H:%M:%S %z");
    measure(out, "read CLF", || all(&clf, &mut |text| parse_clf(text).is_some()))?;
    let mut cache = ClfCache::default();
    measure(out, "read CLF, remembered", || all(&clf, &mut |text| cache.parse(text).is_some()))?;

    let iso = texts("%Y-%m-%dT%H:%M:%S.%fZ");
    measure(out, "read RFC 3339", || all(&iso, &mut |text| parse_rfc3339(text).is_some()))?;
    let mut cache = Rfc3339Cache::default();
    measure(out, "read RFC 3339, remembered", || {
        all(&iso, &mut |text| cache.parse(text).is_some());
    })?;

    let classic = texts("%b %e %H:%M:%S");
    measure(out, "read RFC 3164", || {
        all(&classic, &mut |text| parse_rfc3164(text, &utc, START).is_some());
    })?;
    let mut cache = Rfc3164Cache::default();
    measure(out, "read RFC 3164, remembered", || {
        all(&classic, &mut |text| cache.parse(text, &utc, START).is_some());
    })?;

    let plain = texts("%Y-%m-%d %H:%M:%S");
    let layout = GoLayout::parse("2006-01-02 15:04:05").expect("it is a layout");
    measure(out, "read by Go layout", || {
        all(&plain, &mut |text| layout.parse_time(text, &utc, START).is_ok());
    })?;
    let grammar = StrptimeGrammar::parse("%Y-%m-%d %H:%M:%S").expect("it is a format");
    measure(out, "read by strftime format", || {
        all(&plain, &mut |text| grammar.parse_time(text, &utc, START).is_ok());
    })
}

fn writing(out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::with_capacity(STAMPS as usize * 32);
    let stamps = || (0..STAMPS).map(|index| START + index * STEP);
    measure(out, "write RFC 3339", || {
        text.clear();
        stamps().for_each(|ns| write_rfc3339(black_box(ns), &mut text));
    })?;
    let mut writer = Rfc3339Writer::default();
    measure(out, "write RFC 3339, remembered", || {
        text.clear();
        stamps().for_each(|ns| writer.write(black_box(ns), &mut text));
    })?;
    let format = Strftime::parse("%Y.%m.%d %H:%M:%S");
    let zone = Location::parse("Europe/Berlin").unwrap_or_default();
    measure(out, "write by strftime", || {
        text.clear();
        stamps().for_each(|ns| format.format_into(black_box(ns), &zone, &mut text));
    })?;
    let mut cache = StrftimeCache::default();
    measure(out, "write by strftime, remembered", || {
        text.clear();
        stamps().for_each(|ns| format.format_cached(black_box(ns), &zone, &mut cache, &mut text));
    })
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    reading(&mut out)?;
    writing(&mut out)
}
