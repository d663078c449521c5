//! The text of a report, taken apart.

use std::collections::BTreeMap;

/// A report: section, entry, figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportText {
    pub(crate) text: String,
    sections: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
}

impl ReportText {
    /// Reads `====Section====`, `entry:` and `    figure: value`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut sections: BTreeMap<_, BTreeMap<_, BTreeMap<_, _>>> = BTreeMap::new();
        let (mut section, mut entry) = (String::new(), String::new());
        for line in text.lines().skip(1) {
            let title = line.strip_prefix("====").and_then(|rest| rest.strip_suffix("===="));
            if let Some(title) = title.filter(|title| !title.is_empty()) {
                title.clone_into(&mut section);
                sections.entry(section.clone()).or_default();
            } else if let Some(figure) = line.strip_prefix("    ") {
                let (name, value) = figure.split_once(": ").unwrap();
                let entries = sections.get_mut(&section).unwrap();
                let figures: &mut BTreeMap<_, _> = entries.get_mut(&entry).unwrap();
                figures.insert(name.to_owned(), value.to_owned());
            } else if let Some(name) = line.strip_suffix(':') {
                name.clone_into(&mut entry);
                sections.get_mut(&section).unwrap().entry(entry.clone()).or_default();
            }
        }
        Self { text: text.to_owned(), sections }
    }

    /// Titles of the sections.
    pub(crate) fn titles(&self) -> Vec<&str> {
        self.sections.keys().map(String::as_str).collect()
    }

    /// Names of a section's entries.
    pub(crate) fn entries(&self, section: &str) -> Vec<&str> {
        self.sections[section].keys().map(String::as_str).collect()
    }

    /// A figure; 0 if the report leaves it out.
    pub(crate) fn number(&self, section: &str, entry: &str, figure: &str) -> u64 {
        let figures = self.sections[section].get(entry);
        let figures = figures.unwrap_or_else(|| panic!("no {entry} in {}", self.text));
        figures.get(figure).map_or(0, |value| value.parse().unwrap())
    }

    /// A figure that is a text, if the report has it.
    pub(crate) fn text_of(&self, section: &str, entry: &str, figure: &str) -> Option<&str> {
        let figures = self.sections[section].get(entry)?;
        figures.get(figure).map(String::as_str)
    }

    pub(crate) fn input(&self, entry: &str, figure: &str) -> u64 {
        self.number("Inputs", entry, figure)
    }

    pub(crate) fn output(&self, entry: &str, figure: &str) -> u64 {
        self.number("Outputs", entry, figure)
    }

    /// Every consumer: matched = delivered + held + dropped, and dropped by its reasons.
    pub(crate) fn assert_balanced(&self) {
        for section in ["Filters", "Outputs"] {
            for entry in self.entries(section) {
                let number = |figure: &str| self.number(section, entry, figure);
                let states = number("ProcessMessageCount")
                    + number("HeldMessageCount")
                    + number("DropMessageCount");
                assert_eq!(number("MatchedMessageCount"), states, "{entry}: {}", self.text);
                let reasons = ["full", "rejected", "poison", "stopped", "damaged"];
                let by_reason: u64 =
                    reasons.iter().map(|it| number(&format!("DropMessageCount-{it}"))).sum();
                assert_eq!(number("DropMessageCount"), by_reason, "{entry}: {}", self.text);
            }
        }
    }
}
