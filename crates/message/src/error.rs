//! What can go wrong while a batch is built.

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
