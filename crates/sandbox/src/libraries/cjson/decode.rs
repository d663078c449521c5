//! JSON to values of Lua.
//!
//! A table that is being read stays on the stack with, above it, the key of its entry that is being read, if it has keys.

use std::ffi::c_int;

use super::{BYTES_A_STEP, number, options, push_null};
use crate::error::Raise;
use crate::lua::Lua;

/// Slots of the stack for a table: itself, the key, the value.
const STACK_A_TABLE: usize = 3;
/// Values between two looks at the limits.
const VALUES_A_LOOK: usize = 32;
/// Bytes of a string that are looked at one by one: most strings are short.
const SHORT_BYTES: usize = 16;

/// A table that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frame {
    /// With so many elements.
    Array(c_int),
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// A string without escapes: where it stands in the text.
    Plain(usize, usize),
    /// A string with escapes, which is in the scratch buffer.
    Escaped,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// What errors call it.
    fn name(self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Plain(..) | Self::Escaped => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(what) => what,
        }
    }
}

/// `decode(text)`.
pub(super) fn decode(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.top() != 1 {
        return Err(Raise::argument(1, "expected 1 argument"));
    }
    let text = lua.check_text(1)?;
    if let [0, _, ..] | [_, 0, ..] = text {
        return Err(Raise::text("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut scratch = std::mem::take(&mut lua.host().scratch);
    let mut frames = std::mem::take(&mut options(lua).reading);
    frames.clear();
    let mut decoder = Decoder {
        lua,
        text,
        at: 0,
        token_at: 0,
        values: 0,
        charged: 0,
        is_lenient: options(lua).decode_invalid,
        scratch: &mut scratch,
        frames: &mut frames,
    };
    let decoded = decoder.run();
    options(lua).reading = frames;
    lua.host().scratch = scratch;
    decoded.map(|()| 1)
}

struct Decoder<'l, 't> {
    lua: Lua<'l>,
    text: &'t [u8],
    /// Where the next token begins, or white space before it.
    at: usize,
    /// Where the current token begins; for one that is wrong, where it is.
    token_at: usize,
    /// Values since the last look at the limits.
    values: usize,
    /// Bytes that were charged.
    charged: usize,
    /// Numbers that JSON does not know are read.
    is_lenient: bool,
    scratch: &'t mut Vec<u8>,
    frames: &'t mut Vec<Frame>,
}

impl Decoder<'_, '_> {
    fn run(&mut self) -> Result<(), Raise> {
        let mut token = self.token();
        loop {
            // Reads a value; one that is a table begins it.
            if self.value(token)? {
                token = self.token();
                match (self.frames.last(), token) {
                    (Some(Frame::Object), Token::ObjectEnd)
                    | (Some(Frame::Array(_)), Token::ArrayEnd) => {
                        self.frames.pop();
                    }
                    (Some(Frame::Object), _) => {
                        token = self.key(token)?;
                        continue;
                    }
                    _ => continue,
                }
            }
            match self.behind_value()? {
                Some(next) => token = next,
                None => break,
            }
        }
        self.look()
    }

    /// A value is complete and on top: puts it where it belongs, ends tables that end, and gives the first token of the
    /// next value; `None` at the end of all.
    fn behind_value(&mut self) -> Result<Option<Token>, Raise> {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return match self.token() {
                    Token::End => Ok(None),
                    token => Err(self.unexpected("the end", token)),
                };
            };
            match frame {
                Frame::Array(count) => {
                    *count = count.checked_add(1).ok_or(Raise::Memory)?;
                    self.lua.raw_set_index(-2, *count);
                    match self.token() {
                        Token::Comma => return Ok(Some(self.token())),
                        Token::ArrayEnd => {}
                        token => return Err(self.unexpected("comma or array end", token)),
                    }
                }
                Frame::Object => {
                    self.lua.raw_set(-3);
                    match self.token() {
                        Token::Comma => {
                            let token = self.token();
                            return self.key(token).map(Some);
                        }
                        Token::ObjectEnd => {}
                        token => return Err(self.unexpected("comma or object end", token)),
                    }
                }
            }
            self.frames.pop();
        }
    }

    /// Pushes a value; true if it is a table that has to be read yet.
    fn value(&mut self, token: Token) -> Result<bool, Raise> {
        let lua = self.lua;
        self.values += 1;
        if self.values >= VALUES_A_LOOK {
            self.look()?;
        }
        match token {
            Token::Plain(start, end) => lua.push_bytes(&self.text[start..end]),
            Token::Escaped => lua.push_bytes(self.scratch),
            Token::Number(number) => lua.push_number(number),
            Token::Boolean(flag) => lua.push_boolean(flag),
            Token::Null if options(lua).decode_null => push_null(lua),
            Token::Null => lua.push_nil(),
            Token::ObjectBegin => {
                self.begin(Frame::Object)?;
                return Ok(true);
            }
            Token::ArrayBegin => {
                self.begin(Frame::Array(0))?;
                return Ok(true);
            }
            _ => return Err(self.unexpected("value", token)),
        }
        Ok(false)
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Raise> {
        let depth = self.frames.len() as i64 + 1;
        let is_too_deep = depth > options(self.lua).decode_depth_max;
        if is_too_deep || self.lua.reserve_stack(STACK_A_TABLE).is_err() {
            let at = self.at;
            return Err(Raise::text(format!(
                "Found too many nested data structures ({depth}) at character {at}"
            )));
        }
        self.lua.push_table(0, 0);
        self.frames.push(frame);
        Ok(())
    }

    /// Pushes a key and gives the first token of its value.
    fn key(&mut self, token: Token) -> Result<Token, Raise> {
        match token {
            Token::Plain(start, end) => self.lua.push_bytes(&self.text[start..end]),
            Token::Escaped => self.lua.push_bytes(self.scratch),
            _ => return Err(self.unexpected("object key string", token)),
        }
        match self.token() {
            Token::Colon => Ok(self.token()),
            token => Err(self.unexpected("colon", token)),
        }
    }

    #[cold]
    fn unexpected(&self, expected: &str, found: Token) -> Raise {
        Raise::text(format!(
            "Expected {expected} but found {} at character {}",
            found.name(),
            self.token_at + 1
        ))
    }

    /// Charges and looks at memory.
    fn look(&mut self) -> Result<(), Raise> {
        self.lua.charge(self.values + (self.at - self.charged) / BYTES_A_STEP)?;
        (self.values, self.charged) = (0, self.at);
        self.lua.check_memory()
    }

    /// The byte at a place; behind the text there is a zero, which also ends it where it stands.
    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn token(&mut self) -> Token {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.token_at = self.at;
        let single = match self.byte(self.at) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            0 => return Token::End,
            _ => return self.word(),
        };
        self.at += 1;
        single
    }

    fn number(&mut self) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !self.is_lenient && number::is_invalid(rest) {
            return Token::Error("invalid number");
        }
        match number::parse(rest) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => Token::Error("invalid number"),
        }
    }

    fn word(&mut self) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let words: [(&[u8], Token); 3] = [
            (b"true", Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ];
        for (word, token) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return token;
            }
        }
        let is_number = self.is_lenient && number::is_invalid(rest);
        if is_number { self.number() } else { Token::Error("invalid token") }
    }

    fn string(&mut self) -> Token {
        let start = self.at + 1;
        let rest = self.text.get(start..).unwrap_or_default();
        match plain_len(rest) {
            Some(len) if rest[len] == b'"' => {
                self.at = start + len + 1;
                Token::Plain(start, start + len)
            }
            Some(len) if rest[len] == b'\\' => self.escaped(start, start + len),
            other => self.error(start + other.unwrap_or(rest.len()), "unexpected end of string"),
        }
    }

    fn error(&mut self, at: usize, what: &'static str) -> Token {
        (self.at, self.token_at) = (at, at);
        Token::Error(what)
    }

    /// Reads a string from `start` on whose first escape stands at `at`.
    fn escaped(&mut self, start: usize, mut at: usize) -> Token {
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.text[start..at]);
        loop {
            // A backslash stands here.
            match self.byte(at + 1) {
                b'u' => match self.unicode(at) {
                    Some(len) => at += len,
                    None => return self.error(at, "invalid unicode escape code"),
                },
                letter => match unescape(letter) {
                    Some(byte) => {
                        self.scratch.push(byte);
                        at += 2;
                    }
                    None => return self.error(at, "invalid escape code"),
                },
            }
            let rest = self.text.get(at..).unwrap_or_default();
            let len = plain_len(rest).unwrap_or(rest.len());
            self.scratch.extend_from_slice(&rest[..len]);
            at += len;
            match self.byte(at) {
                b'"' => {
                    self.at = at + 1;
                    return Token::Escaped;
                }
                b'\\' => {}
                _ => return self.error(at, "unexpected end of string"),
            }
        }
    }

    /// Appends the character of an escape, or of the two of a pair, and gives their length.
    fn unicode(&mut self, at: usize) -> Option<usize> {
        const ESCAPE: usize = 6;
        let first = self.code_unit(at)?;
        let (code, len) = match first {
            0xDC00..=0xDFFF => return None,
            0xD800..=0xDBFF => {
                let is_escape = (self.byte(at + ESCAPE), self.byte(at + ESCAPE + 1));
                let second = self.code_unit(at + ESCAPE).filter(|_| is_escape == (b'\\', b'u'))?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return None;
                }
                (((first & 0x3FF) << 10 | second & 0x3FF) + 0x1_0000, 2 * ESCAPE)
            }
            _ => (first, ESCAPE),
        };
        let mut utf8 = [0; 4];
        let text = char::from_u32(code)?.encode_utf8(&mut utf8);
        self.scratch.extend_from_slice(text.as_bytes());
        Some(len)
    }

    /// The four digits of the escape at a place.
    fn code_unit(&self, at: usize) -> Option<u32> {
        (2..6).try_fold(0, |unit, place| {
            let digit = char::from(self.byte(at + place)).to_digit(16)?;
            Some(unit << 4 | digit)
        })
    }
}

/// Where the quote, backslash or zero byte is that a string reaches first.
#[inline]
fn plain_len(text: &[u8]) -> Option<usize> {
    let short = text.iter().take(SHORT_BYTES);
    if let Some(len) = short.into_iter().position(|byte| matches!(byte, b'"' | b'\\' | 0)) {
        return Some(len);
    }
    let rest = text.get(SHORT_BYTES..)?;
    memchr::memchr3(b'"', b'\\', 0, rest).map(|len| SHORT_BYTES + len)
}

/// The byte that a letter behind a backslash stands for.
fn unescape(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'f' => 12,
        b'r' => b'\r',
        _ => return None,
    })
}
