//! Records between matches of a pattern.

use heka_goregex::{LiteralForm, Pattern};
use heka_plugin::{
    FieldProblems, Frames, Plugin, PluginConfig, Scan, Splitter, StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::search::Searcher;

/// Splits text where a pattern matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegexSplitterConfig {
    /// Pattern of what lies between records, with at most one group. Without a group, what matched is lost; with
    /// one, what the group matched is kept.
    pub delimiter: String,
    /// Keeps what the group matched at the end of the record before it; otherwise it begins the next one.
    pub delimiter_eol: bool,
}

impl Default for RegexSplitterConfig {
    fn default() -> Self {
        Self { delimiter: "\n".to_owned(), delimiter_eol: true }
    }
}

impl PluginConfig for RegexSplitterConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        match Pattern::new(&self.delimiter) {
            Ok(pattern) => problems.require(
                pattern.group_count() <= 1,
                "delimiter",
                format!("has {} groups, at most one makes sense", pattern.group_count()),
            ),
            Err(error) => problems.error("delimiter", format!("cannot be used: {error}")),
        }
        problems.require(!self.delimiter.is_empty(), "delimiter", "must not be empty");
    }
}

impl Plugin for RegexSplitter {
    const NAME: &'static str = "RegexSplitter";
    const PAGE: &'static str = include_str!("regex_splitter.md");
    type Config = RegexSplitterConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        let pattern = Pattern::new(&config.delimiter)
            .map_err(|error| StartError::because("compile the delimiter", error))?;
        if pattern.group_count() > 1 {
            return Err(StartError::new("the delimiter has more than one group"));
        }
        let literal_bytes = match pattern.literal_form() {
            Some(LiteralForm::Contains(text)) if !text.is_empty() => Some(text.len()),
            _ => None,
        };
        Ok(Self {
            searcher: Searcher::new(&pattern),
            eol: config.delimiter_eol,
            literal_bytes,
            kept: 0,
        })
    }
}

/// See [`RegexSplitterConfig`].
#[derive(Debug)]
pub struct RegexSplitter {
    searcher: Searcher,
    eol: bool,
    /// Length of a delimiter that is plain text: then what was seen need not be searched again.
    literal_bytes: Option<usize>,
    /// Length of the delimiter that the unfinished record begins with.
    kept: usize,
}

impl Splitter for RegexSplitter {
    fn split(&mut self, data: &[u8], scan: Scan, frames: &mut Frames) -> usize {
        let mut start = 0;
        let seen = match self.literal_bytes {
            Some(bytes) => scan.seen.saturating_sub(bytes - 1),
            None => 0,
        };
        loop {
            // The delimiter that a record begins with does not end it.
            let from = (start + self.kept).max(seen).min(data.len());
            let Some(found) = self.searcher.delimiter(&data[from..]) else { return start };
            let (match_start, match_end) = (from + found.start, from + found.end);
            let group = found.group.map(|group| (from + group.start, from + group.end));
            let (end, next) = match group {
                Some((_, group_end)) if self.eol => (group_end, match_end),
                Some((group_start, _)) => (match_start, group_start),
                None => (match_start, match_end),
            };
            if end > start {
                frames.push(start..end);
            }
            // A group that matched nothing keeps nothing; the rest of the match is then lost too, so that the
            // same place is not found again.
            let kept = group.filter(|_| !self.eol).map_or(0, |(start, end)| end - start);
            start = if kept == 0 { match_end } else { next };
            self.kept = kept;
        }
    }

    fn reset(&mut self) {
        self.kept = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Feeding, texts};
    use proptest::prelude::*;

    const FINAL: &str = "deliver_incomplete_final = true\n";

    fn found(config: &str, stream: &[u8]) -> Vec<String> {
        texts(&Feeding::of::<RegexSplitter>(config).stream(&[stream]))
    }

    #[test]
    fn without_a_group_the_delimiter_is_lost() {
        let mut feeding = Feeding::of::<RegexSplitter>("");
        assert_eq!(texts(&feeding.reads(&[b"a\nb\nc"])), ["a", "b"]);
        assert_eq!(feeding.left(), 1);
    }

    /// The original held back complete records behind an empty one.
    #[test]
    fn empty_records_are_passed_over() {
        assert_eq!(found("", b"\n\na\n\nb\n"), ["a", "b"]);
        let mut feeding = Feeding::of::<RegexSplitter>("");
        assert_eq!(texts(&feeding.blocks(&[b"a\n\nb\n", b"\na\nb\n"])), ["a", "b", "a", "b"]);
    }

    #[test]
    fn a_group_is_kept_at_the_end_of_its_record() {
        assert_eq!(found("delimiter = '(\\\\r\\\\n)'", b"a\r\nb\r\nc"), ["a\r\n", "b\r\n"]);
        assert_eq!(found("delimiter = '(;)\\\\n'", b"a;\nb;\nc"), ["a;", "b;"]);
        let config = format!("{FINAL}delimiter = '-(a)b'");
        assert_eq!(found(&config, b"1-ab2-ab3"), ["1-a", "2-a", "3"]);
    }

    #[test]
    fn a_group_may_begin_the_next_record() {
        let config = format!("{FINAL}delimiter = '-(a)b'\ndelimiter_eol = false");
        assert_eq!(found(&config, b"1-ab2-ab3"), ["1", "ab2", "ab3"]);
        let config = "delimiter = '(-+)'\ndelimiter_eol = false";
        let mut feeding = Feeding::of::<RegexSplitter>(config);
        assert_eq!(texts(&feeding.reads(&[b"a-b--c---d-e"])), ["a", "-b", "--c", "---d"]);
        assert_eq!(feeding.left(), 2);
        let config = format!("{FINAL}delimiter = '\\\\n(# User@Host:)'\ndelimiter_eol = false");
        assert_eq!(
            found(&config, b"# User@Host: a\nselect\n# User@Host: b\nx\n"),
            ["# User@Host: a\nselect", "# User@Host: b\nx\n"]
        );
        assert_eq!(found("delimiter = '(;)'\ndelimiter_eol = false", b";a;b;"), [";a", ";b"]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_finds_nothing() {
        assert!(found("delimiter = 'x*'", b"abc").is_empty());
        assert_eq!(found("delimiter = 'x*'", b"axxbxc"), ["a", "b"]);
    }

    /// The original crashed.
    #[test]
    fn a_group_that_took_no_part_counts_as_none() {
        let config = "delimiter = '\\\\n(x)?'";
        assert_eq!(found(config, b"a\nb\nxc\n"), ["a", "b\nx", "c"]);
        let config = "delimiter = '\\\\n(x)?'\ndelimiter_eol = false";
        assert_eq!(found(config, b"a\nb\nxc\n"), ["a", "b", "xc"]);
        let config = "delimiter = '\\\\n(x*)'\ndelimiter_eol = false";
        assert_eq!(found(config, b"a\nb\nxc\n"), ["a", "b", "xc"]);
    }

    /// The original crashed on a shorter stream after one that had kept a longer delimiter.
    #[test]
    fn another_stream_begins_anew() {
        let config = "delimiter = '(-+)'\ndelimiter_eol = false";
        let mut feeding = Feeding::of::<RegexSplitter>(config);
        assert_eq!(texts(&feeding.stream(&[b"a-----b"])), ["a"]);
        assert_eq!(texts(&feeding.stream(&[b"-c-"])), ["-c"]);
    }

    #[test]
    fn a_delimiter_may_come_in_parts() {
        let mut feeding = Feeding::of::<RegexSplitter>("delimiter = '--END--'");
        let reads: [&[u8]; 5] = [b"a--", b"EN", b"D--b--EN", b"X--END-", b"-c"];
        assert_eq!(texts(&feeding.reads(&reads)), ["a", "b--ENX"]);
    }

    #[test]
    fn patterns_are_checked() {
        let problems = |delimiter: &str| {
            let config =
                RegexSplitterConfig { delimiter: delimiter.to_owned(), ..Default::default() };
            let mut problems = FieldProblems::new();
            config.validate(&mut problems);
            !problems.is_empty()
        };
        assert!(problems("(a)(b)") && problems("(?P<x>a)(b)") && problems("(") && problems(""));
        assert!(!problems(r"\n") && !problems("(?P<x>a)") && !problems("(?:a)(?:b)"));
    }

    proptest! {
        #[test]
        fn records_do_not_depend_on_reads(
            stream in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b';'), Just(b'\n')], 0..60),
            bytes in 1_usize..20,
        ) {
            for config in ["delimiter = ';\\\\n'", "delimiter = '(;)\\\\n'\ndelimiter_eol = false"] {
                let config = format!("{FINAL}{config}");
                let at_once = Feeding::of::<RegexSplitter>(&config).stream(&[&stream]);
                let reads: Vec<&[u8]> = stream.chunks(bytes).collect();
                prop_assert_eq!(Feeding::of::<RegexSplitter>(&config).stream(&reads), at_once);
            }
        }
    }
}
