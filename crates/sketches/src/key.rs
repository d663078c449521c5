//! What is put into a set.

/// A key: a text, or a number, which is as good as its eight bytes and no text.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// Any bytes.
    Text(&'a [u8]),
    /// Bytes of a double, the lowest first.
    Number([u8; 8]),
}

impl Key<'_> {
    /// What is hashed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Number(bytes) => bytes,
        }
    }
}

impl From<f64> for Key<'static> {
    fn from(number: f64) -> Self {
        Self::Number(number.to_le_bytes())
    }
}

impl<'a> From<&'a [u8]> for Key<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.as_bytes())
    }
}
