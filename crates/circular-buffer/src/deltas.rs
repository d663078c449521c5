//! What changed since the last output, by row and column.
//!
//! As many rows are kept as the buffer has. A row that the buffer's window left behind is kept until it is written, as
//! long as no newer one needs its place: a slow writer loses only what a buffer twice as long would hold.

use std::collections::VecDeque;

use crate::error::Error;

/// A row that did not change.
const UNCHANGED: u32 = u32::MAX;

/// Bytes for each row beside its cells.
pub(crate) const DELTA_ROW_BYTES: usize = size_of::<i64>() + 3 * size_of::<u32>();

/// Changes of rows. A row that changed has an entry, whose cells are NaN where nothing changed.
#[derive(Debug)]
pub(crate) struct Deltas {
    columns: usize,
    /// Cells of all entries.
    cells: Vec<f64>,
    /// Row numbers of all entries.
    rows: Vec<i64>,
    /// Entry of each slot of the buffer.
    entry_of_slot: Vec<u32>,
    /// Entries that no row uses.
    free: Vec<u32>,
    /// Entries of rows that left the window, oldest first.
    left: VecDeque<u32>,
}

impl Deltas {
    /// Room for `rows` rows, which are fewer than 2^31.
    pub(crate) fn new(rows: usize, columns: usize) -> Result<Self, Error> {
        let mut deltas = Self {
            columns,
            cells: filled(rows * columns, f64::NAN)?,
            rows: filled(rows, 0)?,
            entry_of_slot: filled(rows, UNCHANGED)?,
            free: filled(rows, 0)?,
            left: VecDeque::new(),
        };
        deltas.left.try_reserve_exact(rows).map_err(|_| Error::Memory)?;
        deltas.clear();
        Ok(deltas)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        let rows = self.rows.len() as u32;
        self.entry_of_slot.fill(UNCHANGED);
        self.left.clear();
        self.free.clear();
        self.free.extend((0..rows).rev());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.rows.len()
    }

    /// Adds to the change of a cell.
    pub(crate) fn accumulate(&mut self, slot: usize, row: i64, column: usize, change: f64) {
        let cell = &mut self.mark(slot, row)[column];
        *cell = if cell.is_nan() { change } else { *cell + change };
    }

    /// Marks a row of the window as changed and gives its cells.
    pub(crate) fn mark(&mut self, slot: usize, row: i64) -> &mut [f64] {
        let entry = match self.entry_of_slot[slot] {
            UNCHANGED => {
                let entry = self.take(row);
                self.entry_of_slot[slot] = entry;
                entry
            }
            entry => entry,
        };
        &mut self.cells[entry as usize * self.columns..][..self.columns]
    }

    /// Marks a row outside the window as changed and gives its cells. Rows may come in any order, if
    /// [`sort_left`](Self::sort_left) follows.
    pub(crate) fn add_left(&mut self, row: i64) -> &mut [f64] {
        let entry = self.take(row);
        self.left.push_back(entry);
        &mut self.cells[entry as usize * self.columns..][..self.columns]
    }

    /// Puts the rows outside the window into the order of time.
    pub(crate) fn sort_left(&mut self) {
        let rows = &self.rows;
        self.left.make_contiguous().sort_by_key(|&entry| rows[entry as usize]);
    }

    /// An entry for a row, without changes. One is free or lies outside the window, unless all rows of the window have
    /// one; then the caller's row has one too.
    fn take(&mut self, row: i64) -> u32 {
        let entry = self.free.pop().or_else(|| self.left.pop_front());
        let entry = entry.expect("a row in the window without an entry leaves one for it");
        self.rows[entry as usize] = row;
        self.cells[entry as usize * self.columns..][..self.columns].fill(f64::NAN);
        entry
    }

    /// Whether [`add_left`](Self::add_left) has room.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || !self.left.is_empty()
    }

    /// The row of a slot leaves the window. Called in the order of time.
    pub(crate) fn leave(&mut self, slot: usize) {
        let entry = std::mem::replace(&mut self.entry_of_slot[slot], UNCHANGED);
        if entry != UNCHANGED {
            self.left.push_back(entry);
        }
    }

    /// Change of a cell of the window, NaN if there is none.
    pub(crate) fn get(&self, slot: usize, column: usize) -> f64 {
        match self.entry_of_slot[slot] {
            UNCHANGED => f64::NAN,
            entry => self.cells[entry as usize * self.columns + column],
        }
    }

    /// Numbers and cells of the rows that changed, oldest first; `slots` are those of the window, oldest first.
    pub(crate) fn changed(
        &self,
        slots: impl Iterator<Item = usize>,
    ) -> impl Iterator<Item = (i64, &[f64])> {
        let inside = slots.map(|slot| self.entry_of_slot[slot]);
        let entries = self.left.iter().copied().chain(inside.filter(|&entry| entry != UNCHANGED));
        entries.map(|entry| {
            let entry = entry as usize;
            (self.rows[entry], &self.cells[entry * self.columns..][..self.columns])
        })
    }
}

/// A vector of one value, without an abort where there is no memory.
pub(crate) fn filled<T: Clone>(length: usize, value: T) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(length).map_err(|_| Error::Memory)?;
    vector.resize(length, value);
    Ok(vector)
}
