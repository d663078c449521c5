//! What a buffer is written as: `cbuf`, all cells, and `cbufd`, what changed.

use std::io::Write;

use heka_luatext::heka_number;

use crate::annotations::Annotation;
use crate::buffer::CircularBuffer;
use crate::error::{Error, invalid_option};

/// Which text a buffer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// All cells.
    #[default]
    Cbuf,
    /// What changed since the last output of this kind.
    Cbufd,
}

impl Format {
    /// Reads `cbuf` or `cbufd`.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        match text {
            b"cbuf" => Ok(Self::Cbuf),
            b"cbufd" => Ok(Self::Cbufd),
            _ => Err(invalid_option(text)),
        }
    }

    /// The word that [`parse`](Self::parse) reads; also the payload type of such a text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cbuf => "cbuf",
            Self::Cbufd => "cbufd",
        }
    }
}

impl CircularBuffer {
    /// Appends the buffer as text in its [`format`](Self::format); `out` may then have up to `bytes_max` bytes.
    ///
    /// A header of one line, then a line a row: of `cbuf` all rows with the oldest first, of `cbufd` those that changed,
    /// each with its time in seconds, in the order of time. Writing the latter makes all changes old; without changes
    /// nothing is written. On error `out` is as before and the changes stay.
    pub fn write_text(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Error> {
        let start = out.len();
        let written = match self.format {
            Format::Cbuf => self.write_cbuf(out, bytes_max),
            Format::Cbufd => self.write_cbufd(out, bytes_max),
        };
        match written {
            Ok(()) if self.format == Format::Cbufd => self.reset_delta(),
            Ok(()) => {}
            Err(_) => out.truncate(start),
        }
        written
    }

    fn write_cbuf(&self, out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Error> {
        self.write_header(out, |_| true);
        check_length(out, bytes_max)?;
        for slot in self.slots() {
            let columns = self.columns.len();
            append_cells(out, &self.values[slot * columns..][..columns]);
            check_length(out, bytes_max)?;
        }
        Ok(())
    }

    fn write_cbufd(&self, out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Error> {
        let is_unchanged = self.deltas.as_ref().is_none_or(|deltas| deltas.is_empty());
        if is_unchanged && !self.annotations.has_new() {
            return Ok(());
        }
        self.write_header(out, |annotation| annotation.is_new);
        check_length(out, bytes_max)?;
        let Some(deltas) = &self.deltas else { return Ok(()) };
        for (row, cells) in deltas.changed(self.slots()) {
            append_integer(out, self.seconds_of(row));
            out.push(b'\t');
            append_cells(out, cells);
            check_length(out, bytes_max)?;
        }
        Ok(())
    }

    /// The line before the rows. A buffer without annotations has no word of them.
    fn write_header(&self, out: &mut Vec<u8>, is_told: impl Fn(&Annotation) -> bool) {
        let (rows, columns, seconds) = self.configuration();
        append(out, format_args!("{{\"time\":{},\"rows\":{rows}", self.start_seconds()));
        append(out, format_args!(",\"columns\":{columns},\"seconds_per_row\":{seconds}"));
        out.extend_from_slice(b",\"column_info\":[");
        for (index, column) in self.columns.iter().enumerate() {
            let (name, unit) = (column.name(), column.unit());
            let comma = if index > 0 { "," } else { "" };
            append(out, format_args!("{comma}{{\"name\":\"{name}\",\"unit\":\"{unit}\""));
            append(out, format_args!(",\"aggregation\":\"{}\"}}", column.aggregation().as_str()));
        }
        out.push(b']');
        let mut annotations = self.annotations.iter().filter(|(.., it)| is_told(it)).peekable();
        if annotations.peek().is_some() {
            let mut before = ",\"annotations\":[";
            for (row, column, annotation) in annotations {
                let ms = i128::from(self.seconds_of(row)) * 1000;
                let letter = &annotation.kind.as_str()[..1];
                append(out, format_args!("{before}{{\"x\":{ms},\"col\":{}", column + 1));
                append(out, format_args!(",\"shortText\":\"{letter}\",\"text\":"));
                append_json(out, &annotation.text);
                out.push(b'}');
                before = ",";
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}\n");
    }
}

fn check_length(out: &[u8], bytes_max: usize) -> Result<(), Error> {
    if out.len() <= bytes_max { Ok(()) } else { Err(Error::OutputLimit) }
}

/// Cells of a row and the end of its line.
fn append_cells(out: &mut Vec<u8>, cells: &[f64]) {
    for (index, &cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        heka_number(cell, out);
    }
    out.push(b'\n');
}

pub(crate) fn append_integer(out: &mut Vec<u8>, number: i64) {
    append(out, format_args!("{number}"));
}

pub(crate) fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all bytes");
}

fn append_json(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a vector takes all bytes");
}
