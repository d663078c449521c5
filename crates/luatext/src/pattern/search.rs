//! Finds where a pattern or a plain text occurs.
//!
//! Here: where a match may begin. Not here: what happens there (`machine`).

use memchr::memmem;

use super::machine::Run;
use super::{Found, Matcher, Pattern};
use crate::error::Error;

/// First bytes of a plain text that are met in vain before a search is prepared that is linear in every case.
const VAIN_MAX: usize = 8;

impl Matcher {
    /// Finds the first match that begins at `from` or, if the pattern is not anchored, behind it.
    ///
    /// `from` past the end counts as the end. The budget is charged about a step for each part that is tried and for
    /// each 8 to 64 bytes that are scanned.
    #[inline]
    pub fn find(
        &mut self,
        pattern: &Pattern,
        text: &[u8],
        from: usize,
        budget: &mut u64,
    ) -> Result<Option<Found<'_>>, Error> {
        let from = from.min(text.len());
        if pattern.anchored && !pattern.head.admits(text, from) {
            return Ok(None);
        }
        let mut run = self.run(pattern, text, budget);
        let found = if pattern.anchored {
            run.match_at(from)?.map(|end| (from, end))
        } else {
            run.search(from)?
        };
        drop(run);
        Ok(found.map(|(start, end)| self.found(pattern, start, end)))
    }

    /// Finds the next match for `gmatch`, of a pattern that was compiled for it; `next` is where to go on, 0 at first.
    ///
    /// After the last match `next` lies behind the end of the text.
    #[inline]
    pub fn each(
        &mut self,
        pattern: &Pattern,
        text: &[u8],
        next: &mut usize,
        budget: &mut u64,
    ) -> Result<Option<Found<'_>>, Error> {
        if *next > text.len() {
            return Ok(None);
        }
        let found = self.find(pattern, text, *next, budget)?;
        *next = match found {
            Some(Found { start, end, .. }) => end + usize::from(start == end),
            None => text.len() + 1,
        };
        Ok(found)
    }
}

impl Run<'_> {
    fn search(&mut self, from: usize) -> Result<Option<(usize, usize)>, Error> {
        let mut from = from;
        while let Some(start) = self.next_start(from)? {
            if self.pattern.literal {
                return Ok(Some((start, start + self.pattern.literals.len())));
            }
            if let Some(end) = self.match_at(start)? {
                return Ok(Some((start, end)));
            }
            from = start + 1;
            if let Some(item) = self.pattern.leading {
                from = from.max(start + self.span(item, start)?);
            }
        }
        Ok(None)
    }

    /// The first position from `from` where a match can begin.
    #[inline]
    fn next_start(&mut self, from: usize) -> Result<Option<usize>, Error> {
        let pattern = self.pattern;
        let head = &pattern.head;
        let Some(rest) = self.text.get(from..) else { return Ok(None) };
        if head.admits(self.text, from) && pattern.prefix.is_none() {
            return Ok(Some(from));
        }
        let found = match (&pattern.prefix, head.only) {
            (Some(prefix), _) => prefix.find(rest),
            (None, Some(only)) => memchr::memchr(only, rest),
            (None, None) => rest.iter().position(|byte| head.bytes.contains(*byte)),
        };
        let start = from + found.unwrap_or(rest.len());
        self.charge(1)?;
        self.charge_scan((start - from) << 2)?;
        Ok((found.is_some() || head.end).then_some(start))
    }
}

/// Finds a text of which each byte stands for itself, as `string.find` does where it is told to; gives its index.
///
/// Linear in all cases: a step is charged for each 16 bytes.
pub fn find_plain(
    text: &[u8],
    wanted: &[u8],
    from: usize,
    budget: &mut u64,
) -> Result<Option<usize>, Error> {
    let from = from.min(text.len());
    let rest = &text[from..];
    let found = search_plain(rest, wanted);
    let steps = 1 + (found.map_or(rest.len(), |at| at + wanted.len()) as u64 >> 4);
    let Some(left) = budget.checked_sub(steps) else {
        *budget = 0;
        return Err(Error::OutOfBudget);
    };
    *budget = left;
    Ok(found.map(|at| from + at))
}

fn search_plain(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let Some(&first) = wanted.first() else { return Some(0) };
    let last_start = text.len().checked_sub(wanted.len())?;
    let starts = &text[..=last_start];
    let mut at = 0;
    for _ in 0..VAIN_MAX {
        at += memchr::memchr(first, &starts[at..])?;
        if text[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    memmem::find(&text[at..], wanted).map(|found| at + found)
}
