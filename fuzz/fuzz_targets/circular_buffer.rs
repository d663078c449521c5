//! Texts of circular buffers: what is read comes back after writing, an error changes nothing, changes that were told are
//! not told again.

#![no_main]

use heka_circular_buffer::{Aggregation, CircularBuffer, Format};
use heka_fuzz::choice;
use libfuzzer_sys::fuzz_target;

/// Bytes that a buffer may take, as its reader says.
const MEMORY_MAX: usize = 100_000;

fn buffer(choices: u8) -> CircularBuffer {
    let rows = 2 + i64::from(choices & 3);
    let columns = 1 + i64::from(choices >> 2 & 3);
    let seconds = 1 + i64::from(choices >> 4 & 3) * 59;
    let deltas = choices & 0x80 == 0;
    let made = CircularBuffer::new(rows, columns, seconds, deltas);
    let mut made = made.expect("a small buffer can be made");
    for (column, aggregation) in
        (1..=columns as usize).zip([Aggregation::Max, Aggregation::Sum, Aggregation::Min])
    {
        made.set_header(column, b"a", b"b", aggregation).expect("the column is there");
    }
    made
}

fn preserved(buffer: &CircularBuffer) -> Vec<u8> {
    let mut out = Vec::new();
    buffer.preserve(b"k", &mut out);
    out
}

/// The argument of `fromstring` in a preserved text.
fn state(preserved: &[u8]) -> &[u8] {
    let start = b":fromstring(\"";
    let at = preserved.windows(start.len()).position(|window| window == start);
    let rest = &preserved[at.expect("a buffer has a state") + start.len()..];
    let end = rest.iter().position(|&byte| byte == b'"').expect("a state has an end");
    &rest[..end]
}

fn text(buffer: &mut CircularBuffer, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    buffer.set_format(format);
    buffer.write_text(&mut out, usize::MAX).expect("there is no limit");
    out
}

fn check_restore(choices: u8, data: &[u8]) {
    let mut read = buffer(choices);
    let before = preserved(&read);
    if let Err(error) = read.restore(data) {
        assert!(!error.to_string().is_empty());
        return assert_eq!(preserved(&read), before);
    }
    let first = preserved(&read);
    let mut again = buffer(choices);
    again.restore(state(&first)).expect("what was preserved can be restored");
    // Numbers lose decimals once.
    let second = preserved(&again);
    again.restore(state(&second)).expect("what was preserved can be restored");
    assert_eq!(preserved(&again), second);
    text(&mut read, Format::Cbufd);
    assert!(text(&mut read, Format::Cbufd).is_empty());
}

fn check_merge(choices: u8, data: &[u8]) {
    let mut merged = buffer(choices);
    let before = preserved(&merged);
    match merged.merge_deltas(data) {
        Ok(rows) => assert!(rows <= data.len()),
        Err(_) => assert_eq!(preserved(&merged), before),
    }
    let memory = merged.memory();
    text(&mut merged, Format::Cbuf);
    assert_eq!(merged.memory(), memory);
}

fuzz_target!(|data: &[u8]| {
    let (choices, data) = choice(data);
    check_restore(choices, data);
    check_merge(choices, data);
    if let Ok(mut read) = CircularBuffer::parse(data, MEMORY_MAX) {
        assert!(read.memory() <= MEMORY_MAX);
        let first = text(&mut read, Format::Cbuf);
        let mut again = CircularBuffer::parse(&first, MEMORY_MAX).expect("what was written is read");
        let second = text(&mut again, Format::Cbuf);
        let mut third = CircularBuffer::parse(&second, MEMORY_MAX).expect("what was written is read");
        assert_eq!(text(&mut third, Format::Cbuf), second);
    }
});
