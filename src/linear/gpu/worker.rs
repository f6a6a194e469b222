//! A training run on the GPU: many steps a submission, losses read back behind them.

use super::super::batches::Batch;
use super::super::errors::TrainError;
use super::super::model::LinearModel;
use super::super::training::Training;
use super::super::worker::Worker;
use super::commands::{Commands, Operation};
use super::descent::Descent;
use super::gradient::{GpuGradient, Kept};
use super::losses::Losses;
use super::stream::{Selection, Stream};
use super::table::{Rows, Shape};
use crate::data::Dataset;
use crate::gpu::{Gpu, GpuOptimizer, GpuVec, StepError, Wait};
use crate::numerics::Precision;
use crate::rules::Rule;
use std::ops::Range;

/// Samples of the loss that share a submission where there is little work between them, and how
/// much that is, in multiplications.
const SAMPLES_TOGETHER: u64 = 4;
const SMALL_WORK: u64 = 1 << 20;

/// How much longer one workgroup takes for its work than all of a slow device.
const ONE_WORKGROUP: u64 = 8;

/// Trains on a device.
pub(in crate::linear) struct GpuWorker<'a, R: Rule> {
    gpu: Gpu,
    gradient: GpuGradient,
    /// For small models; else the gradient's kernels and the optimizer's own.
    descent: Option<Descent<R>>,
    optimizer: GpuOptimizer<R>,
    parameters: GpuVec,
    grads: GpuVec,
    losses: Losses,
    /// Samples of the loss that are not submitted yet.
    unsubmitted: u64,
    commands: Commands,
    /// If the rows stay on the host.
    stream: Option<Stream<'a>>,
    /// Which positions of the epoch's order the stream's window holds.
    window: Range<usize>,
}

impl<'a, R: Rule> GpuWorker<'a, R> {
    /// Brings `data` to the device, or prepares to stream them.
    pub(in crate::linear) fn new(
        gpu: &Gpu,
        precision: Precision,
        rule: R,
        data: &'a Dataset,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let batch_size = training.batch_size.min(data.rows());
        let shape = Shape::new(data.feature_count(), &gpu.device().limits())?;
        let (rows, stream) = upload_or_stream(gpu, shape, data, batch_size, training.gpu_memory)?;
        let count = data.rows() as u64;
        let gradient = GpuGradient::new(gpu, precision, training, shape, count, rows)?;
        let losses = Losses::new(gpu, precision, &gradient.residuals, count)?;
        let optimizer = GpuOptimizer::new(gpu, rule, gradient.columns())?
            .with_precision(precision)
            .with_schedule(training.schedule.clone())?;
        let view = |buffer: &wgpu::Buffer| GpuVec::padded(buffer, gradient.columns());
        let (parameters, grads) = (view(&gradient.parameters), view(&gradient.gradient));
        gpu.write(&parameters, &model.parameters())?;
        Ok(Self {
            descent: Descent::new(gpu, &gradient, &optimizer, training, batch_size)?,
            commands: Commands::new(gpu)?,
            gpu: gpu.clone(),
            gradient,
            optimizer,
            parameters,
            grads,
            losses,
            unsubmitted: 0,
            stream,
            window: 0..0,
        })
    }

    /// Trains on a batch that is larger than the stream's window.
    async fn step_in_parts(
        &mut self,
        batch: &Batch,
        order: &[u32],
        capacity: usize,
        wait: Wait,
    ) -> Result<(), TrainError> {
        let order = &order[batch.rows.clone()];
        let batch_rows = order.len() as u32; // at most the number of rows, a u32
        for first in (0..order.len()).step_by(capacity) {
            let rows = first..order.len().min(first + capacity);
            self.load(Selection::Numbered(&order[rows.clone()]), wait).await?;
            let start = batch.rows.start;
            self.terms_before(&(start + rows.start..start + rows.end), 0)?;
            for operation in self.gradient.batch_part(&rows, batch_rows) {
                self.push(operation)?;
            }
        }
        self.push(self.gradient.finish(batch_rows, 0))?;
        let encoder = self.commands.encoder()?;
        self.optimizer.record(encoder, &self.parameters, &self.grads)?;
        Ok(())
    }

    /// Takes the losses of rows before they are learned from, if somebody asks.
    fn terms_before(&mut self, rows: &Range<usize>, window_first: usize) -> Result<(), TrainError> {
        if self.gradient.before.is_some() {
            for operation in self.gradient.terms_before(rows, window_first) {
                self.push(operation)?;
            }
        }
        Ok(())
    }

    /// Fills the stream's window; what the device had to do before is under way meanwhile.
    async fn load(&mut self, rows: Selection<'_>, wait: Wait) -> Result<(), TrainError> {
        self.submit()?;
        self.window = 0..0;
        if let Some(stream) = &mut self.stream {
            stream.load(&self.gpu, &mut self.commands, rows, wait).await?;
        }
        Ok(())
    }

    fn push(&mut self, operation: Operation) -> Result<(), TrainError> {
        if self.commands.is_full() {
            self.submit()?;
        }
        self.commands.push(operation);
        Ok(())
    }

    /// Submits all there is.
    fn submit(&mut self) -> Result<(), TrainError> {
        if let Some(descent) = &mut self.descent {
            let last = descent.close();
            descent.write(&self.gpu)?;
            if let Some(last) = last {
                if self.commands.is_full() {
                    self.submit_commands()?;
                }
                self.commands.push(last);
            }
        }
        self.submit_commands()
    }

    fn submit_commands(&mut self) -> Result<(), TrainError> {
        let submission = self.commands.submit()?;
        if let (Some(stream), Some(submission)) = (&mut self.stream, submission) {
            stream.submitted(&self.gpu, submission)?;
        }
        self.losses.submitted(std::mem::take(&mut self.unsubmitted));
        Ok(())
    }
}

impl<R: Rule> Worker for GpuWorker<'_, R> {
    fn begin_epoch(&mut self, order: &[u32]) -> Result<(), TrainError> {
        self.submit()?;
        self.window = 0..0;
        if !self.gradient.place().ordered() {
            return Ok(());
        }
        let (queue, buffer) = (self.gpu.queue(), &self.gradient.order);
        let write = || queue.write_buffer(buffer, 0, bytemuck::cast_slice(order));
        Ok(self.gpu.catch(write).map_err(StepError::from)?)
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], wait: Wait) -> Result<(), TrainError> {
        let batch_rows = batch.rows.len();
        let rows = match self.stream.as_ref().map(Stream::capacity) {
            None => batch.rows.clone(),
            Some(capacity) if batch_rows <= capacity => {
                if batch.rows.start < self.window.start || batch.rows.end > self.window.end {
                    let start = batch.rows.start;
                    let end = order.len().min(start + capacity);
                    self.load(Selection::Numbered(&order[start..end]), wait).await?;
                    self.window = start..end;
                }
                batch.rows.start - self.window.start..batch.rows.end - self.window.start
            }
            Some(capacity) => return self.step_in_parts(batch, order, capacity, wait).await,
        };
        self.terms_before(&batch.rows, rows.start)?;
        if self.descent.as_ref().is_some_and(Descent::is_full) || self.commands.is_full() {
            self.submit()?;
        }
        if let Some(descent) = &mut self.descent {
            if let Some(before) = descent.add(&rows, self.optimizer.next_uniforms()) {
                self.commands.push(before);
            }
        } else {
            for operation in self.gradient.batch(&rows) {
                self.push(operation)?;
            }
            let encoder = self.commands.encoder()?;
            self.optimizer.record(encoder, &self.parameters, &self.grads)?;
        }
        // One workgroup takes as long for its work as the whole device does for several times that.
        let alone = if self.descent.is_some() { ONE_WORKGROUP } else { 1 };
        self.commands.work += alone * (batch_rows * self.gradient.columns()) as u64;
        Ok(())
    }

    async fn evaluate(&mut self, wait: Wait) -> Result<(), TrainError> {
        if let Some(operation) = self.descent.as_mut().and_then(Descent::close) {
            self.push(operation)?;
        }
        if let Some(capacity) = self.stream.as_ref().map(Stream::capacity) {
            let rows = self.gradient.rows() as usize;
            for first in (0..rows).step_by(capacity) {
                let range = first..rows.min(first + capacity);
                self.load(Selection::Range(range.clone()), wait).await?;
                self.push(self.gradient.window_rows(&range, Kept::Terms))?;
            }
        } else {
            for operation in self.gradient.all_rows(Kept::Terms) {
                self.push(operation)?;
            }
        }
        for operation in self.losses.sample(self.unsubmitted) {
            self.push(operation)?;
        }
        self.unsubmitted += 1;
        self.commands.work += self.gradient.rows() * self.gradient.columns() as u64;
        if self.unsubmitted >= SAMPLES_TOGETHER || self.commands.work >= SMALL_WORK {
            self.submit()?;
        }
        Ok(())
    }

    async fn losses(&mut self, wait: Wait, all: bool) -> Result<Vec<f32>, TrainError> {
        if all {
            self.submit()?;
        }
        self.losses.arrived(wait, all).await
    }

    async fn progressive(
        &mut self,
        rows: Range<usize>,
        wait: Wait,
    ) -> Result<Vec<f32>, TrainError> {
        self.submit()?;
        let Some(buffer) = &self.gradient.before else { return Ok(Vec::new()) };
        let terms = GpuVec::padded(buffer, self.gradient.rows() as usize);
        let asked = terms.slice(rows).map_err(StepError::State)?;
        Ok(asked.download_waiting(&self.gpu, wait).await?)
    }

    fn set_model(&mut self, model: &LinearModel) -> Result<(), TrainError> {
        self.submit()?;
        Ok(self.gpu.write(&self.parameters, &model.parameters())?)
    }

    async fn model(&mut self, wait: Wait) -> Result<LinearModel, TrainError> {
        self.submit()?;
        let parameters = self.parameters.download_waiting(&self.gpu, wait).await?;
        Ok(LinearModel::from_parameters(parameters))
    }
}

/// Brings rows to the device, if they take at most `memory` bytes there and the device has room;
/// else prepares a window to stream them through.
fn upload_or_stream<'a>(
    gpu: &Gpu,
    shape: Shape,
    data: &'a Dataset,
    batch_size: usize,
    memory: Option<u64>,
) -> Result<(Rows, Option<Stream<'a>>), TrainError> {
    let bytes = data.rows() as u64 * (shape.row_bytes() + 4);
    let memory = memory.unwrap_or(u64::MAX);
    if bytes <= memory {
        match Rows::upload(gpu, &shape, data, batch_size) {
            Err(TrainError::Step(StepError::OutOfMemory { .. })) => {}
            rows => return Ok((rows?, None)),
        }
    }
    let rows = Stream::window_rows(&shape, memory, batch_size, data.rows());
    // The window is no larger than one table.
    let Some(window) = shape.allocate(gpu, rows)?.pop() else { unreachable!("no rows") };
    let stream = Stream::new(gpu, data, shape, &window)?;
    Ok((Rows::Window(window), Some(stream)))
}

/// The prediction for every row of `data`.
pub(in crate::linear) async fn predictions(
    gpu: &Gpu,
    precision: Precision,
    model: &LinearModel,
    data: &Dataset,
    wait: Wait,
) -> Result<Vec<f32>, TrainError> {
    let shape = Shape::new(data.feature_count(), &gpu.device().limits())?;
    let (rows, stream) = upload_or_stream(gpu, shape, data, 1, None)?;
    let count = data.rows() as u64;
    let gradient = GpuGradient::new(gpu, precision, &Training::default(), shape, count, rows)?;
    gpu.write(&GpuVec::padded(&gradient.parameters, gradient.columns()), &model.parameters())?;
    let mut commands = Commands::new(gpu)?;
    if let Some(mut stream) = stream {
        for first in (0..data.rows()).step_by(stream.capacity()) {
            let range = first..data.rows().min(first + stream.capacity());
            stream.load(gpu, &mut commands, Selection::Range(range.clone()), wait).await?;
            commands.push(gradient.window_rows(&range, Kept::Predictions));
            if let Some(submission) = commands.submit()? {
                stream.submitted(gpu, submission)?;
            }
        }
    } else {
        for operation in gradient.all_rows(Kept::Predictions) {
            if commands.is_full() {
                commands.submit()?;
            }
            commands.push(operation);
        }
        commands.submit()?;
    }
    let residuals = GpuVec::padded(&gradient.residuals, data.rows());
    Ok(residuals.download_waiting(gpu, wait).await?)
}
