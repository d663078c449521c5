//! Why a value does not fit its setting. Not here: adding it to the problems (`decode`).

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::source::Span;
use crate::suggest::nearest;

/// Most valid values that a message lists.
const MAX_LISTED: usize = 24;

/// What a decode error says, where, and below which keys.
#[derive(Debug)]
pub(super) struct DecodeError {
    message: String,
    suggestion: Option<String>,
    missing: Option<&'static str>,
    span: Option<Span>,
    /// Keys from the inside out.
    steps: Vec<String>,
}

impl DecodeError {
    fn new(message: String) -> Self {
        Self { message, suggestion: None, missing: None, span: None, steps: Vec::new() }
    }

    /// Adds the key that the error happened below; the innermost place is kept.
    pub(super) fn below(mut self, key: &str, span: Span) -> Self {
        self.steps.push(key.to_owned());
        self.span.get_or_insert(span);
        self
    }

    /// Adds the place, if there is none yet.
    pub(super) fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    pub(super) fn span(&self) -> Option<Span> {
        self.span
    }

    /// Keys from the outside in.
    pub(super) fn path(&self) -> Vec<String> {
        self.steps.iter().rev().cloned().collect()
    }

    /// True if a field is missing only because its faulty value was removed before.
    pub(super) fn is_missing_field_of(&self, removed: &BTreeSet<Vec<String>>) -> bool {
        let Some(field) = self.missing else { return false };
        let mut path = self.path();
        path.push(field.to_owned());
        removed.contains(&path)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", wanted(expected), name_of(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let wanted_type = expected.to_string();
        let Some(range) = range_of(&wanted_type) else {
            return Self::new(format!("expected {}, found {}", wanted(expected), name_of(found)));
        };
        match found {
            Unexpected::Signed(number)
                if number < 0 && wanted_type.starts_with(['u', 'n', 'a']) =>
            {
                Self::new(format!("{number} must not be negative"))
            }
            Unexpected::Signed(number) => Self::new(format!("{number} is out of range, {range}")),
            Unexpected::Unsigned(number) => Self::new(format!("{number} is out of range, {range}")),
            _ => Self::new(format!("expected {}, found {}", wanted(expected), name_of(found))),
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let names = expected.iter().copied().filter(|name| !name.is_empty());
        let listed: Vec<&str> = names.clone().take(MAX_LISTED + 1).collect();
        let list = match listed.get(..MAX_LISTED) {
            Some(first) if listed.len() > MAX_LISTED => format!("{}, ...", first.join(", ")),
            _ => listed.join(", "),
        };
        let message = format!("unknown value '{}', expected one of {list}", variant.escape_debug());
        let suggestion = nearest(variant, names).map(str::to_owned);
        Self { suggestion, ..Self::new(message) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("missing required option '{field}'")) }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("'{field}' is set twice"))
    }
}

/// What is expected, in the words of a configuration.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "struct" | "a map" => "a table".to_owned(),
        "a sequence" => "an array".to_owned(),
        "path string" => "a string".to_owned(),
        text if text.starts_with("struct ") => "a table".to_owned(),
        text if text.starts_with("enum ") || text.starts_with("variant ") => "a string".to_owned(),
        text if range_of(text).is_some() => "an integer".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        text => text.to_owned(),
    }
}

/// What was found. Texts and numbers are shown: secrets refuse other types by themselves.
fn name_of(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("the boolean {value}"),
        Unexpected::Unsigned(value) => format!("the integer {value}"),
        Unexpected::Signed(value) => format!("the integer {value}"),
        Unexpected::Float(value) => format!("the float {value:?}"),
        Unexpected::Str(_) => "a string".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Unit => "a string".to_owned(),
        other => other.to_string(),
    }
}

/// The range in words, if the name is that of an integer type.
fn range_of(name: &str) -> Option<String> {
    let (least, most): (i128, i128) = match name {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, i64::MAX.into()),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => (i64::MIN.into(), i64::MAX.into()),
        "a nonzero u8" => (1, u8::MAX.into()),
        "a nonzero u16" => (1, u16::MAX.into()),
        "a nonzero u32" => (1, u32::MAX.into()),
        "a nonzero u64" | "a nonzero usize" => (1, i64::MAX.into()),
        _ => return None,
    };
    Some(format!("expected {least}..={most}"))
}
