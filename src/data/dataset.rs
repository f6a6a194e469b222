//! Features and target of a regression problem.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Slice};

/// A table of features, rows by columns, with one target value for each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    features: Array2<f32>,
    target: Array1<f32>,
}

/// Why a table is refused as a dataset.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The numbers of target values and of feature rows differ.
    #[error("{features} rows of features, but {target} target values")]
    Rows {
        /// Rows of features.
        features: usize,
        /// Target values.
        target: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "row {row} holds NaN or infinity in {}",
        column.map_or("the target".to_owned(), |column| format!("column {column}"))
    )]
    NotFinite {
        /// The row, counted from 0.
        row: usize,
        /// The feature's column, counted from 0; `None` for the target.
        column: Option<usize>,
    },
    /// Row starts do not ascend from 0 to the number of entries, or there is not one value for each
    /// entry.
    #[error(
        "row starts must ascend from 0 to the number of entries, {entries}, and each entry needs \
         one value: there are {values} values"
    )]
    Starts {
        /// How many column numbers.
        entries: usize,
        /// How many values.
        values: usize,
    },
    /// A row's column numbers are out of order, or one is too large.
    #[error("row {row}: column numbers must ascend and be below {columns}")]
    Entries {
        /// The row, counted from 0.
        row: usize,
        /// Columns of the table.
        columns: usize,
    },
    /// There is no memory for a copy of rows.
    #[error("no memory for {bytes} bytes: use fewer rows, or free memory")]
    OutOfMemory {
        /// The bytes that were requested, beside those in use.
        bytes: u64,
    },
    /// No rows, or more than a 32-bit row number can count.
    #[error("{rows} rows: a dataset needs at least 1 and at most {max}", max = u32::MAX)]
    RowCount {
        /// How many rows.
        rows: usize,
    },
}

/// Checks the number of rows of the features and of the target.
pub(super) fn check_rows(rows: usize, target: usize) -> Result<(), DataError> {
    if rows != target {
        return Err(DataError::Rows { features: rows, target });
    }
    match rows == 0 || u32::try_from(rows).is_err() {
        true => Err(DataError::RowCount { rows }),
        false => Ok(()),
    }
}

/// The features in standard layout, which both engines read.
fn contiguous(features: Array2<f32>) -> Array2<f32> {
    if features.is_standard_layout() {
        features
    } else {
        features.as_standard_layout().into_owned()
    }
}

impl Dataset {
    /// A dataset of `features`, rows by columns, and one `target` value per row.
    ///
    /// # Errors
    /// [`DataError`] if the row counts differ, there are no rows, or a value is not finite.
    pub fn new(features: Array2<f32>, target: Array1<f32>) -> Result<Self, DataError> {
        check_rows(features.nrows(), target.len())?;
        let bad = |value: &f32| !value.is_finite();
        if let Some(((row, column), _)) = features.indexed_iter().find(|(_, v)| bad(v)) {
            return Err(DataError::NotFinite { row, column: Some(column) });
        }
        if let Some(row) = target.iter().position(bad) {
            return Err(DataError::NotFinite { row, column: None });
        }
        Ok(Self { features: contiguous(features), target })
    }

    /// Features without targets, which are set to 0. Features may be NaN: their prediction is NaN.
    pub(crate) fn without_target(features: Array2<f32>) -> Result<Self, DataError> {
        let rows = features.nrows();
        check_rows(rows, rows)?;
        Ok(Self { features: contiguous(features), target: Array1::zeros(rows) })
    }

    /// How many rows there are; at least 1.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.features.nrows()
    }

    /// The number of feature columns.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.features.ncols()
    }

    /// The features, rows by columns.
    #[must_use]
    pub fn features(&self) -> ArrayView2<'_, f32> {
        self.features.view()
    }

    /// The target, one value per row.
    #[must_use]
    pub fn target(&self) -> ArrayView1<'_, f32> {
        self.target.view()
    }

    /// Keeps the first `rows` rows; all of them if there are fewer. At least one stays.
    pub fn truncate(&mut self, rows: usize) {
        let rows = rows.clamp(1, self.rows());
        self.features.slice_axis_inplace(Axis(0), Slice::from(..rows));
        self.target.slice_axis_inplace(Axis(0), Slice::from(..rows));
    }

    /// The features of one row.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        let columns = self.feature_count();
        // `new` made the layout standard, and truncating rows keeps it so.
        let values = self.features.as_slice().unwrap_or_default();
        values.get(row * columns..(row + 1) * columns).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_are_contiguous_for_every_input_layout() {
        let transposed = array![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]].reversed_axes();
        let mut data = Dataset::new(transposed, array![1.0, 2.0, 3.0]).unwrap();
        assert_eq!(data.row(1), [3.0, 4.0]);
        data.truncate(2);
        assert_eq!((data.rows(), data.row(1)), (2, [3.0, 4.0].as_slice()));
    }

    #[test]
    fn mismatched_and_empty_tables_are_refused() {
        let error = Dataset::new(array![[1.0], [2.0]], array![1.0]).unwrap_err();
        assert_eq!(error, DataError::Rows { features: 2, target: 1 });
        let error = Dataset::new(Array2::zeros((0, 3)), Array1::zeros(0)).unwrap_err();
        assert_eq!(error, DataError::RowCount { rows: 0 });
        let error = Dataset::new(array![[1.0, f32::NAN]], array![1.0]).unwrap_err();
        assert_eq!(error, DataError::NotFinite { row: 0, column: Some(1) });
        let error = Dataset::new(array![[1.0]], array![f32::INFINITY]).unwrap_err();
        assert_eq!(error.to_string(), "row 0 holds NaN or infinity in the target");
    }
}
