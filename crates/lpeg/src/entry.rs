//! The list of captures that a match leaves.
//!
//! Here: its entries and the links between the opening and the closing ones. Not here: what they become (`evaluate`).
//! Invariant: a closing entry ends the last opening one before it that is not ended yet.

use crate::program::{Kind, NO_KEY};

/// What part of a capture an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of it; `end` is a position.
    Full,
    /// Its start; after [`link`], `end` is the index of the closing entry.
    Open,
    /// Its end at the position `start`; after [`link`], `end` is the index of the opening entry.
    Close,
}

/// An entry of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) key: u32,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
}

impl Entry {
    /// Fills unused room.
    pub(crate) const NONE: Self = Self::new(Kind::Group, NO_KEY, Shape::Full, 0, 0);

    pub(crate) const fn new(kind: Kind, key: u32, shape: Shape, start: u32, end: u32) -> Self {
        Self { start, end, key, kind, shape }
    }

    pub(crate) const fn open(kind: Kind, key: u32, start: u32) -> Self {
        Self::new(kind, key, Shape::Open, start, 0)
    }

    pub(crate) const fn close(position: u32) -> Self {
        Self::new(Kind::Group, NO_KEY, Shape::Close, position, 0)
    }
}

/// Stands for no entry.
const NONE: u32 = u32::MAX;

/// Links opening and closing entries from an index on. What is not closed stays unlinked.
pub(crate) fn link(entries: &mut [Entry], from: usize) {
    // While a capture is open, its `end` is the index of the open one around it.
    let mut around = NONE;
    for index in from..entries.len() {
        let at = u32::try_from(index).unwrap_or(NONE);
        match entries[index].shape {
            Shape::Full => {}
            Shape::Open => {
                entries[index].end = around;
                around = at;
            }
            Shape::Close => {
                entries[index].end = around;
                if let Some(open) = entries.get_mut(around as usize) {
                    around = open.end;
                    open.end = at;
                }
            }
        }
    }
}

/// The opening entry that a closing one put at the end of the list would end.
pub(crate) fn last_open(entries: &[Entry]) -> Option<usize> {
    let mut closed = 0_usize;
    entries.iter().rposition(|entry| match entry.shape {
        Shape::Full => false,
        Shape::Close => {
            closed += 1;
            false
        }
        Shape::Open if closed == 0 => true,
        Shape::Open => {
            closed -= 1;
            false
        }
    })
}

/// The first value of a match-time capture from an index on.
pub(crate) fn first_dynamic(entries: &[Entry]) -> Option<usize> {
    let found = entries.iter().find(|entry| entry.kind == Kind::Dynamic);
    found.map(|entry| entry.key as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_both_ways_and_leave_open_captures_alone() {
        let open = || Entry::open(Kind::Table, NO_KEY, 0);
        let full = Entry::NONE;
        let mut list = [open(), full, open(), open(), Entry::close(1), full, Entry::close(2)];
        assert_eq!(last_open(&list), Some(0));
        assert_eq!(last_open(&list[..4]), Some(3));
        assert_eq!(last_open(&list[..5]), Some(2));
        assert_eq!(last_open(&list[1..2]), None);
        link(&mut list, 0);
        assert_eq!((list[2].end, list[6].end), (6, 2));
        assert_eq!((list[3].end, list[4].end), (4, 3));
    }
}
