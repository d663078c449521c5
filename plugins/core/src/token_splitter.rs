//! Records that end with a delimiter of one byte.

use heka_plugin::{
    Defaults, FieldProblems, Frames, NO_DEFAULTS, Plugin, PluginConfig, Scan, Splitter,
    StartContext, StartError,
};
use memchr::memchr_iter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Splits text at a byte, by default into lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSplitterConfig {
    /// The byte that ends a record and stays its last one; exactly one byte.
    pub delimiter: String,
    /// Number of delimiters to a record; 0 means 1.
    pub count: u32,
}

impl Default for TokenSplitterConfig {
    fn default() -> Self {
        Self { delimiter: "\n".to_owned(), count: 1 }
    }
}

impl PluginConfig for TokenSplitterConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        problems.require(self.delimiter.len() == 1, "delimiter", "must be exactly one byte");
    }
}

impl Plugin for TokenSplitter {
    const NAME: &'static str = "TokenSplitter";
    const PAGE: &'static str = include_str!("token_splitter.md");
    const DEFAULTS: Defaults = NO_DEFAULTS;
    type Config = TokenSplitterConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        match *config.delimiter.as_bytes() {
            [delimiter] => Ok(Self { delimiter, count: config.count.max(1), passed: 0 }),
            _ => Err(StartError::new("the delimiter must be exactly one byte")),
        }
    }
}

/// See [`TokenSplitterConfig`].
#[derive(Debug, Clone)]
pub struct TokenSplitter {
    delimiter: u8,
    count: u32,
    /// Delimiters in the bytes that were presented before.
    passed: u32,
}

impl Splitter for TokenSplitter {
    fn split(&mut self, data: &[u8], scan: Scan, frames: &mut Frames) -> usize {
        let seen = scan.seen.min(data.len());
        let mut passed = if seen == 0 { 0 } else { self.passed };
        let mut start = 0;
        for at in memchr_iter(self.delimiter, &data[seen..]) {
            passed += 1;
            if passed == self.count {
                let end = seen + at + 1;
                frames.push(start..end);
                start = end;
                passed = 0;
            }
        }
        self.passed = passed;
        start
    }

    fn reset(&mut self) {
        self.passed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Feeding, texts};
    use proptest::prelude::*;

    const LINES: &[u8] = b"a\nbb\n\nccc";

    #[test]
    fn lines_keep_their_end_and_the_unfinished_one_waits() {
        let mut feeding = Feeding::of::<TokenSplitter>("");
        assert_eq!(texts(&feeding.reads(&[LINES])), ["a\n", "bb\n", "\n"]);
        assert_eq!(feeding.left(), 3);
    }

    #[test]
    fn the_unfinished_line_is_delivered_at_the_end_if_wanted() {
        let mut feeding = Feeding::of::<TokenSplitter>("deliver_incomplete_final = true");
        assert_eq!(texts(&feeding.stream(&[LINES])), ["a\n", "bb\n", "\n", "ccc"]);
        let mut feeding = Feeding::of::<TokenSplitter>("");
        assert_eq!(texts(&feeding.stream(&[LINES])), ["a\n", "bb\n", "\n"]);
    }

    #[test]
    fn a_record_may_take_several_delimiters() {
        let mut feeding = Feeding::of::<TokenSplitter>("count = 2");
        assert_eq!(texts(&feeding.reads(&[b"a\nb\nc\nd"])), ["a\nb\n"]);
        let config = "count = 2\ndeliver_incomplete_final = true";
        let mut feeding = Feeding::of::<TokenSplitter>(config);
        assert_eq!(texts(&feeding.stream(&[b"a\nb\nc\nd"])), ["a\nb\n", "c\nd"]);
        let mut feeding = Feeding::of::<TokenSplitter>("count = 0");
        assert_eq!(texts(&feeding.reads(&[b"a\nb"])), ["a\n"]);
    }

    #[test]
    fn delimiters_of_earlier_reads_count() {
        let mut feeding = Feeding::of::<TokenSplitter>("count = 3");
        let found = feeding.reads(&[b"a\n", b"b", b"\nc\nd\n", b"e\nf\n", b"g\n"]);
        assert_eq!(texts(&found), ["a\nb\nc\n", "d\ne\nf\n"]);
        assert_eq!(feeding.left(), 2);
    }

    #[test]
    fn records_do_not_depend_on_how_they_were_read() {
        let mut feeding = Feeding::of::<TokenSplitter>("delimiter = ' '");
        assert_eq!(texts(&feeding.reads(&[b"he", b"llo wor", b"ld "])), ["hello ", "world "]);
    }

    #[test]
    fn the_delimiter_is_one_byte() {
        for delimiter in ["é", "\r\n", ""] {
            let config = TokenSplitterConfig { delimiter: delimiter.to_owned(), count: 1 };
            let mut problems = FieldProblems::new();
            config.validate(&mut problems);
            assert!(!problems.is_empty(), "{delimiter:?}");
        }
        let mut problems = FieldProblems::new();
        TokenSplitterConfig::default().validate(&mut problems);
        assert!(problems.is_empty());
    }

    /// 65536 bytes of message and 258 of framing.
    const MAX: usize = 65_794;

    fn line(len: usize) -> Vec<u8> {
        [&b"x".repeat(len)[..], b"\n"].concat()
    }

    #[test]
    fn the_longest_line_is_delivered_whole() {
        let mut feeding = Feeding::of::<TokenSplitter>("");
        let found = feeding.reads(&[&line(MAX - 1)]);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [MAX]);
    }

    /// The original delivered the tail of such a line as a line.
    #[test]
    fn a_line_over_the_limit_is_dropped_as_a_whole() {
        for long in [MAX, MAX + 1, 2 * MAX + 7] {
            let mut feeding = Feeding::of::<TokenSplitter>("");
            let stream = [&line(long)[..], b"next\nlast\n"].concat();
            assert_eq!(texts(&feeding.chunks(&stream, 8_192)), ["next\n", "last\n"], "{long}");
            assert_eq!(feeding.oversize_dropped(), 1);
        }
    }

    #[test]
    fn a_line_over_the_limit_is_cut_if_wanted() {
        let mut feeding = Feeding::of::<TokenSplitter>("keep_truncated = true");
        let stream = [&line(MAX + 1)[..], b"next\nlast\n"].concat();
        let found = feeding.chunks(&stream, 8_192);
        assert_eq!(found[0], b"x".repeat(MAX));
        assert_eq!(texts(&found[1..]), ["next\n", "last\n"]);
    }

    #[test]
    fn a_block_with_a_line_over_the_limit_loses_only_that() {
        let stream = [&line(2 * MAX + 100)[..], b"next\n"].concat();
        let mut feeding = Feeding::of::<TokenSplitter>("");
        assert_eq!(texts(&feeding.blocks(&[&stream])), ["next\n"]);
        let mut feeding = Feeding::of::<TokenSplitter>("keep_truncated = true");
        let found = feeding.blocks(&[&stream]);
        assert_eq!(found[0], b"x".repeat(MAX));
        assert_eq!(texts(&found[1..]), ["next\n"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled_however_it_is_read(
            stream in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'\n')], 0..80),
            bytes in 1_usize..20,
            count in 1_u32..4,
        ) {
            let config = format!("count = {count}\ndeliver_incomplete_final = true");
            let reads: Vec<&[u8]> = stream.chunks(bytes).collect();
            let found = Feeding::of::<TokenSplitter>(&config).stream(&reads);
            prop_assert_eq!(found.concat(), &stream[..]);
            let ends = |record: &Vec<u8>| record.iter().filter(|&&byte| byte == b'\n').count();
            for record in found.iter().rev().skip(1) {
                prop_assert_eq!((ends(record), record.last()), (count as usize, Some(&b'\n')));
            }
        }
    }
}
