//! The tree that a configuration file is read into: values and tables with their places.
//!
//! Here: the tree and lookup. Not here: parsing (`parse`) and typed decoding (`decode`).
//! Invariants: a table keeps the order of the file and holds each key once.

use std::collections::BTreeMap;

use crate::source::Span;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// What it is.
    pub data: Data,
    /// Place of its first character.
    pub span: Span,
}

/// What a value holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Text with all escapes resolved.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, a time or both, as written.
    Datetime(String),
    /// A list; its elements need not be of one type.
    Array(Vec<Value>),
    /// A table.
    Table(Table),
}

impl Value {
    /// The value's type in words with an article, for problem texts.
    pub fn type_name(&self) -> &'static str {
        match &self.data {
            Data::String(_) => "a string",
            Data::Integer(_) => "an integer",
            Data::Float(_) => "a float",
            Data::Boolean(_) => "a boolean",
            Data::Datetime(_) => "a date",
            Data::Array(_) => "an array",
            Data::Table(_) => "a table",
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match &self.data {
            Data::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// How a table came to be; decides whether a header may name it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Origin {
    /// Only as a parent of another table, `a` in `[a.b]`.
    #[default]
    Implied,
    /// By its own header.
    Header,
    /// As a value, `{ .. }`, or by code.
    Value,
}

/// One key of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as written.
    pub key: String,
    /// Place of the key's first character.
    pub key_span: Span,
    /// Its value.
    pub value: Value,
}

/// Keys and values in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    entries: Vec<Entry>,
    positions: BTreeMap<String, usize>,
    pub(crate) origin: Origin,
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_origin(origin: Origin) -> Self {
        Self { origin, ..Self::default() }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The entry whose key is exactly `key`.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.positions.get(key).and_then(|position| self.entries.get(*position))
    }

    /// The entry whose key is `key`, exactly if there is one, else without regard to case.
    pub fn get_any_case(&self, key: &str) -> Option<&Entry> {
        let same = |entry: &&Entry| crate::decode::same_key(&entry.key, key);
        self.get(key).or_else(|| self.entries.iter().find(same))
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let position = *self.positions.get(key)?;
        self.entries.get_mut(position).map(|entry| &mut entry.value)
    }

    /// Adds an entry; gives it back if the key is taken.
    pub fn insert(&mut self, entry: Entry) -> Result<(), Box<Entry>> {
        if self.positions.contains_key(&entry.key) {
            return Err(Box::new(entry));
        }
        self.positions.insert(entry.key.clone(), self.entries.len());
        self.entries.push(entry);
        Ok(())
    }

    /// Removes and returns the entry whose key is exactly `key`. Costs a walk over the table.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let position = self.positions.remove(key)?;
        let entry = self.entries.remove(position);
        for later in self.positions.values_mut().filter(|other| **other > position) {
            *later -= 1;
        }
        Some(entry)
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, number: i64) -> Entry {
        let value = Value { data: Data::Integer(number), span: Span::NONE };
        Entry { key: key.into(), key_span: Span::NONE, value }
    }

    #[test]
    fn a_table_keeps_order_and_lookup_after_a_removal() {
        let mut table = Table::new();
        for (key, number) in [("b", 1), ("a", 2), ("c", 3)] {
            table.insert(entry(key, number)).unwrap();
        }
        assert!(table.insert(entry("a", 9)).is_err());
        assert!(table.remove("b").is_some() && table.remove("b").is_none());
        let keys: Vec<&str> = table.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["a", "c"]);
        assert_eq!(table.get("c").unwrap().value.data, Data::Integer(3));
    }

    #[test]
    fn lookup_prefers_the_exact_key() {
        let mut table = Table::new();
        table.insert(entry("ADDRESS", 1)).unwrap();
        assert_eq!(table.get_any_case("address").unwrap().value.data, Data::Integer(1));
        table.insert(entry("address", 2)).unwrap();
        assert_eq!(table.get_any_case("address").unwrap().value.data, Data::Integer(2));
    }
}
