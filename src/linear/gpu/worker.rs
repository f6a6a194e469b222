//! A training run on the GPU: many steps a submission, losses read back behind them.

use super::super::batches::Batch;
use super::super::errors::TrainError;
use super::super::model::LinearModel;
use super::gradient::{GpuGradient, Operation, storage};
use crate::data::Dataset;
use crate::gpu::{Gpu, GpuOptimizer, GpuVec, Readback, StepError, Wait, caught};
use crate::numerics::Precision;
use crate::rules::Rule;

/// Places in the ring of losses; more than the losses ever under way.
const HISTORY: u32 = 64;
/// Losses that may be under way before the run waits for the oldest: enough to keep the device
/// busy, few enough that an interrupt takes effect soon.
const LOSSES_UNDER_WAY: u64 = 8;
/// Multiplications of one submission: some tenths of a second on the slowest device, so that no
/// watchdog takes it for hung.
const SUBMISSION_WORK: u64 = 50_000_000;
/// Trains on a device.
pub(in crate::linear) struct GpuWorker<R: Rule> {
    gpu: Gpu,
    gradient: GpuGradient,
    optimizer: GpuOptimizer<R>,
    parameters: GpuVec,
    grads: GpuVec,
    history: wgpu::Buffer,
    /// Losses sampled, and losses handed out.
    sampled: u64,
    collected: u64,
    /// A copy of the ring under way, with the number of losses sampled before it.
    under_way: Option<(Readback, u64)>,
    /// What is not yet submitted, and how many multiplications it has.
    pending: Vec<Item>,
    pending_work: u64,
}

/// What a submission is made of.
enum Item {
    Dispatch(Operation),
    /// A step of the optimizer.
    Step,
}

impl Item {
    fn operation(&self) -> Option<&Operation> {
        match self {
            Self::Dispatch(operation) => Some(operation),
            Self::Step => None,
        }
    }
}

impl<R: Rule> GpuWorker<R> {
    pub(in crate::linear) fn new(
        gpu: &Gpu,
        precision: Precision,
        rule: R,
        data: &Dataset,
        batch_size: usize,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let history = storage(gpu, "losses", 4 * u64::from(HISTORY))?;
        let gradient = GpuGradient::new(gpu, precision, data, batch_size, &history)?;
        let optimizer = GpuOptimizer::new(gpu, rule, gradient.columns())?.with_precision(precision);
        let view = |buffer: &wgpu::Buffer| GpuVec::padded(buffer, gradient.columns());
        let (parameters, grads) = (view(&gradient.parameters), view(&gradient.gradient));
        gpu.write(&parameters, &model.parameters())?;
        Ok(Self {
            gpu: gpu.clone(),
            gradient,
            optimizer,
            parameters,
            grads,
            history,
            sampled: 0,
            collected: 0,
            under_way: None,
            pending: Vec::new(),
            pending_work: 0,
        })
    }

    pub(in crate::linear) fn begin_epoch(&mut self, order: &[u32]) -> Result<(), TrainError> {
        self.submit()?;
        let bytes = bytemuck::cast_slice(order);
        let queue = self.gpu.queue();
        caught(self.gpu.device(), || queue.write_buffer(&self.gradient.order, 0, bytes))
            .map_err(StepError::from)?;
        Ok(())
    }

    pub(in crate::linear) fn step(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let mut operations = Vec::new();
        self.gradient.batch(batch, &mut operations);
        if self.pending.len() + operations.len() > self.gradient.submission_capacity() {
            self.submit()?;
        }
        self.pending.extend(operations.into_iter().map(Item::Dispatch));
        self.pending.push(Item::Step);
        self.pending_work += (batch.rows.len() * self.gradient.columns()) as u64;
        if self.pending_work >= SUBMISSION_WORK {
            self.submit()?;
        }
        Ok(())
    }

    /// Samples the loss behind all steps so far.
    pub(in crate::linear) fn evaluate(&mut self) -> Result<(), TrainError> {
        let slot = (self.sampled % u64::from(HISTORY)) as u32;
        let mut operations = Vec::new();
        self.gradient.squared_error(slot, &mut operations);
        self.pending.extend(operations.into_iter().map(Item::Dispatch));
        self.submit()?;
        self.sampled += 1;
        if self.under_way.is_none() {
            self.start_readback()?;
        }
        Ok(())
    }

    /// Hands out the squared errors that have arrived, in the order of sampling; all of them if
    /// `all`.
    pub(in crate::linear) async fn squared_errors(
        &mut self,
        wait: Wait,
        all: bool,
    ) -> Result<Vec<f32>, TrainError> {
        let mut arrived = Vec::new();
        while let Some((mut readback, sampled)) = self.under_way.take() {
            let behind = self.sampled - self.collected;
            if !all && behind < LOSSES_UNDER_WAY && !readback.is_ready(&self.gpu)? {
                self.under_way = Some((readback, sampled));
                break;
            }
            let collected = self.collected;
            readback
                .read(&self.gpu, wait, |bytes| {
                    let ring: &[f32] = bytemuck::cast_slice(bytes);
                    let place = |number: u64| ring[(number % u64::from(HISTORY)) as usize];
                    arrived.extend((collected..sampled).map(place));
                })
                .await?;
            self.collected = sampled;
            if self.sampled > self.collected {
                self.start_readback()?;
            }
        }
        Ok(arrived)
    }

    pub(in crate::linear) async fn model(mut self, wait: Wait) -> Result<LinearModel, TrainError> {
        self.submit()?;
        let parameters = self.parameters.download_waiting(&self.gpu, wait).await?;
        Ok(LinearModel::from_parameters(parameters))
    }

    fn start_readback(&mut self) -> Result<(), TrainError> {
        let readback = Readback::start(&self.gpu, &self.history, 0, 4 * u64::from(HISTORY))?;
        self.under_way = Some((readback, self.sampled));
        Ok(())
    }

    /// Submits all that is pending; in several parts if it has more dispatches than one allows.
    fn submit(&mut self) -> Result<(), TrainError> {
        self.pending_work = 0;
        let pending = std::mem::take(&mut self.pending);
        for part in pending.chunks(self.gradient.submission_capacity()) {
            self.submit_part(part)?;
        }
        Ok(())
    }

    fn submit_part(&mut self, part: &[Item]) -> Result<(), TrainError> {
        self.gradient.write_jobs(part.iter().filter_map(Item::operation))?;
        let device = self.gpu.device().clone();
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut first = 0;
        // Each run of dispatches, with the step behind it if there is one.
        for run in part.split_inclusive(|item| matches!(item, Item::Step)) {
            let operations = run.iter().filter_map(Item::operation);
            let count = operations.clone().count();
            self.gradient.encode(&mut encoder, operations, first);
            first += count;
            if matches!(run.last(), Some(Item::Step)) {
                self.optimizer.record(&mut encoder, &self.parameters, &self.grads)?;
            }
        }
        caught(&device, || self.gpu.queue().submit([encoder.finish()])).map_err(StepError::from)?;
        Ok(())
    }
}

/// The prediction for every row of `data`.
pub(in crate::linear) async fn predictions(
    gpu: &Gpu,
    precision: Precision,
    model: &LinearModel,
    data: &Dataset,
    wait: Wait,
) -> Result<Vec<f32>, TrainError> {
    let history = storage(gpu, "losses", 4)?;
    let gradient = GpuGradient::new(gpu, precision, data, 1, &history)?;
    gpu.write(&GpuVec::padded(&gradient.parameters, gradient.columns()), &model.parameters())?;
    let mut operations = Vec::new();
    gradient.residuals_of_all(&mut operations);
    let device = gpu.device();
    for part in operations.chunks(gradient.submission_capacity()) {
        gradient.write_jobs(part.iter())?;
        caught(device, || {
            let mut encoder = device.create_command_encoder(&Default::default());
            gradient.encode(&mut encoder, part.iter(), 0);
            gpu.queue().submit([encoder.finish()]);
        })
        .map_err(StepError::from)?;
    }
    let residuals = GpuVec::padded(&gradient.residuals, gradient.rows() as usize);
    Ok(residuals.download_waiting(gpu, wait).await?)
}
