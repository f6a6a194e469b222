//! Linear models of features that are mostly 0, on the CPU: a batch reads and steps the features that
//! occur in it, and the bias. No cost of a step grows with the number of columns.
//!
//! # The canonical order of summation
//! As for dense features (the module above), there is one order, on both engines:
//!
//! - **A prediction**: entry number `k` of the row, counted from 0, is added to partial sum `k % 4`,
//!   ascending from +0; then partial sum 2 to 0, 3 to 1, and 1 to 0; then the bias.
//! - **A gradient** of one feature over a batch: `residual * value` of the rows that have it, in the
//!   order of the batch, ascending from +0; and a division by the number of rows of the batch. The
//!   bias's sums the residuals in the same way.
//! - **A sum of losses** as for dense features.

use rayon::prelude::*;

use super::batches::Batch;
use super::errors::TrainError;
use super::loss::Loss;
use super::model::LinearModel;
use super::order::sum;
use super::penalty::Penalty;
use super::training::Training;
use super::window::{Occurring, Window};
use super::worker::Worker;
use crate::cpu::CpuOptimizer;
use crate::data::SparseDataset;
use crate::gpu::Wait;
use crate::rules::Rule;

/// Rows that one thread takes at a time.
const ROWS_PER_TASK: usize = 1 << 10;

/// Trains on the CPU.
pub(super) struct SparseCpuWorker<'a, R: Rule> {
    data: &'a SparseDataset,
    loss: Loss,
    penalty: Penalty,
    optimizer: CpuOptimizer<R>,
    /// The weights and, behind them, the bias.
    parameters: Vec<f32>,
    window: Window,
    occurring: Occurring,
    /// Scratch memory: weights and gradient of what occurs in a batch, derivatives of a batch, and
    /// losses of all rows.
    weights: Vec<f32>,
    sums: Vec<f32>,
    residuals: Vec<f32>,
    terms: Vec<f32>,
    /// Losses of this epoch's rows before they were learned from; empty if nobody asks.
    before: Vec<f32>,
    losses: Vec<f32>,
}

impl<'a, R: Rule> SparseCpuWorker<'a, R> {
    pub(super) fn new(
        rule: R,
        data: &'a SparseDataset,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let parameters = model.parameters();
        Ok(Self {
            data,
            loss: training.loss,
            penalty: training.penalty,
            optimizer: CpuOptimizer::new(rule, parameters.len())?
                .with_schedule(training.schedule.clone())?,
            parameters,
            window: Window::default(),
            occurring: Occurring::new(data.feature_count()),
            weights: Vec::new(),
            sums: Vec::new(),
            residuals: Vec::new(),
            terms: vec![0.0; data.rows()],
            before: vec![0.0; if training.progressive { data.rows() } else { 0 }],
            losses: Vec::new(),
        })
    }
}

impl<R: Rule> Worker for SparseCpuWorker<'_, R> {
    fn begin_epoch(&mut self, _: &[u32]) -> Result<(), TrainError> {
        self.window.clear();
        Ok(())
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], _: Wait) -> Result<(), TrainError> {
        let rows = &order[batch.rows.clone()];
        let (data, loss, parameters) = (self.data, self.loss, &mut self.parameters);
        self.window.hold(data, order, &batch.rows);
        self.occurring.find(self.window.entries(&batch.rows));
        let Occurring { columns, slots, .. } = &mut self.occurring;
        self.weights.clear();
        self.weights.extend(columns.iter().map(|&column| parameters[column as usize]));
        let (window, weights, bias) =
            (&self.window, &self.weights, parameters[data.feature_count()]);
        self.residuals.resize(rows.len(), 0.0);
        each_row(batch.rows.start, &mut self.residuals, |position| {
            let (values, range) = window.values(position, &batch.rows);
            product(&slots[range], values, weights) + bias
        });
        if let Some(before) = self.before.get_mut(batch.rows.clone()) {
            for ((term, &prediction), &row) in before.iter_mut().zip(&self.residuals).zip(rows) {
                *term = loss.term(prediction, data.target()[row as usize]);
            }
        }
        self.sums.clear();
        self.sums.resize(columns.len(), 0.0);
        let mut bias = 0.0;
        for ((position, &prediction), &row) in batch.rows.clone().zip(&self.residuals).zip(rows) {
            let residual = loss.derivative(prediction, data.target()[row as usize]);
            let (values, range) = window.values(position, &batch.rows);
            for (&slot, &value) in slots[range].iter().zip(values) {
                self.sums[slot as usize] += residual * value;
            }
            bias += residual;
        }
        let count = rows.len() as f32;
        for (sum, &weight) in self.sums.iter_mut().zip(weights) {
            *sum = self.penalty.add(*sum / count, weight);
        }
        columns.push(parameters.len() as u32 - 1);
        self.sums.push(bias / count);
        self.optimizer.step_elements(parameters, &self.sums, columns);
        Ok(())
    }

    async fn evaluate(&mut self, _: Wait) -> Result<(), TrainError> {
        let (data, loss, parameters) = (self.data, self.loss, &self.parameters);
        each_row(0, &mut self.terms, |row| {
            loss.term(predict(data, row, parameters), data.target()[row])
        });
        self.losses.push(sum(&self.terms));
        Ok(())
    }

    async fn losses(&mut self, _: Wait, _: bool) -> Result<Vec<f32>, TrainError> {
        Ok(std::mem::take(&mut self.losses))
    }

    async fn progressive(&mut self, _: Wait) -> Result<Vec<f32>, TrainError> {
        Ok(self.before.clone())
    }

    fn set_model(&mut self, model: &LinearModel) -> Result<(), TrainError> {
        self.parameters = model.parameters();
        Ok(())
    }

    async fn model(&mut self, _: Wait) -> Result<LinearModel, TrainError> {
        Ok(LinearModel::from_parameters(self.parameters.clone()))
    }
}

/// The prediction of every row of `data`.
pub(super) fn predictions(data: &SparseDataset, parameters: &[f32]) -> Vec<f32> {
    let mut values = vec![0.0; data.rows()];
    each_row(0, &mut values, |row| predict(data, row, parameters));
    values
}

/// The prediction for one row, in the canonical order.
#[inline(always)]
fn predict(data: &SparseDataset, row: usize, parameters: &[f32]) -> f32 {
    let (columns, values) = data.row(row);
    product(columns, values, parameters) + parameters[parameters.len() - 1]
}

/// The sum of each value times the weight of its number, in the canonical order.
#[inline(always)]
fn product(numbers: &[u32], values: &[f32], weights: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 4];
    let (number_groups, number_rest) = numbers.as_chunks::<4>();
    let (value_groups, value_rest) = values.as_chunks::<4>();
    for (numbers, values) in number_groups.iter().zip(value_groups) {
        for lane in 0..4 {
            sums[lane] += values[lane] * weights[numbers[lane] as usize];
        }
    }
    for ((sum, &number), value) in sums.iter_mut().zip(number_rest).zip(value_rest) {
        *sum += value * weights[number as usize];
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

/// Fills `values` with what `value` makes of each row from number `first` on; with threads where
/// there are many.
fn each_row(first: usize, values: &mut [f32], value: impl Fn(usize) -> f32 + Sync) {
    let fill = |(task, values): (usize, &mut [f32])| {
        for (row, place) in (first + task * ROWS_PER_TASK..).zip(values) {
            *place = value(row);
        }
    };
    if values.len() > ROWS_PER_TASK {
        values.par_chunks_mut(ROWS_PER_TASK).enumerate().for_each(fill);
    } else {
        fill((0, values));
    }
}
