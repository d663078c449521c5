//! Remarks on cells, which graphs show beside the curve.

use std::collections::BTreeMap;

use crate::error::{Error, invalid_option};

/// Bytes that are kept of an annotation's text.
pub const ANNOTATION_BYTES_MAX: usize = 4096;

/// Bytes of all annotations of a buffer.
pub const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// What is charged for an annotation beside its text.
const ENTRY_BYTES: usize = 64;

/// How much a reader should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationKind {
    /// Worth knowing.
    Info,
    /// Worth acting on.
    Alert,
}

impl AnnotationKind {
    /// Reads `info` or `alert`.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        match text {
            b"info" => Ok(Self::Info),
            b"alert" => Ok(Self::Alert),
            _ => Err(invalid_option(text)),
        }
    }

    /// The word that [`parse`](Self::parse) reads.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Alert => "alert",
        }
    }
}

/// A remark on one cell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Annotation {
    pub(crate) kind: AnnotationKind,
    pub(crate) text: String,
    /// Whether the next `cbufd` has to tell it.
    pub(crate) is_new: bool,
}

/// Remarks by row number and column, which counts from 0.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    entries: BTreeMap<(i64, usize), Annotation>,
    bytes: usize,
}

impl Annotations {
    /// Bytes to charge for all.
    pub(crate) fn memory(&self) -> usize {
        self.bytes
    }

    pub(crate) fn has_new(&self) -> bool {
        self.entries.values().any(|annotation| annotation.is_new)
    }

    /// Adds or replaces the remark on a cell.
    pub(crate) fn insert(
        &mut self,
        row: i64,
        column: usize,
        annotation: Annotation,
    ) -> Result<(), Error> {
        let replaced = self.entries.get(&(row, column)).map_or(0, charge);
        let bytes = self.bytes - replaced + charge(&annotation);
        if bytes > ANNOTATIONS_BYTES_MAX {
            return Err(Error::TooManyAnnotations);
        }
        self.bytes = bytes;
        self.entries.insert((row, column), annotation);
        Ok(())
    }

    /// Drops the remarks on rows before `first`.
    pub(crate) fn prune(&mut self, first: i64) {
        while let Some(entry) = self.entries.first_entry().filter(|entry| entry.key().0 < first) {
            self.bytes -= charge(&entry.remove());
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Row number, column and remark, in the order of time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, usize, &Annotation)> {
        self.entries.iter().map(|(&(row, column), annotation)| (row, column, annotation))
    }

    /// All have been told.
    pub(crate) fn mark_told(&mut self) {
        self.entries.values_mut().for_each(|annotation| annotation.is_new = false);
    }
}

impl Annotation {
    pub(crate) fn new(kind: AnnotationKind, text: &[u8], is_new: bool) -> Self {
        let kept = text.get(..ANNOTATION_BYTES_MAX).unwrap_or(text);
        let mut text = String::from_utf8_lossy(kept).into_owned();
        text.shrink_to_fit();
        Self { kind, text, is_new }
    }
}

fn charge(annotation: &Annotation) -> usize {
    ENTRY_BYTES + annotation.text.capacity()
}
