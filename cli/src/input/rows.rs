//! Rows as they were read: not yet split and not yet scaled.

use ndarray::{Array1, Array2, ArrayView1, Axis, Slice};
use wgpu_optim::data::{DataError, SparseDataset};

use crate::memory::{OutOfMemory, with_room};

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

    /// Removes and returns rows, given in ascending order; the others move up in place. `None` for
    /// no rows.
    ///
    /// # Errors
    /// [`DataError`] if sparse rows were taken out and none is left, or if there is not enough
    /// memory.
    pub(crate) fn take(&mut self, rows: &[u32]) -> Result<Option<Self>, DataError> {
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(match self {
            Self::Dense { features, target } => {
                let (features, target) = take_rows(features, target, rows)?;
                Self::Dense { features, target }
            }
            Self::Sparse(data) => Self::Sparse(data.split_off_rows(rows)?),
        }))
    }

    /// Copies rows, in the order given.
    ///
    /// # Errors
    /// [`DataError`] for sparse rows if there are none, or if there is not enough memory.
    pub(crate) fn select(&self, rows: &[u32]) -> Result<Self, DataError> {
        let what = || format!("{} rows", rows.len());
        let mut target = with_room(rows.len(), what)?;
        target.extend(rows.iter().map(|&row| self.target()[row as usize]));
        let target = Array1::from_vec(target);
        match self {
            Self::Dense { features, .. } => {
                let mut selected = with_room(rows.len().saturating_mul(features.ncols()), what)?;
                rows.iter().for_each(|&row| selected.extend(features.row(row as usize)));
                Ok(Self::Dense { features: table(selected, rows.len(), features.ncols()), target })
            }
            Self::Sparse(data) => {
                let count = rows.iter().map(|&row| data.row(row as usize).0.len()).sum();
                let mut starts = with_room(rows.len() + 1, what)?;
                let (mut entries, mut values) = (with_room(count, what)?, with_room(count, what)?);
                starts.push(0);
                for &row in rows {
                    let (columns, row) = data.row(row as usize);
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

/// Consecutive rows, as a table.
fn table(values: Vec<f32>, rows: usize, columns: usize) -> Array2<f32> {
    // There are `columns` values of each row.
    Array2::from_shape_vec((rows, columns), values).unwrap_or_default()
}

/// Moves rows, given in ascending order, out of a table. If there is not enough memory, nothing
/// changes.
fn take_rows(
    features: &mut Array2<f32>,
    target: &mut Array1<f32>,
    rows: &[u32],
) -> Result<(Array2<f32>, Array1<f32>), OutOfMemory> {
    let columns = features.ncols();
    let what = || format!("{} rows", rows.len());
    let mut taken = with_room(rows.len().saturating_mul(columns), what)?;
    let mut answers = with_room(rows.len(), what)?;
    let mut next = rows.iter().peekable();
    let mut kept = 0;
    for row in 0..target.len() {
        if next.next_if(|&&next| next as usize == row).is_some() {
            taken.extend(features.row(row));
            answers.push(target[row]);
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
    Ok((table(taken, answers.len(), columns), Array1::from_vec(answers)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn taken_rows_leave_the_others_in_order() {
        let mut features = array![[0.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5]];
        let mut target = array![0.0, 10.0, 20.0, 30.0];
        let (taken, answers) = take_rows(&mut features, &mut target, &[0, 2]).unwrap();
        assert_eq!((taken, answers), (array![[0.0, 0.5], [2.0, 2.5]], array![0.0, 20.0]));
        assert_eq!((features, target), (array![[1.0, 1.5], [3.0, 3.5]], array![10.0, 30.0]));
    }
}
