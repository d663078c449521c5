//! What can be wrong with an argument or with serialised bytes. Scripts see these texts; they are Heka's.

/// An argument out of range, or bytes that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A bloom filter for fewer than two items.
    #[error("items must be > 1")]
    BloomItems,
    /// A share of false answers that is none.
    #[error("probability must be between 0 and 1")]
    Probability,
    /// A cuckoo filter for fewer than five items.
    #[error("items must be > 4")]
    CuckooItems,
    /// More memory than there is.
    #[error("not enough memory")]
    Memory,
    /// State of a structure of another size.
    #[error("fromstring() bytes found: {found}, expected {expected}")]
    Bytes {
        /// Bytes of the state.
        found: usize,
        /// Bytes of this structure.
        expected: usize,
    },
    /// State that is none of a hyperloglog.
    #[error("fromstring() HYLL header not found")]
    HyllHeader,
    /// State of a hyperloglog with registers of another form.
    #[error("fromstring() invalid encoding")]
    HyllEncoding,
    /// Fewer than two values, or more than 4096.
    #[error("n is out of range")]
    SaxValues,
    /// Fewer than two frames, or more than 2048.
    #[error("w is out of range")]
    SaxFrames,
    /// Frames that cannot all have as many values.
    #[error("n must be evenly divisible by w")]
    SaxDivisible,
    /// Fewer than two letters, or more than 16.
    #[error("cardinality is out of range")]
    SaxCardinality,
    /// A word of fewer than two letters.
    #[error("length of SAX string should be > 1")]
    SaxWordLength,
    /// A letter beyond the cardinality, or that out of range.
    #[error("illegal symbols for given cardinality or bad cardinality itself")]
    SaxSymbols,
}
