//! Numbered lines and messages, and whether all of them arrived.

use heka_wire::write_unsigned_frame_header;

/// A line with its number.
pub(crate) fn line(number: usize) -> String {
    format!(
        "{number:08} GET /some/page?of={number} HTTP/1.1 200 and the rest of an ordinary line\n"
    )
}

/// Makes lines with consecutive numbers.
#[derive(Debug, Default)]
pub(crate) struct Numbered {
    next: usize,
}

impl Numbered {
    /// The next `count` lines.
    pub(crate) fn lines(&mut self, count: usize) -> String {
        let begin = self.next;
        self.next += count;
        (begin..self.next).map(line).collect()
    }

    /// Number of lines made.
    pub(crate) fn count(&self) -> usize {
        self.next
    }
}

/// Numbers of the lines in a text; each must be one that [`line`] made.
pub(crate) fn numbers(text: &str) -> Vec<usize> {
    let number = |found: &str| {
        let number = found.split(' ').next().unwrap_or_default();
        let number = number.parse().unwrap_or_else(|_| panic!("torn line {found:?}"));
        assert_eq!(line(number).trim_end(), found, "a line was changed");
        number
    };
    text.lines().map(number).collect()
}

/// Each of `count` lines exactly once and in order.
pub(crate) fn assert_all_in_order(text: &str, count: usize) {
    let found = numbers(text);
    let wrong = found.iter().enumerate().find(|(index, number)| index != *number);
    assert!(wrong.is_none(), "at place {} line {}, of {count}", wrong.unwrap().0, wrong.unwrap().1);
    assert_eq!(found.len(), count, "lines are missing at the end");
}

/// So many framed messages, each with a number, several fields and a member that no version knows.
pub(crate) fn framed_messages(count: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    for number in 0..count {
        let message = message(number);
        write_unsigned_frame_header(message.len(), &mut stream);
        stream.extend_from_slice(&message);
    }
    stream
}

fn message(number: usize) -> Vec<u8> {
    let mut message = Vec::new();
    let mut uuid = [0x42; 16];
    uuid[..8].copy_from_slice(&(number as u64).to_be_bytes());
    put_bytes(1, &uuid, &mut message);
    put_number(2, 1_416_840_893_000_000_000 + number as u64, &mut message);
    put_bytes(3, b"TEST", &mut message);
    put_number(5, number as u64 % 8, &mut message);
    put_bytes(6, line(number).as_bytes(), &mut message);
    let mut field = Vec::new();
    put_bytes(1, b"number", &mut field);
    put_number(2, 2, &mut field);
    put_bytes(3, b"count", &mut field);
    put_number(6, number as u64, &mut field);
    put_bytes(10, &field, &mut message);
    put_bytes(77, b"from the future", &mut message);
    message
}

fn put_number(member: u64, value: u64, out: &mut Vec<u8>) {
    put_varint(member << 3, out);
    put_varint(value, out);
}

fn put_bytes(member: u64, value: &[u8], out: &mut Vec<u8>) {
    put_varint(member << 3 | 2, out);
    put_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
