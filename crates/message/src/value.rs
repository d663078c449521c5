//! Field values.

/// The five types of field values; the numbers are those of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueType {
    /// Text, in practice any bytes.
    String = 0,
    /// Bytes.
    Bytes = 1,
    /// Signed 64-bit integer.
    Integer = 2,
    /// IEEE 754 double.
    Double = 3,
    /// Boolean.
    Bool = 4,
    /// A type number that this version does not know; such a field has no readable value.
    Unknown = 255,
}

impl ValueType {
    /// The type with a wire number; [`ValueType::Unknown`] outside 0..=4.
    #[must_use]
    pub fn from_wire(number: u64) -> Self {
        match number {
            0 => Self::String,
            1 => Self::Bytes,
            2 => Self::Integer,
            3 => Self::Double,
            4 => Self::Bool,
            _ => Self::Unknown,
        }
    }

    /// The name that Heka prints: `string`, `bytes`, `integer`, `double`, `bool`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Bool => "bool",
            Self::Unknown => "unknown",
        }
    }
}

/// One value of a field, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text; nobody checked that it is UTF-8.
    Str(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Signed 64-bit integer.
    Int(i64),
    /// IEEE 754 double.
    Double(f64),
    /// Boolean.
    Bool(bool),
}

impl<'a> Value<'a> {
    /// Its type.
    #[must_use]
    pub fn value_type(self) -> ValueType {
        match self {
            Self::Str(_) => ValueType::String,
            Self::Bytes(_) => ValueType::Bytes,
            Self::Int(_) => ValueType::Integer,
            Self::Double(_) => ValueType::Double,
            Self::Bool(_) => ValueType::Bool,
        }
    }

    /// The bytes of a text or bytes value.
    #[must_use]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Str(bytes) | Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An integer or double as a double.
    #[must_use]
    pub fn as_number(self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(number as f64),
            Self::Double(number) => Some(number),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(text.as_bytes())
    }
}
