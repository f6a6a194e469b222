//! Sparse rows in the layout that kernels read: words in one buffer, for all batches of a
//! submission.

use super::super::errors::Result;
use super::super::memory::reserve;
use crate::data::SparseDataset;

/// Where a batch's rows and columns lie among the words. shaders/linear/sparse/ documents the
/// layout.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct BatchLayout {
    /// The position of the first row's record, and the number of rows.
    pub(super) rows: (u32, u32),
    /// The position of the first column's record, and the number of columns that occur.
    pub(super) columns: (u32, u32),
}

/// The words of a submission under construction.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) words: Vec<u32>,
    /// Scratch memory: a batch's entries as (column, position in the batch, bits of the value).
    entries: Vec<(u32, u32, u32)>,
}

impl Words {
    /// Makes room for the words of a submission, and for the entries and biases of a batch.
    pub(super) fn with_room(words: usize, entries: usize) -> Result<Self> {
        let mut room = Self::default();
        reserve(&mut room.words, words)?;
        reserve(&mut room.entries, entries)?;
        Ok(room)
    }

    /// The maximum number of words that rows with `entries` entries add.
    pub(super) fn max_count(rows: usize, entries: usize) -> usize {
        // For each row, a record of 3 words and an entry of the bias of 2. For each entry, 2 words
        // by row, 2 by column, and at most 3 for the record of its column. For the bias, a record
        // of 3.
        5 * rows + 7 * entries + 3
    }

    /// Appends rows of `data` for their predictions.
    pub(super) fn add_rows(
        &mut self,
        data: &SparseDataset,
        rows: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> BatchLayout {
        let (first, count) = (self.words.len() as u32, rows.len() as u32);
        let mut at = first + 3 * count;
        for row in rows.clone() {
            let entries = data.row(row).0.len() as u32;
            self.words.extend([at, at + 2 * entries, data.target()[row].to_bits()]);
            at += 2 * entries;
        }
        for row in rows {
            let (columns, values) = data.row(row);
            for (column, value) in columns.iter().zip(values) {
                self.words.extend([*column, value.to_bits()]);
            }
        }
        BatchLayout { rows: (first, count), ..BatchLayout::default() }
    }

    /// Appends a batch: its rows, and the columns that occur in them, followed by the bias.
    pub(super) fn add_batch(&mut self, data: &SparseDataset, rows: &[u32]) -> BatchLayout {
        let layout = self.add_rows(data, rows.iter().map(|&row| row as usize));
        self.entries.clear();
        for (position, &row) in (0..).zip(rows) {
            let (columns, values) = data.row(row as usize);
            let entry = |(&column, value): (&u32, &f32)| (column, position, value.to_bits());
            self.entries.extend(columns.iter().zip(values).map(entry));
        }
        // By column, and within a column in the order of the batch. The bias is the last column.
        self.entries.sort_unstable_by_key(|&(column, position, _)| (column, position));
        let bias = data.feature_count() as u32;
        let ones = (0..rows.len() as u32).map(|position| (bias, position, 1.0_f32.to_bits()));
        self.entries.extend(ones);
        let columns = || self.entries.chunk_by(|a, b| a.0 == b.0);
        let (first, count) = (self.words.len() as u32, columns().count() as u32);
        let mut at = first + 3 * count;
        for occurrences in columns() {
            let end = at + 2 * occurrences.len() as u32;
            self.words.extend([occurrences[0].0, at, end]);
            at = end;
        }
        let occurrence = |&(_, position, value): &(u32, u32, u32)| [position, value];
        self.words.extend(self.entries.iter().flat_map(occurrence));
        BatchLayout { columns: (first, count), ..layout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_batch_is_laid_out_by_row_and_by_column() {
        let target = array![5.0, 6.0, 7.0];
        let (starts, entries) = (vec![0, 2, 2, 4], vec![1, 3, 0, 3]);
        let data =
            SparseDataset::new(4, starts, entries, vec![10.0, 30.0, 1.0, 31.0], target).unwrap();
        let mut words = Words { words: vec![99; 2], ..Words::default() };
        let layout = words.add_batch(&data, &[2, 1, 0]);
        assert_eq!(layout, BatchLayout { rows: (2, 3), columns: (19, 4) });
        let bits = f32::to_bits;
        #[rustfmt::skip]
        let expected = [
            99, 99,
            // Rows 2, 1, 0: first entry, end, target.
            11, 15, bits(7.0), 15, 15, bits(6.0), 15, 19, bits(5.0),
            // Their entries.
            0, bits(1.0), 3, bits(31.0), 1, bits(10.0), 3, bits(30.0),
            // Columns 0, 1, 3 and the bias: first occurrence, end.
            0, 31, 33, 1, 33, 35, 3, 35, 39, 4, 39, 45,
            // Their occurrences: position in the batch, value.
            0, bits(1.0), 2, bits(10.0), 0, bits(31.0), 2, bits(30.0),
            0, bits(1.0), 1, bits(1.0), 2, bits(1.0),
        ];
        assert_eq!(words.words, expected);
        assert!(words.words.len() - 2 <= Words::max_count(3, 4));
    }
}
