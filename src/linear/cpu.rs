//! The gradient on the CPU: each row of a batch is read once, for its residual and its share of
//! the gradient.

use rayon::prelude::*;

use super::order::{RUNS, predict, predict_rows, run_rows, sum_of_squares};
use crate::data::Dataset;

/// Multiplications below which threads do not pay.
const PARALLEL_WORK: usize = 1 << 17;

/// Rows of a run that are computed together: their loads overlap, and the partial gradient is read
/// and written once for all of them.
const BLOCK_ROWS: usize = 4;

/// Computes gradients and losses of one dataset; keeps its scratch memory.
pub(super) struct CpuGradient<'a> {
    data: &'a Dataset,
    /// One partial gradient for each run of rows.
    partials: Vec<f32>,
    residuals: Vec<f32>,
}

impl<'a> CpuGradient<'a> {
    pub(super) fn new(data: &'a Dataset) -> Self {
        let width = data.feature_count() + 1;
        Self { data, partials: vec![0.0; RUNS * width], residuals: vec![0.0; data.rows()] }
    }

    /// The gradient of half the mean squared error over the rows in `batch`, into `gradient`:
    /// one value for each weight, and the bias's behind them.
    pub(super) fn batch(&mut self, batch: &[u32], parameters: &[f32], gradient: &mut [f32]) {
        let data = self.data;
        let width = parameters.len();
        let runs = batch.len().div_ceil(super::order::run_length(batch.len()).max(1));
        let partials = &mut self.partials[..runs * width];
        let accumulate = |(run, partial): (usize, &mut [f32])| {
            let rows = &batch[run_rows(run, batch.len())];
            pulp::Arch::new().dispatch(Run { data, rows, parameters, partial });
        };
        if batch.len() * width >= PARALLEL_WORK {
            partials.par_chunks_mut(width).enumerate().for_each(accumulate);
        } else {
            partials.chunks_mut(width).enumerate().for_each(accumulate);
        }
        pulp::Arch::new().dispatch(Finish { partials, runs, rows: batch.len(), gradient });
    }

    /// The sum of squared residuals over all rows.
    pub(super) fn squared_error(&mut self, parameters: &[f32]) -> f32 {
        each_row(self.data, parameters, true, &mut self.residuals);
        sum_of_squares(&self.residuals)
    }
}

/// One run of a batch.
struct Run<'a> {
    data: &'a Dataset,
    rows: &'a [u32],
    parameters: &'a [f32],
    partial: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        self.partial.fill(0.0);
        let (blocks, rest) = self.rows.as_chunks::<BLOCK_ROWS>();
        for &rows in blocks {
            self.add(rows);
        }
        for &row in rest {
            self.add([row]);
        }
    }
}

impl Run<'_> {
    /// Adds the share of some rows, one after the other.
    #[inline(always)]
    fn add<const N: usize>(&mut self, numbers: [u32; N]) {
        let target = self.data.target();
        let rows = numbers.map(|row| self.data.row(row as usize));
        let mut residuals = predict_rows(rows, self.parameters);
        for (residual, row) in residuals.iter_mut().zip(numbers) {
            *residual -= target[row as usize];
        }
        let (weights, bias) = self.partial.split_at_mut(self.parameters.len() - 1);
        let rows = rows.map(|row| &row[..weights.len()]);
        for (column, sum) in weights.iter_mut().enumerate() {
            for n in 0..N {
                *sum += residuals[n] * rows[n][column];
            }
        }
        for residual in residuals {
            bias[0] += residual;
        }
    }
}

/// The tree over the runs, and the mean.
struct Finish<'a> {
    partials: &'a mut [f32],
    runs: usize,
    rows: usize,
    gradient: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.gradient.len();
        let mut half = RUNS / 2;
        while half > 0 {
            // Runs that are absent are +0 and change nothing.
            let present = self.runs.saturating_sub(half).min(half);
            let (lower, upper) = self.partials.split_at_mut((half * width).min(self.runs * width));
            for (sum, &other) in lower.iter_mut().zip(&upper[..present * width]) {
                *sum += other;
            }
            half /= 2;
        }
        let count = self.rows as f32;
        for (gradient, &sum) in self.gradient.iter_mut().zip(&*self.partials) {
            *gradient = sum / count;
        }
    }
}

/// The prediction of every row of `data`.
pub(super) fn predictions(data: &Dataset, parameters: &[f32]) -> Vec<f32> {
    let mut values = vec![0.0; data.rows()];
    each_row(data, parameters, false, &mut values);
    values
}

/// Predictions, minus the target if `residual`, row by row; with threads where there is enough
/// to do.
fn each_row(data: &Dataset, parameters: &[f32], residual: bool, values: &mut [f32]) {
    let rows_per_task = (PARALLEL_WORK / parameters.len()).max(1);
    let fill = |(task, values): (usize, &mut [f32])| {
        let first = task * rows_per_task;
        pulp::Arch::new().dispatch(Rows { data, parameters, residual, first, values });
    };
    if values.len() > rows_per_task {
        values.par_chunks_mut(rows_per_task).enumerate().for_each(fill);
    } else {
        fill((0, values));
    }
}

/// The rows of one task.
struct Rows<'a> {
    data: &'a Dataset,
    parameters: &'a [f32],
    residual: bool,
    first: usize,
    values: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let target = self.data.target();
        for (row, value) in (self.first..).zip(self.values) {
            *value = predict(self.data.row(row), self.parameters);
            if self.residual {
                *value -= target[row];
            }
        }
    }
}
