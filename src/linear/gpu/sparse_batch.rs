//! Sparse rows as the kernels read them: words that lie in one buffer, for as many batches as a
//! submission has.

use crate::data::SparseDataset;

/// Where a batch's rows and columns lie among the words; shaders/linear/sparse/ says what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct BatchLayout {
    /// The first record of a row, and how many rows there are.
    pub(super) rows: (u32, u32),
    /// The first record of a column, and how many columns occur.
    pub(super) columns: (u32, u32),
}

/// Words in the making.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) words: Vec<u32>,
    /// Scratch memory: entries as (column, where the value is).
    sorted: Vec<(u32, u32)>,
}

impl Words {
    /// The maximum number of words that rows with `entries` entries add.
    pub(super) fn max_count(rows: usize, entries: usize) -> usize {
        // A record and an entry of the bias for each row; each entry twice, with a record of its own
        // column at most; and the bias's record.
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

    /// Appends a batch: its rows, and the columns that occur in them with the bias behind them.
    pub(super) fn add_batch(&mut self, data: &SparseDataset, rows: &[u32]) -> BatchLayout {
        let layout = self.add_rows(data, rows.iter().map(|&row| row as usize));
        // In the order of the batch by column, since the sort is stable.
        self.sorted.clear();
        for (position, &row) in (0..).zip(rows) {
            for &column in data.row(row as usize).0 {
                self.sorted.push((column, position));
            }
        }
        let first_value = layout.rows.0 as usize + 3 * rows.len() + 1;
        let mut order: Vec<u32> = (0..self.sorted.len() as u32).collect();
        order.sort_by_key(|&entry| self.sorted[entry as usize].0);
        let bias = data.feature_count() as u32;
        let mut occurring: Vec<(u32, u32)> = Vec::new();
        for &entry in &order {
            let column = self.sorted[entry as usize].0;
            match occurring.last_mut() {
                Some((last, count)) if *last == column => *count += 1,
                _ => occurring.push((column, 1)),
            }
        }
        occurring.push((bias, rows.len() as u32));
        let first = self.words.len() as u32;
        let mut at = first + 3 * occurring.len() as u32;
        for &(column, count) in &occurring {
            self.words.extend([column, at, at + 2 * count]);
            at += 2 * count;
        }
        for &entry in &order {
            let value = self.words[first_value + 2 * entry as usize];
            self.words.extend([self.sorted[entry as usize].1, value]);
        }
        for position in 0..rows.len() as u32 {
            self.words.extend([position, 1.0_f32.to_bits()]);
        }
        BatchLayout { columns: (first, occurring.len() as u32), ..layout }
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
