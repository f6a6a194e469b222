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
    gradient: Gradient,
    /// Scratch memory: derivatives of a batch, and losses of all rows.
    residuals: Vec<f32>,
    terms: Vec<f32>,
    /// Losses of this epoch's rows before they were learned from; empty if nobody asks.
    before: Vec<f32>,
    losses: Vec<f32>,
}

/// A gradient of the columns that occur. Whether one does is told without a list of all columns to
/// clear: `place` of it points to where it stands among those that occur, or to another's place.
struct Gradient {
    columns: Vec<u32>,
    sums: Vec<f32>,
    place: Vec<u32>,
}

impl Gradient {
    fn clear(&mut self) {
        self.columns.clear();
        self.sums.clear();
    }

    #[inline(always)]
    fn add(&mut self, column: u32, term: f32) {
        let place = self.place[column as usize] as usize;
        if self.columns.get(place) == Some(&column) {
            self.sums[place] += term;
        } else {
            self.place[column as usize] = self.columns.len() as u32;
            self.columns.push(column);
            self.sums.push(0.0 + term);
        }
    }
}

impl<'a, R: Rule> SparseCpuWorker<'a, R> {
    pub(super) fn new(
        rule: R,
        data: &'a SparseDataset,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let parameters = model.parameters();
        let place = vec![0; data.feature_count()];
        Ok(Self {
            data,
            loss: training.loss,
            penalty: training.penalty,
            optimizer: CpuOptimizer::new(rule, parameters.len())?
                .with_schedule(training.schedule.clone())?,
            parameters,
            gradient: Gradient { columns: Vec::new(), sums: Vec::new(), place },
            residuals: Vec::new(),
            terms: vec![0.0; data.rows()],
            before: vec![0.0; if training.progressive { data.rows() } else { 0 }],
            losses: Vec::new(),
        })
    }
}

impl<R: Rule> Worker for SparseCpuWorker<'_, R> {
    fn begin_epoch(&mut self, _: &[u32]) -> Result<(), TrainError> {
        Ok(())
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], _: Wait) -> Result<(), TrainError> {
        let rows = &order[batch.rows.clone()];
        let (data, loss, parameters) = (self.data, self.loss, &mut self.parameters);
        self.residuals.resize(rows.len(), 0.0);
        each_row(rows, &mut self.residuals, |row| predict(data, row, parameters));
        if let Some(before) = self.before.get_mut(batch.rows.clone()) {
            for ((term, &prediction), &row) in before.iter_mut().zip(&self.residuals).zip(rows) {
                *term = loss.term(prediction, data.target()[row as usize]);
            }
        }
        let gradient = &mut self.gradient;
        gradient.clear();
        let mut bias = 0.0;
        for (&prediction, &row) in self.residuals.iter().zip(rows) {
            let residual = loss.derivative(prediction, data.target()[row as usize]);
            let (columns, values) = data.row(row as usize);
            for (&column, &value) in columns.iter().zip(values) {
                gradient.add(column, residual * value);
            }
            bias += residual;
        }
        let count = rows.len() as f32;
        for (sum, &column) in gradient.sums.iter_mut().zip(&gradient.columns) {
            *sum = self.penalty.add(*sum / count, parameters[column as usize]);
        }
        gradient.columns.push(parameters.len() as u32 - 1);
        gradient.sums.push(bias / count);
        self.optimizer.step_elements(parameters, &gradient.sums, &gradient.columns);
        Ok(())
    }

    async fn evaluate(&mut self, _: Wait) -> Result<(), TrainError> {
        let (data, loss, parameters) = (self.data, self.loss, &self.parameters);
        let rows: Vec<u32> = (0..data.rows() as u32).collect();
        each_row(&rows, &mut self.terms, |row| {
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
    let rows: Vec<u32> = (0..data.rows() as u32).collect();
    let mut values = vec![0.0; rows.len()];
    each_row(&rows, &mut values, |row| predict(data, row, parameters));
    values
}

/// The prediction for one row, in the canonical order.
#[inline(always)]
fn predict(data: &SparseDataset, row: usize, parameters: &[f32]) -> f32 {
    let (columns, values) = data.row(row);
    let mut sums = [0.0_f32; 4];
    for (columns, values) in columns.chunks(4).zip(values.chunks(4)) {
        for ((sum, &column), value) in sums.iter_mut().zip(columns).zip(values) {
            *sum += value * parameters[column as usize];
        }
    }
    let sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
    sum + parameters[parameters.len() - 1]
}

/// Fills `values` with what `value` makes of each row; with threads where there are many.
fn each_row(rows: &[u32], values: &mut [f32], value: impl Fn(usize) -> f32 + Sync) {
    let fill = |(rows, values): (&[u32], &mut [f32])| {
        for (place, &row) in values.iter_mut().zip(rows) {
            *place = value(row as usize);
        }
    };
    if rows.len() > ROWS_PER_TASK {
        let tasks = rows.par_chunks(ROWS_PER_TASK).zip(values.par_chunks_mut(ROWS_PER_TASK));
        tasks.for_each(fill);
    } else {
        fill((rows, values));
    }
}
