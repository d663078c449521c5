//! Lines that belong together, such as those of a stack trace, as one record.
//!
//! Invariants: what is a group depends on the stream only, not on how it was read; a group is held back until
//! the line behind it shows that it is over, or the feed says that nothing more comes.

use heka_goregex::Pattern;
use heka_plugin::{
    Defaults, FieldProblems, Frames, NO_DEFAULTS, Plugin, PluginConfig, Scan, Splitter,
    StartContext, StartError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::search::Searcher;

/// Lines to a record at most, where the section does not say.
const LINES_MAX_DEFAULT: i64 = 99;

/// Splits text into lines and joins neighbours that match a pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatternGroupingSplitterConfig {
    /// Pattern of what ends a line; it stays at the end of the line.
    pub delimiter: String,
    /// Pattern of lines that belong together with their neighbours that match too; empty matches every line.
    pub grouping: String,
    /// Most lines in one record, at least 1; a negative number means no limit.
    pub max_lines: i64,
}

impl Default for PatternGroupingSplitterConfig {
    fn default() -> Self {
        Self { delimiter: "\n".to_owned(), grouping: String::new(), max_lines: LINES_MAX_DEFAULT }
    }
}

impl PluginConfig for PatternGroupingSplitterConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        for (key, pattern) in [("delimiter", &self.delimiter), ("grouping", &self.grouping)] {
            if let Err(error) = Pattern::new(pattern) {
                problems.error(key, format!("cannot be used: {error}"));
            }
        }
        problems.require(!self.delimiter.is_empty(), "delimiter", "must not be empty");
        problems.require(self.max_lines != 0, "max_lines", "must not be 0");
    }
}

impl Plugin for PatternGroupingSplitter {
    const NAME: &'static str = "PatternGroupingSplitter";
    const PAGE: &'static str = include_str!("pattern_grouping_splitter.md");
    const DEFAULTS: Defaults = NO_DEFAULTS;
    type Config = PatternGroupingSplitterConfig;

    fn start(config: &Self::Config, _: &StartContext) -> Result<Self, StartError> {
        let compile = |text: &str, what: &str| {
            Pattern::new(text)
                .map_err(|error| StartError::because(format!("compile the {what}"), error))
        };
        let delimiter = compile(&config.delimiter, "delimiter")?;
        Ok(Self {
            delimiter: Searcher::new(&delimiter),
            grouping: compile(&config.grouping, "grouping")?,
            lines_max: usize::try_from(config.max_lines).unwrap_or(usize::MAX),
            group: Group::default(),
        })
    }
}

/// See [`PatternGroupingSplitterConfig`].
#[derive(Debug)]
pub struct PatternGroupingSplitter {
    delimiter: Searcher,
    grouping: Pattern,
    lines_max: usize,
    /// The group at the start of the data, if a part of it was seen before.
    group: Group,
}

/// Lines that belong together and may go on.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    start: usize,
    end: usize,
    lines: usize,
}

impl Group {
    fn close(&mut self, frames: &mut Frames) {
        if self.lines > 0 {
            frames.push(self.start..self.end);
        }
        *self = Self { start: self.end, end: self.end, lines: 0 };
    }
}

impl Splitter for PatternGroupingSplitter {
    fn split(&mut self, data: &[u8], scan: Scan, frames: &mut Frames) -> usize {
        let mut group = if scan.seen == 0 { Group::default() } else { self.group };
        if group.end > data.len() {
            group = Group::default();
        }
        while let Some(found) = self.delimiter.delimiter(&data[group.end..]) {
            let text = group.end..group.end + found.start;
            self.add(data, text, group.end + found.end, &mut group, frames);
        }
        let consumed = group.start;
        // The rest is presented again from its start on.
        self.group = Group { start: 0, end: group.end - consumed, lines: group.lines };
        consumed
    }

    /// What is left is a group that could have gone on, then perhaps a line that has no end.
    fn finish(&mut self, data: &[u8], rest: bool, frames: &mut Frames) {
        let mut group = Group::default();
        while let Some(found) = self.delimiter.delimiter(&data[group.end..]) {
            let text = group.end..group.end + found.start;
            self.add(data, text, group.end + found.end, &mut group, frames);
        }
        if rest && group.end < data.len() {
            self.add(data, group.end..data.len(), data.len(), &mut group, frames);
        }
        group.close(frames);
        self.group = Group::default();
    }

    fn reset(&mut self) {
        self.group = Group::default();
    }
}

impl PatternGroupingSplitter {
    /// Adds the line with this text, which ends at `end` with its delimiter, to the group or behind it.
    fn add(
        &self,
        data: &[u8],
        text: std::ops::Range<usize>,
        end: usize,
        group: &mut Group,
        frames: &mut Frames,
    ) {
        let start = text.start;
        // A pattern may be meant for the line with its end or without.
        let belongs =
            self.grouping.is_match(&data[text]) || self.grouping.is_match(&data[start..end]);
        if !belongs {
            group.close(frames);
        }
        *group = Group { end, lines: group.lines + 1, ..*group };
        if !belongs || group.lines >= self.lines_max {
            group.close(frames);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Feeding, texts};
    use proptest::prelude::*;

    const TRACES: &str = "grouping = '(\\\\A\\\\s*.+Exception: .)|(at \\\\S+\\\\(\\\\S+\\\\))'\n";

    fn feeding(config: &str) -> Feeding {
        Feeding::of::<PatternGroupingSplitter>(config)
    }

    #[test]
    fn lines_of_a_trace_are_one_record() {
        let mut feeding = feeding(TRACES);
        let stream = b"one\nx.FooException: bad\n\tat a.b(C)\n\tat d.e(F)\ntwo\nthree";
        assert_eq!(
            texts(&feeding.reads(&[stream])),
            ["one\n", "x.FooException: bad\n\tat a.b(C)\n\tat d.e(F)\n", "two\n"]
        );
        assert_eq!(feeding.left(), 5);
    }

    /// The original took the line behind a line that matches for a part of the group.
    #[test]
    fn a_line_that_does_not_match_is_a_record_of_its_own() {
        let found = feeding(TRACES).reads(&[b"x.FooException: bad\ntwo\nthree\n"]);
        assert_eq!(texts(&found), ["x.FooException: bad\n", "two\n", "three\n"]);
    }

    /// The original cut groups where a read ended.
    #[test]
    fn groups_do_not_depend_on_reads() {
        let reads: [&[u8]; 3] = [b"x.FooException: bad\n", b"\tat a.b(C)\n", b"two\n"];
        let found = feeding(TRACES).reads(&reads);
        assert_eq!(texts(&found), ["x.FooException: bad\n\tat a.b(C)\n", "two\n"]);
    }

    #[test]
    fn a_group_has_a_longest_length() {
        let at = "\tat a.b(C)\n";
        let stream = format!("x.FooException: bad\n{at}{at}{at}{at}end\n");
        let found = feeding(&format!("{TRACES}max_lines = 3")).reads(&[stream.as_bytes()]);
        let expected =
            [format!("x.FooException: bad\n{at}{at}"), format!("{at}{at}"), "end\n".to_owned()];
        assert_eq!(texts(&found), expected);
    }

    #[test]
    fn without_a_pattern_lines_are_counted() {
        let mut feeding = feeding("max_lines = 2\ndeliver_incomplete_final = true");
        assert_eq!(texts(&feeding.reads(&[b"a\nb\nc\nd\ne\n"])), ["a\nb\n", "c\nd\n"]);
        assert_eq!(texts(&feeding.stream(&[])), ["e\n"]);
    }

    #[test]
    fn the_last_group_is_delivered_at_the_end() {
        let config = format!("{TRACES}deliver_incomplete_final = true");
        let stream = b"x.FooException: bad\n\tat a.b(C)\n";
        assert_eq!(
            texts(&feeding(&config).stream(&[stream])),
            ["x.FooException: bad\n\tat a.b(C)\n"]
        );
        let stream = b"x.FooException: bad\n\tat a.b(C)\nunfinished";
        assert_eq!(
            texts(&feeding(&config).stream(&[stream])),
            ["x.FooException: bad\n\tat a.b(C)\n", "unfinished"]
        );
        let stream = b"x.FooException: bad\n\tat a.b(C)";
        assert_eq!(
            texts(&feeding(&config).stream(&[stream])),
            ["x.FooException: bad\n\tat a.b(C)"]
        );
    }

    #[test]
    fn a_negative_limit_is_none() {
        let stream = "x.FooException: bad\n".repeat(150) + "end\n";
        let found = feeding(&format!("{TRACES}max_lines = -1")).reads(&[stream.as_bytes()]);
        assert_eq!(found.len(), 2);
        assert_eq!(feeding(TRACES).reads(&[stream.as_bytes()]).len(), 3, "99, 51 and 1");
    }

    #[test]
    fn options_are_checked() {
        let problems = |config: PatternGroupingSplitterConfig| {
            let mut problems = FieldProblems::new();
            config.validate(&mut problems);
            !problems.is_empty()
        };
        let default = PatternGroupingSplitterConfig::default;
        assert!(!problems(default()));
        assert!(problems(PatternGroupingSplitterConfig { max_lines: 0, ..default() }));
        assert!(problems(PatternGroupingSplitterConfig { delimiter: String::new(), ..default() }));
        assert!(problems(PatternGroupingSplitterConfig { grouping: "(".to_owned(), ..default() }));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled_however_it_is_read(
            lines in proptest::collection::vec(prop_oneof![Just("a\n"), Just("b\n"), Just("\n")], 0..40),
            bytes in 1_usize..20,
        ) {
            let stream = lines.concat();
            let config = "grouping = 'a'\nmax_lines = 3\ndeliver_incomplete_final = true";
            let at_once = feeding(config).stream(&[stream.as_bytes()]);
            let reads: Vec<&[u8]> = stream.as_bytes().chunks(bytes).collect();
            prop_assert_eq!(&feeding(config).stream(&reads), &at_once);
            prop_assert_eq!(at_once.concat(), stream.as_bytes());
        }
    }
}
