//! What would not end, or would need more stack than there is, stops in time.

use std::time::{Duration, Instant};

use heka_luatext::{Error, Kind, Matcher, PARTS_MAX, Pattern, Substitution, find_plain};

/// What matching gave, and the steps that it took.
fn run(text: &[u8], pattern: &[u8], budget: u64) -> (Result<Option<(usize, usize)>, Error>, u64) {
    let mut left = budget;
    let result = Pattern::new(pattern, Kind::Match, &mut left).and_then(|pattern| {
        let mut matcher = Matcher::new();
        let found = matcher.find(&pattern, text, 0, &mut left)?;
        Ok(found.map(|found| (found.start, found.end)))
    });
    (result, budget - left)
}

#[test]
fn exponential_patterns_run_out_of_their_budget() {
    let text = b"a".repeat(40);
    let pattern = [b"a*".repeat(25), b"b".to_vec()].concat();
    let begun = Instant::now();
    assert_eq!(run(&text, &pattern, 10_000_000), (Err(Error::OutOfBudget), 10_000_000));
    let pattern = [b"a?".repeat(40), b"a".repeat(41)].concat();
    assert_eq!(run(&text, &pattern, 10_000_000), (Err(Error::OutOfBudget), 10_000_000));
    let pattern = [b"(.-)".repeat(20), b"[ab]b".to_vec()].concat();
    assert_eq!(run(&text, &pattern, 10_000_000), (Err(Error::OutOfBudget), 10_000_000));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn long_patterns_do_not_recurse() {
    let text = b"a".repeat(30_000);
    assert_eq!(run(&text, &b"a?".repeat(30_000), 10_000_000).0, Ok(Some((0, 30_000))));
    assert_eq!(run(&text, &b"a?".repeat(PARTS_MAX + 1), 10_000_000).0, Err(Error::TooComplex));
    // Not reached, not raised.
    let pattern = [b"b".to_vec(), b"a?".repeat(300_000)].concat();
    assert_eq!(run(&text, &pattern, 10_000_000).0, Ok(None));
}

#[test]
fn searches_that_must_fail_are_linear() {
    let spaces = [b" ".repeat(1 << 20), b"x".to_vec()].concat();
    for pattern in [&b"%s+$"[..], b"%s*$", b"(.-)=(.-)", b"[^=]+=", b"%s*=", b"x ", b" x="] {
        let (result, steps) = run(&spaces, pattern, 10_000_000);
        assert!(result.is_ok());
        assert!(steps < 1 << 20, "{}: {steps}", pattern.escape_ascii());
    }
}

#[test]
fn plain_searches_are_linear() {
    let text = b"a".repeat(2 << 20);
    let wanted = [b"a".repeat(1 << 19), b"b".to_vec(), b"a".repeat(1 << 19)].concat();
    let begun = Instant::now();
    let mut budget = 1 << 20;
    assert_eq!(find_plain(&text, &wanted, 0, &mut budget), Ok(None));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(budget > 0);
    budget = 10;
    assert_eq!(find_plain(&text, &wanted, 0, &mut budget), Err(Error::OutOfBudget));
    assert_eq!(budget, 0);
}

#[test]
fn a_budget_is_enough_to_the_last_step() {
    let (result, steps) = run(b"key = value", b"(%w+)%s*=%s*(%w+)", 1_000);
    assert_eq!(result, Ok(Some((0, 11))));
    assert_eq!(run(b"key = value", b"(%w+)%s*=%s*(%w+)", steps).0, result);
    let (result, all) = run(b"key = value", b"(%w+)%s*=%s*(%w+)", steps - 1);
    assert_eq!((result, all), (Err(Error::OutOfBudget), steps - 1));
}

#[test]
fn replacements_stop_at_the_length_allowed() {
    let mut budget = 1_000_000;
    let pattern = Pattern::new(b".", Kind::Match, &mut budget).unwrap();
    let mut matcher = Matcher::new();
    let mut out = Vec::new();
    let mut substitution = Substitution::new(u64::MAX);
    let result = loop {
        let Some(found) =
            substitution.next(&mut matcher, &pattern, b"aaaa", &mut out, &mut budget).unwrap()
        else {
            break Ok(());
        };
        if let Err(error) = found.expand(b"%0%0%0", b"aaaa", &mut out, 11, &mut budget) {
            break Err(error);
        }
    };
    assert_eq!((result, out.len()), (Err(Error::TooLong), 11));
}
