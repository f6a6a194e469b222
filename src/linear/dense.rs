//! Steps over dense rows on the CPU: each row of a batch is read once, for its residual and its
//! share of the gradient.

use rayon::prelude::*;

use super::batches::Batch;
use super::errors::Result;
use super::loss::Loss;
use super::memory::filled;
use super::order::{RUNS, predict, predict_rows, run_length, run_rows};
use super::penalty::Penalty;
use super::training::Training;
use crate::cpu::CpuOptimizer;
use crate::data::Dataset;
use crate::rules::Rule;

/// The number of multiplications below which threads do not pay off.
const PARALLEL_WORK: usize = 1 << 17;

/// The number of rows of a run that are computed together. Their loads overlap, and the partial
/// gradient is read and written once for all of them.
const BLOCK_ROWS: usize = 4;

/// The rows of a run, the model, and scratch memory.
pub(super) struct DenseRows<'a, R: Rule> {
    data: &'a Dataset,
    loss: Loss,
    penalty: Penalty,
    optimizer: CpuOptimizer<R>,
    /// The weights, followed by the bias.
    pub(super) parameters: Vec<f32>,
    gradient: Vec<f32>,
    /// One partial gradient for each run of rows.
    partials: Vec<f32>,
    /// The losses of this epoch's rows before they were learned from; empty unless requested.
    pub(super) before: Vec<f32>,
}

impl<'a, R: Rule> DenseRows<'a, R> {
    pub(super) fn new(
        rule: R,
        data: &'a Dataset,
        training: &Training,
        parameters: Vec<f32>,
    ) -> Result<Self> {
        let width = parameters.len();
        let optimizer = CpuOptimizer::new(rule, width)?;
        Ok(Self {
            data,
            loss: training.loss,
            penalty: training.penalty,
            optimizer: optimizer.with_schedule(training.schedule.clone())?,
            parameters,
            gradient: filled(0.0, width)?,
            partials: filled(0.0, RUNS.saturating_mul(width))?,
            before: filled(0.0, if training.progressive { data.rows() } else { 0 })?,
        })
    }

    /// Steps by the gradient of the mean loss over the rows of `batch`, and of the penalty.
    pub(super) fn step(&mut self, batch: &Batch, order: &[u32]) -> Result<()> {
        let Self { data, loss, penalty, parameters, gradient, .. } = self;
        let (data, loss, width) = (*data, *loss, parameters.len());
        let numbers = &order[batch.rows.clone()];
        if let Some(before) = self.before.get_mut(batch.rows.clone()) {
            each_row(data, parameters, Some(loss), |index| numbers[index] as usize, before);
        }
        let runs = numbers.len().div_ceil(run_length(numbers.len()).max(1));
        let partials = &mut self.partials[..runs * width];
        let accumulate = |(run, partial): (usize, &mut [f32])| {
            let rows = &numbers[run_rows(run, numbers.len())];
            pulp::Arch::new().dispatch(Run { data, loss, rows, parameters, partial });
        };
        if numbers.len() * width >= PARALLEL_WORK {
            partials.par_chunks_mut(width).enumerate().for_each(accumulate);
        } else {
            partials.chunks_mut(width).enumerate().for_each(accumulate);
        }
        pulp::Arch::new().dispatch(Finish { partials, runs, rows: numbers.len(), gradient });
        if *penalty != Penalty::default() {
            for (gradient, &weight) in gradient.iter_mut().zip(&parameters[..width - 1]) {
                *gradient = penalty.add(*gradient, weight);
            }
        }
        Ok(self.optimizer.step(parameters, gradient)?)
    }
}

/// One run of a batch.
struct Run<'a> {
    data: &'a Dataset,
    loss: Loss,
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
    /// Adds the contributions of these rows, one after another.
    #[inline(always)]
    fn add<const N: usize>(&mut self, numbers: [u32; N]) {
        let target = self.data.target();
        let rows = numbers.map(|row| self.data.row(row as usize));
        let mut residuals = predict_rows(rows, self.parameters);
        for (residual, row) in residuals.iter_mut().zip(numbers) {
            *residual = self.loss.derivative(*residual, target[row as usize]);
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

/// Sums the runs in a tree, and divides by the number of rows.
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
            // Missing runs count as +0 and change nothing.
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

/// Fills `values` with the predictions of rows, or with their loss terms. `number` returns the row
/// of each value. Uses threads if there is enough work.
pub(super) fn each_row(
    data: &Dataset,
    parameters: &[f32],
    loss: Option<Loss>,
    number: impl Fn(usize) -> usize + Copy + Sync,
    values: &mut [f32],
) {
    let rows_per_task = (PARALLEL_WORK / parameters.len()).max(1);
    let fill = |(task, values): (usize, &mut [f32])| {
        let first = task * rows_per_task;
        pulp::Arch::new().dispatch(Rows { data, parameters, loss, number, first, values });
    };
    if values.len() > rows_per_task {
        values.par_chunks_mut(rows_per_task).enumerate().for_each(fill);
    } else {
        fill((0, values));
    }
}

/// The rows of one task.
struct Rows<'a, F> {
    data: &'a Dataset,
    parameters: &'a [f32],
    loss: Option<Loss>,
    number: F,
    first: usize,
    values: &'a mut [f32],
}

impl<F: Fn(usize) -> usize> pulp::NullaryFnOnce for Rows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let target = self.data.target();
        for (index, value) in (self.first..).zip(self.values) {
            let row = (self.number)(index);
            *value = predict(self.data.row(row), self.parameters);
            if let Some(loss) = self.loss {
                *value = loss.term(*value, target[row]);
            }
        }
    }
}
