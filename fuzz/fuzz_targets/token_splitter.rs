//! TokenSplitter: records do not depend on how the stream was read.

#![no_main]

use heka_fuzz::{assert_chunks_do_not_matter, choice, context, split};
use heka_message::NameRegistry;
use heka_plugin::Plugin;
use heka_plugin_core::{TokenSplitter, TokenSplitterConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (seed, data) = choice(data);
    let config = TokenSplitterConfig { delimiter: "\n".to_owned(), count: u32::from(seed >> 6) };
    let mut splitter = TokenSplitter::start(&config, &context(NameRegistry::new())).expect("valid");
    assert_chunks_do_not_matter(&mut splitter, seed, data);

    let (found, _) = split(&mut splitter, std::iter::once(data), false);
    let count = config.count.max(1) as usize;
    let lines: Vec<&[u8]> = data.split_inclusive(|&byte| byte == b'\n').collect();
    let expected: Vec<Vec<u8>> = lines.chunks(count).map(<[&[u8]]>::concat).collect();
    let found: Vec<Vec<u8>> = found.into_iter().map(|(_, bytes, _)| bytes).collect();
    assert_eq!(found, expected);
});
