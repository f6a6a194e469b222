//! A training run on the GPU: many steps per submission, with losses read back later.

use std::ops::Range;

use super::super::batches::Batch;
use super::super::errors::Result;
use super::super::examples::Data;
use super::super::model::LinearModel;
use super::super::training::Training;
use super::super::worker::Worker;
use super::core::{Core, Kept, Setup};
use super::dense::DenseRows;
use super::losses::Losses;
use super::sparse::SparseRows;
use crate::gpu::{Gpu, GpuOptimizer, Wait};
use crate::numerics::Precision;
use crate::rules::Rule;

/// The number of loss samples that share a submission if there is little work between them, and how
/// much work that is, in multiplications.
const SAMPLES_TOGETHER: u64 = 4;
const SMALL_WORK: u64 = 1 << 20;

/// Rows of either kind, for one model.
enum Rows<'a> {
    Dense(Box<DenseRows<'a>>),
    Sparse(Box<SparseRows<'a>>),
}

impl<'a> Rows<'a> {
    fn new(setup: Setup<'_>, data: Data<'a>) -> Result<Self> {
        Ok(match data {
            Data::Dense(data) => Self::Dense(Box::new(DenseRows::new(setup, data)?)),
            Data::Sparse(data) => Self::Sparse(Box::new(SparseRows::new(setup, data)?)),
        })
    }

    fn core(&mut self) -> &mut Core {
        match self {
            Self::Dense(rows) => &mut rows.core,
            Self::Sparse(rows) => &mut rows.core,
        }
    }

    async fn submit(&mut self, wait: Wait) -> Result<&mut Core> {
        match self {
            Self::Dense(rows) => rows.submit()?,
            Self::Sparse(rows) => rows.submit(wait).await?,
        }
        Ok(self.core())
    }

    async fn all_rows(&mut self, kept: Kept, wait: Wait) -> Result<&mut Core> {
        match self {
            Self::Dense(rows) => rows.all_rows(kept, wait).await?,
            Self::Sparse(rows) => rows.all_rows(kept, wait).await?,
        }
        Ok(self.core())
    }
}

/// Trains on a device.
pub(in crate::linear) struct GpuWorker<'a, R: Rule> {
    rows: Rows<'a>,
    optimizer: GpuOptimizer<R>,
    losses: Losses,
}

impl<'a, R: Rule> GpuWorker<'a, R> {
    pub(in crate::linear) fn new(
        gpu: &Gpu,
        precision: Precision,
        rule: R,
        data: Data<'a>,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self> {
        let mut rows = Rows::new(Setup { gpu, precision, training, model }, data)?;
        let optimizer = GpuOptimizer::new(gpu, rule, model.weights.len() + 1)?
            .with_precision(precision)
            .with_schedule(training.schedule.clone())?;
        match &mut rows {
            Rows::Dense(rows) => rows.prepare(&optimizer, training)?,
            Rows::Sparse(rows) => rows.prepare(&optimizer)?,
        }
        let losses = Losses::new(rows.core(), data.rows() as u64)?;
        Ok(Self { rows, optimizer, losses })
    }
}

impl<R: Rule> Worker for GpuWorker<'_, R> {
    fn begin_epoch(&mut self, order: &[u32]) -> Result<()> {
        match &mut self.rows {
            Rows::Dense(rows) => rows.begin_epoch(order),
            Rows::Sparse(_) => Ok(()),
        }
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], wait: Wait) -> Result<()> {
        match &mut self.rows {
            Rows::Dense(rows) => rows.step(&mut self.optimizer, batch, order, wait).await,
            Rows::Sparse(rows) => rows.step(&mut self.optimizer, batch, order, wait).await,
        }
    }

    async fn evaluate(&mut self, wait: Wait) -> Result<()> {
        let commands = &mut self.rows.all_rows(Kept::Terms, wait).await?.commands;
        self.losses.sample(commands)?;
        if commands.samples >= SAMPLES_TOGETHER || commands.work >= SMALL_WORK {
            self.rows.submit(wait).await?;
        }
        Ok(())
    }

    async fn losses(&mut self, wait: Wait, all: bool) -> Result<Vec<f32>> {
        if all {
            self.rows.submit(wait).await?;
        }
        self.losses.arrived(self.rows.core().commands.sampled, wait, all).await
    }

    async fn progressive(&mut self, rows: Range<usize>, wait: Wait) -> Result<Vec<f32>> {
        let core = self.rows.submit(wait).await?;
        match &core.before {
            Some(before) => core.read(before, rows, wait).await,
            None => Ok(Vec::new()),
        }
    }

    async fn set_model(&mut self, model: &LinearModel, wait: Wait) -> Result<()> {
        self.rows.submit(wait).await?.set_model(model)
    }

    async fn model(&mut self, wait: Wait) -> Result<LinearModel> {
        let core = self.rows.submit(wait).await?;
        let parameters = core.read(&core.parameters, 0..core.job.columns as usize, wait).await?;
        Ok(LinearModel::from_parameters(parameters))
    }
}

/// The prediction for every row of `data`.
pub(in crate::linear) async fn predictions(
    gpu: &Gpu,
    precision: Precision,
    model: &LinearModel,
    data: Data<'_>,
    wait: Wait,
) -> Result<Vec<f32>> {
    let training = Training { batch_size: 1, ..Training::default() };
    let mut rows = Rows::new(Setup { gpu, precision, training: &training, model }, data)?;
    rows.all_rows(Kept::Predictions, wait).await?;
    let core = rows.submit(wait).await?;
    core.read(&core.residuals, 0..data.rows(), wait).await
}
