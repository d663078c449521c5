//! Time stamps: all layouts are compiled or refused, all texts read or refused; what is written is read again.

#![no_main]

use std::cell::OnceCell;

use heka_datetime::{
    CLF_BYTES, Civil, ClfCache, GoLayout, Location, Rfc3164Cache, Rfc3339Cache, Strftime,
    StrftimeCache, StrptimeGrammar, parse_clf, parse_rfc3164, parse_rfc3339, write_go_utc,
    write_rfc3339,
};
use heka_fuzz::{NOW_NS, choice, text_and_rest};
use libfuzzer_sys::fuzz_target;

const ZONES: [&str; 4] = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"];
/// Times at which stamps are read: usual ones, and the edges.
const NOWS: [i64; 4] = [NOW_NS, 0, i64::MIN, i64::MAX];

thread_local! {
    static LOCATIONS: OnceCell<[Location; 4]> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    let (kind, data) = choice(data);
    let now_ns = NOWS[usize::from(kind >> 2 & 3)];
    LOCATIONS.with(|locations| {
        let load = || ZONES.map(|zone| Location::parse(zone).expect("a usual zone"));
        let location = &locations.get_or_init(load)[usize::from(kind & 3)];
        match kind >> 4 {
            0..=3 => layouts(data, location, now_ns),
            4..=7 => fixed(data, location, now_ns),
            _ => written(data, location),
        }
    });
});

/// A layout, NUL, a stamp.
fn layouts(data: &[u8], location: &Location, now_ns: i64) {
    let Some((layout, stamp)) = text_and_rest(data) else { return };
    let mut read = Vec::new();
    if let Ok(go) = GoLayout::parse(layout) {
        read.extend(go.parse_time(stamp, location, now_ns));
    }
    if let Ok(grammar) = StrptimeGrammar::parse(layout)
        && let Ok((ns, taken)) = grammar.parse_prefix(stamp, location, now_ns)
    {
        assert!(taken <= stamp.len());
        read.push(ns);
    }
    let format = Strftime::parse(layout);
    let mut cache = StrftimeCache::default();
    for ns in read.into_iter().chain([now_ns]) {
        let mut plain = Vec::new();
        format.format_into(ns, location, &mut plain);
        for _ in 0..2 {
            let mut cached = Vec::new();
            format.format_cached(ns, location, &mut cache, &mut cached);
            assert_eq!(plain, cached);
        }
    }
}

/// Stamps of fixed forms, a line each: what was read before changes nothing.
fn fixed(data: &[u8], location: &Location, now_ns: i64) {
    let mut rfc3339 = Rfc3339Cache::default();
    let mut rfc3164 = Rfc3164Cache::default();
    let mut clf = ClfCache::default();
    for text in data.split(|&byte| byte == b'\n') {
        let plain = parse_rfc3339(text);
        assert!(plain.is_none_or(|(_, taken)| taken <= text.len()));
        assert_eq!(rfc3339.parse(text), plain, "{:?}", String::from_utf8_lossy(text));
        let plain = parse_rfc3164(text, location, now_ns);
        assert!(plain.is_none_or(|(_, taken)| taken <= text.len()));
        assert_eq!(
            rfc3164.parse(text, location, now_ns),
            plain,
            "{:?}",
            String::from_utf8_lossy(text)
        );
        let plain = parse_clf(text);
        assert!(plain.is_none() || text.len() >= CLF_BYTES);
        assert_eq!(clf.parse(text), plain, "{:?}", String::from_utf8_lossy(text));
    }
}

/// Numbers of nanoseconds.
fn written(data: &[u8], location: &Location) {
    for bytes in data.chunks_exact(size_of::<i64>()) {
        let ns = i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let mut text = Vec::new();
        write_rfc3339(ns, &mut text);
        assert_eq!(parse_rfc3339(&text), Some((ns, text.len())));
        text.clear();
        write_go_utc(ns, &mut text);
        assert!(text.ends_with(b" +0000 UTC"));
        let civil = location.civil(ns);
        assert!(civil.is_valid());
        assert!(Civil::from_ns(ns, 0).to_ns(0) == Some(ns));
        if let Some(back) = location.to_ns(&civil) {
            // Of an hour that comes twice the first is meant.
            assert!(ns.abs_diff(back) <= 3_600_000_000_000, "{ns} comes back as {back}");
        }
    }
}
