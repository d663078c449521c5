//! Cases with the result that Heka gave on messages A and E, but for two: anchors bind to their alternative here.

use heka_matcher::{Evaluation, Matcher, MatcherSet};
use heka_message::NameRegistry;

use crate::messages::{a_and_e, a_with_e, direct, matcher, selected};

const ACCEPTED: &str = include_str!("../../testdata/accepted.txt");
const REJECTED: &str = include_str!("../../testdata/rejected.txt");

/// Cases with control characters; `None`: rejected.
const CONTROL: &[(&str, Option<&str>)] = &[
    ("Type  \t== 'TEST'", Some("TF")),
    ("TRUE\nFALSE", Some("TT")),
    ("TRUE\n&& FALSE", Some("TT")),
    ("TRUE\0FALSE", Some("TT")),
    ("Type == 'TEST' &&\n Severity == 6", None),
    ("\nTRUE", None),
    ("\0TRUE", None),
    ("TRUE\rFALSE", None),
    ("", None),
    (" \t", None),
];

fn accepted() -> Vec<(&'static str, &'static str)> {
    let lines = ACCEPTED.lines().map(|line| line.split_once(' ').unwrap());
    let control = CONTROL.iter().filter_map(|(text, result)| Some(((*result)?, *text)));
    lines.chain(control).collect()
}

fn letters(results: impl Iterator<Item = bool>) -> String {
    results.map(|holds| if holds { 'T' } else { 'F' }).collect()
}

#[test]
fn single_matchers_give_the_observed_results() {
    let batches = a_and_e(&NameRegistry::new());
    assert!(accepted().len() > 190);
    for (expected, text) in accepted() {
        let matcher = matcher(text);
        let results = batches.iter().map(|batch| matcher.matches(&batch.record(0).unwrap()));
        assert_eq!(letters(results), expected, "{text}");
    }
}

#[test]
fn sets_of_one_give_the_observed_results() {
    let registry = NameRegistry::new();
    for (expected, text) in accepted() {
        let set = MatcherSet::compile(&[matcher(text)], &registry).unwrap();
        let mut evaluation = Evaluation::new();
        let batches = a_and_e(&registry);
        let results = batches.iter().map(|batch| {
            set.evaluate(batch, &mut evaluation);
            evaluation.selections()[0].contains(0)
        });
        assert_eq!(letters(results), expected, "{text}");
        set.evaluate(&a_with_e(&registry), &mut evaluation);
        let selection = &evaluation.selections()[0];
        assert_eq!(letters((0..2).map(|index| selection.contains(index))), expected, "{text}");
    }
}

#[test]
fn the_set_of_all_gives_the_observed_results() {
    let early = NameRegistry::new();
    let late = NameRegistry::new();
    let matchers: Vec<Matcher> = accepted().iter().map(|(_, text)| matcher(text)).collect();
    let set = MatcherSet::compile(&matchers, &early).unwrap();
    let mut evaluation = Evaluation::new();
    // With the names of the set, and with a batch that knows none of them.
    for registry in [&early, &late] {
        let batch = a_with_e(registry);
        let selections = selected(&set, &mut evaluation, &batch);
        assert_eq!(selections, direct(&matchers, &batch));
        for ((expected, text), selection) in accepted().iter().zip(&selections) {
            let results = [0, 1].iter().map(|record| selection.contains(record));
            assert_eq!(letters(results), *expected, "{text}");
        }
    }
}

#[test]
fn what_heka_rejects_is_rejected_in_its_words() {
    let control = CONTROL.iter().filter(|(_, result)| result.is_none()).map(|(text, _)| *text);
    let rejected: Vec<&str> = REJECTED.lines().chain(control).collect();
    assert!(rejected.len() > 60);
    for text in rejected {
        let error = match Matcher::parse(text) {
            Ok(_) => panic!("{text} is accepted"),
            Err(error) => error.to_string(),
        };
        assert!(error.starts_with("syntax error: last token: "), "{text}: {error}");
        assert!(error.contains(" pos: "), "{text}: {error}");
    }
}
