//! What a plugin tells about itself in the daemon's report.

/// One number or text of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// A number and its unit (`count`, `B`, `ns`).
    Number(i64, &'static str),
    /// A text.
    Text(String),
}

/// The figures of one plugin, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    metrics: Vec<(String, Metric)>,
}

impl Report {
    /// Adds a count.
    pub fn count(&mut self, name: impl Into<String>, value: u64) {
        self.number(name, value, "count");
    }

    /// Adds a number with its unit.
    pub fn number(&mut self, name: impl Into<String>, value: u64, unit: &'static str) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics.push((name.into(), Metric::Number(value, unit)));
    }

    /// Adds a text.
    pub fn text(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.metrics.push((name.into(), Metric::Text(value.into())));
    }

    /// All figures in the order they were added.
    #[must_use]
    pub fn metrics(&self) -> &[(String, Metric)] {
        &self.metrics
    }
}
