//! Rows by what they are for: training, validation and test.

use wgpu_optim::data::{DataError, Dataset, SparseDataset};
use wgpu_optim::linear::{Data, Examples};

use crate::input::options::Standardize;
use crate::input::read::Origin;
use crate::input::rows::RawRows;
use crate::training::scaling::Scaling;

/// Rows by what they are for.
pub(crate) struct Parts<T> {
    pub(crate) training: T,
    /// Held out, and scored after each epoch.
    pub(crate) validation: Option<T>,
    /// Held out, and scored after training.
    pub(crate) test: Option<T>,
}

/// Rows that can be trained on.
pub(crate) enum Rows {
    Dense(Dataset),
    Sparse(SparseDataset),
}

/// All that a training run needs to know about its rows.
pub(crate) struct TrainingSet {
    pub(crate) origin: Origin,
    pub(crate) parts: Parts<Rows>,
    pub(crate) scaling: Scaling,
}

impl TrainingSet {
    /// Scales `parts`: the step between splitting and training.
    ///
    /// # Errors
    /// As [`Parts::scale`].
    pub(crate) fn scale(
        origin: Origin,
        parts: Parts<RawRows>,
        which: Standardize,
    ) -> Result<Self, DataError> {
        let (parts, scaling) = parts.scale(which)?;
        Ok(Self { origin, parts, scaling })
    }
}

impl Parts<RawRows> {
    /// Scales all parts by the training rows; sparse ones stay as they are.
    ///
    /// # Errors
    /// [`DataError`] if there is no row, or a scaled value is out of range.
    pub(crate) fn scale(self, which: Standardize) -> Result<(Parts<Rows>, Scaling), DataError> {
        let (training, scaling) = match self.training {
            RawRows::Sparse(data) => (Rows::Sparse(data), Scaling::none()),
            RawRows::Dense { mut features, mut target } => {
                let scaling = Scaling::standardize(which, &mut features, &mut target);
                (Rows::Dense(Dataset::new(features, target)?), scaling)
            }
        };
        let scaled = |rows| match rows {
            RawRows::Sparse(data) => Ok(Rows::Sparse(data)),
            RawRows::Dense { mut features, mut target } => {
                scaling.apply_to_rows(&mut features, &mut target);
                Dataset::new(features, target).map(Rows::Dense)
            }
        };
        let validation = self.validation.map(scaled).transpose()?;
        let test = self.test.map(scaled).transpose()?;
        Ok((Parts { training, validation, test }, scaling))
    }
}

impl Parts<Rows> {
    /// Keeps `rows` rows in all: those held out, and the first of the others.
    pub(crate) fn truncate(&mut self, rows: usize) {
        let held_out: usize =
            [&self.validation, &self.test].into_iter().flatten().map(Rows::len).sum();
        let training = rows.saturating_sub(held_out);
        match &mut self.training {
            Rows::Dense(data) => data.truncate(training),
            Rows::Sparse(data) => data.truncate(training),
        }
    }

    /// What the library trains on.
    pub(crate) fn examples(&self) -> Examples<'_> {
        Examples {
            training: self.training.data(),
            validation: self.validation.as_ref().map(Rows::data),
        }
    }
}

impl Rows {
    /// The rows as the library takes them.
    pub(crate) fn data(&self) -> Data<'_> {
        match self {
            Self::Dense(data) => Data::Dense(data),
            Self::Sparse(data) => Data::Sparse(data),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.data().rows()
    }

    pub(crate) fn is_sparse(&self) -> bool {
        matches!(self, Self::Sparse(_))
    }

    /// How many numbers there are.
    pub(crate) fn values(&self) -> usize {
        match self {
            Self::Dense(data) => data.rows().saturating_mul(data.feature_count()),
            Self::Sparse(data) => data.entry_count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};
    use wgpu_optim::data::ColumnScale;

    fn table(rows: std::ops::Range<u16>) -> RawRows {
        let values: Vec<f32> = rows.map(f32::from).collect();
        let features =
            Array2::from_shape_fn((values.len(), 1), |(row, _)| values[row] * values[row]);
        RawRows::Dense { features, target: Array1::from_vec(values) }
    }

    /// The training rows have mean 0 and deviation 1, whatever the held-out rows contain.
    #[test]
    fn held_out_rows_have_no_part_in_the_scaling() {
        let parts = Parts {
            training: table(0..30),
            validation: Some(table(100..105)),
            test: Some(table(900..905)),
        };
        let unit = ColumnScale::of(parts.training.target()).deviation;
        let (parts, scaling) = parts.scale(Standardize::All).unwrap();
        let Rows::Dense(training) = &parts.training else { panic!("these rows are dense") };
        for column in [training.features().column(0), training.target()] {
            let ColumnScale { mean, deviation } = ColumnScale::of(column);
            assert!(mean.abs() < 1e-6 && (deviation - 1.0).abs() < 1e-6, "{mean} {deviation}");
        }
        assert_eq!(scaling.target.deviation, unit);
        // The mean of 0 to 29 is 14.5.
        for (rows, first) in [(parts.validation.unwrap(), 100.0), (parts.test.unwrap(), 900.0)] {
            let found = f64::from(rows.data().target()[0]);
            assert!((found - (first - 14.5) / unit).abs() < 1e-3, "{found}");
        }
    }

    #[test]
    fn truncating_counts_the_rows_held_out() {
        let parts = Parts { training: table(0..30), validation: Some(table(0..5)), test: None };
        let (mut parts, _) = parts.scale(Standardize::None).unwrap();
        parts.truncate(20);
        assert_eq!((parts.training.len(), parts.validation.unwrap().len()), (15, 5));
    }
}
