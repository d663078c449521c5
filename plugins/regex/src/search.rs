//! Searching with a pattern of which one plugin instance is the only user.
//!
//! Invariant: nothing is allocated per search; the engine's working memory is kept here.

use heka_goregex::Pattern;
use regex_automata::meta::{Cache, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::{Input, Span};

/// A pattern with the memory for its searches.
#[derive(Debug)]
pub(crate) struct Searcher {
    regex: Regex,
    cache: Cache,
    captures: Captures,
    has_groups: bool,
}

impl Searcher {
    pub(crate) fn new(pattern: &Pattern) -> Self {
        let regex = pattern.regex().clone();
        let (cache, captures) = (regex.create_cache(), regex.create_captures());
        Self { regex, cache, captures, has_groups: pattern.group_count() > 0 }
    }

    /// Finds the first match and its groups; false if there is none.
    pub(crate) fn captures(&mut self, text: &[u8]) -> bool {
        let input = Input::new(text);
        self.regex.search_captures_with(&mut self.cache, &input, &mut self.captures);
        self.captures.is_match()
    }

    /// The text of a group of the last match; empty if the group took no part in it.
    pub(crate) fn group<'t>(&self, number: usize, text: &'t [u8]) -> &'t [u8] {
        let span = self.captures.get_group(number);
        span.and_then(|span| text.get(span.range())).unwrap_or(&[])
    }

    /// Where the first match that is not empty lies, and its group 1 if that took part.
    pub(crate) fn delimiter(&mut self, text: &[u8]) -> Option<Delimiter> {
        let mut input = Input::new(text);
        loop {
            let (found, group) = self.first_match(&input)?;
            if !found.is_empty() {
                return Some(Delimiter { start: found.start, end: found.end, group });
            }
            if found.end >= text.len() {
                return None;
            }
            input.set_start(found.end + 1);
        }
    }

    /// Groups cost extra, so they are only asked for where the pattern has one.
    fn first_match(&mut self, input: &Input<'_>) -> Option<(Span, Option<Span>)> {
        if !self.has_groups {
            return Some((self.regex.search_with(&mut self.cache, input)?.span(), None));
        }
        self.regex.search_captures_with(&mut self.cache, input, &mut self.captures);
        Some((self.captures.get_match()?.span(), self.captures.get_group(1)))
    }
}

/// A match that ends a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delimiter {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) group: Option<Span>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter(pattern: &str, text: &[u8]) -> Option<Delimiter> {
        Searcher::new(&Pattern::new(pattern).unwrap()).delimiter(text)
    }

    #[test]
    fn empty_matches_are_no_delimiters() {
        for pattern in ["x*", "(x)*", "(x*)"] {
            assert_eq!(delimiter(pattern, b"abc"), None, "{pattern}");
            assert_eq!(delimiter(pattern, b""), None, "{pattern}");
            let found = delimiter(pattern, b"abxxc").map(|found| (found.start, found.end));
            assert_eq!(found, Some((2, 4)), "{pattern}");
        }
    }

    #[test]
    fn a_group_that_took_no_part_is_none() {
        let found = delimiter(r"\n(x)?", b"a\nb").unwrap();
        assert_eq!(found, Delimiter { start: 1, end: 2, group: None });
        assert_eq!(delimiter(r"\n(x)?", b"a\nx").unwrap().group, Some(Span::from(2..3)));
    }

    #[test]
    fn groups_are_found_by_number() {
        let mut searcher = Searcher::new(&Pattern::new("(a)|(b)").unwrap());
        assert!(searcher.captures(b"xb"));
        assert_eq!((searcher.group(1, b"xb"), searcher.group(2, b"xb")), (&b""[..], &b"b"[..]));
        assert_eq!(searcher.group(3, b"xb"), b"");
        assert!(!searcher.captures(b"x"));
    }
}
