//! Message matchers: all text is read or refused, and a set selects what each matcher alone does.

#![no_main]

use heka_fuzz::builder;
use heka_matcher::{Evaluation, Matcher, MatcherSet};
use heka_message::{Batch, NameRegistry, Value, ValueType};
use libfuzzer_sys::fuzz_target;

/// More matchers in one set show nothing new.
const MATCHERS_MAX: usize = 8;
/// Records of the batch: past one word of its bitmaps.
const RECORDS: usize = 70;

/// Texts that the records have as headers and fields.
const TEXTS: [&[u8]; 8] =
    [b"", b"TEST", b"abc", b"a\xffb", b"\xef\xbf\xbd", b"hekad", b"192.168.0.1", b"aaa\nTEST"];
const NUMBERS: [f64; 6] = [0.0, -1.5, 7.0, 1e300, f64::NAN, f64::INFINITY];

/// Records with all kinds of values; with `uniform` all have the same.
fn batch(names: &NameRegistry, uniform: bool) -> Batch {
    let mut builder = builder(names, &[]);
    for index in 0..RECORDS {
        let turn = if uniform { 3 } else { index };
        let text = TEXTS[turn % TEXTS.len()];
        let mut record = builder.record();
        if uniform || turn % 3 != 0 {
            record.message_type(text).logger(TEXTS[(turn + 1) % 8]).hostname(text);
            record
                .severity(turn as i32 % 8)
                .pid(turn as i32)
                .timestamp(turn as i64 * 1_000_000_000);
            record.payload(TEXTS[(turn / 2) % 8]).env_version(b"0.8");
        }
        let field_names: [&[u8]; 4] = [b"a", b"foo", b"number", b"int"];
        let [a, bytes, number, int] = field_names.map(|name| record.name_id(name));
        if turn % 2 == 0 {
            record.field(a, Value::Str(text));
            record.field(bytes, Value::Bytes(text));
            record.field(a, Value::Bool(turn % 4 == 0));
        }
        if turn % 5 != 1 {
            record.field(number, Value::Double(NUMBERS[turn % NUMBERS.len()]));
            record.empty_field(int, b"count", ValueType::Integer);
            for value in 0..turn % 4 {
                let value = Value::Int([-1, i64::MAX, 1][value]);
                record.push_value(value).expect("an integer");
            }
        }
        record.commit().expect("a small record fits");
    }
    builder.finish()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut matchers = Vec::new();
    for line in text.split('\n').take(MATCHERS_MAX) {
        match Matcher::parse(line) {
            Ok((matcher, warnings)) => {
                warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
                assert_eq!(matcher.as_str(), line);
                matchers.push(matcher);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if matchers.is_empty() {
        return;
    }
    let names = NameRegistry::new();
    let before = batch(&names, false);
    let set = MatcherSet::compile(&matchers, &names).expect("a few matchers fit");
    let mut evaluation = Evaluation::new();
    for batch in [before, batch(&names, false), batch(&names, true)] {
        set.evaluate(&batch, &mut evaluation);
        for (number, matcher) in matchers.iter().enumerate() {
            let selection = &evaluation.selections()[number];
            let mut count = 0;
            for record in batch.records() {
                let matches = matcher.matches(&record);
                count += usize::from(matches);
                assert_eq!(
                    selection.contains(record.index()),
                    matches,
                    "{matcher} on record {} {record:?}",
                    record.index()
                );
            }
            assert_eq!(selection.count(batch.len()), count);
            let listed = evaluation.selected().contains(&(number as u32));
            assert_eq!(listed, count > 0, "{matcher} is listed as selecting");
        }
    }
});
