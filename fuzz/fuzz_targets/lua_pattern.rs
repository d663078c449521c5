//! Lua patterns: any bytes make a pattern, a subject and a replacement; matches lie in the subject, what is found is
//! found again from its start, and the budget is kept.

#![no_main]

use heka_luatext::{Capture, Directives, Error, Kind, Matcher, Pattern, Piece, Substitution};
use libfuzzer_sys::fuzz_target;

/// Steps of a match.
const STEPS: u64 = 200_000;

/// Longest result of a substitution.
const RESULT_BYTES_MAX: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(source), Some(subject)) = (parts.next(), parts.next()) else { return };
    let kind = [Kind::Find, Kind::Match, Kind::Each][usize::from(choice % 3)];
    let mut budget = STEPS;
    let Ok(pattern) = Pattern::new(source, kind, &mut budget) else { return };
    let mut matcher = Matcher::new();
    match matcher.find(&pattern, subject, 0, &mut budget) {
        Ok(Some(found)) => {
            assert!(found.start <= found.end && found.end <= subject.len());
            for index in 0..found.values() {
                if let Ok(Capture::Text { start, end }) = found.capture(index) {
                    assert!(found.start <= start && start <= end && end <= found.end);
                }
            }
            let span = (found.start, found.end);
            let mut budget = STEPS;
            let again = matcher.find(&pattern, subject, span.0, &mut budget);
            if source.first() != Some(&b'^') || kind == Kind::Each {
                assert_eq!(
                    again.map(|found| found.map(|found| (found.start, found.end))),
                    Ok(Some(span))
                );
            }
        }
        Ok(None) => {}
        Err(Error::OutOfBudget) => assert_eq!(budget, 0),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    replace(source, subject);
    format(source, subject);
});

/// The pattern is its own replacement.
fn replace(source: &[u8], subject: &[u8]) {
    let mut budget = STEPS;
    let Ok(pattern) = Pattern::new(source, Kind::Match, &mut budget) else { return };
    let (mut matcher, mut out) = (Matcher::new(), Vec::new());
    let mut substitution = Substitution::new(u64::MAX);
    while let Ok(Some(found)) =
        substitution.next(&mut matcher, &pattern, subject, &mut out, &mut budget)
    {
        if found.expand(source, subject, &mut out, RESULT_BYTES_MAX, &mut budget).is_err() {
            break;
        }
    }
    let count = substitution.finish(subject, &mut out);
    assert!(count <= subject.len() as u64 + 1);
    assert!(out.len() <= RESULT_BYTES_MAX + subject.len());
}

/// The pattern is a format, of the subject and its length.
fn format(source: &[u8], subject: &[u8]) {
    let mut out = Vec::new();
    let mut directives = Directives::new(source);
    while let Ok(Some(piece)) = directives.next(true) {
        if let Piece::Directive(directive) = piece {
            directive.write_number(subject.len() as f64 / 3.0, &mut out);
            directive.write_text(subject, &mut out);
        }
    }
}
