//! The gradient on the CPU: each row of a batch is read once, for its residual and its share of
//! the gradient.

use std::ops::Range;

use rayon::prelude::*;

use super::batches::Batch;
use super::errors::TrainError;
use super::loss::Loss;
use super::model::LinearModel;
use super::order::{RUNS, predict, predict_rows, run_rows, sum};
use super::penalty::Penalty;
use super::training::Training;
use super::worker::Worker;
use crate::cpu::CpuOptimizer;
use crate::data::Dataset;
use crate::gpu::Wait;
use crate::rules::Rule;

/// Multiplications below which threads do not pay.
const PARALLEL_WORK: usize = 1 << 17;

/// Rows of a run that are computed together: their loads overlap, and the partial gradient is read
/// and written once for all of them.
const BLOCK_ROWS: usize = 4;

/// Trains on the CPU.
pub(super) struct CpuWorker<'a, R: Rule> {
    computation: CpuGradient<'a>,
    optimizer: CpuOptimizer<R>,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    losses: Vec<f32>,
}

impl<'a, R: Rule> CpuWorker<'a, R> {
    pub(super) fn new(
        rule: R,
        data: &'a Dataset,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let parameters = model.parameters();
        Ok(Self {
            computation: CpuGradient::new(data, training),
            optimizer: CpuOptimizer::new(rule, parameters.len())?
                .with_schedule(training.schedule.clone())?,
            gradient: vec![0.0; parameters.len()],
            parameters,
            losses: Vec::new(),
        })
    }
}

impl<R: Rule> Worker for CpuWorker<'_, R> {
    fn begin_epoch(&mut self, _: &[u32]) -> Result<(), TrainError> {
        Ok(())
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], _: Wait) -> Result<(), TrainError> {
        self.computation.batch(batch, order, &self.parameters, &mut self.gradient);
        Ok(self.optimizer.step(&mut self.parameters, &self.gradient)?)
    }

    async fn evaluate(&mut self, _: Wait) -> Result<(), TrainError> {
        self.losses.push(self.computation.sum_of_terms(&self.parameters));
        Ok(())
    }

    async fn losses(&mut self, _: Wait, _: bool) -> Result<Vec<f32>, TrainError> {
        Ok(std::mem::take(&mut self.losses))
    }

    async fn progressive(&mut self, rows: Range<usize>, _: Wait) -> Result<Vec<f32>, TrainError> {
        Ok(self.computation.before[rows].to_vec())
    }

    fn set_model(&mut self, model: &LinearModel) -> Result<(), TrainError> {
        self.parameters = model.parameters();
        Ok(())
    }

    async fn model(&mut self, _: Wait) -> Result<LinearModel, TrainError> {
        Ok(LinearModel::from_parameters(self.parameters.clone()))
    }
}

/// Computes gradients and losses of one dataset; keeps its scratch memory.
struct CpuGradient<'a> {
    data: &'a Dataset,
    /// One partial gradient for each run of rows.
    partials: Vec<f32>,
    terms: Vec<f32>,
    /// Terms of this epoch's rows before they were learned from; empty if nobody asks.
    before: Vec<f32>,
    loss: Loss,
    penalty: Penalty,
}

impl<'a> CpuGradient<'a> {
    fn new(data: &'a Dataset, training: &Training) -> Self {
        let width = data.feature_count() + 1;
        Self {
            data,
            partials: vec![0.0; RUNS * width],
            terms: vec![0.0; data.rows()],
            before: vec![0.0; if training.progressive { data.rows() } else { 0 }],
            loss: training.loss,
            penalty: training.penalty,
        }
    }

    /// The gradient of the mean loss over the rows of `batch`, and of the penalty, into `gradient`:
    /// one value for each weight, and the bias's behind them.
    fn batch(&mut self, batch: &Batch, order: &[u32], parameters: &[f32], gradient: &mut [f32]) {
        let (data, loss) = (self.data, self.loss);
        if let Some(before) = self.before.get_mut(batch.rows.clone()) {
            let rows = &order[batch.rows.clone()];
            let take = |(term, &row): (&mut f32, &u32)| {
                let prediction = predict(data.row(row as usize), parameters);
                *term = loss.term(prediction, data.target()[row as usize]);
            };
            if rows.len() * parameters.len() >= PARALLEL_WORK {
                before.par_iter_mut().zip(rows).for_each(take);
            } else {
                before.iter_mut().zip(rows).for_each(take);
            }
        }
        let batch = &order[batch.rows.clone()];
        let width = parameters.len();
        let runs = batch.len().div_ceil(super::order::run_length(batch.len()).max(1));
        let partials = &mut self.partials[..runs * width];
        let accumulate = |(run, partial): (usize, &mut [f32])| {
            let rows = &batch[run_rows(run, batch.len())];
            pulp::Arch::new().dispatch(Run { data, loss, rows, parameters, partial });
        };
        if batch.len() * width >= PARALLEL_WORK {
            partials.par_chunks_mut(width).enumerate().for_each(accumulate);
        } else {
            partials.chunks_mut(width).enumerate().for_each(accumulate);
        }
        pulp::Arch::new().dispatch(Finish { partials, runs, rows: batch.len(), gradient });
        if self.penalty != Penalty::default() {
            for (gradient, &weight) in gradient.iter_mut().zip(&parameters[..width - 1]) {
                *gradient = self.penalty.add(*gradient, weight);
            }
        }
    }

    /// The sum of the loss's terms over all rows.
    fn sum_of_terms(&mut self, parameters: &[f32]) -> f32 {
        each_row(self.data, parameters, Some(self.loss), &mut self.terms);
        sum(&self.terms)
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
    /// Adds the share of some rows, one after the other.
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
    each_row(data, parameters, None, &mut values);
    values
}

/// Predictions, or what the loss makes of them, row by row; with threads where there is enough to
/// do.
fn each_row(data: &Dataset, parameters: &[f32], loss: Option<Loss>, values: &mut [f32]) {
    let rows_per_task = (PARALLEL_WORK / parameters.len()).max(1);
    let fill = |(task, values): (usize, &mut [f32])| {
        let first = task * rows_per_task;
        pulp::Arch::new().dispatch(Rows { data, parameters, loss, first, values });
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
    loss: Option<Loss>,
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
            if let Some(loss) = self.loss {
                *value = loss.term(*value, target[row]);
            }
        }
    }
}
