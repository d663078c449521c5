//! Message templates: the `message_fields` table of decoders.
//!
//! Here: what its keys mean and how `%name%` in its values is filled in. Not here: where the captures come from.
//! Invariants: names are resolved when the template is compiled; what can fail is applied first; nothing but
//! the made texts is copied.

use std::collections::BTreeMap;
use std::fmt;

use heka_message::{NameId, NameRegistry, RecordBuilder, Uuid, Value};

/// A compiled `message_fields` table.
#[derive(Debug, Clone)]
pub struct MessageTemplate {
    entries: Vec<Entry>,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Entry {
    target: Target,
    parts: Vec<Part>,
}

/// What a key sets; those that can refuse their text come first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Pid,
    Severity,
    Uuid,
    Logger,
    Type,
    Payload,
    Hostname,
    Field { name: NameId, representation: Box<[u8]> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<[u8]>),
    /// Number of a capture.
    Capture(usize),
}

impl MessageTemplate {
    /// Compiles a table in which `%name%` stands for a capture, if `capture` knows the number of one of that
    /// name. Otherwise it becomes `<name>`, as in Heka.
    #[must_use]
    pub fn compile(
        table: &BTreeMap<String, String>,
        names: &NameRegistry,
        capture: impl Fn(&str) -> Option<usize>,
    ) -> Self {
        Self::build(table, names, |text| parts(text, &capture))
    }

    /// Compiles a table whose values are taken as they stand.
    #[must_use]
    pub fn literal(table: &BTreeMap<String, String>, names: &NameRegistry) -> Self {
        Self::build(table, names, |text| vec![Part::Text(text.as_bytes().into())])
    }

    fn build(
        table: &BTreeMap<String, String>,
        names: &NameRegistry,
        parts: impl Fn(&str) -> Vec<Part>,
    ) -> Self {
        let entry = |(key, text): (&String, &String)| Entry {
            target: Target::parse(key, names),
            parts: parts(text),
        };
        let mut entries: Vec<Entry> = table.iter().map(entry).collect();
        entries.sort_by(|left, right| left.target.cmp(&right.target));
        Self { entries, scratch: Vec::new() }
    }

    /// Sets what the table says. `capture` gives the text of a capture by its number.
    ///
    /// # Errors
    /// If the text for Pid, Severity or Uuid is none.
    pub fn apply<'c>(
        &mut self,
        record: &mut RecordBuilder<'_>,
        capture: impl Fn(usize) -> &'c [u8],
    ) -> Result<(), TemplateError> {
        for entry in &self.entries {
            match entry.parts.as_slice() {
                // Given as it is, a capture stays where the input read it.
                [Part::Capture(number)] => entry.target.set(capture(*number), record)?,
                [Part::Text(text)] => entry.target.set(text, record)?,
                parts => {
                    self.scratch.clear();
                    for part in parts {
                        self.scratch.extend_from_slice(match part {
                            Part::Text(text) => text,
                            Part::Capture(number) => capture(*number),
                        });
                    }
                    entry.target.set(&self.scratch, record)?;
                }
            }
        }
        Ok(())
    }
}

impl Target {
    fn parse(key: &str, names: &NameRegistry) -> Self {
        match key {
            "Pid" => Self::Pid,
            "Severity" => Self::Severity,
            "Uuid" => Self::Uuid,
            "Logger" => Self::Logger,
            "Type" => Self::Type,
            "Payload" => Self::Payload,
            "Hostname" => Self::Hostname,
            _ => {
                let (name, representation) = key.split_once('|').unwrap_or((key, ""));
                let name = names.intern(name.as_bytes());
                Self::Field { name, representation: representation.as_bytes().into() }
            }
        }
    }

    fn set(&self, text: &[u8], record: &mut RecordBuilder<'_>) -> Result<(), TemplateError> {
        match self {
            Self::Pid => {
                let whole = text.split(|&byte| byte == b'.').next().unwrap_or(text);
                record.pid(integer(whole).ok_or_else(|| TemplateError::new("Pid", text))?);
            }
            Self::Severity => {
                let severity = integer(text).ok_or_else(|| TemplateError::new("Severity", text))?;
                record.severity(severity);
            }
            Self::Uuid => {
                let uuid = Uuid::parse(text).ok_or_else(|| TemplateError::new("Uuid", text))?;
                record.uuid(&uuid.0);
            }
            Self::Logger => {
                record.logger(text);
            }
            Self::Type => {
                record.message_type(text);
            }
            Self::Payload => {
                record.payload(text);
            }
            Self::Hostname => {
                record.hostname(text);
            }
            Self::Field { name, representation } => {
                record.field_with(*name, representation, Value::Str(text));
            }
        }
        Ok(())
    }
}

fn integer(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Takes a text apart at each `%word%`.
fn parts(text: &str, capture: &impl Fn(&str) -> Option<usize>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        literal.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(name) = placeholder(rest) else {
            literal.push('%');
            rest = &rest[1..];
            continue;
        };
        rest = &rest[name.len() + 2..];
        match capture(name) {
            Some(number) => {
                flush(&mut literal, &mut parts);
                parts.push(Part::Capture(number));
            }
            None => {
                literal.push('<');
                literal.push_str(name);
                literal.push('>');
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Text(literal.into_bytes().into()));
    }
    parts
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Text(std::mem::take(literal).into_bytes().into()));
    }
}

/// The name in a text that begins with `%name%`; names are of ASCII letters, digits and underscores.
fn placeholder(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('%')?;
    let (name, _) = rest.split_once('%')?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_word)).then_some(name)
}

/// A text that does not fit the header it is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    header: &'static str,
    text: String,
}

/// Longest part of an unfit text that an error shows, in bytes.
const SHOWN_BYTES_MAX: usize = 64;

impl TemplateError {
    fn new(header: &'static str, text: &[u8]) -> Self {
        let shown = &text[..text.len().min(SHOWN_BYTES_MAX)];
        Self { header, text: String::from_utf8_lossy(shown).into_owned() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}' is no {}", self.text, self.header)
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_message::{Batch, BatchBuilder, Buffer, Envelope};

    const CAPTURES: [(&str, &str); 3] = [("code", "404"), ("u", "/x"), ("none", "")];

    fn table(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|&(key, text)| (key.to_owned(), text.to_owned())).collect()
    }

    fn number(name: &str) -> Option<usize> {
        CAPTURES.iter().position(|&(known, _)| known == name)
    }

    fn applied(entries: &[(&str, &str)]) -> Result<Batch, TemplateError> {
        let names = NameRegistry::new();
        let mut template = MessageTemplate::compile(&table(entries), &names, number);
        let envelope = Envelope::new("in").into();
        let mut builder = BatchBuilder::new(names.snapshot(), envelope, Buffer::empty(), 0);
        let mut record = builder.record();
        template.apply(&mut record, |number| CAPTURES[number].1.as_bytes())?;
        record.commit().unwrap();
        Ok(builder.finish())
    }

    #[test]
    fn captures_are_filled_in_and_unknown_names_shown() {
        let batch =
            applied(&[("Type", "hit%code%"), ("Url|uri", "%u%"), ("Logger", "%host%")]).unwrap();
        let record = batch.record(0).unwrap();
        assert_eq!((record.message_type(), record.logger()), (&b"hit404"[..], &b"<host>"[..]));
        let url = record.field_named(b"Url").unwrap();
        assert_eq!((url.representation(), url.first()), (&b"uri"[..], Some(Value::Str(b"/x"))));
    }

    #[test]
    fn other_keys_are_string_fields_even_with_the_name_of_a_header() {
        let batch = applied(&[
            ("Timestamp", "1"),
            ("EnvVersion", "2"),
            ("Payload|json", "{}"),
            ("a|b|c", "%none%"),
        ])
        .unwrap();
        let record = batch.record(0).unwrap();
        let fields: Vec<_> = record.fields().collect();
        let names: Vec<&[u8]> = fields.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), 4);
        assert!(names.contains(&&b"Timestamp"[..]) && names.contains(&&b"EnvVersion"[..]));
        assert_eq!(record.payload(), b"");
        assert_eq!(record.field_named(b"a").unwrap().representation(), b"b|c");
        assert_eq!(record.field_named(b"a").unwrap().first(), Some(Value::Str(b"")));
    }

    #[test]
    fn numbers_and_ids_are_read() {
        let id = "8e414f01-9d7f-4a48-a5e1-ae92e5954df5";
        let batch = applied(&[("Pid", "12.9"), ("Severity", "%code%"), ("Uuid", id)]).unwrap();
        let record = batch.record(0).unwrap();
        assert_eq!((record.pid(), record.severity()), (12, 404));
        assert_eq!(record.uuid().unwrap().to_string(), id);
        let batch = applied(&[("Uuid", "0123456789abcdef"), ("Pid", "-5")]).unwrap();
        assert_eq!(batch.record(0).unwrap().uuid(), Some(Uuid(*b"0123456789abcdef")));
        assert_eq!(batch.record(0).unwrap().pid(), -5);
    }

    #[test]
    fn unfit_texts_are_refused() {
        for (key, text) in [
            ("Pid", "x"),
            ("Pid", ""),
            ("Pid", "2147483648"),
            ("Severity", "1.0"),
            ("Severity", "<Severity>"),
            ("Uuid", "8e414f01"),
        ] {
            let error = applied(&[(key, text), ("Type", "t")]).unwrap_err();
            assert_eq!(error.to_string(), format!("'{text}' is no {key}"));
        }
    }

    #[test]
    fn only_whole_words_between_percent_signs_are_names() {
        let text = |template: &str| {
            let batch = applied(&[("Type", template)]).unwrap();
            String::from_utf8(batch.record(0).unwrap().message_type().to_vec()).unwrap()
        };
        assert_eq!(text("%code%u%"), "404u%");
        assert_eq!(text("%%code%%"), "%404%");
        assert_eq!(text("100% of %u%"), "100% of /x");
        assert_eq!(text("%a b%code%"), "%a b404");
        assert_eq!(text("%é%u%"), "%é/x");
        assert_eq!(text("%"), "%");
        assert_eq!(text(""), "");
    }

    #[test]
    fn a_literal_template_fills_nothing_in() {
        let names = NameRegistry::new();
        let mut template = MessageTemplate::literal(&table(&[("Type", "%code%")]), &names);
        let envelope = Envelope::new("in").into();
        let mut builder = BatchBuilder::new(names.snapshot(), envelope, Buffer::empty(), 0);
        let mut record = builder.record();
        template.apply(&mut record, |_| b"never").unwrap();
        assert_eq!(record.view().record().message_type(), b"%code%");
    }
}
