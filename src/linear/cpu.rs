//! A training run on the CPU, and predictions.

use std::ops::Range;

use super::batches::Batch;
use super::dense::{self, DenseRows};
use super::errors::Result;
use super::examples::Data;
use super::loss::Loss;
use super::memory::{check, filled};
use super::model::LinearModel;
use super::order::sum;
use super::sparse::{self, SparseRows};
use super::training::Training;
use super::worker::Worker;
use crate::gpu::Wait;
use crate::rules::Rule;

/// Trains on the CPU.
pub(super) struct CpuWorker<'a, R: Rule> {
    data: Data<'a>,
    loss: Loss,
    rows: Rows<'a, R>,
    /// The loss terms of all rows, and the sums of the samples so far.
    terms: Vec<f32>,
    losses: Vec<f32>,
}

/// Rows of either kind, with the model and its optimizer.
enum Rows<'a, R: Rule> {
    Dense(DenseRows<'a, R>),
    Sparse(SparseRows<'a, R>),
}

impl<'a, R: Rule> CpuWorker<'a, R> {
    pub(super) fn new(
        rule: R,
        data: Data<'a>,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self> {
        check::<f32>(data.feature_count() + 1)?;
        let parameters = model.parameters();
        let rows = match data {
            Data::Dense(data) => Rows::Dense(DenseRows::new(rule, data, training, parameters)?),
            Data::Sparse(data) => Rows::Sparse(SparseRows::new(rule, data, training, &parameters)?),
        };
        let terms = filled(0.0, data.rows())?;
        Ok(Self { data, loss: training.loss, rows, terms, losses: Vec::new() })
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        check::<f32>(self.data.feature_count() + 1)?;
        Ok(match &mut self.rows {
            Rows::Dense(rows) => rows.parameters.clone(),
            // A copy of the weights alone: without the state between them, twice as many fit a
            // cache.
            Rows::Sparse(rows) => rows.stepped().parameters.parameters(),
        })
    }
}

impl<R: Rule> Worker for CpuWorker<'_, R> {
    fn begin_epoch(&mut self, order: &[u32]) -> Result<()> {
        if let Rows::Sparse(rows) = &mut self.rows {
            rows.begin_epoch(order)?;
        }
        Ok(())
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], _: Wait) -> Result<()> {
        match &mut self.rows {
            Rows::Dense(rows) => rows.step(batch, order)?,
            Rows::Sparse(rows) => rows.step(batch),
        }
        Ok(())
    }

    async fn evaluate(&mut self, _: Wait) -> Result<()> {
        let parameters = self.parameters()?;
        each_row(self.data, &parameters, Some(self.loss), &mut self.terms);
        self.losses.push(sum(&self.terms));
        Ok(())
    }

    async fn losses(&mut self, _: Wait, _: bool) -> Result<Vec<f32>> {
        Ok(std::mem::take(&mut self.losses))
    }

    async fn progressive(&mut self, rows: Range<usize>, _: Wait) -> Result<Vec<f32>> {
        let before = match &mut self.rows {
            Rows::Dense(rows) => &rows.before,
            Rows::Sparse(rows) => &rows.stepped().before,
        };
        check::<f32>(rows.len())?;
        Ok(before[rows].to_vec())
    }

    async fn set_model(&mut self, model: &LinearModel, _: Wait) -> Result<()> {
        check::<f32>(model.weights.len() + 1)?;
        match &mut self.rows {
            Rows::Dense(rows) => rows.parameters = model.parameters(),
            Rows::Sparse(rows) => rows.stepped().parameters.set_parameters(&model.parameters()),
        }
        Ok(())
    }

    async fn model(&mut self, _: Wait) -> Result<LinearModel> {
        Ok(LinearModel::from_parameters(self.parameters()?))
    }
}

/// The prediction for every row of `data`.
pub(super) fn predictions(data: Data<'_>, model: &LinearModel) -> Result<Vec<f32>> {
    let mut values = filled(0.0, data.rows())?;
    check::<f32>(model.weights.len() + 1)?;
    each_row(data, &model.parameters(), None, &mut values);
    Ok(values)
}

/// Fills `values` with the predictions of all rows, or with their loss terms.
fn each_row(data: Data<'_>, parameters: &[f32], loss: Option<Loss>, values: &mut [f32]) {
    match data {
        Data::Dense(data) => dense::each_row(data, parameters, loss, |row| row, values),
        Data::Sparse(data) => sparse::all_rows(data, parameters, loss, values),
    }
}
