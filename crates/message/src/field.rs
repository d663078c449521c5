//! Dynamic fields: a name, a representation, and any number of values of one type.

use crate::batch::Store;
use crate::{NameId, Span, Value, ValueType};

/// One field as it lies in a batch, 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldEntry {
    pub(crate) name: NameId,
    pub(crate) value_type: ValueType,
    /// Number of values.
    pub(crate) count: u32,
    pub(crate) representation: Span,
    /// The value itself if there is one, the place of the first in `Store::values` if there are more.
    pub(crate) value: u64,
}

/// A field of a record, borrowed from its batch.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    store: &'a Store,
    entry: &'a FieldEntry,
}

impl<'a> Field<'a> {
    pub(crate) fn new(store: &'a Store, entry: &'a FieldEntry) -> Self {
        Self { store, entry }
    }

    /// Its interned name.
    #[must_use]
    pub fn name_id(&self) -> NameId {
        self.entry.name
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.store.name(self.entry.name)
    }

    /// Unit or format of its values (`count`, `ns`, `B`, `ipv4`, …); often empty.
    #[must_use]
    pub fn representation(&self) -> &'a [u8] {
        self.store.bytes(self.entry.representation)
    }

    /// Type of all its values.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.entry.value_type
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entry.count as usize
    }

    /// True if it has no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entry.count == 0
    }

    /// The first value.
    #[must_use]
    pub fn first(&self) -> Option<Value<'a>> {
        self.value(0)
    }

    /// Value number `index`; `None` past the end or if the type is unknown.
    #[must_use]
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        if index >= self.len() {
            return None;
        }
        let bits = match self.entry.count {
            1 => self.entry.value,
            _ => *self.store.values.get(usize::try_from(self.entry.value).ok()? + index)?,
        };
        Some(match self.entry.value_type {
            ValueType::String => Value::Str(self.store.bytes(Span::from_bits(bits))),
            ValueType::Bytes => Value::Bytes(self.store.bytes(Span::from_bits(bits))),
            ValueType::Integer => Value::Int(bits as i64),
            ValueType::Double => Value::Double(f64::from_bits(bits)),
            ValueType::Bool => Value::Bool(bits != 0),
            ValueType::Unknown => return None,
        })
    }

    /// All values in order.
    #[must_use]
    pub fn values(&self) -> Values<'a> {
        Values { field: *self, next: 0 }
    }
}

impl std::fmt::Debug for Field<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values: Vec<Value<'_>> = self.values().collect();
        write!(formatter, "{}={values:?}", String::from_utf8_lossy(self.name()))
    }
}

/// Iterates over a field's values.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    field: Field<'a>,
    next: usize,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let value = self.field.value(self.next)?;
        self.next += 1;
        Some(value)
    }
}
