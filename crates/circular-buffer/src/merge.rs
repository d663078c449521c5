//! Reading `cbuf` and `cbufd` texts: what another buffer wrote becomes a buffer, or part of one.

use serde::Deserialize;

use crate::buffer::CircularBuffer;
use crate::column::{Aggregation, Column, DEFAULT_UNIT};
use crate::error::Error;
use crate::restore::{SECONDS_END, number};

/// First line of a `cbuf` or `cbufd` text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextHeader {
    /// Start of the oldest row in seconds.
    pub time: i64,
    /// Rows of the buffer; any number.
    pub rows: i64,
    /// Seconds of a row; any number.
    pub seconds_per_row: i64,
    /// Its columns.
    pub columns: Vec<Column>,
}

#[derive(Deserialize)]
struct RawHeader {
    #[serde(default)]
    time: i64,
    rows: i64,
    columns: usize,
    seconds_per_row: i64,
    column_info: Vec<RawColumn>,
}

#[derive(Deserialize)]
struct RawColumn {
    name: String,
    unit: Option<String>,
    aggregation: Option<String>,
}

impl TextHeader {
    /// Reads the first line and gives it with the lines behind it. Keys that it does not know are left out.
    pub fn parse(text: &[u8]) -> Result<(Self, &[u8]), Error> {
        let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
        let (line, rest) = text.split_at(end);
        let raw: RawHeader =
            serde_json::from_slice(line).map_err(|source| Error::Header { source })?;
        if raw.time.unsigned_abs() >= SECONDS_END as u64 {
            return Err(Error::HeaderTime);
        }
        let found = raw.column_info.len();
        if found != raw.columns {
            return Err(Error::HeaderColumns { found, expected: raw.columns });
        }
        let columns = raw.column_info.iter().map(RawColumn::column).collect::<Result<_, _>>()?;
        let RawHeader { time, rows, seconds_per_row, .. } = raw;
        Ok((Self { time, rows, seconds_per_row, columns }, rest.get(1..).unwrap_or(&[])))
    }

    /// Bytes of a buffer that this header describes, `None` if there cannot be one.
    #[must_use]
    pub fn memory(&self, deltas: bool) -> Option<usize> {
        let rows = usize::try_from(self.rows).ok()?;
        CircularBuffer::memory_for(rows, self.columns.len(), deltas)
    }

    /// An empty buffer with these dimensions and columns. It comes from outside: look at [`memory`](Self::memory) first.
    pub fn buffer(&self, deltas: bool) -> Result<CircularBuffer, Error> {
        let columns = i64::try_from(self.columns.len()).unwrap_or(i64::MAX);
        let mut buffer = CircularBuffer::new(self.rows, columns, self.seconds_per_row, deltas)?;
        buffer.columns.clone_from_slice(&self.columns);
        Ok(buffer)
    }
}

impl RawColumn {
    fn column(&self) -> Result<Column, Error> {
        let unit = self.unit.as_deref().unwrap_or(DEFAULT_UNIT);
        let aggregation = match &self.aggregation {
            Some(word) => Aggregation::parse(word.as_bytes())?,
            None => Aggregation::default(),
        };
        Ok(Column::new(self.name.as_bytes(), unit.as_bytes(), aggregation))
    }
}

impl CircularBuffer {
    /// Merges the rows of a `cbufd` text, which are the lines behind its header, and gives their number.
    ///
    /// Sums are added, minima and maxima compared, columns without aggregation left out; which is which says this
    /// buffer's header. Rows older than the window are left out, newer ones move it on. On error nothing is merged.
    pub fn merge_deltas(&mut self, rows: &[u8]) -> Result<usize, Error> {
        let columns = self.columns.len();
        for (index, row) in lines(rows).enumerate() {
            let is_row = row_numbers(row).all(|number| number.is_some())
                && row_numbers(row).count() == columns + 1;
            if !is_row {
                return Err(Error::Row { line: index + 2 });
            }
        }
        for row in lines(rows) {
            self.merge_row(row)?;
        }
        Ok(lines(rows).count())
    }

    fn merge_row(&mut self, row: &[u8]) -> Result<(), Error> {
        let mut numbers = row_numbers(row).flatten();
        let ns = numbers.next().unwrap_or(f64::NAN) * 1e9;
        for (index, value) in numbers.enumerate().filter(|(_, value)| !value.is_nan()) {
            match self.get_header(index + 1)?.aggregation() {
                Aggregation::Sum => _ = self.add(ns, index + 1, value)?,
                Aggregation::Min | Aggregation::Max => _ = self.set(ns, index + 1, value)?,
                Aggregation::None => {}
            }
        }
        Ok(())
    }

    /// Reads a whole `cbuf` text. It may take up to `memory_max` bytes, as [`memory_for`](Self::memory_for) counts.
    pub fn parse(text: &[u8], memory_max: usize) -> Result<Self, Error> {
        let (header, rows) = TextHeader::parse(text)?;
        header.memory(false).filter(|&bytes| bytes <= memory_max).ok_or(Error::Memory)?;
        let mut buffer = header.buffer(false)?;
        let newest = header.time.div_euclid(header.seconds_per_row) + (header.rows - 1);
        buffer.set_newest(newest, buffer.rows - 1);
        let mut rows = lines(rows);
        let columns = buffer.columns.len();
        for (index, cells) in buffer.values.chunks_exact_mut(columns).enumerate() {
            let row = rows.next().filter(|row| read_row(row, cells));
            row.ok_or(Error::Row { line: index + 2 })?;
        }
        match rows.next() {
            Some(_) => Err(Error::Row { line: buffer.rows + 2 }),
            None => Ok(buffer),
        }
    }
}

/// Reads a row into all of `cells`; whether it had as many numbers.
fn read_row(row: &[u8], cells: &mut [f64]) -> bool {
    let mut numbers = row_numbers(row);
    for cell in cells {
        let Some(number) = numbers.next().flatten() else { return false };
        *cell = number;
    }
    numbers.next().is_none()
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

fn row_numbers(row: &[u8]) -> impl Iterator<Item = Option<f64>> {
    row.split(|&byte| byte == b'\t').map(number)
}
