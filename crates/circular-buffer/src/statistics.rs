//! Numbers that describe a range of rows.

use crate::buffer::CircularBuffer;
use crate::error::{Error, invalid_option};
use crate::normal::lower_tail;

/// What [`CircularBuffer::compute`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The sum, 0 if there is no value.
    Sum,
    /// The mean.
    Avg,
    /// The standard deviation of the population.
    Sd,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The variance of the population.
    Variance,
}

impl Statistic {
    /// Reads `sum`, `avg`, `sd`, `min`, `max` or `variance`.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        match text {
            b"sum" => Ok(Self::Sum),
            b"avg" => Ok(Self::Avg),
            b"sd" => Ok(Self::Sd),
            b"min" => Ok(Self::Min),
            b"max" => Ok(Self::Max),
            b"variance" => Ok(Self::Variance),
            _ => Err(invalid_option(text)),
        }
    }
}

/// A statistic of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Computed {
    /// Its value, NaN if the range has no values and the statistic is not the sum.
    pub value: f64,
    /// Rows that have a value.
    pub rows: usize,
}

/// Outcome of a rank-sum test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankSum {
    /// U of the first sample.
    pub u1: f64,
    /// Probability of a U so far from the mean or farther, on one side.
    pub p: f64,
}

impl CircularBuffer {
    /// A statistic of a column from `start` to `end`, both included, by default of the window. `None` if one of them is
    /// outside. Cells without a value do not count.
    pub fn compute(
        &self,
        statistic: Statistic,
        column: usize,
        start: Option<f64>,
        end: Option<f64>,
    ) -> Result<Option<Computed>, Error> {
        let values = || {
            Ok::<_, Error>(self.get_range(column, start, end)?.map(|cells| cells.filter(has_value)))
        };
        let Some(cells) = values()? else { return Ok(None) };
        let (rows, sum) = match statistic {
            Statistic::Min => count_and_fold(cells, f64::min),
            Statistic::Max => count_and_fold(cells, f64::max),
            _ => cells.fold((0, 0.0), |(rows, sum), cell| (rows + 1, sum + cell)),
        };
        let mean = sum / rows as f64;
        let variance = || -> Result<f64, Error> {
            let squares = values()?.map(|cells| cells.map(|cell| (cell - mean).powi(2)).sum());
            Ok(squares.unwrap_or(f64::NAN) / rows as f64)
        };
        let value = match statistic {
            Statistic::Sum => sum,
            Statistic::Avg => mean,
            Statistic::Variance => variance()?,
            Statistic::Sd => variance()?.sqrt(),
            Statistic::Min | Statistic::Max if rows == 0 => f64::NAN,
            Statistic::Min | Statistic::Max => sum,
        };
        Ok(Some(Computed { value, rows }))
    }

    /// Mann and Whitney's rank-sum test of two ranges of a column, by the normal approximation with correction for ties
    /// and, if wanted, for continuity. `None` if a bound is outside or all values are equal.
    ///
    /// Cells without a value take part as the lowest one.
    pub fn mann_whitney_u(
        &self,
        column: usize,
        first: (f64, f64),
        second: (f64, f64),
        use_continuity: bool,
    ) -> Result<Option<RankSum>, Error> {
        self.column_index(column)?;
        if first.0.is_nan() || first.1.is_nan() || first.1 < first.0 {
            return Err(Error::End1BeforeStart1);
        }
        if second.0.is_nan() || second.1.is_nan() || second.1 < second.0 {
            return Err(Error::End2BeforeStart2);
        }
        if first.1 >= second.0 && second.1 >= first.0 {
            return Err(Error::RangesOverlap);
        }
        let sample = |(start, end)| self.get_range(column, Some(start), Some(end));
        let (Some(first), Some(second)) = (sample(first)?, sample(second)?) else {
            return Ok(None);
        };
        Ok(rank_sum(first, second, use_continuity))
    }
}

fn has_value(cell: &f64) -> bool {
    !cell.is_nan()
}

fn count_and_fold(
    mut cells: impl Iterator<Item = f64>,
    fold: impl Fn(f64, f64) -> f64,
) -> (usize, f64) {
    let Some(first) = cells.next() else { return (0, f64::NAN) };
    cells.fold((1, first), |(rows, best), cell| (rows + 1, fold(best, cell)))
}

fn rank_sum(
    first: impl Iterator<Item = f64>,
    second: impl Iterator<Item = f64>,
    use_continuity: bool,
) -> Option<RankSum> {
    let key = |cell: f64| if cell.is_nan() { i64::MIN } else { order(cell) };
    let mut cells: Vec<(i64, bool)> = first.map(|cell| (key(cell), true)).collect();
    let n1 = cells.len() as f64;
    cells.extend(second.map(|cell| (key(cell), false)));
    let n2 = cells.len() as f64 - n1;
    cells.sort_unstable();

    let mut ranks1 = 0.0;
    let mut ties = 0.0;
    let mut before = 0.0;
    for group in cells.chunk_by(|left, right| left.0 == right.0) {
        let size = group.len() as f64;
        let rank = before + (size + 1.0) / 2.0;
        ranks1 += rank * group.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += size.powi(3) - size;
        before += size;
    }
    let n = n1 + n2;
    let correction = 1.0 - ties / (n.powi(3) - n);
    if correction == 0.0 {
        return None;
    }
    let u1 = ranks1 - n1 * (n1 + 1.0) / 2.0;
    let larger = u1.max(n1 * n2 - u1);
    let deviation = (correction * n1 * n2 * (n + 1.0) / 12.0).sqrt();
    let continuity = if use_continuity { 0.5 } else { 0.0 };
    let z = (larger - continuity - n1 * n2 / 2.0) / deviation;
    Some(RankSum { u1, p: lower_tail(z.abs()) })
}

/// A whole number that is ordered as the number is; both zeros have the same.
fn order(number: f64) -> i64 {
    let bits = (number + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_order_as_numbers_do() {
        let numbers = [f64::NEG_INFINITY, -2.5, -1e-300, 0.0, 1e-300, 1.0, f64::INFINITY];
        assert!(numbers.is_sorted_by_key(|&number| order(number)));
        assert_eq!(order(-0.0), order(0.0));
    }
}
