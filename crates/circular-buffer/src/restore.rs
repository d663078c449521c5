//! State as statements of Lua, and back.

use heka_luatext::{append_escaped, heka_number};

use crate::buffer::CircularBuffer;
use crate::column::Aggregation;
use crate::error::Error;
use crate::text::{append, append_integer};

/// Times in texts of this size and beyond are refused, so that all rows are within reach of 64 bits.
pub(crate) const SECONDS_END: i64 = 1 << 62;

impl CircularBuffer {
    /// Appends the statements of Lua that make this buffer again under `key`, which is an expression of Lua.
    pub fn preserve(&self, key: &[u8], out: &mut Vec<u8>) {
        let (rows, columns, seconds) = self.configuration();
        let deltas = if self.has_deltas() { ", true" } else { "" };
        out.extend_from_slice(b"if ");
        out.extend_from_slice(key);
        out.extend_from_slice(b" == nil then ");
        out.extend_from_slice(key);
        let new =
            format_args!(" = circular_buffer.new({rows}, {columns}, {seconds}{deltas}) end\n");
        append(out, new);
        for (index, column) in self.columns.iter().enumerate() {
            out.extend_from_slice(key);
            let (name, unit, aggregation) =
                (column.name(), column.unit(), column.aggregation().as_str());
            append(out, format_args!(":set_header({}, \"{name}\"", index + 1));
            append(out, format_args!(", \"{unit}\", \"{aggregation}\")\n"));
        }
        out.extend_from_slice(key);
        out.extend_from_slice(b":fromstring(\"");
        self.append_state(out);
        out.extend_from_slice(b"\")\n");
        for (row, column, annotation) in self.annotations.iter() {
            out.extend_from_slice(key);
            let (ns, kind) = (i128::from(self.seconds_of(row)) * 1_000_000_000, annotation.kind);
            append(out, format_args!(":annotate({ns}, {}, \"{}\", \"", column + 1, kind.as_str()));
            append_escaped(out, annotation.text.as_bytes());
            append(out, format_args!("\", {})\n", annotation.is_new));
        }
    }

    /// The text that [`restore`](Self::restore) reads: time and slot of the newest row, all cells as they lie, then for
    /// each row that changed its time and changes.
    fn append_state(&self, out: &mut Vec<u8>) {
        append(out, format_args!("{} {}", self.seconds_of(self.newest), self.newest_slot));
        for &cell in &self.values {
            out.push(b' ');
            heka_number(cell, out);
        }
        let Some(deltas) = &self.deltas else { return };
        for (row, cells) in deltas.changed(self.slots()) {
            out.push(b' ');
            append_integer(out, self.seconds_of(row));
            for (column, &cell) in self.columns.iter().zip(cells) {
                out.push(b' ');
                append_change(out, cell, column.aggregation());
            }
        }
    }

    /// Takes over cells and changes from what [`preserve`](Self::preserve) wrote for a buffer of the same dimensions; this
    /// is `fromstring`. On error the buffer is as before.
    pub fn restore(&mut self, text: &[u8]) -> Result<(), Error> {
        let expected = self.values.len();
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(seconds), Some(slot)) = (words.next(), words.next()) else {
            return Err(Error::TooFewValues { found: 0, expected });
        };
        self.check_numbers(words.clone())?;
        let (Some(seconds), Some(slot)) = (integer(seconds), integer(slot)) else {
            return Err(Error::InvalidTimeRow);
        };
        let slot = usize::try_from(slot).ok().filter(|&slot| slot < self.rows);
        let (true, Some(slot)) = (seconds.unsigned_abs() < SECONDS_END as u64, slot) else {
            return Err(Error::InvalidTimeRow);
        };
        for (cell, word) in self.values.iter_mut().zip(words.by_ref()) {
            *cell = number(word).unwrap_or(f64::NAN);
        }
        self.set_newest(seconds.div_euclid(self.seconds_per_row), slot);
        self.annotations.clear();
        self.restore_deltas(words);
        Ok(())
    }

    /// Checks the words behind time and row: all cells, then whole groups of changes.
    fn check_numbers<'a>(&self, mut words: impl Iterator<Item = &'a [u8]>) -> Result<(), Error> {
        let expected = self.values.len();
        for found in 0..expected {
            if words.next().and_then(number).is_none() {
                return Err(Error::TooFewValues { found, expected });
            }
        }
        let mut words = words.peekable();
        if self.deltas.is_none() && words.peek().is_some() {
            return Err(Error::TooManyValues { expected });
        }
        let mut place = 0;
        for word in words {
            let is_right =
                if place == 0 { row_seconds(word).is_some() } else { number(word).is_some() };
            if !is_right {
                return Err(Error::InvalidDelta);
            }
            place = if place == self.columns.len() { 0 } else { place + 1 };
        }
        if place == 0 { Ok(()) } else { Err(Error::InvalidDelta) }
    }

    /// Reads groups that [`check_numbers`](Self::check_numbers) saw.
    fn restore_deltas<'a>(&mut self, mut words: impl Iterator<Item = &'a [u8]>) {
        let Some(mut deltas) = self.deltas.take() else { return };
        deltas.clear();
        while let Some(seconds) = words.next().and_then(row_seconds) {
            let row = seconds.div_euclid(self.seconds_per_row);
            let changes = words.by_ref().take(self.columns.len()).filter_map(number);
            let cells = match self.slot_of(row) {
                Some(slot) => deltas.mark(slot, row),
                None if deltas.has_room() => deltas.add_left(row),
                None => &mut [],
            };
            for (column, change) in changes.enumerate().filter(|(_, change)| !is_missing(*change)) {
                if let Some(cell) = cells.get_mut(column) {
                    *cell = if cell.is_nan() { change } else { *cell + change };
                }
            }
        }
        deltas.sort_left();
        self.deltas = Some(deltas);
    }
}

/// A change, 0 if there is none. In columns of minima and maxima a change to 0 says something, and is written `-0`; in
/// others it is as good as none.
fn append_change(out: &mut Vec<u8>, change: f64, aggregation: Aggregation) {
    let is_extreme = matches!(aggregation, Aggregation::Min | Aggregation::Max);
    if change.is_nan() {
        out.push(b'0');
    } else if change == 0.0 && is_extreme {
        out.extend_from_slice(b"-0");
    } else {
        heka_number(change, out);
    }
}

fn is_missing(change: f64) -> bool {
    change.is_nan() || (change == 0.0 && change.is_sign_positive())
}

/// Time of a row that changed. Heka writes it as any number.
fn row_seconds(word: &[u8]) -> Option<i64> {
    let seconds = integer(word).or_else(|| Some(number(word)?.floor() as i64));
    let is_number = number(word).is_some_and(f64::is_finite);
    seconds.filter(|seconds| is_number && seconds.unsigned_abs() < SECONDS_END as u64)
}

fn integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

pub(crate) fn number(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}
