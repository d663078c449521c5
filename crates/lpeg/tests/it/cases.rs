//! Recorded answers of LPeg 1.0.2 under Lua 5.1.
//!
//! A line of `testdata/*.tsv` has an expression, a subject, a start and the answer, with tabs between. Answers are
//! written by `lua5.1 testdata/expect.lua FILE`, which needs LPeg; the tests do not.

use heka_lpeg::Limits;

use crate::model::host::{Outcome, outcome};
use crate::model::parse::{parse, unescape};
use crate::model::value::{Value, list};

/// How the files write an outcome.
fn show(outcome: &Outcome) -> String {
    match outcome {
        // Lua does not tell them apart.
        Ok(None) => "none".to_owned(),
        Ok(Some(values)) if *values == [Value::Nil] => "none".to_owned(),
        Ok(Some(values)) => format!("= {}", list(values)),
        Err(text) => format!("! {text}"),
    }
}

/// Where Lua's start lies, counted from 0.
fn start(text: &str, length: usize) -> usize {
    let start: i64 = text.parse().expect("a number");
    match start {
        1.. => (start as usize - 1).min(length),
        // Also for 0: as far before the end.
        _ => length.saturating_sub(start.unsigned_abs() as usize),
    }
}

fn check(cases: &str) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[expr, subject, first, wanted] = columns.as_slice() else {
            panic!("not four columns: {line}");
        };
        let subject = unescape(subject.as_bytes());
        let start = start(first, subject.len());
        let found = show(&outcome(&parse(expr), &subject, start, Limits::default()));
        if found != wanted {
            wrong.push(format!("{expr}\t{}\n  LPeg: {wanted}\n  ours: {found}", columns[1]));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 100, "{count} cases");
}

#[test]
fn documented_semantics_are_those_of_lpeg() {
    check(include_str!("../../testdata/semantics.tsv"));
}

#[test]
fn random_patterns_give_what_lpeg_gives() {
    check(include_str!("../../testdata/random.tsv"));
}
