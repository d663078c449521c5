//! Strings: `"..."` and `'...'` of the dialect, `"""` and `'''` of TOML 1.0.
//!
//! Invariant: in the dialect's `'...'` the escapes of `"..."` are applied, all other backslashes
//! stay, and a backslash keeps the next character from ending the string.

use super::{Parser, Stop};

/// What an escape stands for.
enum Escape {
    /// One character, and the length of what stood behind the backslash.
    Char(char, usize),
    /// Nothing that is known.
    Unknown,
}

/// Reads an escape; `rest` begins behind the backslash.
fn escape(rest: &str) -> Escape {
    let character = match rest.chars().next() {
        Some('b') => '\u{8}',
        Some('t') => '\t',
        Some('n') => '\n',
        Some('f') => '\u{c}',
        Some('r') => '\r',
        Some('"') => '"',
        Some('/') => '/',
        Some('\\') => '\\',
        Some('u') => return unicode(rest, 4),
        _ => return Escape::Unknown,
    };
    Escape::Char(character, 1)
}

/// Reads `uXXXX` or `UXXXXXXXX`; a surrogate or a number past the last character becomes U+FFFD.
fn unicode(rest: &str, digits: usize) -> Escape {
    let Some(hex) = rest.get(1..=digits) else { return Escape::Unknown };
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Escape::Unknown;
    }
    let code = u32::from_str_radix(hex, 16).ok();
    let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    Escape::Char(character, 1 + digits)
}

/// A string that may span lines has no end: the following lines may belong to it.
fn unclosed(start: usize, quotes: &str) -> Stop {
    let message = format!("the string is not closed, {quotes} is missing");
    Stop { nested: true, ..Stop::new(start, message) }
}

impl Parser<'_> {
    /// Reads `"..."` or `"""..."""`, whose first quote is at the position.
    pub(super) fn basic_string(&mut self) -> Result<String, Stop> {
        if self.rest().starts_with("\"\"\"") {
            return self.long_basic_string();
        }
        let start = self.position;
        let mut string = String::new();
        self.position += 1;
        loop {
            self.copy_until(&mut string, |byte| matches!(byte, b'"' | b'\\' | b'\n'));
            match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(string);
                }
                Some(b'\\') => self.basic_escape(&mut string)?,
                _ => return Err(Stop::new(start, "the string is not closed, '\"' is missing")),
            }
        }
    }

    /// Resolves the escape at the position, also the eight-digit one of TOML 1.0.
    fn basic_escape(&mut self, string: &mut String) -> Result<(), Stop> {
        let start = self.position;
        self.position += 1;
        let found = match self.peek() {
            Some(b'U') => unicode(self.rest(), 8),
            _ => escape(self.rest()),
        };
        let Escape::Char(character, length) = found else {
            let message = match self.rest().chars().next() {
                Some('u' | 'U') => "'\\u' needs 4 and '\\U' 8 hexadecimal digits".to_owned(),
                Some(next) if !next.is_control() => format!(
                    "unknown escape '\\{next}'; write '\\\\' for a backslash, or use single quotes"
                ),
                _ => "a backslash at the end of the line".to_owned(),
            };
            return Err(Stop::new(start, message));
        };
        string.push(character);
        self.position += length;
        Ok(())
    }

    /// Reads `'...'` of the dialect or `'''...'''`, whose first quote is at the position.
    pub(super) fn raw_string(&mut self) -> Result<String, Stop> {
        if self.rest().starts_with("'''") {
            return self.long_raw_string();
        }
        let start = self.position;
        let mut string = String::new();
        self.position += 1;
        loop {
            self.copy_until(&mut string, |byte| matches!(byte, b'\'' | b'\\'));
            match self.peek() {
                Some(b'\'') => {
                    self.position += 1;
                    return Ok(string);
                }
                Some(_) => self.raw_escape(&mut string),
                None => return Err(unclosed(start, "\"'\"")),
            }
        }
    }

    /// Resolves the escape at the position; an unknown one stays, with the character behind it.
    fn raw_escape(&mut self, string: &mut String) {
        self.position += 1;
        if let Escape::Char(character, length) = escape(self.rest()) {
            string.push(character);
            self.position += length;
            return;
        }
        string.push('\\');
        if let Some(next) = self.rest().chars().next() {
            string.push(next);
            self.position += next.len_utf8();
        }
    }

    fn long_basic_string(&mut self) -> Result<String, Stop> {
        let start = self.open_long();
        let mut string = String::new();
        loop {
            self.copy_until(&mut string, |byte| matches!(byte, b'"' | b'\\'));
            match self.peek() {
                Some(b'\\') if self.trims_line() => {
                    self.position += 1;
                    self.take_until(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
                }
                Some(b'\\') => self.basic_escape(&mut string)?,
                Some(_) if self.close_long("\"\"\"", &mut string) => return Ok(string),
                Some(_) => {}
                None => {
                    return Err(unclosed(start, "'\"\"\"'"));
                }
            }
        }
    }

    fn long_raw_string(&mut self) -> Result<String, Stop> {
        let start = self.open_long();
        let mut string = String::new();
        loop {
            self.copy_until(&mut string, |byte| byte == b'\'');
            if self.peek().is_none() {
                return Err(unclosed(start, "\"'''\""));
            }
            if self.close_long("'''", &mut string) {
                return Ok(string);
            }
        }
    }

    /// Skips three quotes and a line end right behind them; returns where they stood.
    fn open_long(&mut self) -> usize {
        let start = self.position;
        self.position += 3;
        let line_end = ["\r\n", "\n"].into_iter().find(|end| self.rest().starts_with(end));
        self.position += line_end.map_or(0, str::len);
        start
    }

    /// Takes the closing quotes if they are there, else one quote as text. Up to two more quotes
    /// right before the closing ones belong to the text.
    fn close_long(&mut self, quotes: &str, string: &mut String) -> bool {
        let quote = if quotes.starts_with('"') { '"' } else { '\'' };
        let rest = self.rest();
        let count = rest.bytes().take(5).take_while(|byte| char::from(*byte) == quote).count();
        let closes = rest.starts_with(quotes);
        let text_quotes = if closes { count - quotes.len() } else { count };
        string.extend(std::iter::repeat_n(quote, text_quotes));
        self.position += count;
        closes
    }

    /// True if only blanks stand between the backslash at the position and the end of its line.
    fn trims_line(&self) -> bool {
        let behind = self.rest().get(1..).unwrap_or_default();
        behind.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
    }

    fn copy_until(&mut self, string: &mut String, ends: impl Fn(u8) -> bool) {
        let start = self.position;
        self.take_until(ends);
        string.push_str(self.slice(start, self.position));
    }
}
