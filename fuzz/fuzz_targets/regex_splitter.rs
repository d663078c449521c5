//! RegexSplitter: where the delimiter has one length only, records do not depend on how the stream was read.

#![no_main]

use heka_fuzz::{Chunks, assert_chunks_do_not_matter, choice, context, split, text_and_rest};
use heka_message::NameRegistry;
use heka_plugin::Plugin;
use heka_plugin_regex::{RegexSplitter, RegexSplitterConfig};
use libfuzzer_sys::fuzz_target;

/// Delimiters whose matches cannot grow and look at nothing around them.
const FIXED: [&str; 8] = [r"\n", "ab", "(ab)", "a(b)", "(a)b", "[ab]", r"\n(<)", "(?i)(ab|ba)"];

fuzz_target!(|data: &[u8]| {
    let (seed, data) = choice(data);
    let (kind, data) = choice(data);
    let delimiter_eol = kind & 0x40 != 0;
    let fixed = kind & 0x80 == 0;
    let (delimiter, data) = match fixed {
        true => (FIXED[usize::from(kind) % FIXED.len()], data),
        false => match text_and_rest(data) {
            Some(found) => found,
            None => return,
        },
    };
    let config = RegexSplitterConfig { delimiter: delimiter.to_owned(), delimiter_eol };
    let Ok(mut splitter) = RegexSplitter::start(&config, &context(NameRegistry::new())) else {
        return assert!(!fixed, "this is a pattern");
    };
    if fixed {
        assert_chunks_do_not_matter(&mut splitter, seed, data);
    }
    let (found, _) = split(&mut splitter, Chunks::new(seed, data), seed & 0x40 != 0);
    assert!(found.iter().all(|(_, bytes, _)| !bytes.is_empty()), "an empty record");
});
