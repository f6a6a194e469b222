//! What `compare` trains and tests on.

use std::path::Path;

use ndarray::Axis;
use wgpu_optim::data::{Dataset, SparseDataset, epoch_order, rare_features};
use wgpu_optim::linear::Loss;

use super::args::CompareArgs;
use crate::args::Standardize;
use crate::args::learning::LossArg;
use crate::error::Error;
use crate::input::libsvm::SparseText;
use crate::input::read::{Columns, Rows, refuse_for_libsvm, standardization};
use crate::input::table::Table;
use crate::input::text_file::TextFile;
use crate::training::scaling::Scaling;

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

/// A problem cut into its three parts.
pub(super) struct Problem {
    /// Where it comes from, for the table.
    pub(super) source: String,
    pub(super) loss: Loss,
    pub(super) training: Rows,
    pub(super) validation: Rows,
    pub(super) test: Rows,
    /// What one unit of the target is in the file.
    pub(super) unit: f64,
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
            unit: 1.0,
            truth: Some(made.weights),
        })
    }

    fn from_file(path: &Path, args: &CompareArgs) -> Result<Self, Error> {
        let loss = args.loss.unwrap_or(LossArg::Squared);
        let source = path.display().to_string();
        let file = TextFile::open(path)?;
        if file.is_libsvm(args.format) {
            refuse_for_libsvm(args.target.as_deref(), args.standardize)?;
            let mut text = SparseText::read(file)?;
            if loss == LossArg::Logistic {
                text.classify()?;
            }
            let (data, _) = text.into_dataset(None)?;
            return Self::cut(source, loss.into(), Rows::Sparse(data), args.seed);
        }
        let which = standardization(loss, args.standardize)?;
        let table = Table::of(file)?;
        table.refuse_same_names(|_| true)?;
        let columns = Columns::of(&table, args.target.as_deref())?;
        let target = columns.target_index;
        let features: Vec<usize> = (0..table.names().len()).filter(|&i| i != target).collect();
        let (features, target) = match loss {
            LossArg::Squared => table.read(&features, Some(target))?,
            LossArg::Logistic => {
                let (features, target, _) = table.read_classes(&features, target)?;
                (features, target)
            }
        };
        let all = Rows::Dense(Dataset::new(features, target)?);
        Self::cut(source, loss.into(), all, args.seed)?.standardized(which)
    }

    /// Scales every part by the rows that are learned from: as in `fit`, those held out have no part
    /// in it.
    fn standardized(mut self, which: Standardize) -> Result<Self, Error> {
        let mut scaling: Option<Scaling> = None;
        for part in [&mut self.training, &mut self.validation, &mut self.test] {
            let Rows::Dense(data) = part else { continue };
            let (mut features, mut target) = (data.features().to_owned(), data.target().to_owned());
            match &scaling {
                Some(scaling) => scaling.apply_to_rows(&mut features, &mut target),
                None => {
                    let first = Scaling::standardize(which, &mut features, &mut target);
                    self.unit = first.target.deviation;
                    scaling = Some(first);
                }
            }
            *data = Dataset::new(features, target)?;
        }
        Ok(self)
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
            unit: 1.0,
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
    use wgpu_optim::data::ColumnScale;

    #[test]
    fn every_row_is_in_one_part() {
        let features = Array2::from_shape_fn((23, 2), |(row, column)| (row + 100 * column) as f32);
        let target = Array1::from_shape_fn(23, |row| row as f32);
        let all = Rows::Dense(Dataset::new(features, target).unwrap());
        let problem = Problem::cut("x".into(), Loss::Squared, all, 1).unwrap();
        let parts = [&problem.training, &problem.validation, &problem.test];
        assert_eq!(parts.map(|part| part.data().rows()), [15, 4, 4]);
        let mut rows: Vec<f32> =
            parts.iter().flat_map(|part| part.data().target().to_vec()).collect();
        rows.sort_by(f32::total_cmp);
        assert!(rows.into_iter().eq((0_u8..23).map(f32::from)));
        assert_eq!(problem.training.counts(), [problem.training.counts()[0], 15]);
    }

    /// Whatever stands in the held-out rows, those that are learned from have mean 0 and deviation 1,
    /// and a unit of the target is theirs.
    #[test]
    fn held_out_rows_have_no_part_in_the_scaling() {
        let features = Array2::from_shape_fn((40, 1), |(row, _)| (row * row) as f32);
        let target = Array1::from_shape_fn(40, |row| 100.0 * (row % 7) as f32);
        let all = Rows::Dense(Dataset::new(features, target).unwrap());
        let problem = Problem::cut("x".into(), Loss::Squared, all, 1).unwrap();
        let unit = ColumnScale::of(problem.training.data().target()).deviation;
        let problem = problem.standardized(Standardize::All).unwrap();
        let Rows::Dense(training) = &problem.training else { panic!("these rows are dense") };
        for column in [training.features().column(0), training.target()] {
            let ColumnScale { mean, deviation } = ColumnScale::of(column);
            assert!(mean.abs() < 1e-6 && (deviation - 1.0).abs() < 1e-6, "{mean} {deviation}");
        }
        assert_eq!(problem.unit, unit);
        assert_ne!(ColumnScale::of(problem.test.data().target()).deviation, 1.0);
    }
}
