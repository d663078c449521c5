//! A serde deserializer over the value tree.
//!
//! Here: reading a value as a type, errors with keys and places, unknown keys of structs. Not
//! here: what to do about them (`decode`). Invariants: integers are let pass for floats, nothing
//! else is converted; all unknown keys that come into view are noted, none ends the decoding.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::DecodeError;
use super::{MAX_SECTION_ERRORS, keys};
use crate::source::Span;
use crate::suggest::nearest;
use crate::value::{Data, Entry, Table, Value};

/// An unknown key of a nested table.
#[derive(Debug)]
pub(super) struct Finding {
    /// Keys joined with dots.
    pub(super) path: String,
    pub(super) key: String,
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

/// Takes what is noted while a value is read.
#[derive(Debug, Default)]
pub(super) struct Sink {
    findings: RefCell<Vec<Finding>>,
    /// Keys around the value that is being read.
    keys: RefCell<Vec<String>>,
}

impl Sink {
    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings.into_inner()
    }

    fn enter(&self, key: &str) {
        self.keys.borrow_mut().push(key.to_owned());
    }

    fn leave(&self) {
        self.keys.borrow_mut().pop();
    }

    fn note(&self, entry: &Entry, message: String, suggestion: Option<String>) {
        if self.findings.borrow().len() >= MAX_SECTION_ERRORS {
            return;
        }
        let mut keys = self.keys.borrow().clone();
        keys.push(entry.key.clone());
        let (path, key, span) = (keys.join("."), entry.key.clone(), entry.key_span);
        self.findings.borrow_mut().push(Finding { path, key, span, message, suggestion });
    }
}

/// Reads one value.
pub(super) struct ValueDeserializer<'a> {
    value: &'a Value,
    sink: &'a Sink,
}

impl<'a> ValueDeserializer<'a> {
    pub(super) fn new(value: &'a Value, sink: &'a Sink) -> Self {
        Self { value, sink }
    }

    /// What the value is, for messages.
    fn unexpected(&self) -> Unexpected<'a> {
        match &self.value.data {
            Data::String(text) => Unexpected::Str(text),
            Data::Integer(number) => Unexpected::Signed(*number),
            Data::Float(number) => Unexpected::Float(*number),
            Data::Boolean(value) => Unexpected::Bool(*value),
            Data::Datetime(_) => Unexpected::Other("a date"),
            Data::Array(_) => Unexpected::Seq,
            Data::Table(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let sink = self.sink;
        let read = match &self.value.data {
            Data::String(text) => visitor.visit_str(text),
            Data::Datetime(text) => visitor.visit_str(text),
            Data::Integer(number) => visitor.visit_i64(*number),
            Data::Float(number) => visitor.visit_f64(*number),
            Data::Boolean(value) => visitor.visit_bool(*value),
            Data::Array(values) => {
                visitor.visit_seq(Values { values: values.iter(), index: 0, sink })
            }
            Data::Table(table) => visitor.visit_map(Entries::of_map(table, sink)),
        };
        read.map_err(|error| error.at(self.value.span))
    }

    /// A date is text only where anything goes, not for a setting that is a string.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.value.data {
            Data::Datetime(_) => {
                Err(DecodeError::invalid_type(self.unexpected(), &"a string").at(self.value.span))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match &self.value.data {
            Data::Table(table) => visitor
                .visit_map(Entries::of_struct(table, fields, self.sink))
                .map_err(|error| error.at(self.value.span)),
            _ => Err(DecodeError::invalid_type(self.unexpected(), &"a table").at(self.value.span)),
        }
    }

    /// A string names a variant without content, a table of one key one with content.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let span = self.value.span;
        let read = match &self.value.data {
            Data::String(text) => visitor.visit_enum(StrDeserializer::<DecodeError>::new(text)),
            Data::Table(table) if table.len() == 1 => match table.iter().next() {
                Some(entry) => visitor.visit_enum(Variant { entry, sink: self.sink }),
                None => Err(DecodeError::invalid_type(self.unexpected(), &"a string")),
            },
            _ => Err(DecodeError::invalid_type(self.unexpected(), &"a string")),
        };
        read.map_err(|error| error.at(span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The elements of an array.
struct Values<'a> {
    values: std::slice::Iter<'a, Value>,
    index: usize,
    sink: &'a Sink,
}

impl<'de> SeqAccess<'de> for Values<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let key = self.index.to_string();
        self.index += 1;
        self.sink.enter(&key);
        let read = seed.deserialize(ValueDeserializer::new(value, self.sink));
        self.sink.leave();
        read.map(Some).map_err(|error| error.below(&key, value.span))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

/// The entries of a table under the names that the type knows them by.
struct Entries<'a> {
    entries: std::vec::IntoIter<(&'a str, &'a Entry)>,
    next: Option<&'a Entry>,
    sink: &'a Sink,
}

impl<'a> Entries<'a> {
    /// All entries as they are.
    fn of_map(table: &'a Table, sink: &'a Sink) -> Self {
        let entries: Vec<_> = table.iter().map(|entry| (entry.key.as_str(), entry)).collect();
        Self { entries: entries.into_iter(), next: None, sink }
    }

    /// The entries that a struct knows; the others are noted.
    fn of_struct(table: &'a Table, fields: &'static [&'static str], sink: &'a Sink) -> Self {
        let mut used = BTreeSet::new();
        let mut entries: Vec<(&'a str, &'a Entry)> = Vec::new();
        for entry in table {
            match keys::resolve(&entry.key, fields) {
                Some(name) if used.insert(name) => entries.push((name, entry)),
                Some(_) => sink.note(entry, format!("'{}' is set twice", entry.key), None),
                None => {
                    let suggestion = nearest(&entry.key, fields.iter().copied());
                    let message = format!("unknown option '{}'", entry.key);
                    sink.note(entry, message, suggestion.map(str::to_owned));
                }
            }
        }
        Self { entries: entries.into_iter(), next: None, sink }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some((name, entry)) = self.entries.next() else { return Ok(None) };
        self.next = Some(entry);
        let key: StrDeserializer<'_, DecodeError> = name.into_deserializer();
        let read = seed.deserialize(key);
        read.map(Some).map_err(|error| error.below(&entry.key, entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some(entry) = self.next.take() else {
            return Err(DecodeError::custom("value without a key"));
        };
        self.sink.enter(&entry.key);
        let read = seed.deserialize(ValueDeserializer::new(&entry.value, self.sink));
        self.sink.leave();
        read.map_err(|error| error.below(&entry.key, entry.value.span))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A variant with content: `{ name = content }`.
struct Variant<'a> {
    entry: &'a Entry,
    sink: &'a Sink,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        let name: StringDeserializer<DecodeError> = self.entry.key.clone().into_deserializer();
        let variant = seed.deserialize(name).map_err(|error| error.at(self.entry.key_span))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Err(DecodeError::invalid_type(Unexpected::Map, &"a string"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        seed.deserialize(ValueDeserializer::new(&self.entry.value, self.sink))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        ValueDeserializer::new(&self.entry.value, self.sink).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let value = ValueDeserializer::new(&self.entry.value, self.sink);
        de::Deserializer::deserialize_struct(value, "", fields, visitor)
    }
}
