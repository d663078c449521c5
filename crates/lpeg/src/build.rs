//! Leaves and captures.
//!
//! Here: what makes patterns of texts, numbers, sets and keys. Not here: the operators (`tree`), grammars (`grammar`).

use std::sync::Arc;

use crate::charset::CharSet;
use crate::error::Error;
use crate::tree::{CaptureOp, Op, Pattern};
use crate::utf8;

impl<K: Clone> Pattern<K> {
    /// `P(text)`: these bytes.
    pub fn literal(text: &[u8]) -> Self {
        match text {
            [] => Self::leaf(Op::True),
            [byte] => Self::leaf(Op::Char(*byte)),
            _ => Self::leaf(Op::Literal(text.into())),
        }
    }

    /// `P(count)`: so many bytes; with a negative number, where there are not so many left.
    pub fn any(count: i32) -> Self {
        let bytes = Self::leaf(Op::Any(count.unsigned_abs()));
        match count {
            0 => Self::leaf(Op::True),
            1.. => bytes,
            // One node more is neither too large nor too deep.
            _ => bytes.not().unwrap_or(bytes),
        }
    }

    /// `P(value)`: matches always or never, and consumes nothing.
    pub fn boolean(value: bool) -> Self {
        Self::leaf(if value { Op::True } else { Op::False })
    }

    /// `R`, `S` and locale classes: one byte of a set.
    pub fn set(set: &CharSet) -> Self {
        Self::leaf(match set.only() {
            Some(byte) => Op::Char(byte),
            None if *set == CharSet::FULL => Op::Any(1),
            None => Op::Set(Arc::new(*set)),
        })
    }

    /// `utfR(first, last)`: the UTF-8 encoding of one code point of a range.
    ///
    /// # Errors
    /// [`Error::CodePoints`] if the range is empty or passes U+10FFFF.
    pub fn code_points(first: u32, last: u32) -> Result<Self, Error> {
        let mut sum = Self::boolean(false);
        for bytes in utf8::byte_ranges(first, last)? {
            let mut sequence = Self::boolean(true);
            for range in bytes {
                sequence = Self::sequence(&sequence, &Self::set(&CharSet::range(range)))?;
            }
            sum = Self::choice(&sum, &sequence)?;
        }
        Ok(sum)
    }

    /// `V(name)`: the rule of that name in the grammar to come.
    pub fn reference(name: K) -> Self {
        Self::leaf(Op::OpenCall(name))
    }

    /// `P(function)`: a match-time capture of nothing.
    ///
    /// # Errors
    /// None in practice; as [`Pattern::match_time`].
    pub fn function(function: K) -> Result<Self, Error> {
        Self::boolean(true).match_time(function)
    }

    /// `Cmt(p, function)`: after `p`, the function says while matching whether and from where the match goes on.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TooDeep`], as all captures with a part.
    pub fn match_time(&self, function: K) -> Result<Self, Error> {
        self.wrap(Op::RunTime(function))
    }

    /// `C(p)`: the text, then the values of its parts.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn capture(&self) -> Result<Self, Error> {
        self.captured(CaptureOp::Simple)
    }

    /// `Cg(p)`: the values of its parts; with a name, they are kept for a table or a back reference.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn group(&self, name: Option<K>) -> Result<Self, Error> {
        self.captured(CaptureOp::Group(name))
    }

    /// `Ct(p)`: a table of the values.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn table(&self) -> Result<Self, Error> {
        self.captured(CaptureOp::Table)
    }

    /// `Cs(p)`: the text, with the parts that have values replaced by them.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn substitution(&self) -> Result<Self, Error> {
        self.captured(CaptureOp::Substitution)
    }

    /// `Cf(p, function)`: the values folded from the left.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn fold(&self, function: K) -> Result<Self, Error> {
        self.captured(CaptureOp::Fold(function))
    }

    /// `p / function`: what the function makes of the values.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn apply(&self, function: K) -> Result<Self, Error> {
        self.captured(CaptureOp::Function(function))
    }

    /// `p / table`: the table's entry under the first value.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn query(&self, table: K) -> Result<Self, Error> {
        self.captured(CaptureOp::Query(table))
    }

    /// `p / number`: the value of that number; none for 0.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn select(&self, number: u16) -> Result<Self, Error> {
        self.captured(CaptureOp::Select(u32::from(number)))
    }

    /// `p / text`: the text with `%0` to `%9` replaced by the values.
    ///
    /// # Errors
    /// As [`Pattern::match_time`].
    pub fn replace(&self, text: &[u8]) -> Result<Self, Error> {
        self.captured(CaptureOp::Text(text.into()))
    }

    /// `Cp()`: the current position, counted from 1.
    pub fn position() -> Self {
        Self::empty_capture(CaptureOp::Position)
    }

    /// `Cc(values...)`: constants.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn constants(values: impl IntoIterator<Item = K>) -> Result<Self, Error> {
        let values = values.into_iter().map(CaptureOp::Constant);
        let values: Vec<_> = values.map(Self::empty_capture).collect();
        match values.as_slice() {
            [] => Ok(Self::boolean(true)),
            [single] => Ok(single.clone()),
            _ => Self::join(Op::Seq, &values.iter().collect::<Vec<_>>())?.group(None),
        }
    }

    /// `Carg(number)`: an extra argument of the match, counted from 1.
    pub fn argument(number: u16) -> Self {
        Self::empty_capture(CaptureOp::Argument(u32::from(number)))
    }

    /// `Cb(name)`: the values of the last group of that name.
    pub fn back(name: K) -> Self {
        Self::empty_capture(CaptureOp::Back(name))
    }

    fn captured(&self, capture: CaptureOp<K>) -> Result<Self, Error> {
        self.wrap(Op::Capture(capture))
    }

    /// A capture of nothing: two nodes are neither too large nor too deep.
    fn empty_capture(capture: CaptureOp<K>) -> Self {
        let empty = Self::boolean(true);
        empty.captured(capture).unwrap_or(empty)
    }
}
