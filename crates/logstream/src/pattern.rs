//! What a file name says: whether the file belongs to us, to which stream, and where in its order.
//!
//! Here: the effective pattern over the full path, sort values, stream names. Not here: walking directories
//! (`catalog`). As in Heka, the directory is put literally in front of `file_match` and `$` behind it, which anchors
//! each branch of a top-level alternation on one side only.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;
use regex_automata::util::primitives::PatternID;

use crate::error::Error;
use crate::settings::Settings;

/// The value of a group that is absent or empty.
const MISSING: &str = "missing";
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What the settings say about names, without the directory.
#[derive(Debug)]
pub(crate) struct Rules {
    file_match: String,
    /// Group and whether its order is turned round.
    priority: Vec<(String, bool)>,
    differentiator: Vec<String>,
    /// Texts are in lower case.
    translation: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Rules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let priority = settings.priority.iter().map(|element| match element.strip_prefix('^') {
            Some(group) => (group.to_owned(), true),
            None => (element.clone(), false),
        });
        let translation = settings.translation.iter().map(|(group, map)| {
            let map = map.iter().map(|(text, value)| (text.to_lowercase(), *value));
            (group.clone(), map.collect())
        });
        Self {
            // An anchor behind the directory could never match.
            file_match: settings.file_match.trim_start_matches('^').to_owned(),
            priority: priority.collect(),
            differentiator: settings.differentiator.clone(),
            translation: translation.collect(),
        }
    }

    /// All that makes the settings unusable.
    pub(crate) fn check(settings: &Settings) -> Vec<Error> {
        let mut problems = Vec::new();
        if settings.file_match.is_empty() {
            problems.push(Error::FileMatchEmpty);
        } else if let Err(error) = compile(&settings.file_match) {
            problems.push(error);
        }
        if settings.differentiator.is_empty() {
            problems.push(Error::DifferentiatorMissing);
        }
        for element in &settings.priority {
            if element.is_empty() || element == "^" {
                problems.push(Error::PriorityEmpty { element: element.clone() });
            }
        }
        for (group, map) in &settings.translation {
            let mut keys = map.keys();
            match (keys.next(), keys.next()) {
                (None, _) => problems.push(Error::TranslationEmpty { group: group.clone() }),
                (Some(key), None) if key != MISSING => problems
                    .push(Error::TranslationSingle { group: group.clone(), key: key.clone() }),
                _ => {}
            }
        }
        problems
    }

    /// What is suspicious but usable.
    pub(crate) fn warnings(&self, settings: &Settings) -> Vec<Error> {
        let mut problems = Vec::new();
        if has_loose_alternation(&settings.file_match) {
            problems.push(Error::LooseAlternation { pattern: settings.file_match.clone() });
        }
        if let Ok(regex) = compile(&self.file_match) {
            let groups: HashSet<&str> = group_names(&regex).flatten().collect();
            for (element, (group, _)) in settings.priority.iter().zip(&self.priority) {
                if !groups.contains(group.as_str()) {
                    problems.push(Error::PriorityUnknown { element: element.clone() });
                }
            }
        }
        problems
    }

    /// Compiles the pattern for files below `root`.
    pub(crate) fn pattern(&self, root: &Path) -> Result<Pattern, Error> {
        let root = root.to_string_lossy();
        let separator =
            if root.ends_with('/') || self.file_match.starts_with('/') { "" } else { "/" };
        let end = if ends_in_anchor(&self.file_match) { "" } else { "$" };
        let text = format!("^{}{separator}{}{end}", quote(&root), self.file_match);
        let regex = compile(&text)?;
        let groups = group_names(&regex)
            .enumerate()
            .filter_map(|(index, name)| Some((index, name?.to_owned())))
            .collect();
        Ok(Pattern { regex, groups })
    }

    pub(crate) fn has_priority(&self) -> bool {
        !self.priority.is_empty()
    }

    /// The values that `priority` asks for, such that comparing the lists compares the files.
    fn sort_values(&self, values: &BTreeMap<&str, i64>) -> Vec<i64> {
        self.priority
            .iter()
            .map(|(group, descending)| {
                let value = values.get(group.as_str()).copied().unwrap_or(0);
                // `!` turns the order round and cannot overflow.
                if *descending { !value } else { value }
            })
            .collect()
    }

    /// The sort value of a group's text; `None` if it has no translation.
    fn value(&self, group: &str, text: &str) -> Option<i64> {
        if group == "MonthName" {
            return name_index(&MONTHS, text).map(|index| index + 1);
        }
        if group == "DayName" {
            return name_index(&DAYS, text);
        }
        if let Some(map) = self.translation.get(group) {
            match map.get(text) {
                Some(value) => return Some(*value),
                None if map.len() > 1 => return None,
                None => {}
            }
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(-1);
        }
        Some(text.parse().unwrap_or(i64::MAX))
    }
}

/// The compiled pattern over full paths.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    groups: Vec<(usize, String)>,
}

/// What a name says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) stream: String,
    /// Compared from the first to the last value.
    pub(crate) order: Vec<i64>,
}

impl Pattern {
    /// Whether the path is one of ours.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.regex.is_match(path.as_os_str().as_bytes())
    }

    /// Reads the path; `None` if it is not one of ours. Values without translation count as 0 and are reported.
    pub(crate) fn classify(
        &self,
        rules: &Rules,
        path: &Path,
        problems: &mut Vec<Error>,
    ) -> Option<Class> {
        let bytes = path.as_os_str().as_bytes();
        let mut captures = self.regex.create_captures();
        self.regex.captures(bytes, &mut captures);
        if !captures.is_match() {
            return None;
        }
        let mut values = BTreeMap::new();
        for (index, group) in &self.groups {
            let text = text_of(captured(&captures, *index, bytes)).to_lowercase();
            let text = if text.is_empty() { MISSING } else { &text };
            let value = rules.value(group, text).unwrap_or_else(|| {
                problems.push(Error::Untranslatable {
                    path: path.to_owned(),
                    group: group.clone(),
                    value: text.to_owned(),
                });
                0
            });
            values.insert(group.as_str(), value);
        }
        let mut stream = String::new();
        for element in &rules.differentiator {
            match self.groups.iter().find(|(_, group)| group == element) {
                Some((index, _)) => stream.push_str(&text_of(captured(&captures, *index, bytes))),
                None => stream.push_str(element),
            }
        }
        Some(Class { stream, order: rules.sort_values(&values) })
    }
}

fn captured<'a>(captures: &Captures, index: usize, bytes: &'a [u8]) -> &'a [u8] {
    captures.get_group(index).map_or(&[], |span| &bytes[span.range()])
}

/// Text of captured bytes; what is not UTF-8 is written `\xNN`, so that different names stay different.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn name_index(names: &[&str], text: &str) -> Option<i64> {
    let index = names.iter().position(|name| *name == text || name.get(..3) == Some(text))?;
    i64::try_from(index).ok()
}

fn compile(pattern: &str) -> Result<Regex, Error> {
    heka_goregex::compile(pattern)
        .map_err(|source| Error::Pattern { pattern: pattern.to_owned(), source: Box::new(source) })
}

fn group_names(regex: &Regex) -> impl Iterator<Item = Option<&str>> {
    regex.group_info().pattern_names(PatternID::ZERO)
}

/// Escapes what is special in a pattern.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// Whether the pattern ends in `$` as an anchor, not as an escaped character.
fn ends_in_anchor(pattern: &str) -> bool {
    let Some(rest) = pattern.strip_suffix('$') else { return false };
    (rest.len() - rest.trim_end_matches('\\').len()).is_multiple_of(2)
}

/// Whether a `|` stands outside of all groups and classes.
fn has_loose_alternation(pattern: &str) -> bool {
    let (mut depth, mut in_class) = (0_usize, false);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    struct Case {
        rules: Rules,
        pattern: Pattern,
        problems: Vec<Error>,
    }

    impl Case {
        fn new(file_match: &str, priority: &[&str], differentiator: &[&str]) -> Self {
            Self::with(file_match, priority, differentiator, &[])
        }

        fn with(
            file_match: &str,
            priority: &[&str],
            differentiator: &[&str],
            translation: &[(&str, &[(&str, i64)])],
        ) -> Self {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let translation = translation.iter().map(|(group, map)| {
                let map = map.iter().map(|(text, value)| ((*text).to_owned(), *value));
                ((*group).to_owned(), map.collect())
            });
            let settings = Settings {
                file_match: file_match.to_owned(),
                priority: owned(priority),
                differentiator: owned(differentiator),
                translation: translation.collect(),
                ..Settings::default()
            };
            assert!(settings.validate().is_empty(), "{:?}", settings.validate());
            let rules = Rules::new(&settings);
            let pattern = rules.pattern(Path::new("/r")).unwrap();
            Self { rules, pattern, problems: Vec::new() }
        }

        fn class(&mut self, path: impl AsRef<OsStr>) -> Option<(String, Vec<i64>)> {
            let path = Path::new("/r").join(Path::new(path.as_ref()));
            let class = self.pattern.classify(&self.rules, &path, &mut self.problems)?;
            Some((class.stream, class.order))
        }

        fn stream(&mut self, path: &str) -> String {
            self.class(path).map(|(stream, _)| stream).unwrap_or_default()
        }

        fn value(&mut self, path: &str) -> i64 {
            self.class(path).unwrap().1[0]
        }
    }

    #[test]
    fn the_whole_path_must_match_but_loose_branches_are_anchored_on_one_side() {
        let mut case = Case::new(r"a\.log", &[], &["x"]);
        assert_eq!(case.class("a.log"), Some(("x".to_owned(), Vec::new())));
        assert_eq!(case.class("a.log.1"), None);
        assert_eq!(case.class("sub/a.log"), None);
        let mut case = Case::new(r"a\.log|b\.log", &[], &["x"]);
        for name in ["a.log", "a.log.1.gz", "b.log", "zb.log"] {
            assert_eq!(case.stream(name), "x", "{name}");
        }
        assert!(has_loose_alternation(r"a\.log|b\.log"));
        assert!(!has_loose_alternation(r"(a|b)[|(]\|x"));
    }

    #[test]
    fn anchors_of_the_user_do_no_harm() {
        assert_eq!(Case::new(r"^a\.log$", &[], &["x"]).stream("a.log"), "x");
        assert_eq!(Case::new(r"/a\.log", &[], &["x"]).stream("a.log"), "x");
        let mut case = Case::new(r"a\$", &[], &["x"]);
        assert_eq!((case.stream("a$"), case.stream("a$b")), ("x".to_owned(), String::new()));
    }

    #[test]
    fn names_are_made_of_groups_and_literal_text() {
        let mut case = Case::new(
            r"(?P<DomainName>[^/]+)-access\.log",
            &[],
            &["nginx.", "DomainName", ".access"],
        );
        assert_eq!(case.stream("hekathings.com-access.log"), "nginx.hekathings.com.access");
        assert_eq!(case.stream("sub/c.com-access.log"), "");
        assert_eq!(case.stream("c.com-error.log"), "");
        let mut case = Case::new(r"a(?P<X>b)?\.log", &[], &["n", "X", "x"]);
        assert_eq!((case.stream("a.log"), case.stream("ab.log")), ("nx".into(), "nbx".into()));
    }

    #[test]
    fn numbers_missing_values_and_saturation_sort_as_in_heka() {
        let mut case = Case::new(r"a\.(?P<Seq>\w*)", &["Seq"], &["x"]);
        let values = ["a.", "a.007", "a.10", "a.x1", "a.99999999999999999999"];
        let values = values.map(|name| case.value(name));
        assert_eq!(values, [-1, 7, 10, -1, i64::MAX]);
        let mut case = Case::new(r"a\.?(?P<Seq>\d*)", &["^Seq"], &["x"]);
        let mut order = ["a", "a.1", "a.2"].map(|name| (case.value(name), name));
        order.sort_unstable();
        assert_eq!(order.map(|(_, name)| name), ["a.2", "a.1", "a"]);
    }

    #[test]
    fn months_and_days_have_numbers() {
        let mut case =
            Case::new(r"(?P<MonthName>\w+)/(?P<Name>\w+)\.log", &["MonthName"], &["m-", "Name"]);
        let values = ["jan/a.log", "Sep/a.log", "OCTOBER/a.log"].map(|name| case.value(name));
        assert_eq!((values, case.problems.len()), ([1, 9, 10], 0));
        // Heka put this file into a stream called `m-Name` and said nothing.
        assert_eq!(case.class("Sept/a.log"), Some(("m-a".to_owned(), vec![0])));
        assert_eq!(
            case.problems[0].to_string(),
            r#"/r/Sept/a.log: group "MonthName" has the value "sept", which has no translation"#
        );
        let mut case = Case::new(r"app(-(?P<DayName>\w+))?\.log", &["DayName"], &["x"]);
        let values = ["app-Sun.log", "app-mon.log", "app-WEDNESDAY.log", "app.log"];
        assert_eq!(values.map(|name| case.value(name)), [6, 0, 2, 0]);
        assert_eq!(case.problems.len(), 1);
    }

    #[test]
    fn translations_ignore_case_and_report_what_they_lack() {
        let map: &[(&str, i64)] = &[("Lunes", 1), ("jueves", 4)];
        let mut case = Case::with(
            r"(?P<Day>[^/]+)/(?P<Name>\w+)\.log",
            &["Day"],
            &["m-", "Name"],
            &[("Day", map)],
        );
        let values = ["lunes/a.log", "jueves/a.log", "Miercoles/a.log"];
        assert_eq!(values.map(|name| case.value(name)), [1, 4, 0]);
        assert_eq!((case.stream("Miercoles/a.log").as_str(), case.problems.len()), ("m-a", 2));
        let map: &[(&str, i64)] = &[("missing", 10), ("old", 5), ("OLDER", 1)];
        let mut case = Case::with(r"app(-(?P<Age>\w+))?\.log", &["Age"], &["x"], &[("Age", map)]);
        let values = ["app.log", "app-old.log", "app-older.log"].map(|name| case.value(name));
        assert_eq!(values, [10, 5, 1]);
    }

    #[test]
    fn a_single_translation_of_missing_leaves_the_rest_alone() {
        let translation: &[(&str, &[(&str, i64)])] = &[("Year", &[("missing", 9999)])];
        let pattern = r"access(-(?P<Year>\d{4}))?\.log";
        let mut case = Case::with(pattern, &["Year"], &["x"], translation);
        assert_eq!((case.value("access.log"), case.value("access-2014.log")), (9999, 2014));
        let mut case = Case::new(pattern, &["Year"], &["x"]);
        assert_eq!((case.value("access.log"), case.value("access-2014.log")), (-1, 2014));
    }

    #[test]
    fn names_that_are_not_utf8_stay_different() {
        use std::os::unix::ffi::OsStrExt;
        let mut case = Case::new(r"(?P<N>[^/]+)\.log", &[], &["N"]);
        let name = case.class(OsStr::from_bytes(b"a\xff.log")).unwrap().0;
        let other = case.class(OsStr::from_bytes(b"a\xfe.log")).unwrap().0;
        assert_eq!((name.as_str(), other.as_str()), ("a\\xff", "a\\xfe"));
    }

    #[test]
    fn unusable_settings_are_all_listed() {
        let settings = Settings {
            file_match: "(".to_owned(),
            priority: vec![String::new(), "^".to_owned()],
            translation: BTreeMap::from([
                ("A".to_owned(), BTreeMap::from([("Missing".to_owned(), 1)])),
                ("B".to_owned(), BTreeMap::new()),
            ]),
            ..Settings::default()
        };
        assert_eq!(settings.validate().len(), 6);
        assert!(matches!(Settings::default().validate()[0], Error::FileMatchEmpty));
    }
}
