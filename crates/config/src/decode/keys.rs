//! Names of settings: which a struct declares, and which of them a written key means.
//!
//! Invariant: the exact name wins, else case does not matter.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value as Json;

use crate::source::Span;
use crate::value::{Data, Table};

/// True if two keys are the same but for case.
pub(crate) fn same_key(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

/// The declared name that a written key means.
pub(super) fn resolve(key: &str, names: &[&'static str]) -> Option<&'static str> {
    let exact = names.iter().find(|name| **name == key);
    exact.or_else(|| names.iter().find(|name| same_key(name, key))).copied()
}

/// The names that a struct declares, aliases included.
pub(super) struct Names(&'static [&'static str]);

impl Names {
    /// Asks the struct's own `Deserialize`; empty for a type that is no struct.
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        match T::deserialize(Probe) {
            Err(Answer(names)) => Self(names),
            Ok(_) => Self(&[]),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

/// A deserializer that gives no value, only notes which fields it is asked for.
struct Probe;

/// The fields, carried in an error because that is the only way out.
#[derive(Debug)]
struct Answer(&'static [&'static str]);

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join(", "))
    }
}

impl std::error::Error for Answer {}

impl de::Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(fields))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The name under which the table holds the property: its own or an alias.
pub(super) fn given_name<'a>(table: &Table, name: &'a str, property: &'a Json) -> Option<&'a str> {
    let aliases = property.get("x-aliases").and_then(Json::as_array);
    let aliases = aliases.into_iter().flatten().filter_map(Json::as_str);
    std::iter::once(name).chain(aliases).find(|name| table.get_any_case(name).is_some())
}

/// Place of a setting, `path` joined with dots; of the nearest table around it that is given, if
/// it is not itself; none if not even the first part is given.
pub(crate) fn span_of(table: &Table, path: &str) -> Option<Span> {
    let whole = table.get_any_case(path);
    if let Some(entry) = whole {
        return Some(entry.key_span);
    }
    let (first, rest) = path.split_once('.')?;
    let entry = table.get_any_case(first)?;
    match &entry.value.data {
        Data::Table(inner) => span_of(inner, rest).or(Some(entry.key_span)),
        _ => Some(entry.key_span),
    }
}

/// Like [`span_of`], with the aliases that the schema names.
pub(super) fn span_with_aliases(table: &Table, path: &str, schema: &Json) -> Option<Span> {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let property = crate::describe::property(schema, first);
    let name = property.and_then(|property| given_name(table, first, property)).unwrap_or(first);
    let entry = table.get_any_case(name)?;
    match (&entry.value.data, rest, property) {
        (Data::Table(inner), Some(rest), Some(property)) => {
            let nested = crate::describe::resolve(schema, property);
            let nested = crate::describe::with_definitions(nested, schema);
            span_with_aliases(inner, rest, &nested).or(Some(entry.key_span))
        }
        (Data::Table(inner), Some(rest), None) => span_of(inner, rest).or(Some(entry.key_span)),
        _ => Some(entry.key_span),
    }
}
