//! Text to parse and the way back from an offset in it to a line and column of the file.
//!
//! Here: places, and the map that survives `%ENV[...]` substitution. Not here: the substitution
//! (`env`). Invariant: text that came from a variable is placed at its `%ENV[`.

use std::cell::Cell;

/// A place in a file. Which file is known by whoever holds the section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Line, from 1; 0 for settings that came from no file.
    pub line: u32,
    /// Column in characters, from 1; 0 for settings that came from no file.
    pub column: u32,
}

impl Span {
    /// The place of a setting that came from no file.
    pub const NONE: Span = Span { line: 0, column: 0 };
}

/// One stretch of the parsed text and where it comes from.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Offset in the parsed text at which the stretch begins.
    start: usize,
    /// Offset in the file of its first byte.
    origin: usize,
    /// False for substituted text, all of which stands at `origin`.
    verbatim: bool,
}

/// The text to parse with its way back to the file.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    file_text: &'a str,
    text: String,
    pieces: Vec<Piece>,
    /// The last place asked for: places are mostly asked for in rising order, and a walk from the
    /// last one makes them cheap even in a file that is one long line.
    last: Cell<(usize, Span)>,
}

impl<'a> Source<'a> {
    /// An empty text that is to be filled from `file_text`.
    pub(crate) fn new(file_text: &'a str) -> Self {
        let first = Span { line: 1, column: 1 };
        Self { file_text, text: String::new(), pieces: Vec::new(), last: Cell::new((0, first)) }
    }

    /// The text as it stands in the file.
    pub(crate) fn verbatim(file_text: &'a str) -> Self {
        let mut source = Self::new(file_text);
        source.push_verbatim(0, file_text.len());
        source
    }

    /// Appends the bytes `from..to` of the file.
    pub(crate) fn push_verbatim(&mut self, from: usize, to: usize) {
        let Some(text) = self.file_text.get(from..to) else { return };
        self.pieces.push(Piece { start: self.text.len(), origin: from, verbatim: true });
        self.text.push_str(text);
    }

    /// Appends text that stands in for what begins at `origin` in the file.
    pub(crate) fn push_substitute(&mut self, origin: usize, text: &str) {
        self.pieces.push(Piece { start: self.text.len(), origin, verbatim: false });
        self.text.push_str(text);
    }

    /// The text to parse.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// True if some of the bytes `from..to` of the parsed text came from a variable, and so might
    /// be a secret.
    pub(crate) fn is_substituted(&self, from: usize, to: usize) -> bool {
        let first = self.pieces.partition_point(|piece| piece.start <= from).saturating_sub(1);
        let pieces = self.pieces.get(first..).unwrap_or_default();
        pieces.iter().take_while(|piece| piece.start < to).any(|piece| !piece.verbatim)
    }

    /// The place in the file of an offset in the parsed text.
    pub(crate) fn span(&self, offset: usize) -> Span {
        let after = self.pieces.partition_point(|piece| piece.start <= offset);
        let piece = after.checked_sub(1).and_then(|index| self.pieces.get(index));
        let origin = match piece {
            Some(piece) if piece.verbatim => piece.origin + (offset - piece.start),
            Some(piece) => piece.origin,
            None => 0,
        };
        self.file_span(origin)
    }

    /// The place of an offset in the file itself.
    pub(crate) fn file_span(&self, offset: usize) -> Span {
        let (mut position, mut span) = self.last.get();
        if offset < position {
            (position, span) = self.line_start(offset, position, span);
        }
        for character in self.file_text.get(position..).unwrap_or_default().chars() {
            if position >= offset {
                break;
            }
            position += character.len_utf8();
            if character == '\n' {
                span = Span { line: span.line.saturating_add(1), column: 1 };
            } else if character != '\u{feff}' || position > 3 {
                span.column = span.column.saturating_add(1);
            }
        }
        self.last.set((position, span));
        span
    }

    /// Start of the line of `offset`, which lies before the known place (`position`, `span`).
    fn line_start(&self, offset: usize, position: usize, span: Span) -> (usize, Span) {
        let bytes = self.file_text.as_bytes();
        let before = bytes.get(..offset).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
        let between = bytes.get(start..position).unwrap_or_default();
        let breaks = between.iter().filter(|byte| **byte == b'\n').count();
        let line = span.line.saturating_sub(u32::try_from(breaks).unwrap_or(u32::MAX)).max(1);
        (start, Span { line, column: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &Source<'_>, offset: usize) -> (u32, u32) {
        let span = source.span(offset);
        (span.line, span.column)
    }

    #[test]
    fn places_are_found_forwards_and_backwards() {
        let source = Source::verbatim("ab\ncé x\n\nq");
        assert_eq!(place(&source, 9), (3, 1));
        assert_eq!(place(&source, 7), (2, 4));
        assert_eq!(place(&source, 0), (1, 1));
        assert_eq!(place(&source, 10), (4, 1));
        assert_eq!(place(&source, 3), (2, 1));
        assert_eq!(place(&source, 1000), (4, 2));
    }

    #[test]
    fn substituted_text_stands_where_its_reference_stood() {
        let file = "a = \"%ENV[X]\"\nb = 1";
        let mut source = Source::new(file);
        source.push_verbatim(0, 5);
        source.push_substitute(5, "one\ntwo");
        source.push_verbatim(12, file.len());
        assert_eq!(source.text(), "a = \"one\ntwo\"\nb = 1");
        assert_eq!(place(&source, 9), (1, 6));
        assert!(source.is_substituted(4, 6) && source.is_substituted(11, 12));
        assert!(!source.is_substituted(0, 5) && !source.is_substituted(12, 15));
        assert_eq!(place(&source, source.text().find("b = ").unwrap()), (2, 1));
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        assert_eq!(place(&Source::verbatim("\u{feff}ab"), 4), (1, 2));
    }
}
