//! `string.gsub`, one match after the other: what replaces a match is the caller's business.
//!
//! Here: which matches there are, the text between them, and replacement strings with `%0` to `%9`.

use super::{Capture, Found, Matcher, Pattern};
use crate::error::Error;

/// Bytes of a text of captures for which a step is charged.
const COPIED_BYTES_LOG2: u32 = 6;

/// The state of a `gsub`: call [`next`](Self::next), append what replaces the match, and again; then
/// [`finish`](Self::finish).
#[derive(Debug, Clone)]
pub struct Substitution {
    /// Where the next match is looked for; none if there is no more.
    next: Option<usize>,
    /// Up to where the text is in the result.
    copied: usize,
    count: u64,
    count_max: u64,
}

impl Substitution {
    /// Replaces at most that many matches.
    #[must_use]
    pub fn new(count_max: u64) -> Self {
        Self { next: Some(0), copied: 0, count: 0, count_max }
    }

    /// Finds the next match and appends the text before it. A caller that keeps the match appends its bytes itself.
    ///
    /// The pattern is one for [`Kind::Match`](super::Kind::Match), and the same at each call, as are text and result.
    #[inline]
    pub fn next<'m>(
        &mut self,
        matcher: &'m mut Matcher,
        pattern: &Pattern,
        text: &[u8],
        out: &mut Vec<u8>,
        budget: &mut u64,
    ) -> Result<Option<Found<'m>>, Error> {
        let Some(from) = self.next.filter(|_| self.count < self.count_max) else {
            return Ok(None);
        };
        let Some(found) = matcher.find(pattern, text, from, budget)? else {
            self.next = None;
            return Ok(None);
        };
        out.extend_from_slice(text.get(self.copied..found.start).unwrap_or_default());
        self.count += 1;
        self.copied = found.end;
        let next = found.end + usize::from(found.start == found.end);
        self.next = (next <= text.len() && !pattern.anchored).then_some(next);
        Ok(Some(found))
    }

    /// Appends the text behind the last match; gives the number of matches.
    pub fn finish(self, text: &[u8], out: &mut Vec<u8>) -> u64 {
        out.extend_from_slice(text.get(self.copied..).unwrap_or_default());
        self.count
    }

    /// Number of matches so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl Found<'_> {
    /// Appends a replacement string: `%0` is the match, `%1` to `%9` are captures, `%` hides the meaning of any other
    /// byte, and at the end it is a zero byte.
    ///
    /// Errs with [`Error::TooLong`] before `out` is longer than `bytes_max`.
    pub fn expand(
        &self,
        replacement: &[u8],
        text: &[u8],
        out: &mut Vec<u8>,
        bytes_max: usize,
        budget: &mut u64,
    ) -> Result<(), Error> {
        let mut rest = replacement;
        while let Some(escape) = memchr::memchr(b'%', rest) {
            append(&rest[..escape], out, bytes_max, budget)?;
            let letter = rest.get(escape + 1).copied().unwrap_or(0);
            rest = rest.get(escape + 2..).unwrap_or_default();
            match letter {
                b'0' => append(&text[self.start..self.end], out, bytes_max, budget)?,
                b'1'..=b'9' => match self.capture(usize::from(letter - b'1'))? {
                    Capture::Text { start, end } => {
                        append(&text[start..end], out, bytes_max, budget)?;
                    }
                    Capture::Position(position) => {
                        let mut digits = Vec::new();
                        crate::number::lua_number(position as f64, &mut digits);
                        append(&digits, out, bytes_max, budget)?;
                    }
                },
                letter => append(&[letter], out, bytes_max, budget)?,
            }
        }
        append(rest, out, bytes_max, budget)
    }
}

fn append(
    bytes: &[u8],
    out: &mut Vec<u8>,
    bytes_max: usize,
    budget: &mut u64,
) -> Result<(), Error> {
    if bytes.len() > bytes_max.saturating_sub(out.len()) {
        return Err(Error::TooLong);
    }
    let Some(left) = budget.checked_sub(1 + (bytes.len() as u64 >> COPIED_BYTES_LOG2)) else {
        *budget = 0;
        return Err(Error::OutOfBudget);
    };
    *budget = left;
    out.extend_from_slice(bytes);
    Ok(())
}
