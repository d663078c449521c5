//! Values: arrays, inline tables and the choice between the simple ones.

use super::{MAX_DEPTH, Parser, Stop, number};
use crate::value::{Data, Entry, Origin, Table, Value};

impl Parser<'_> {
    /// Reads a value that begins at the position; `depth` counts the values around it.
    pub(super) fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        let start = self.position;
        if depth > MAX_DEPTH {
            return Err(Stop::new(start, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let span = self.span(start);
        let data = match self.peek() {
            Some(b'"') => Data::String(self.basic_string()?),
            Some(b'\'') => Data::String(self.raw_string()?),
            Some(b'[') => self.array(depth).map_err(nested)?,
            Some(b'{') => self.inline_table(depth).map_err(nested)?,
            _ => self.word()?,
        };
        Ok(self.new_value(span, data))
    }

    /// Reads a boolean, a number or a date.
    fn word(&mut self) -> Result<Data, Stop> {
        let start = self.position;
        let length = number::word_length(self.rest());
        self.position += length;
        let word = self.slice(start, self.position);
        number::read(word).map_err(|message| {
            let hidden = self.source.is_substituted(start, self.position);
            let message = if hidden { number::NO_VALUE.to_owned() } else { message };
            Stop::new(start, message)
        })
    }

    fn array(&mut self, depth: usize) -> Result<Data, Stop> {
        let start = self.position;
        let mut values = Vec::new();
        self.position += 1;
        loop {
            self.skip_blank();
            if self.close(b']', start, "array")? {
                return Ok(Data::Array(values));
            }
            values.push(self.value(depth + 1)?);
            self.comma_or(b']', start, "array")?;
        }
    }

    /// Reads `{ key = value, .. }`, which the dialect does not have, so that keys are as in TOML:
    /// quotes are not part of them. Line breaks and a last comma are let pass.
    fn inline_table(&mut self, depth: usize) -> Result<Data, Stop> {
        let start = self.position;
        let mut table = Table::with_origin(Origin::Value);
        self.position += 1;
        loop {
            self.skip_blank();
            if self.close(b'}', start, "inline table")? {
                return Ok(Data::Table(table));
            }
            let entry = self.inline_setting(depth)?;
            let at = entry.key_span;
            if table.insert(entry).is_err() {
                let message = "a key of the inline table has already been defined";
                self.note(super::Fault { span: at, ..super::Fault::error(message) });
            }
            self.comma_or(b'}', start, "inline table")?;
        }
    }

    fn inline_setting(&mut self, depth: usize) -> Result<Entry, Stop> {
        let start = self.position;
        let key_span = self.span(start);
        let key = match self.peek() {
            Some(b'"') => self.basic_string()?,
            Some(b'\'') => self.raw_string()?,
            _ => {
                let ends = |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'=' | b',' | b'}');
                self.take_until(ends);
                self.slice(start, self.position).to_owned()
            }
        };
        self.skip_spaces();
        if key.is_empty() || self.peek() != Some(b'=') {
            return Err(Stop::new(start, "expected 'key = value' in an inline table"));
        }
        self.position += 1;
        self.skip_spaces();
        let value = self.value(depth + 1)?;
        Ok(Entry { key, key_span, value })
    }

    /// Takes the closing bracket if it is there; an error at the end of the text.
    fn close(&mut self, bracket: u8, start: usize, what: &str) -> Result<bool, Stop> {
        match self.peek() {
            None => {
                let message = format!("the {what} is not closed, '{}' is missing", bracket as char);
                Err(Stop::new(start, message))
            }
            Some(byte) if byte == bracket => {
                self.position += 1;
                Ok(true)
            }
            Some(_) => Ok(false),
        }
    }

    /// Takes a comma, or leaves the closing bracket for `close`.
    fn comma_or(&mut self, bracket: u8, start: usize, what: &str) -> Result<(), Stop> {
        self.skip_blank();
        match self.peek() {
            Some(b',') => {
                self.position += 1;
                Ok(())
            }
            Some(byte) if byte == bracket => Ok(()),
            None => self.close(bracket, start, what).map(|_| ()),
            Some(_) => {
                let message = format!("expected ',' or '{}' in the {what}", bracket as char);
                Err(Stop::new(self.position, message))
            }
        }
    }
}

fn nested(stop: Stop) -> Stop {
    Stop { nested: true, ..stop }
}
