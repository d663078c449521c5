//! What can go wrong while a batch is built or read back.

use std::fmt;

/// Why a record or a value could not be added to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildError {
    /// The arena is full: its offsets have 31 bits.
    ArenaFull,
    /// A value of another type was added to a field.
    MixedTypes,
    /// A value was added before any field.
    NoField,
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ArenaFull => "the batch would exceed 2 GiB",
            Self::MixedTypes => "all values of a field must have one type",
            Self::NoField => "a value needs a field to belong to",
        })
    }
}

impl std::error::Error for BuildError {}

/// Why bytes are not a stored batch; `offset` is that of the entry that cannot be, from the first raw byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredError {
    /// Not even the trailer fits in.
    TooShort {
        /// Number of bytes there are.
        bytes: usize,
    },
    /// The layout is one that this build does not know.
    Version {
        /// The version found.
        found: u32,
        /// The newest version known.
        newest: u32,
    },
    /// The lengths of the parts do not add up to the bytes there are.
    Lengths {
        /// Of the first length that is too large, or of the trailer if all together are too small.
        offset: usize,
    },
    /// A bit or a flag has no meaning, or contradicts another one.
    Flags {
        /// Of the entry.
        offset: usize,
    },
    /// Bytes are said to lie outside the arena.
    Span {
        /// Of the entry.
        offset: usize,
    },
    /// The fields of a record overlap those of an earlier one, or are not there.
    Fields {
        /// Of the record's entry.
        offset: usize,
    },
    /// The values of a field overlap those of an earlier one, or are not there.
    Values {
        /// Of the field's entry.
        offset: usize,
    },
    /// The headers of a record are not there.
    Headers {
        /// Of the record's entry.
        offset: usize,
    },
    /// The type of a field's values does not exist, or can have none.
    ValueType {
        /// Of the field's entry.
        offset: usize,
    },
    /// The name of a field is in no table.
    Name {
        /// Of the field's entry.
        offset: usize,
    },
    /// The table of names is torn.
    NameTable {
        /// Of the table.
        offset: usize,
    },
    /// The envelope is torn, or its source is not UTF-8.
    Envelope {
        /// Of the envelope.
        offset: usize,
    },
    /// Its names do not fit into the arena: offsets have 31 bits.
    ArenaFull,
}

impl fmt::Display for StoredError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, offset) = match *self {
            Self::TooShort { bytes } => {
                return write!(formatter, "{bytes} bytes are too few for a stored batch");
            }
            Self::Version { found, newest } => {
                return write!(
                    formatter,
                    "stored batch of layout {found}, this build reads up to {newest}"
                );
            }
            Self::ArenaFull => {
                return formatter.write_str("the names of the stored batch exceed 2 GiB");
            }
            Self::Lengths { offset } => ("wrong length", offset),
            Self::Flags { offset } => ("meaningless flags", offset),
            Self::Span { offset } => ("bytes outside the arena", offset),
            Self::Fields { offset } => ("wrong range of fields", offset),
            Self::Values { offset } => ("wrong range of values", offset),
            Self::Headers { offset } => ("wrong place of headers", offset),
            Self::ValueType { offset } => ("unknown type of values", offset),
            Self::Name { offset } => ("unknown name", offset),
            Self::NameTable { offset } => ("torn table of names", offset),
            Self::Envelope { offset } => ("torn envelope", offset),
        };
        write!(formatter, "{what} at offset {offset} of a stored batch")
    }
}

impl std::error::Error for StoredError {}
