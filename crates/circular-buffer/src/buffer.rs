//! The ring itself: rows by time, cells, headers.
//!
//! A row has a number: whole seconds since 1970 divided by the seconds of a row. The newest row lies in some slot, older
//! ones in the slots before it, around the end. Invariant: `newest_slot` is below `rows`; all rows of the window are
//! within reach of 64 bits.

use crate::annotations::{Annotation, AnnotationKind, Annotations};
use crate::column::{Aggregation, Column};
use crate::deltas::{DELTA_ROW_BYTES, Deltas, filled};
use crate::error::Error;
use crate::text::Format;

/// What `circular_buffer.version()` tells scripts.
pub const VERSION: &str = "0.2.0";

/// What is charged for a column beside its cells.
pub(crate) const COLUMN_BYTES: usize = 28;

/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;
/// Times of this size and beyond are outside of every buffer; year 2261.
const NS_END: f64 = 9.2e18;
/// Largest number of rows, columns and seconds of a row.
const COUNT_MAX: i64 = i32::MAX as i64;

/// A sliding window of rows that each stand for some seconds, with cells in columns.
///
/// Times are nanoseconds since 1970, columns count from 1, as scripts have them. A cell without a value is NaN.
#[derive(Debug)]
pub struct CircularBuffer {
    pub(crate) rows: usize,
    pub(crate) seconds_per_row: i64,
    pub(crate) columns: Vec<Column>,
    /// Cells, row by row.
    pub(crate) values: Vec<f64>,
    /// Number of the newest row.
    pub(crate) newest: i64,
    /// Where it lies.
    pub(crate) newest_slot: usize,
    /// Nanoseconds at which it starts and ends: most changes fall between them.
    newest_ns: (f64, f64),
    pub(crate) deltas: Option<Deltas>,
    pub(crate) annotations: Annotations,
    pub(crate) format: Format,
}

impl CircularBuffer {
    /// Bytes of a buffer of that size, `None` if there cannot be one.
    #[must_use]
    pub fn memory_for(rows: usize, columns: usize, deltas: bool) -> Option<usize> {
        let cells = rows.checked_mul(columns)?.checked_mul(size_of::<f64>())?;
        let mut bytes = cells.checked_add(columns.checked_mul(COLUMN_BYTES)?)?;
        if deltas {
            bytes = bytes.checked_add(cells)?.checked_add(rows.checked_mul(DELTA_ROW_BYTES)?)?;
        }
        isize::try_from(bytes).is_ok().then_some(bytes)
    }

    /// An empty buffer that covers the time from 1970 on.
    ///
    /// With `deltas` it remembers what changed between outputs. It takes [`memory_for`](Self::memory_for) bytes at once:
    /// ask before, as this errs only where the system itself has no memory.
    pub fn new(rows: i64, columns: i64, seconds_per_row: i64, deltas: bool) -> Result<Self, Error> {
        let in_range = |count: i64, least| (least..=COUNT_MAX).contains(&count);
        if !in_range(rows, 2) {
            return Err(if rows < 2 { Error::Rows } else { Error::Memory });
        }
        if !in_range(columns, 1) {
            return Err(if columns < 1 { Error::Columns } else { Error::Memory });
        }
        if !in_range(seconds_per_row, 1) {
            return Err(Error::SecondsPerRow);
        }
        let (rows, column_count) = (rows as usize, columns as usize);
        Self::memory_for(rows, column_count, deltas).ok_or(Error::Memory)?;
        let values = filled(rows * column_count, f64::NAN)?;
        let mut columns = Vec::new();
        columns.try_reserve_exact(column_count).map_err(|_| Error::Memory)?;
        columns.extend((1..=column_count).map(Column::numbered));
        let deltas = if deltas { Some(Deltas::new(rows, column_count)?) } else { None };
        let mut buffer = Self {
            rows,
            seconds_per_row,
            columns,
            values,
            newest: 0,
            newest_slot: 0,
            newest_ns: (0.0, 0.0),
            deltas,
            annotations: Annotations::default(),
            format: Format::default(),
        };
        buffer.set_newest(rows as i64 - 1, rows - 1);
        Ok(buffer)
    }

    /// Bytes to charge for this buffer; grows with annotations only.
    #[must_use]
    pub fn memory(&self) -> usize {
        let fixed = Self::memory_for(self.rows, self.columns.len(), self.deltas.is_some());
        fixed.unwrap_or(usize::MAX).saturating_add(self.annotations.memory())
    }

    /// Rows, columns and seconds of a row.
    #[must_use]
    pub fn configuration(&self) -> (usize, usize, i64) {
        (self.rows, self.columns.len(), self.seconds_per_row)
    }

    /// Whether changes between outputs are remembered.
    #[must_use]
    pub fn has_deltas(&self) -> bool {
        self.deltas.is_some()
    }

    /// Start of the newest row in nanoseconds.
    #[must_use]
    pub fn current_time(&self) -> f64 {
        self.newest_ns.0
    }

    /// Start of the oldest row in seconds.
    #[must_use]
    pub fn start_seconds(&self) -> i64 {
        self.seconds_of(self.oldest())
    }

    /// Adds to a cell, one without a value becomes `value`, and gives the sum; `None` if the row is too old.
    ///
    /// A time beyond the newest row moves the window on, even if the column then is out of range.
    pub fn add(&mut self, ns: f64, column: usize, value: f64) -> Result<Option<f64>, Error> {
        let slot = self.reach(ns);
        let column = self.column_index(column)?;
        let Some(slot) = slot else { return Ok(None) };
        let cell = &mut self.values[slot * self.columns.len() + column];
        let sum = if cell.is_nan() { value } else { *cell + value };
        *cell = sum;
        if self.deltas.is_some() && value != 0.0 {
            let is_sum = self.columns[column].aggregation() == Aggregation::Sum;
            self.change(slot, column, if is_sum { value } else { sum });
        }
        Ok(Some(sum))
    }

    /// Replaces a cell, in columns of minima and maxima only by a smaller or larger value, and gives what it holds then;
    /// `None` if the row is too old. As to the window as [`add`](Self::add).
    pub fn set(&mut self, ns: f64, column: usize, value: f64) -> Result<Option<f64>, Error> {
        let slot = self.reach(ns);
        let column = self.column_index(column)?;
        let Some(slot) = slot else { return Ok(None) };
        let cell = &mut self.values[slot * self.columns.len() + column];
        let old = *cell;
        let change = match self.columns[column].aggregation() {
            Aggregation::Min if !(old.is_nan() || value < old) => return Ok(Some(old)),
            Aggregation::Max if !(old.is_nan() || value > old) => return Ok(Some(old)),
            Aggregation::Min | Aggregation::Max => value,
            Aggregation::Sum | Aggregation::None if old.is_finite() => value - old,
            Aggregation::Sum | Aggregation::None => value,
        };
        *cell = value;
        if self.deltas.is_some() {
            self.change(slot, column, change);
        }
        Ok(Some(value))
    }

    /// Value of a cell, `None` if its row is not in the window.
    pub fn get(&self, ns: f64, column: usize) -> Result<Option<f64>, Error> {
        let column = self.column_index(column)?;
        Ok(self.slot_at(ns).map(|slot| self.values[slot * self.columns.len() + column]))
    }

    /// Change of a cell since the last output of deltas, NaN if there is none; `None` if its row is not in the window.
    pub fn get_delta(&self, ns: f64, column: usize) -> Result<Option<f64>, Error> {
        let column = self.column_index(column)?;
        let delta = |slot| self.deltas.as_ref().map_or(f64::NAN, |deltas| deltas.get(slot, column));
        Ok(self.slot_at(ns).map(delta))
    }

    /// Values of a column from `start` to `end`, both included, by default those of the window; `None` if one of them is
    /// outside.
    pub fn get_range(
        &self,
        column: usize,
        start: Option<f64>,
        end: Option<f64>,
    ) -> Result<Option<impl Iterator<Item = f64>>, Error> {
        let column = self.column_index(column)?;
        Ok(self.range(start, end)?.map(|slots| self.cells(column, slots)))
    }

    /// Changes of a column, as [`get_range`](Self::get_range) gives its values.
    pub fn get_range_delta(
        &self,
        column: usize,
        start: Option<f64>,
        end: Option<f64>,
    ) -> Result<Option<impl Iterator<Item = f64>>, Error> {
        let column = self.column_index(column)?;
        let delta = move |slot| match &self.deltas {
            Some(deltas) => deltas.get(slot, column),
            None => f64::NAN,
        };
        Ok(self.range(start, end)?.map(|slots| slots.map(delta)))
    }

    /// Forgets the changes, and that annotations are new, as if they had been written.
    pub fn reset_delta(&mut self) {
        if let Some(deltas) = &mut self.deltas {
            deltas.clear();
        }
        self.annotations.mark_told();
    }

    /// Puts a remark on a cell, or replaces it; on a row outside the window it is ignored.
    ///
    /// Of its text [`ANNOTATION_BYTES_MAX`](crate::ANNOTATION_BYTES_MAX) bytes are kept; what is not UTF-8 is replaced.
    /// With `delta` it is part of the next `cbufd` too. Errs past
    /// [`ANNOTATIONS_BYTES_MAX`](crate::ANNOTATIONS_BYTES_MAX).
    pub fn annotate(
        &mut self,
        ns: f64,
        column: usize,
        kind: AnnotationKind,
        text: &[u8],
        delta: bool,
    ) -> Result<(), Error> {
        let column = self.column_index(column)?;
        let Some(row) = self.row_of(ns).filter(|&row| self.slot_of(row).is_some()) else {
            return Ok(());
        };
        self.annotations.insert(row, column, Annotation::new(kind, text, delta))
    }

    /// Describes a column. See [`Column::new`] for what is kept of the texts.
    pub fn set_header(
        &mut self,
        column: usize,
        name: &[u8],
        unit: &[u8],
        aggregation: Aggregation,
    ) -> Result<(), Error> {
        let column = self.column_index(column)?;
        self.columns[column] = Column::new(name, unit, aggregation);
        Ok(())
    }

    /// Description of a column.
    pub fn get_header(&self, column: usize) -> Result<&Column, Error> {
        Ok(&self.columns[self.column_index(column)?])
    }

    /// Chooses what [`write_text`](Self::write_text) writes.
    pub fn set_format(&mut self, format: Format) {
        self.format = format;
    }

    /// What [`write_text`](Self::write_text) writes.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Index of a column that counts from 1.
    pub(crate) fn column_index(&self, column: usize) -> Result<usize, Error> {
        let index = column.wrapping_sub(1);
        if index < self.columns.len() { Ok(index) } else { Err(Error::ColumnOutOfRange) }
    }

    /// Number of the row of a time; none where no row can be.
    pub(crate) fn row_of(&self, ns: f64) -> Option<i64> {
        let seconds = || (ns.floor() as i64).div_euclid(SECOND_NS);
        (ns.abs() < NS_END).then(|| seconds().div_euclid(self.seconds_per_row))
    }

    pub(crate) fn seconds_of(&self, row: i64) -> i64 {
        row.saturating_mul(self.seconds_per_row)
    }

    pub(crate) fn oldest(&self) -> i64 {
        self.newest - (self.rows as i64 - 1)
    }

    /// Slot of a row of the window.
    pub(crate) fn slot_of(&self, row: i64) -> Option<usize> {
        let age = usize::try_from(self.newest.checked_sub(row)?).ok()?;
        let wrapped = if age <= self.newest_slot { 0 } else { self.rows };
        (age < self.rows).then(|| self.newest_slot + wrapped - age)
    }

    /// Slot of a time within the window.
    pub(crate) fn slot_at(&self, ns: f64) -> Option<usize> {
        self.slot_of(self.row_of(ns)?)
    }

    /// Slot of a time; moves the window on where the time is newer than it.
    fn reach(&mut self, ns: f64) -> Option<usize> {
        if ns >= self.newest_ns.0 && ns < self.newest_ns.1 {
            return Some(self.newest_slot);
        }
        let row = self.row_of(ns)?;
        if row > self.newest {
            self.advance(row);
        }
        self.slot_of(row)
    }

    /// Makes `row` the newest one; those between are empty.
    fn advance(&mut self, row: i64) {
        let steps = row - self.newest;
        let cleared = usize::try_from(steps).map_or(self.rows, |steps| steps.min(self.rows));
        let columns = self.columns.len();
        let start = (self.newest_slot + 1) % self.rows;
        for slot in around(start, cleared, self.rows) {
            if let Some(deltas) = &mut self.deltas {
                deltas.leave(slot);
            }
            self.values[slot * columns..][..columns].fill(f64::NAN);
        }
        let slot = (self.newest_slot as i64 + steps % self.rows as i64) % self.rows as i64;
        self.set_newest(row, slot as usize);
        self.annotations.prune(self.oldest());
    }

    pub(crate) fn set_newest(&mut self, row: i64, slot: usize) {
        let ns = |row: i64| self.seconds_of(row) as f64 * SECOND_NS as f64;
        self.newest_ns = (ns(row), ns(row + 1).min(NS_END));
        self.newest = row;
        self.newest_slot = slot;
    }

    /// Remembers the change of a cell.
    fn change(&mut self, slot: usize, column: usize, change: f64) {
        let age = if slot <= self.newest_slot { 0 } else { self.rows } + self.newest_slot - slot;
        let row = self.newest - age as i64;
        if let Some(deltas) = &mut self.deltas {
            deltas.accumulate(slot, row, column, change);
        }
    }

    /// All slots, that of the oldest row first.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> + use<> {
        around((self.newest_slot + 1) % self.rows, self.rows, self.rows)
    }

    /// Slots from one time to another, both included; `None` if one of them is outside.
    pub(crate) fn range(
        &self,
        start: Option<f64>,
        end: Option<f64>,
    ) -> Result<Option<impl Iterator<Item = usize> + use<>>, Error> {
        let start_ns = start.unwrap_or(self.start_seconds() as f64 * SECOND_NS as f64);
        let end_ns = end.unwrap_or(self.current_time());
        if start_ns.is_nan() || end_ns.is_nan() || end_ns < start_ns {
            return Err(Error::EndBeforeStart);
        }
        let first = if start.is_some() { self.row_of(start_ns) } else { Some(self.oldest()) };
        let last = if end.is_some() { self.row_of(end_ns) } else { Some(self.newest) };
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let (Some(slot), Some(_)) = (self.slot_of(first), self.slot_of(last)) else {
            return Ok(None);
        };
        Ok(Some(around(slot, (last - first + 1) as usize, self.rows)))
    }

    /// Cells of a column, whose index counts from 0.
    pub(crate) fn cells(
        &self,
        column: usize,
        slots: impl Iterator<Item = usize>,
    ) -> impl Iterator<Item = f64> {
        slots.map(move |slot| self.values[slot * self.columns.len() + column])
    }
}

/// `count` slots from `start` on, around the end; `count` is at most `rows`.
fn around(start: usize, count: usize, rows: usize) -> impl Iterator<Item = usize> {
    (start..start + count).map(move |slot| if slot < rows { slot } else { slot - rows })
}
