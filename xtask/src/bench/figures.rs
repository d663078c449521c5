//! Figures of runs: medians, tables, the saved baseline.
//!
//! Here: what is computed and shown. Not here: how it is measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// Bytes of a megabyte, as rates are told.
const MEGABYTE: f64 = 1e6;
/// Bytes of a gigabyte, as costs are told.
const GIGABYTE: f64 = 1e9;

/// What one run yielded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// Input that was dealt with.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) sent: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_kib: u64,
}

/// What a case costs: medians of its runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    pub(crate) megabytes_per_second: f64,
    pub(crate) records_per_second: f64,
    pub(crate) cpu_seconds_per_gigabyte: f64,
    pub(crate) peak_mebibytes: f64,
    pub(crate) lost_percent: f64,
    pub(crate) allocations_per_record: Option<f64>,
}

/// A baseline: figures by case and name.
pub(crate) type Baseline = BTreeMap<String, BTreeMap<String, f64>>;

impl Figures {
    /// Medians of `runs`; none without a run.
    pub(crate) fn of(runs: &[Run], allocations_per_record: Option<f64>) -> Option<Self> {
        let figure = |value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
        Some(Self {
            megabytes_per_second: figure(|run| run.bytes as f64 / MEGABYTE / run.seconds)?,
            records_per_second: figure(|run| run.records as f64 / run.seconds)?,
            cpu_seconds_per_gigabyte: figure(|run| {
                run.cpu_seconds / (run.bytes as f64 / GIGABYTE)
            })?,
            peak_mebibytes: figure(|run| run.peak_kib as f64 / 1024.0)?,
            lost_percent: figure(|run| 100.0 * (1.0 - run.records as f64 / run.sent as f64))?,
            allocations_per_record,
        })
    }

    /// Names and values, as a baseline keeps them.
    fn named(&self) -> Vec<(&'static str, f64)> {
        let mut named = vec![
            ("megabytes_per_second", self.megabytes_per_second),
            ("records_per_second", self.records_per_second),
            ("cpu_seconds_per_gigabyte", self.cpu_seconds_per_gigabyte),
            ("peak_mebibytes", self.peak_mebibytes),
        ];
        named.extend(self.allocations_per_record.map(|it| ("allocations_per_record", it)));
        named
    }

    /// A line of the table; `before` are the figures of the baseline.
    pub(crate) fn line(&self, case: &str, before: Option<&BTreeMap<String, f64>>) -> String {
        let allocations =
            self.allocations_per_record.map_or("-".to_owned(), |it| format!("{it:.3}"));
        let mut line = format!(
            "{case:<16} {:>8.1} {:>11.0} {:>9.2} {:>9.1} {allocations:>10}",
            self.megabytes_per_second,
            self.records_per_second,
            self.cpu_seconds_per_gigabyte,
            self.peak_mebibytes,
        );
        if self.lost_percent > 0.0 {
            line.push_str(&format!("  lost {:.1} %", self.lost_percent));
        }
        let change = |name: &str, now: f64| {
            let before = before?.get(name).copied().filter(|before| *before > 0.0)?;
            Some(100.0 * (now / before - 1.0))
        };
        let rate = change("megabytes_per_second", self.megabytes_per_second);
        let cost = change("cpu_seconds_per_gigabyte", self.cpu_seconds_per_gigabyte);
        if let (Some(rate), Some(cost)) = (rate, cost) {
            line.push_str(&format!("  MB/s {rate:+.0} %, CPU {cost:+.0} %"));
        }
        line
    }
}

/// Titles of the table.
pub(crate) const TITLES: &str =
    "case                 MB/s   records/s  CPU s/GB  peak MiB   allocs/rec";

/// The middle value; of an even number the lower one of the two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

/// Reads a baseline; empty if there is none.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn read_baseline(path: &Path) -> Result<Baseline> {
    if !path.exists() {
        return Ok(Baseline::new());
    }
    let told = || format!("cannot read the baseline {}", path.display());
    let bytes = fs::read(path).with_context(told)?;
    let json: Map<String, Value> = serde_json::from_slice(&bytes).with_context(told)?;
    let figures = |value: &Value| {
        let object = value.as_object().into_iter().flatten();
        object.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
    };
    Ok(json.iter().map(|(case, value)| (case.clone(), figures(value))).collect())
}

/// Adds `measured` to a baseline and writes it.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_baseline(
    path: &Path,
    mut baseline: Baseline,
    measured: &[(&str, Figures)],
) -> Result<()> {
    for (case, figures) in measured {
        let named = figures.named().into_iter().map(|(name, value)| (name.to_owned(), value));
        baseline.insert((*case).to_owned(), named.collect());
    }
    fs::write(path, format!("{:#}\n", json!(baseline)))
        .with_context(|| format!("cannot write the baseline {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seconds: f64) -> Run {
        let (bytes, peak_kib) = (100_000_000, 2048);
        Run { seconds, bytes, records: 1000, sent: 1000, cpu_seconds: 0.2, peak_kib }
    }

    #[test]
    fn figures_are_medians_in_their_units() {
        let figures = Figures::of(&[run(4.0), run(1.0), run(2.0)], None).unwrap();
        assert!((figures.megabytes_per_second - 50.0).abs() < 1e-9);
        assert!((figures.records_per_second - 500.0).abs() < 1e-9);
        assert!((figures.cpu_seconds_per_gigabyte - 2.0).abs() < 1e-9);
        assert!((figures.peak_mebibytes - 2.0).abs() < 1e-9);
        assert_eq!(Figures::of(&[], None), None);
    }

    #[test]
    fn a_baseline_keeps_the_cases_that_were_not_measured_again() {
        let path = std::env::temp_dir().join(format!("heka-baseline-{}.json", std::process::id()));
        let figures = Figures::of(&[run(1.0)], Some(0.5)).unwrap();
        write_baseline(&path, Baseline::new(), &[("a", figures), ("b", figures)]).unwrap();
        let faster = Figures::of(&[run(0.5)], Some(0.5)).unwrap();
        let baseline = read_baseline(&path).unwrap();
        let line = faster.line("a", baseline.get("a"));
        write_baseline(&path, baseline, &[("a", faster)]).unwrap();
        let baseline = read_baseline(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(line.ends_with("MB/s +100 %, CPU +0 %"), "{line}");
        assert!((baseline["a"]["megabytes_per_second"] - 200.0).abs() < 1e-9);
        assert!((baseline["b"]["megabytes_per_second"] - 100.0).abs() < 1e-9);
        assert!((baseline["a"]["allocations_per_record"] - 0.5).abs() < 1e-9);
    }
}
