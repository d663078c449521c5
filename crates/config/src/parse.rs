//! The parser of Heka's TOML dialect.
//!
//! Here: documents, section headers, settings, going on after an error. `parse/value.rs` holds
//! values, `parse/text.rs` strings, `parse/number.rs` numbers and dates, `parse/build.rs` the tree.
//! Not here: `%ENV[...]` (`env`), types of settings (`decode`). Invariants: each step moves on, so
//! parsing ends; depth, number of problems and (by the caller) length are bounded; what TOML 1.0
//! allows and the dialect refuses is read as in TOML 1.0, where both allow it the dialect decides.

mod build;
mod number;
mod text;
mod value;

use crate::problem::{Problem, Problems, Severity};
use crate::source::{Source, Span};
use crate::value::{Data, Table, Value};

use build::Builder;

/// Deepest nesting of arrays, tables and section names.
pub const MAX_DEPTH: usize = 64;

/// After this many problems the rest of a file is not read.
pub const MAX_FILE_PROBLEMS: usize = 100;

/// Characters of a faulty text that a message shows.
const SHOWN_CHARS: usize = 40;

/// Something wrong at a place of one file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) severity: Severity,
    pub(crate) span: Span,
    pub(crate) message: String,
}

impl Fault {
    /// An error that still needs its place.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span: Span::NONE, message: message.into() }
    }

    /// A warning that still needs its place.
    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The problem that it is in the file of that name.
    pub(crate) fn into_problem(self, file: Option<&str>) -> Problem {
        Problem {
            severity: self.severity,
            file: file.map(str::to_owned),
            line: self.span.line,
            column: self.span.column,
            ..Problem::error(self.message)
        }
    }
}

/// Why an item could not be read, and where reading may go on.
#[derive(Debug)]
struct Stop {
    /// Offset of what is wrong.
    at: usize,
    message: String,
    /// Offset from which the rest of the line is skipped.
    resume: usize,
    /// True inside an array or inline table, where the following lines may belong to it.
    nested: bool,
}

impl Stop {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), resume: at, nested: false }
    }
}

/// Reads a document in Heka's dialect. `%ENV[...]` is left as it is; problems name no file.
pub fn parse(text: &str) -> (Table, Problems) {
    let (table, faults) = parse_source(&Source::verbatim(text));
    (table, collect(faults))
}

/// Reads a document that may be anything, also no text at all.
pub fn parse_bytes(bytes: &[u8]) -> (Table, Problems) {
    match decode_utf8(bytes) {
        Ok(text) => parse(text),
        Err(fault) => (Table::new(), collect(vec![fault])),
    }
}

fn collect(faults: Vec<Fault>) -> Problems {
    let mut problems = Problems::new();
    faults.into_iter().for_each(|fault| problems.push(fault.into_problem(None)));
    problems
}

/// The text in `bytes`, or the place of the first byte that is none.
pub(crate) fn decode_utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let valid = std::str::from_utf8(valid).unwrap_or_default();
        let span = Source::verbatim(valid).file_span(valid.len());
        Fault { span, ..Fault::error("the file is not valid UTF-8 from here on") }
    })
}

/// Reads a document; the tree holds all that could be read.
pub(crate) fn parse_source(source: &Source<'_>) -> (Table, Vec<Fault>) {
    if let Some(offset) = source.text().find('\0') {
        let span = source.span(offset);
        return (
            Table::new(),
            vec![Fault { span, ..Fault::error("the file holds a NUL character") }],
        );
    }
    let mut parser = Parser { source, position: 0, builder: Builder::new(), faults: Vec::new() };
    parser.document();
    (parser.builder.finish(), parser.faults)
}

struct Parser<'a> {
    source: &'a Source<'a>,
    /// Offset of the next byte; always on a character boundary.
    position: usize,
    builder: Builder,
    faults: Vec<Fault>,
}

impl<'a> Parser<'a> {
    fn document(&mut self) {
        if self.rest().starts_with('\u{feff}') {
            self.position += '\u{feff}'.len_utf8();
        }
        loop {
            self.skip_blank();
            if self.peek().is_none() {
                return;
            }
            if self.faults.len() >= MAX_FILE_PROBLEMS {
                let message = "too many problems, the rest of the file is not read";
                self.faults.push(Fault { span: self.span(self.position), ..Fault::error(message) });
                return;
            }
            let read = if self.peek() == Some(b'[') { self.header() } else { self.setting() };
            if let Err(stop) = read {
                self.recover(stop);
            }
        }
    }

    /// Reads `[a.b]` or `[[a.b]]`. The names are raw text: spaces, quotes, `#` belong to them.
    fn header(&mut self) -> Result<(), Stop> {
        let start = self.position;
        self.position += 1;
        let is_list = self.peek() == Some(b'[');
        if is_list {
            self.position += 1;
        }
        let path = self.header_path(start).inspect_err(|_| self.builder.discard())?;
        if is_list {
            if self.peek() != Some(b']') {
                self.builder.discard();
                return Err(Stop::new(self.position, "expected ']]' after the section name"));
            }
            self.position += 1;
        }
        let span = self.span(start);
        if path.iter().any(|name| name.contains(['\n', '\r'])) {
            let message = "the section name holds a line break, is a ']' missing?";
            self.note(Fault { span, ..Fault::warning(message) });
        }
        if let Err(message) = self.builder.open(&path, span, is_list) {
            self.note(Fault { span, ..Fault::error(message) });
        }
        self.end_of_line("the section name")
    }

    /// Reads the names up to and including the closing bracket.
    fn header_path(&mut self, start: usize) -> Result<Vec<String>, Stop> {
        let mut path = Vec::new();
        loop {
            let begin = self.position;
            self.take_until(|byte| matches!(byte, b'.' | b']'));
            let name = self.slice(begin, self.position);
            let Some(end) = self.peek() else {
                let message = "the section name is not closed, ']' is missing";
                return Err(Stop { resume: start, ..Stop::new(start, message) });
            };
            if name.is_empty() {
                return Err(Stop::new(begin, "empty name in a section header"));
            }
            if path.len() >= MAX_DEPTH {
                return Err(Stop::new(begin, format!("nested deeper than {MAX_DEPTH} levels")));
            }
            path.push(name.to_owned());
            self.position += 1;
            if end == b']' {
                return Ok(path);
            }
        }
    }

    /// Reads `key = value`. The key is all up to whitespace or `=`, quotes and dots included.
    fn setting(&mut self) -> Result<(), Stop> {
        let start = self.position;
        self.take_until(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'='));
        let end = self.position;
        let key = self.slice(start, end);
        if key.is_empty() {
            return Err(Stop::new(start, "missing key before '='"));
        }
        let key_span = self.span(start);
        self.take_until(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        if self.peek() != Some(b'=') {
            let message = format!("expected '=' after the key {}", self.shown(start, end));
            return Err(Stop { resume: end, ..Stop::new(start, message) });
        }
        self.position += 1;
        self.skip_spaces();
        if matches!(self.peek(), None | Some(b'\n' | b'\r' | b'#')) {
            let message =
                format!("missing value for {}, it must stand on this line", self.shown(start, end));
            return Err(Stop { resume: self.position, ..Stop::new(start, message) });
        }
        let value_start = self.position;
        let value = self.value(1)?;
        if !self.builder.insert(key, key_span, value) {
            let message = format!("key {} has already been defined", self.shown(start, end));
            self.note(Fault { span: key_span, ..Fault::error(message) });
        }
        self.end_of_line("the value").map_err(|stop| self.explain_long_string(stop, value_start))
    }

    /// A forgotten quote shows up only at the next one; says where the string began.
    fn explain_long_string(&self, stop: Stop, value_start: usize) -> Stop {
        let value = self.slice(value_start, stop.at);
        if !value.starts_with('\'') || !value.contains('\n') {
            return stop;
        }
        let line = self.span(value_start).line;
        let message = format!("{} (a string that began in line {line} ends here)", stop.message);
        Stop { message, ..stop }
    }

    /// Accepts blanks and a comment up to the end of the line.
    fn end_of_line(&mut self, after: &str) -> Result<(), Stop> {
        self.skip_spaces();
        match self.peek() {
            None | Some(b'\n' | b'\r') => Ok(()),
            Some(b'#') => {
                self.skip_line();
                Ok(())
            }
            Some(_) => {
                let line = self.rest().lines().next().unwrap_or_default().trim_end();
                let found = self.shown(self.position, self.position + line.len());
                let message = format!("unexpected {found} after {after}");
                Err(Stop::new(self.position, message))
            }
        }
    }

    /// Notes a fault, unless there are so many that the rest of the file will not be read.
    fn note(&mut self, fault: Fault) {
        if self.faults.len() < MAX_FILE_PROBLEMS {
            self.faults.push(fault);
        }
    }

    /// Notes the error and moves to a line on which reading can go on.
    fn recover(&mut self, stop: Stop) {
        let span = self.span(stop.at);
        self.note(Fault { span, ..Fault::error(stop.message) });
        self.position = stop.resume;
        self.skip_line();
        while stop.nested && !self.rest().is_empty() && !self.line_begins_item() {
            self.position += usize::from(self.peek() == Some(b'\n'));
            self.skip_line();
        }
    }

    /// True if the coming line (the position is at the end of the previous one) looks like a
    /// section header or a setting.
    fn line_begins_item(&self) -> bool {
        let rest = self.rest().strip_prefix('\n').unwrap_or(self.rest());
        let line = rest.lines().next().unwrap_or_default().trim();
        let key_end = line.find([' ', '\t', '=']).unwrap_or(line.len());
        let (key, after) = line.split_at(key_end);
        let is_setting = !key.is_empty()
            && !key.starts_with(['"', '\'', '#', ',', ']', '{', '}'])
            && after.trim_start().starts_with('=');
        is_setting || (line.starts_with('[') && line.ends_with(']') && !line.contains([',', '"']))
    }

    fn text(&self) -> &'a str {
        self.source.text()
    }

    fn rest(&self) -> &'a str {
        self.text().get(self.position..).unwrap_or_default()
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text().get(from..to).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text().as_bytes().get(self.position).copied()
    }

    /// The bytes for messages, or a stand-in if some came from a variable: a secret must not show.
    fn shown(&self, from: usize, to: usize) -> String {
        if self.source.is_substituted(from, to) {
            return "the text of a variable".to_owned();
        }
        shown(self.slice(from, to))
    }

    fn span(&self, offset: usize) -> Span {
        self.source.span(offset)
    }

    /// Moves to the next byte that `ends` accepts (only ASCII ones may be), or to the end.
    fn take_until(&mut self, ends: impl Fn(u8) -> bool) {
        let rest = self.rest().as_bytes();
        let length = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        self.position += length;
    }

    fn skip_spaces(&mut self) {
        self.take_until(|byte| !matches!(byte, b' ' | b'\t'));
    }

    /// Moves to the line feed that ends the line.
    fn skip_line(&mut self) {
        self.take_until(|byte| byte == b'\n');
    }

    /// Skips blanks, line ends and comments.
    fn skip_blank(&mut self) {
        loop {
            self.take_until(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            if self.peek() != Some(b'#') {
                return;
            }
            self.skip_line();
        }
    }

    fn new_value(&self, start: Span, data: Data) -> Value {
        Value { data, span: start }
    }
}

/// A text for messages: quoted, without control characters, cut if it is long.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("'{}{dots}'", cut.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""))
}

#[cfg(test)]
mod tests;
