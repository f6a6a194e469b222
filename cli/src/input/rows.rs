//! Rows as they were read: not yet split and not yet scaled.

use ndarray::{Array1, Array2, ArrayView1, Axis, Slice};
use wgpu_optim::data::{DataError, SparseDataset};

/// Rows of a table or of LIBSVM text.
#[derive(Clone, Debug)]
pub(crate) enum RawRows {
    Dense { features: Array2<f32>, target: Array1<f32> },
    Sparse(SparseDataset),
}

impl RawRows {
    pub(crate) fn len(&self) -> usize {
        self.target().len()
    }

    pub(crate) fn target(&self) -> ArrayView1<'_, f32> {
        match self {
            Self::Dense { target, .. } => target.view(),
            Self::Sparse(data) => data.target(),
        }
    }

    /// Moves rows, given in ascending order, out; the others move up in place. `None` for no rows.
    ///
    /// # Errors
    /// [`DataError`] if sparse rows were taken out and none is left.
    pub(crate) fn take(&mut self, rows: &[u32]) -> Result<Option<Self>, DataError> {
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(match self {
            Self::Dense { features, target } => {
                let (features, target) = take_rows(features, target, rows);
                Self::Dense { features, target }
            }
            Self::Sparse(data) => Self::Sparse(data.split_off_rows(rows)?),
        }))
    }

    /// Copies rows, in the order given.
    ///
    /// # Errors
    /// [`DataError`] for sparse rows if there are none.
    pub(crate) fn select(&self, rows: &[u32]) -> Result<Self, DataError> {
        let indices: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        let target = self.target().select(Axis(0), &indices);
        match self {
            Self::Dense { features, .. } => {
                Ok(Self::Dense { features: features.select(Axis(0), &indices), target })
            }
            Self::Sparse(data) => {
                let (mut starts, mut entries, mut values) = (vec![0], Vec::new(), Vec::new());
                for row in indices {
                    let (columns, row) = data.row(row);
                    entries.extend_from_slice(columns);
                    values.extend_from_slice(row);
                    starts.push(entries.len());
                }
                let columns = data.feature_count();
                Ok(Self::Sparse(SparseDataset::new(columns, starts, entries, values, target)?))
            }
        }
    }
}

/// Moves rows, given in ascending order, out of a table.
fn take_rows(
    features: &mut Array2<f32>,
    target: &mut Array1<f32>,
    rows: &[u32],
) -> (Array2<f32>, Array1<f32>) {
    let wanted: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
    let taken = (features.select(Axis(0), &wanted), target.select(Axis(0), &wanted));
    let mut next = wanted.iter().peekable();
    let mut kept = 0;
    for row in 0..target.len() {
        if next.next_if_eq(&&row).is_some() {
            continue;
        }
        if kept < row {
            let (mut to, from) =
                features.multi_slice_mut((ndarray::s![kept, ..], ndarray::s![row, ..]));
            to.assign(&from);
            target[kept] = target[row];
        }
        kept += 1;
    }
    features.slice_axis_inplace(Axis(0), Slice::from(..kept));
    target.slice_axis_inplace(Axis(0), Slice::from(..kept));
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn taken_rows_leave_the_others_in_order() {
        let mut features = array![[0.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5]];
        let mut target = array![0.0, 10.0, 20.0, 30.0];
        let (taken, answers) = take_rows(&mut features, &mut target, &[0, 2]);
        assert_eq!((taken, answers), (array![[0.0, 0.5], [2.0, 2.5]], array![0.0, 20.0]));
        assert_eq!((features, target), (array![[1.0, 1.5], [3.0, 3.5]], array![10.0, 30.0]));
    }
}
