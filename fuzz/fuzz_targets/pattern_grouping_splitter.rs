//! PatternGroupingSplitter: where lines end in one way only, groups do not depend on how the stream was read.

#![no_main]

use heka_fuzz::{Chunks, assert_chunks_do_not_matter, choice, context, split, text_and_rest};
use heka_message::NameRegistry;
use heka_plugin::Plugin;
use heka_plugin_regex::{PatternGroupingSplitter, PatternGroupingSplitterConfig};
use libfuzzer_sys::fuzz_target;

/// Delimiters whose matches cannot grow and look at nothing around them.
const FIXED: [&str; 4] = [r"\n", "ab", "[;,]", "(;)a"];

fuzz_target!(|data: &[u8]| {
    let (seed, data) = choice(data);
    let (kind, data) = choice(data);
    let Some((grouping, data)) = text_and_rest(data) else { return };
    let fixed = kind & 0x80 == 0;
    let (delimiter, data) = match fixed {
        true => (FIXED[usize::from(kind & 3)], data),
        false => match text_and_rest(data) {
            Some(found) => found,
            None => return,
        },
    };
    let config = PatternGroupingSplitterConfig {
        delimiter: delimiter.to_owned(),
        grouping: grouping.to_owned(),
        max_lines: i64::from(kind >> 2 & 0x1f) - 1,
    };
    let context = context(NameRegistry::new());
    let Ok(mut splitter) = PatternGroupingSplitter::start(&config, &context) else { return };
    let (found, _) = split(&mut splitter, Chunks::new(seed, data), seed & 0x40 != 0);
    let total: usize = found.iter().map(|(_, bytes, _)| bytes.len()).sum();
    assert_eq!(total, data.len(), "all bytes belong to a record");
    if fixed {
        assert_chunks_do_not_matter(&mut splitter, seed, data);
    }
});
