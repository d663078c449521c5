//! What a column is called, counted in, and how several buffers' columns become one.

use crate::error::{Error, invalid_option};

/// Unit of a column for which none was set.
pub const DEFAULT_UNIT: &str = "count";

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 15;
/// Bytes of a unit.
const UNIT_BYTES_MAX: usize = 7;

/// How a column of several buffers is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregation {
    /// Values are added.
    #[default]
    Sum,
    /// The smallest value counts.
    Min,
    /// The largest value counts.
    Max,
    /// Not at all.
    None,
}

impl Aggregation {
    /// Reads `sum`, `min`, `max` or `none`.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        match text {
            b"sum" => Ok(Self::Sum),
            b"min" => Ok(Self::Min),
            b"max" => Ok(Self::Max),
            b"none" => Ok(Self::None),
            _ => Err(invalid_option(text)),
        }
    }

    /// The word that [`parse`](Self::parse) reads.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::None => "none",
        }
    }
}

/// Header of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    name: Label<NAME_BYTES_MAX>,
    unit: Label<UNIT_BYTES_MAX>,
    aggregation: Aggregation,
}

impl Column {
    /// A header. Of the name 15 bytes are kept, of the unit 7, both up to a NUL byte; letters and digits of ASCII
    /// stay, in units `/` and `*` too, and `_` replaces all else.
    #[must_use]
    pub fn new(name: &[u8], unit: &[u8], aggregation: Aggregation) -> Self {
        let name = Label::new(name, |byte| byte.is_ascii_alphanumeric());
        let unit =
            Label::new(unit, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'*'));
        Self { name, unit, aggregation }
    }

    /// The header of a column that nobody described; the first column has number 1.
    pub(crate) fn numbered(number: usize) -> Self {
        Self::new(format!("Column_{number}").as_bytes(), DEFAULT_UNIT.as_bytes(), Aggregation::Sum)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What is counted.
    #[must_use]
    pub fn unit(&self) -> &str {
        self.unit.as_str()
    }

    /// How columns of several buffers are put together.
    #[must_use]
    pub fn aggregation(&self) -> Aggregation {
        self.aggregation
    }
}

/// A short text of ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> Label<N> {
    fn new(text: &[u8], is_allowed: impl Fn(u8) -> bool) -> Self {
        let mut label = Self { bytes: [0; N], length: 0 };
        let kept = text.iter().take_while(|&&byte| byte != 0).take(N);
        for (to, &byte) in label.bytes.iter_mut().zip(kept) {
            *to = if is_allowed(byte) { byte } else { b'_' };
            label.length += 1;
        }
        label
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("a label is ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_cut_and_cleaned() {
        let column = Column::new(b"peak latency of all", b"ms/req*s\xff", Aggregation::Max);
        assert_eq!(column.name(), "peak_latency_of");
        assert_eq!(column.unit(), "ms/req*");
        let column = Column::new(b"a/b\0c", "\u{e9}".as_bytes(), Aggregation::None);
        assert_eq!((column.name(), column.unit()), ("a_b", "__"));
        assert_eq!(Column::new(b"", b"", Aggregation::Sum).name(), "");
    }

    #[test]
    fn a_header_is_as_large_as_what_is_charged_for_it() {
        assert!(size_of::<Column>() <= crate::buffer::COLUMN_BYTES);
    }

    #[test]
    fn aggregations_are_read_as_written() {
        for aggregation in [Aggregation::Sum, Aggregation::Min, Aggregation::Max, Aggregation::None]
        {
            assert_eq!(Aggregation::parse(aggregation.as_str().as_bytes()).unwrap(), aggregation);
        }
        assert_eq!(Aggregation::parse(b"avg").unwrap_err().to_string(), "invalid option 'avg'");
    }
}
