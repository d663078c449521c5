//! Reading the pairs of a line.
//!
//! Pairs are separated by blanks and control characters; a key has none of these, no `=` and no quote. Quoted values
//! have the escapes of JSON.

use memchr::memchr2;

/// What is wrong with a line, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) what: &'static str,
}

/// A key, perhaps with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    /// Where the key stands in the line.
    pub(super) key: (usize, usize),
    value: Part,
    pub(super) quoted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Missing,
    Input(usize, usize),
    Made(usize, usize),
}

/// The pairs of a line; used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) list: Vec<Pair>,
    made: Vec<u8>,
}

impl Pairs {
    /// The value of a pair; `None` for a bare key.
    pub(super) fn value<'a>(&'a self, data: &'a [u8], pair: &Pair) -> Option<&'a [u8]> {
        match pair.value {
            Part::Missing => None,
            Part::Input(start, end) => data.get(start..end),
            Part::Made(start, end) => self.made.get(start..end),
        }
    }

    /// Reads a line; at least one key must have a value.
    pub(super) fn read(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.list.clear();
        self.made.clear();
        let mut at = 0;
        let mut any_value = false;
        loop {
            at += data[at..].iter().take_while(|&&byte| byte <= b' ').count();
            if at == data.len() {
                break;
            }
            let key_bytes = key_bytes(&data[at..]);
            if key_bytes == 0 {
                return Err(Fault { offset: at, what: "expected a key" });
            }
            let key = (at, at + key_bytes);
            at = key.1;
            let (value, quoted) = match (data.get(at), data.get(at + 1)) {
                (Some(b'='), Some(b'"')) => (self.quoted(data, at + 2, &mut at)?, true),
                (Some(b'='), _) => {
                    let start = at + 1;
                    at = start + data[start..].iter().take_while(|&&byte| byte > b' ').count();
                    (Part::Input(start, at), false)
                }
                _ => (Part::Missing, false),
            };
            any_value |= value != Part::Missing;
            self.list.push(Pair { key, value, quoted });
        }
        if any_value { Ok(()) } else { Err(Fault { offset: at, what: "expected key=value" }) }
    }

    /// Reads a quoted value from behind its first quote; `at` goes behind the last one.
    fn quoted(&mut self, data: &[u8], start: usize, at: &mut usize) -> Result<Part, Fault> {
        let unclosed = Fault { offset: start, what: "quoted value without an end" };
        let find = |from: usize| {
            memchr2(b'"', b'\\', data.get(from..).unwrap_or(&[])).map(|found| from + found)
        };
        let mut next = find(start).ok_or(unclosed)?;
        if data[next] == b'"' {
            *at = next + 1;
            return Ok(Part::Input(start, next));
        }
        let made = self.made.len();
        let mut plain = start;
        while data[next] == b'\\' {
            self.made.extend_from_slice(&data[plain..next]);
            plain = next + self.escape(&data[next..]);
            next = find(plain).ok_or(unclosed)?;
        }
        self.made.extend_from_slice(&data[plain..next]);
        *at = next + 1;
        Ok(Part::Made(made, self.made.len()))
    }

    /// Takes the escape at the start of `text` out; its length. An unknown one stays as it is.
    fn escape(&mut self, text: &[u8]) -> usize {
        let byte = match text.get(1) {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'u') => {
                if let Some(character) = text.get(2..6).and_then(hexadecimal) {
                    let mut bytes = [0; 4];
                    self.made.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
                    return 6;
                }
                self.made.push(b'\\');
                return 1;
            }
            _ => {
                self.made.push(b'\\');
                return 1;
            }
        };
        self.made.push(byte);
        2
    }
}

fn key_bytes(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| byte > b' ' && byte != b'=' && byte != b'"').count()
}

/// The character with a code in hexadecimal; a half of a pair is U+FFFD.
fn hexadecimal(digits: &[u8]) -> Option<char> {
    let code =
        digits.iter().try_fold(0, |sum, &byte| Some(sum * 16 + char::from(byte).to_digit(16)?))?;
    Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &[u8]) -> Result<String, Fault> {
        let mut pairs = Pairs::default();
        pairs.read(line)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let one = |pair: &Pair| {
            let key = text(&line[pair.key.0..pair.key.1]);
            let value = pairs
                .value(line, pair)
                .map_or("-".to_owned(), |value| format!("'{}'", text(value)));
            format!("{key}:{value};")
        };
        Ok(pairs.list.iter().map(one).collect())
    }

    #[test]
    fn pairs_come_in_all_shapes() {
        for (line, expected) in [
            ("a=b", "a:'b';"),
            ("  a=b\tc\r\n", "a:'b';c:-;"),
            ("a=b c d=e", "a:'b';c:-;d:'e';"),
            ("a= b=\"\"", "a:'';b:'';"),
            ("a=b=c d=e\"f", "a:'b=c';d:'e\"f';"),
            (r#"a="b c" d="e\"f\\\n\u00e9\ud800\q\u12""#, "a:'b c';d:'e\"f\\\né\u{fffd}\\q\\u12';"),
            (r#"a="b"c=d"#, "a:'b';c:'d';"),
        ] {
            assert_eq!(shown(line.as_bytes()).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_pair_needs_a_key() {
        assert_eq!(shown(b"a=b c = d").unwrap_err(), Fault { offset: 6, what: "expected a key" });
    }

    #[test]
    fn quotes_must_close() {
        for line in ["a=\"", "a=\"b\\", "a=\"b\\\"", "a=\"\\u"] {
            assert_eq!(shown(line.as_bytes()).unwrap_err().offset, 3, "{line}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(line in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(shown(&line).is_err() || line.contains(&b'='));
        }

        #[test]
        fn plain_pairs_come_back(pairs in prop::collection::vec(("[a-z]{1,5}", "[a-z0-9=/:]{0,9}"), 1..9)) {
            let line: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let expected: String =
                pairs.iter().map(|(key, value)| format!("{key}:'{value}';")).collect();
            prop_assert_eq!(shown(line.join(" ").as_bytes()).unwrap(), expected);
        }
    }
}
