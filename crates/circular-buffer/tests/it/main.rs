//! The ring against the forms that Heka reads and writes, against a plain model, and at its limits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod examples;
mod limits;
mod model;
mod property;
mod texts;

use heka_circular_buffer::{Aggregation, CircularBuffer, Format};

/// A buffer of these dimensions.
fn buffer(rows: i64, columns: i64, seconds: i64) -> CircularBuffer {
    CircularBuffer::new(rows, columns, seconds, false).unwrap()
}

/// The same, which remembers changes and writes them.
fn delta_buffer(rows: i64, columns: i64, seconds: i64) -> CircularBuffer {
    let mut buffer = CircularBuffer::new(rows, columns, seconds, true).unwrap();
    buffer.set_format(Format::Cbufd);
    buffer
}

fn header(buffer: &mut CircularBuffer, column: usize, name: &str, aggregation: Aggregation) {
    buffer.set_header(column, name.as_bytes(), b"count", aggregation).unwrap();
}

/// The text of a buffer.
fn text(buffer: &mut CircularBuffer) -> String {
    let mut out = Vec::new();
    buffer.write_text(&mut out, usize::MAX).unwrap();
    String::from_utf8(out).unwrap()
}

/// Its lines behind the header.
fn rows(buffer: &mut CircularBuffer) -> Vec<String> {
    text(buffer).lines().skip(1).map(str::to_owned).collect()
}

fn preserved(buffer: &CircularBuffer, key: &str) -> String {
    let mut out = Vec::new();
    buffer.preserve(key.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// The argument of `fromstring` in a preserved text.
fn state(preserved: &str) -> &str {
    let (_, rest) = preserved.split_once(":fromstring(\"").unwrap();
    rest.split_once("\")\n").unwrap().0
}
