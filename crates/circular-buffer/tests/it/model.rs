//! The ring as plain maps: slow, and without slots.

use std::collections::BTreeMap;

use heka_circular_buffer::Aggregation;

/// Rows by number, deltas by row number and column. Columns count from 0.
#[derive(Debug)]
pub(crate) struct Model {
    rows: i64,
    seconds: i64,
    pub(crate) newest: i64,
    aggregations: Vec<Aggregation>,
    cells: BTreeMap<(i64, usize), f64>,
    deltas: BTreeMap<i64, Vec<f64>>,
}

impl Model {
    pub(crate) fn new(rows: i64, seconds: i64, aggregations: &[Aggregation]) -> Self {
        let aggregations = aggregations.to_vec();
        let (cells, deltas) = (BTreeMap::new(), BTreeMap::new());
        Self { rows, seconds, newest: rows - 1, aggregations, cells, deltas }
    }

    /// Number of the row of a whole time in ns, if it is in the window.
    pub(crate) fn row(&self, ns: i64) -> Option<i64> {
        let row = ns.div_euclid(1_000_000_000).div_euclid(self.seconds);
        (row <= self.newest && row > self.newest - self.rows).then_some(row)
    }

    fn reach(&mut self, ns: i64) -> Option<i64> {
        let row = ns.div_euclid(1_000_000_000).div_euclid(self.seconds);
        self.newest = self.newest.max(row);
        let first = self.newest - self.rows + 1;
        self.cells.retain(|&(row, _), _| row >= first);
        self.row(ns)
    }

    pub(crate) fn get(&self, row: i64, column: usize) -> f64 {
        self.cells.get(&(row, column)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn add(&mut self, ns: i64, column: usize, value: f64) -> Option<f64> {
        let row = self.reach(ns)?;
        let old = self.get(row, column);
        let sum = if old.is_nan() { value } else { old + value };
        self.cells.insert((row, column), sum);
        if value != 0.0 {
            let is_sum = self.aggregations[column] == Aggregation::Sum;
            self.change(row, column, if is_sum { value } else { sum });
        }
        Some(sum)
    }

    pub(crate) fn set(&mut self, ns: i64, column: usize, value: f64) -> Option<f64> {
        let row = self.reach(ns)?;
        let old = self.get(row, column);
        let change = match self.aggregations[column] {
            Aggregation::Min if old <= value => return Some(old),
            Aggregation::Max if old >= value => return Some(old),
            Aggregation::Min | Aggregation::Max => value,
            _ => value - if old.is_finite() { old } else { 0.0 },
        };
        self.cells.insert((row, column), value);
        self.change(row, column, change);
        Some(value)
    }

    fn change(&mut self, row: i64, column: usize, change: f64) {
        let columns = self.aggregations.len();
        let cells = self.deltas.entry(row).or_insert_with(|| vec![f64::NAN; columns]);
        cells[column] = if cells[column].is_nan() { change } else { cells[column] + change };
        while self.deltas.len() > self.rows as usize {
            self.deltas.pop_first();
        }
    }

    /// Rows of the window, oldest first.
    pub(crate) fn values(&self) -> Vec<Vec<f64>> {
        let columns = 0..self.aggregations.len();
        let row = |row| columns.clone().map(|column| self.get(row, column)).collect();
        (self.newest - self.rows + 1..=self.newest).map(row).collect()
    }

    /// Time and changes of the rows that changed; then none did.
    pub(crate) fn take_deltas(&mut self) -> Vec<Vec<f64>> {
        let deltas = std::mem::take(&mut self.deltas);
        let line = |(row, cells): (i64, Vec<f64>)| {
            let mut line = vec![(row * self.seconds) as f64];
            line.extend(cells);
            line
        };
        deltas.into_iter().map(line).collect()
    }
}
