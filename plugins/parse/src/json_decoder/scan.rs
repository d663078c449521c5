//! One pass over a JSON text that flattens it: no tree is built.
//!
//! Grammar: RFC 8259, but that strings may hold control characters and bytes that are not UTF-8. Names and texts
//! without escapes are parts of the input; the others are made in a scratch buffer that is used again.

use crate::number::{exact, leading_digits, parse_i64, parse_slowly};

/// Deepest nesting that is read; it bounds the stack.
pub(super) const DEPTH_MAX: usize = 128;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) what: &'static str,
}

/// Bytes of the input or of the scratch buffer: first, and behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Input(usize, usize),
    Made(usize, usize),
}

/// A value that is no table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Text(Text),
    /// The number, and where it is written.
    Number(f64, (usize, usize)),
    Bool(bool),
}

/// A scalar with the names of all tables around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub(super) name: Text,
    pub(super) value: Scalar,
}

/// What a text held; used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Flat {
    pub(super) entries: Vec<Entry>,
    made: Vec<u8>,
    path: Vec<u8>,
}

impl Flat {
    /// The bytes of a text that was found in `data`.
    pub(super) fn bytes<'a>(&'a self, data: &'a [u8], text: Text) -> &'a [u8] {
        match text {
            Text::Input(start, end) => data.get(start..end),
            Text::Made(start, end) => self.made.get(start..end),
        }
        .unwrap_or(&[])
    }
}

/// How tables are taken apart.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Between the names of a table and of its member.
    pub(super) separator: Vec<u8>,
    /// From this depth on, tables are kept as text; a member of the outermost table has depth 1.
    pub(super) text_depth: Option<usize>,
}

/// Flattens `data` into `flat`.
pub(super) fn flatten(data: &[u8], settings: &Settings, flat: &mut Flat) -> Result<(), Fault> {
    flat.entries.clear();
    flat.made.clear();
    flat.path.clear();
    let mut scanner = Scanner { data, at: 0, settings, flat };
    scanner.blank();
    match scanner.peek() {
        Some(b'{') => scanner.object(1)?,
        Some(b'[') => scanner.array(1)?,
        Some(_) => return Err(scanner.fault("expected an object")),
        None => return Err(scanner.fault("expected JSON")),
    }
    scanner.blank();
    if scanner.at < data.len() { Err(scanner.fault("expected the end")) } else { Ok(()) }
}

struct Scanner<'a> {
    data: &'a [u8],
    at: usize,
    settings: &'a Settings,
    flat: &'a mut Flat,
}

impl Scanner<'_> {
    fn fault(&self, what: &'static str) -> Fault {
        Fault { offset: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.fault(what));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the members of an object of which `self` stands at the `{`.
    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault("nested too deeply"));
        }
        self.at += 1;
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blank();
            let key = self.string("expected a name")?;
            self.blank();
            self.expect(b':', "expected a colon")?;
            self.member(key, depth)?;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.fault("expected a comma or a closing brace")),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the elements of an array of which `self` stands at the `[`; they are named 1, 2, 3.
    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault("nested too deeply"));
        }
        self.at += 1;
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 1.. {
            let start = self.flat.made.len();
            crate::number::write_integer(index, &mut self.flat.made);
            let key = Text::Made(start, self.flat.made.len());
            self.member(key, depth)?;
            self.blank();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.fault("expected a comma or a closing bracket")),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a value called `key` in the table that `path` names.
    fn member(&mut self, key: Text, depth: usize) -> Result<(), Fault> {
        self.blank();
        let opening = self.peek();
        if !matches!(opening, Some(b'{' | b'[')) {
            let Some(value) = self.scalar()? else { return Ok(()) };
            let name = self.name(key);
            self.flat.entries.push(Entry { name, value });
            return Ok(());
        }
        if self.settings.text_depth.is_some_and(|limit| depth >= limit) {
            let start = self.at;
            self.skip(depth + 1)?;
            let (name, value) = (self.name(key), Scalar::Text(Text::Input(start, self.at)));
            self.flat.entries.push(Entry { name, value });
            return Ok(());
        }
        let outer = self.flat.path.len();
        self.push_path(key);
        let read =
            if opening == Some(b'{') { self.object(depth + 1) } else { self.array(depth + 1) };
        self.flat.path.truncate(outer);
        read
    }

    fn push_path(&mut self, key: Text) {
        let Flat { path, made, .. } = &mut *self.flat;
        if !path.is_empty() {
            path.extend_from_slice(&self.settings.separator);
        }
        match key {
            Text::Input(start, end) => path.extend_from_slice(&self.data[start..end]),
            Text::Made(start, end) => path.extend_from_slice(&made[start..end]),
        }
    }

    /// The name of a member with those of the tables around it.
    fn name(&mut self, key: Text) -> Text {
        if self.flat.path.is_empty() {
            return key;
        }
        let outer = self.flat.path.len();
        self.push_path(key);
        let start = self.flat.made.len();
        let Flat { path, made, .. } = &mut *self.flat;
        made.extend_from_slice(path);
        path.truncate(outer);
        Text::Made(start, made.len())
    }

    /// Reads a value that is no table; `None` is null.
    fn scalar(&mut self) -> Result<Option<Scalar>, Fault> {
        let rest = &self.data[self.at..];
        let (value, length) = match rest.first() {
            Some(b'"') => return self.string("").map(|text| Some(Scalar::Text(text))),
            Some(b't') if rest.starts_with(b"true") => (Some(Scalar::Bool(true)), 4),
            Some(b'f') if rest.starts_with(b"false") => (Some(Scalar::Bool(false)), 5),
            Some(b'n') if rest.starts_with(b"null") => (None, 4),
            Some(b'-' | b'0'..=b'9') => {
                let length = number_bytes(rest).ok_or_else(|| self.fault("expected a number"))?;
                let number =
                    number_of(&rest[..length]).ok_or_else(|| self.fault("number out of range"))?;
                (Some(Scalar::Number(number, (self.at, self.at + length))), length)
            }
            _ => return Err(self.fault("expected a value")),
        };
        self.at += length;
        Ok(value)
    }

    /// Reads a string, without its quotes.
    fn string(&mut self, what: &'static str) -> Result<Text, Fault> {
        self.expect(b'"', what)?;
        let start = self.at;
        let unclosed = Fault { offset: start, what: "string without an end" };
        let found = memchr::memchr2(b'"', b'\\', &self.data[start..]).ok_or(unclosed)?;
        self.at += found;
        if self.data[self.at] == b'"' {
            self.at += 1;
            return Ok(Text::Input(start, self.at - 1));
        }
        let made = self.flat.made.len();
        self.flat.made.extend_from_slice(&self.data[start..self.at]);
        loop {
            // Here a backslash or a quote.
            if self.data[self.at] == b'"' {
                self.at += 1;
                return Ok(Text::Made(made, self.flat.made.len()));
            }
            self.escape()?;
            let rest = &self.data[self.at..];
            let plain = memchr::memchr2(b'"', b'\\', rest).ok_or(unclosed)?;
            self.flat.made.extend_from_slice(&rest[..plain]);
            self.at += plain;
        }
    }

    /// Reads an escape of which `self` stands at the backslash.
    fn escape(&mut self) -> Result<(), Fault> {
        let byte = match self.data.get(self.at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.fault("unknown escape")),
        };
        self.flat.made.push(byte);
        self.at += 2;
        Ok(())
    }

    /// Reads `\uxxxx`, or two of them that make a pair; half a pair becomes U+FFFD.
    fn unicode_escape(&mut self) -> Result<(), Fault> {
        let unit = self.code_unit(self.at).ok_or_else(|| self.fault("unknown escape"))?;
        self.at += 6;
        let mut code = u32::from(unit);
        if (0xd800..0xdc00).contains(&unit)
            && let Some(low @ 0xdc00..0xe000) = self.code_unit(self.at)
        {
            code = 0x1_0000 + ((code - 0xd800) << 10) + (u32::from(low) - 0xdc00);
            self.at += 6;
        }
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut bytes = [0; 4];
        self.flat.made.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
        Ok(())
    }

    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.data.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits
            .iter()
            .try_fold(0, |sum, &byte| Some(sum * 16 + char::from(byte).to_digit(16)? as u16))
    }

    /// Reads a table without keeping anything of it.
    fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        let (entries, made) = (self.flat.entries.len(), self.flat.made.len());
        let settings = Settings { separator: Vec::new(), text_depth: None };
        let path = std::mem::take(&mut self.flat.path);
        let mut inner =
            Scanner { data: self.data, at: self.at, settings: &settings, flat: &mut *self.flat };
        let read =
            if inner.peek() == Some(b'{') { inner.object(depth) } else { inner.array(depth) };
        self.at = inner.at;
        self.flat.path = path;
        self.flat.entries.truncate(entries);
        self.flat.made.truncate(made);
        read
    }
}

/// Length of the number at the start of `text`.
fn number_bytes(text: &[u8]) -> Option<usize> {
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = leading_digits(&text[at..]);
    if whole == 0 || whole > 1 && text[at] == b'0' {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = leading_digits(&text[at + 1..]);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = leading_digits(&text[at + 1 + sign..]);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

/// The value of a number that was checked.
fn number_of(text: &[u8]) -> Option<f64> {
    if let Some(number) = parse_i64(text).filter(|&number| number != 0) {
        return Some(number as f64);
    }
    let (negative, magnitude) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let point = magnitude.iter().position(|&byte| byte == b'.');
    if let (Some(point), true) = (point, magnitude.len() <= 19) {
        let digits = magnitude.iter().filter(|&&byte| byte != b'.');
        let mantissa = digits.clone().try_fold(0_u64, |sum, &byte| {
            byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
        });
        let places = (magnitude.len() - point - 1) as i32;
        if let Some(number) = mantissa.and_then(|mantissa| exact(mantissa, -places)) {
            return Some(if negative { -number } else { number });
        }
    }
    parse_slowly(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(text_depth: Option<usize>) -> Settings {
        Settings { separator: b".".to_vec(), text_depth }
    }

    fn shown(text: &[u8], depth: Option<usize>) -> Result<String, Fault> {
        let mut flat = Flat::default();
        flatten(text, &settings(depth), &mut flat)?;
        let mut out = String::new();
        for entry in &flat.entries {
            let name = String::from_utf8_lossy(flat.bytes(text, entry.name)).into_owned();
            let value = match entry.value {
                Scalar::Text(value) => {
                    format!("'{}'", String::from_utf8_lossy(flat.bytes(text, value)))
                }
                Scalar::Number(number, _) => number.to_string(),
                Scalar::Bool(flag) => flag.to_string(),
            };
            out.push_str(&format!("{name}={value};"));
        }
        Ok(out)
    }

    #[test]
    fn tables_are_flattened() {
        let text =
            br#" {"a":1,"b":{"c":"x","d":[1,"two",{"e":true}]},"n":null,"empty":{}, "f" : [ ] } "#;
        assert_eq!(shown(text, None).unwrap(), "a=1;b.c='x';b.d.1=1;b.d.2='two';b.d.3.e=true;");
        assert_eq!(shown(br#"[{"a":1},2]"#, None).unwrap(), "1.a=1;2=2;");
        assert_eq!(shown(b"{}", None).unwrap(), "");
    }

    #[test]
    fn from_the_given_depth_on_tables_stay_text() {
        let text = br#"{"a":{"b":{"c":[1, 2]}},"d":[]}"#;
        assert_eq!(shown(text, Some(1)).unwrap(), r#"a='{"b":{"c":[1, 2]}}';d='[]';"#);
        assert_eq!(shown(text, Some(2)).unwrap(), r#"a.b='{"c":[1, 2]}';"#);
        assert_eq!(shown(text, Some(4)).unwrap(), "a.b.c.1=1;a.b.c.2=2;");
    }

    #[test]
    fn escapes_are_taken_out() {
        let text =
            br#"{"a\"b":"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\udc00","c":{"\u0064":"e"}}"#;
        let expected = "a\"b='\\/\u{8}\u{c}\n\r\té\u{1f600}\u{fffd}x\u{fffd}';c.d='e';";
        assert_eq!(shown(text, None).unwrap(), expected);
    }

    #[test]
    fn numbers_are_what_the_standard_library_reads() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "1",
            "-12",
            "0.5",
            "-0.25",
            "1e3",
            "1E-3",
            "12.5e+2",
            "9007199254740993",
            "0.1",
            "1385053862.3072",
            "123456789012345678901234567890",
            "2.2250738585072014e-308",
            "9223372036854775808",
            "1.7976931348623157e308",
            "3.14159265358979323846",
        ] {
            let expected: f64 = text.parse().unwrap();
            let length = number_bytes(text.as_bytes()).unwrap();
            let number = number_of(&text.as_bytes()[..length]).unwrap();
            assert_eq!((length, number.to_bits()), (text.len(), expected.to_bits()), "{text}");
        }
    }

    #[test]
    fn faults_say_where() {
        for (text, offset) in [
            ("", 0),
            ("1", 0),
            ("\"x\"", 0),
            ("{", 1),
            ("{\"a\"", 4),
            ("{\"a\":", 5),
            ("{\"a\":1", 6),
            ("{\"a\":1,}", 7),
            ("{\"a\":01}", 5),
            ("{\"a\":1.}", 5),
            ("{\"a\":1e}", 5),
            ("{\"a\":1e999}", 5),
            ("{\"a\":tru}", 5),
            ("{\"a\":\"x}", 6),
            ("{\"a\":\"x\\q\"}", 7),
            ("{\"a\":\"x\\u12g4\"}", 7),
            ("{\"a\":\"\\", 6),
            ("{\"a\":[1,]}", 8),
            ("{\"a\":[1}", 7),
            ("{} x", 3),
        ] {
            assert_eq!(shown(text.as_bytes(), None).unwrap_err().offset, offset, "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| {
            let text = "[".repeat(depth) + &"]".repeat(depth);
            (shown(text.as_bytes(), None), shown(text.as_bytes(), Some(2)))
        };
        assert!(nested(DEPTH_MAX).0.is_ok() && nested(DEPTH_MAX).1.is_ok());
        assert_eq!(nested(DEPTH_MAX + 1).0.unwrap_err().what, "nested too deeply");
        assert_eq!(nested(DEPTH_MAX + 1).1.unwrap_err().what, "nested too deeply");
    }

    /// JSON of a few levels, whitespace and escapes included.
    fn json() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
            "\"([a-zé \\x00-\\x1f]|\\\\[bfnrt/\"]|\\\\u00[0-9a-f]{2})*\"",
            "true|false|null",
        ];
        scalar.prop_recursive(4, 32, 6, |inner| {
            let item = (inner, " {0,2}").prop_map(|(value, blank)| blank + &value);
            prop_oneof![
                prop::collection::vec(item.clone(), 0..5)
                    .prop_map(|all| format!("[{}]", all.join(","))),
                prop::collection::vec(("\"[a-z]{0,3}\"", item), 0..5).prop_map(|all| {
                    let members: Vec<String> =
                        all.into_iter().map(|(key, value)| format!("{key} :{value}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_another_parser_accepts_is_accepted(text in json()) {
            let is_table = text.starts_with(['{', '[']);
            prop_assert_eq!(shown(text.as_bytes(), None).is_ok(), is_table);
            prop_assert_eq!(shown(text.as_bytes(), Some(1)).is_ok(), is_table);
        }

        #[test]
        fn damaged_texts_are_judged_as_another_parser_judges_them(
            text in json(), cut in any::<prop::sample::Index>(), byte in "[\\[\\]{}:,\" 0x-]"
        ) {
            // The other parser wants neither control characters nor anything but UTF-8.
            let text: String =
                text.chars().map(|one| if (' '..='~').contains(&one) { one } else { 'x' }).collect();
            let mut text = format!("[{text}]").into_bytes();
            let at = cut.index(text.len());
            text[at] = byte.as_bytes()[0];
            let theirs = sonic_rs::from_slice::<sonic_rs::Value>(&text);
            let is_table = matches!(text.iter().find(|&&byte| byte != b' '), Some(b'{' | b'['));
            let expected = theirs.is_ok() && is_table;
            prop_assert_eq!(shown(&text, None).is_ok(), expected, "{:?}", theirs);
        }

        #[test]
        fn garbage_never_panics(text in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(shown(&text, Some(2)).is_err() || !text.is_empty());
        }
    }
}
