//! Sparse features of a regression or classification problem.

use ndarray::{Array1, ArrayView1, Axis, Slice};

use super::dataset::{DataError, check_rows};

/// A sparse table of features, stored row by row without zeros, with one target value for each row.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseDataset {
    columns: usize,
    /// Where each row's entries start, then where the last row's entries end.
    starts: Vec<usize>,
    /// The column number of each entry, ascending within a row.
    entries: Vec<u32>,
    /// The value of each entry.
    values: Vec<f32>,
    target: Array1<f32>,
}

impl SparseDataset {
    /// A dataset in compressed sparse row form. Row `i` has the entries `starts[i]..starts[i + 1]`,
    /// so `starts` has one number more than there are rows. `entries` are column numbers, counted
    /// from 0 and ascending within a row. `values` has one value per entry, and `target` one per
    /// row. A row may be empty.
    ///
    /// # Errors
    /// [`DataError`] if lengths do not match, there are no rows, a column number is out of order or
    /// not below `columns`, or a value is not finite.
    pub fn new(
        columns: usize,
        starts: Vec<usize>,
        entries: Vec<u32>,
        values: Vec<f32>,
        target: Array1<f32>,
    ) -> Result<Self, DataError> {
        let rows = starts.len().saturating_sub(1);
        check_rows(rows, target.len())?;
        let ascending = starts.is_sorted() && starts[0] == 0;
        if !ascending || starts[rows] != entries.len() || entries.len() != values.len() {
            return Err(DataError::Starts { entries: entries.len(), values: values.len() });
        }
        for row in 0..rows {
            let range = starts[row]..starts[row + 1];
            let numbers = &entries[range.clone()];
            let in_order = numbers.is_sorted_by(|a, b| a < b);
            if !in_order || numbers.last().is_some_and(|&last| last as usize >= columns) {
                return Err(DataError::Entries { row, columns });
            }
            let bad = |value: &f32| !value.is_finite();
            if let Some(at) = values[range].iter().position(bad) {
                return Err(DataError::NotFinite { row, column: Some(numbers[at] as usize) });
            }
            if bad(&target[row]) {
                return Err(DataError::NotFinite { row, column: None });
            }
        }
        Ok(Self { columns, starts, entries, values, target })
    }

    /// How many rows there are; at least 1.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.target.len()
    }

    /// The number of feature columns.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.columns
    }

    /// The number of entries, over all rows.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// The target, one value per row.
    #[must_use]
    pub fn target(&self) -> ArrayView1<'_, f32> {
        self.target.view()
    }

    /// Keeps the first `rows` rows; all of them if there are fewer. At least one stays.
    pub fn truncate(&mut self, rows: usize) {
        let rows = rows.clamp(1, self.rows());
        self.starts.truncate(rows + 1);
        self.entries.truncate(self.starts[rows]);
        self.values.truncate(self.starts[rows]);
        self.target.slice_axis_inplace(Axis(0), Slice::from(..rows));
    }

    /// Moves some rows into a new dataset, and closes the gaps in place. `rows` are their numbers,
    /// counted from 0 and ascending.
    ///
    /// # Errors
    /// [`DataError::Entries`] if `rows` does not ascend or names a row that does not exist.
    /// [`DataError::RowCount`] if `rows` is empty or names all rows. [`DataError::OutOfMemory`] if
    /// there is no memory for the new dataset. Nothing changes in any of these cases.
    pub fn split_off_rows(&mut self, rows: &[u32]) -> Result<Self, DataError> {
        let count = self.rows();
        let ascending = rows.is_sorted_by(|a, b| a < b);
        if !ascending || rows.last().is_some_and(|&last| last as usize >= count) {
            return Err(DataError::Entries { row: 0, columns: count });
        }
        if rows.is_empty() || rows.len() == count {
            return Err(DataError::RowCount { rows: 0 });
        }
        let (mut taken, mut target) = self.room_for(rows)?;
        let mut next = rows.iter().peekable();
        let (mut kept, mut end, mut start) = (0, 0, 0);
        for row in 0..count {
            let range = start..self.starts[row + 1];
            start = range.end;
            if next.next_if(|&&taken| taken as usize == row).is_some() {
                taken.entries.extend_from_slice(&self.entries[range.clone()]);
                taken.values.extend_from_slice(&self.values[range]);
                taken.starts.push(taken.entries.len());
                target.push(self.target[row]);
            } else {
                self.entries.copy_within(range.clone(), end);
                self.values.copy_within(range.clone(), end);
                end += range.len();
                self.target[kept] = self.target[row];
                kept += 1;
                self.starts[kept] = end;
            }
        }
        self.truncate(kept);
        taken.target = Array1::from_vec(target);
        Ok(taken)
    }

    /// An empty dataset and an empty target, with room for these rows.
    fn room_for(&self, rows: &[u32]) -> Result<(Self, Vec<f32>), DataError> {
        let entries = rows.iter().map(|&row| self.row(row as usize).0.len()).sum();
        let target = with_room(rows.len())?;
        let mut starts = with_room(rows.len() + 1)?;
        starts.push(0);
        let (entries, values) = (with_room(entries)?, with_room(entries)?);
        Ok((
            Self { columns: self.columns, starts, entries, values, target: Array1::zeros(0) },
            target,
        ))
    }

    /// The column numbers, ascending, and the values of one row, counted from 0.
    ///
    /// # Panics
    /// If there is no such row, as indexing a slice does.
    #[must_use]
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.entries[range.clone()], &self.values[range])
    }
}

/// An empty vector with room for so many values.
fn with_room<T>(len: usize) -> Result<Vec<T>, DataError> {
    let mut values = Vec::new();
    let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
    values.try_reserve_exact(len).map_err(|_| DataError::OutOfMemory { bytes })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn two_rows(entries: Vec<u32>, values: Vec<f32>) -> Result<SparseDataset, DataError> {
        SparseDataset::new(10, vec![0, 1, 3], entries, values, array![1.0, 0.0])
    }

    #[test]
    fn rows_hold_the_given_entries() {
        let data = two_rows(vec![9, 0, 4], vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!((data.rows(), data.feature_count(), data.entry_count()), (2, 10, 3));
        assert_eq!(data.row(1), ([0, 4].as_slice(), [2.0, 3.0].as_slice()));
        let empty = SparseDataset::new(3, vec![0, 0], vec![], vec![], array![1.0]).unwrap();
        assert_eq!(empty.row(0), ([].as_slice(), [].as_slice()));
    }

    #[test]
    fn inconsistent_parts_are_refused() {
        let error = |columns| Err(DataError::Entries { row: 1, columns });
        for entries in [vec![9, 4, 4], vec![9, 4, 0], vec![9, 4, 10]] {
            assert_eq!(two_rows(entries, vec![1.0, 2.0, 3.0]), error(10));
        }
        let nan = two_rows(vec![9, 0, 4], vec![1.0, 2.0, f32::NAN]).unwrap_err();
        assert_eq!(nan, DataError::NotFinite { row: 1, column: Some(4) });
        let short = two_rows(vec![9, 0], vec![1.0, 2.0]).unwrap_err();
        assert_eq!(short, DataError::Starts { entries: 2, values: 2 });
        let rows = SparseDataset::new(3, vec![0], vec![], vec![], array![]).unwrap_err();
        assert_eq!(rows, DataError::RowCount { rows: 0 });
    }

    #[test]
    fn rows_split_off_and_rows_that_stay() {
        let all = || {
            let (starts, entries) = (vec![0, 1, 3, 3, 5], vec![9, 0, 4, 2, 3]);
            let values = vec![1.0, 2.0, 3.0, 4.0, 5.0];
            SparseDataset::new(10, starts, entries, values, array![1.0, 2.0, 3.0, 4.0]).unwrap()
        };
        let mut data = all();
        let taken = data.split_off_rows(&[0, 2]).unwrap();
        assert_eq!(
            (taken.target().to_vec(), data.target().to_vec()),
            (vec![1.0, 3.0], vec![2.0, 4.0])
        );
        assert_eq!((taken.row(0).0, taken.row(1).0.len()), ([9].as_slice(), 0));
        assert_eq!(data.row(0), ([0, 4].as_slice(), [2.0, 3.0].as_slice()));
        assert_eq!(data.row(1), ([2, 3].as_slice(), [4.0, 5.0].as_slice()));
        assert_eq!((data.entry_count(), taken.entry_count(), taken.feature_count()), (4, 1, 10));
        data.truncate(1);
        assert_eq!((data.rows(), data.entry_count()), (1, 2));
        for rows in [vec![], vec![0, 1, 2, 3], vec![4], vec![1, 0], vec![1, 1]] {
            let mut data = all();
            assert!(data.split_off_rows(&rows).is_err(), "{rows:?}");
            assert_eq!(data, all());
        }
    }
}
