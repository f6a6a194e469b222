//! What `compare` trains and tests on.

use std::path::Path;

use ndarray::{ArrayView1, Axis};
use wgpu_optim::data::{Dataset, SparseDataset, epoch_order, rare_features};
use wgpu_optim::linear::{Data, Loss};

use super::args::CompareArgs;
use crate::args::Standardize;
use crate::error::Error;
use crate::libsvm::SparseText;
use crate::problem::Columns;
use crate::scaling::Scaling;
use crate::table::Table;
use crate::text_file::{Format, TextFile};

/// The tutorial's problem.
const ROWS: u32 = 1000;
const FEATURES: usize = 100;
/// Of the data, not of the training: `--seed` varies the run and not the problem.
const DATA_SEED: u64 = 0;
/// Enough for an accuracy that is known within half a percent.
const TEST_ROWS: u32 = 10_000;

/// One row in so many is held out.
const HELD_OUT: usize = 5;
/// Less would leave nothing to learn from.
const FEWEST_ROWS: usize = 5;

/// Rows in memory of their own, of either kind.
pub(super) enum Rows {
    Dense(Dataset),
    Sparse(SparseDataset),
}

/// A problem cut into its three parts.
pub(super) struct Problem {
    /// Where it comes from, for the table.
    pub(super) source: String,
    pub(super) loss: Loss,
    pub(super) training: Rows,
    pub(super) validation: Rows,
    pub(super) test: Rows,
    /// The weights that made the labels, where they are known.
    pub(super) truth: Option<Vec<f32>>,
}

impl Problem {
    /// Makes or reads what the arguments ask for, and holds rows out.
    pub(super) fn load(args: &CompareArgs) -> Result<Self, Error> {
        match &args.data {
            Some(path) => Self::from_file(path, args),
            None => Self::built_in(args),
        }
    }

    fn built_in(args: &CompareArgs) -> Result<Self, Error> {
        let made = rare_features(ROWS + TEST_ROWS, FEATURES, DATA_SEED);
        let all = Rows::Sparse(made.dataset);
        let order = epoch_order(ROWS, args.seed, u32::MAX);
        let (validation, training) = order.split_at(order.len() / HELD_OUT);
        let test: Vec<u32> = (ROWS..ROWS + TEST_ROWS).collect();
        Ok(Self {
            source: "built-in problem of rare features".to_owned(),
            loss: args.loss.map_or(Loss::Logistic, Loss::from),
            training: all.select(training)?,
            validation: all.select(validation)?,
            test: all.select(&test)?,
            truth: Some(made.weights),
        })
    }

    fn from_file(path: &Path, args: &CompareArgs) -> Result<Self, Error> {
        let loss = args.loss.map_or(Loss::Squared, Loss::from);
        let source = path.display().to_string();
        let file = TextFile::open(path)?;
        if file.is_libsvm(Format::Auto) {
            let mut text = SparseText::read(file)?;
            if loss == Loss::Logistic {
                text.classify()?;
            }
            let (data, _) = text.into_dataset(None)?;
            return Self::cut(source, loss, Rows::Sparse(data), args.seed);
        }
        let table = Table::of(file)?;
        table.refuse_same_names(|_| true)?;
        let columns = Columns::of(&table, args.target.as_deref())?;
        let target = columns.target_index;
        let features: Vec<usize> = (0..table.names().len()).filter(|&i| i != target).collect();
        let (mut features, mut target) = match loss {
            Loss::Squared => table.read(&features, Some(target))?,
            Loss::Logistic => {
                let (features, target, _) = table.read_classes(&features, target)?;
                (features, target)
            }
        };
        let standardize = match (args.standardize, loss) {
            (Standardize::All, Loss::Logistic) => Standardize::Features,
            (which, _) => which,
        };
        Scaling::standardize(standardize, &mut features, &mut target);
        Self::cut(source, loss, Rows::Dense(Dataset::new(features, target)?), args.seed)
    }

    fn cut(source: String, loss: Loss, all: Rows, seed: u64) -> Result<Self, Error> {
        let rows = all.data().rows();
        if rows < FEWEST_ROWS {
            return Err(Error::Argument(format!(
                "{source}: {rows} rows are too few to hold some out: give at least {FEWEST_ROWS}"
            )));
        }
        let order = epoch_order(rows as u32, seed, u32::MAX); // no epoch of a run has this number
        let (test, rest) = order.split_at(rows / HELD_OUT);
        let (validation, training) = rest.split_at(rest.len().div_ceil(HELD_OUT));
        Ok(Self {
            source,
            loss,
            training: all.select(training)?,
            validation: all.select(validation)?,
            test: all.select(test)?,
            truth: None,
        })
    }
}

impl Rows {
    /// These rows, in this order.
    fn select(&self, rows: &[u32]) -> Result<Self, Error> {
        let indices: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        let target = self.data().target().select(Axis(0), &indices);
        match self {
            Self::Dense(data) => {
                let features = data.features().select(Axis(0), &indices);
                Ok(Self::Dense(Dataset::new(features, target)?))
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

    /// The rows as the trainer takes them.
    pub(super) fn data(&self) -> Data<'_> {
        match self {
            Self::Dense(data) => Data::Dense(data),
            Self::Sparse(data) => Data::Sparse(data),
        }
    }

    pub(super) fn target(&self) -> ArrayView1<'_, f32> {
        match self {
            Self::Dense(data) => data.target(),
            Self::Sparse(data) => data.target(),
        }
    }

    /// How many values there are to go through in an epoch.
    pub(super) fn values(&self) -> usize {
        match self {
            Self::Dense(data) => data.rows().saturating_mul(data.feature_count()),
            Self::Sparse(data) => data.entry_count(),
        }
    }

    /// In how many rows each feature is not 0.
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.data().feature_count()];
        match self {
            Self::Dense(data) => {
                for (count, column) in counts.iter_mut().zip(data.features().columns()) {
                    *count = column.iter().filter(|&&value| value != 0.0).count();
                }
            }
            Self::Sparse(data) => {
                for row in 0..data.rows() {
                    for &column in data.row(row).0 {
                        counts[column as usize] += 1;
                    }
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    #[test]
    fn every_row_is_in_one_part() {
        let features = Array2::from_shape_fn((23, 2), |(row, column)| (row + 100 * column) as f32);
        let target = Array1::from_shape_fn(23, |row| row as f32);
        let all = Rows::Dense(Dataset::new(features, target).unwrap());
        let problem = Problem::cut("x".into(), Loss::Squared, all, 1).unwrap();
        let parts = [&problem.training, &problem.validation, &problem.test];
        assert_eq!(parts.map(|part| part.data().rows()), [15, 4, 4]);
        let mut rows: Vec<f32> = parts.iter().flat_map(|part| part.target().to_vec()).collect();
        rows.sort_by(f32::total_cmp);
        assert!(rows.into_iter().eq((0_u8..23).map(f32::from)));
        assert_eq!(problem.training.counts(), [problem.training.counts()[0], 15]);
    }
}
