//! What a step over sparse rows reads, brought together before: the rows of the next batches, which a
//! shuffled order scatters over memory, and the features that occur in a batch.

use std::ops::Range;

use crate::data::SparseDataset;

/// Entries that are brought together at once, where a batch is not longer: they stay in a core's
/// cache. Copying many rows in a row has many reads under way, which a step alone has not.
const WINDOW: usize = 1 << 14;

/// Copies of rows, in the order of an epoch.
#[derive(Default)]
pub(super) struct Window {
    /// The positions in the epoch's order that are here.
    rows: Range<usize>,
    /// Where each row's entries end.
    ends: Vec<usize>,
    entries: Vec<u32>,
    values: Vec<f32>,
}

impl Window {
    /// Forgets all rows: another order begins.
    pub(super) fn clear(&mut self) {
        self.rows = 0..0;
    }

    /// Makes sure that the rows of a batch, positions in `order`, are here.
    pub(super) fn hold(&mut self, data: &SparseDataset, order: &[u32], batch: &Range<usize>) {
        if self.rows.start <= batch.start && batch.end <= self.rows.end {
            return;
        }
        self.ends.clear();
        self.entries.clear();
        self.values.clear();
        self.rows = batch.start..batch.start;
        for &row in &order[batch.start..] {
            if self.rows.end >= batch.end && self.entries.len() >= WINDOW {
                break;
            }
            let (entries, values) = data.row(row as usize);
            self.entries.extend_from_slice(entries);
            self.values.extend_from_slice(values);
            self.ends.push(self.entries.len());
            self.rows.end += 1;
        }
    }

    /// Which of the entries here are those of a position.
    #[inline(always)]
    fn range(&self, position: usize) -> Range<usize> {
        let index = position - self.rows.start;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }

    /// The entries of a batch that is here.
    pub(super) fn entries(&self, batch: &Range<usize>) -> &[u32] {
        &self.entries[self.range(batch.start).start..self.range(batch.end - 1).end]
    }

    /// The values of one position, and where they stand among those of its batch.
    #[inline(always)]
    pub(super) fn values(&self, position: usize, batch: &Range<usize>) -> (&[f32], Range<usize>) {
        let range = self.range(position);
        let before = self.range(batch.start).start;
        (&self.values[range.clone()], range.start - before..range.end - before)
    }
}

/// The columns that occur in a batch. Whether one does is told without a list of all columns to
/// clear: `place` of it points to where it stands among those that occur, or to another's place.
pub(super) struct Occurring {
    pub(super) columns: Vec<u32>,
    /// For each entry of the batch, which of `columns` it has.
    pub(super) slots: Vec<u32>,
    place: Vec<u32>,
}

impl Occurring {
    /// None of so many columns.
    pub(super) fn new(columns: usize) -> Self {
        Self { columns: Vec::new(), slots: Vec::new(), place: vec![0; columns] }
    }

    /// Finds the columns of these entries, in the order in which they come.
    pub(super) fn find(&mut self, entries: &[u32]) {
        self.columns.clear();
        self.slots.clear();
        for &column in entries {
            let place = &mut self.place[column as usize];
            if self.columns.get(*place as usize) != Some(&column) {
                *place = self.columns.len() as u32;
                self.columns.push(column);
            }
            self.slots.push(*place);
        }
    }
}
