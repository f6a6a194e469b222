//! Training on sparse rows: batches are laid out by row and by column on the host and streamed to
//! the device, many a submission, through two staging buffers.

use std::ops::Range;

use super::super::batches::Batch;
use super::super::errors::TrainError;
use super::super::loss::Loss;
use super::super::model::LinearModel;
use super::super::training::Training;
use super::super::worker::Worker;
use super::commands::{Commands, Operation};
use super::gradient::Kept;
use super::job::Job;
use super::kernels::{JOB, Kernel, PENALTY, WORKGROUP_SIZE, bind, bind_parts, compiled};
use super::losses::Losses;
use super::memory::storage;
use super::sparse_batch::{BatchLayout, Words};
use super::uniforms::StepUniforms;
use crate::data::SparseDataset;
use crate::gpu::{
    self, Bound, Compiled, DispatchLimits, Element, Formula, Gpu, GpuOptimizer, GpuVec,
    MAX_LOOP_ITERATIONS, Needs, SquareOf, Staging, StepError, Text, Wait, whole,
};
use crate::numerics::Precision;
use crate::rules::Rule;

/// Words of a submission, unless one batch needs more.
const WINDOW_WORDS: usize = 4 << 20;
/// Words that rows without a step add at most before they are handed over.
const ROWS_AT_ONCE: usize = 1 << 12;
/// The maximum number of rows of a batch, whose terms of a gradient an invocation adds up one an iteration,
/// with a reserve for its other loop; and of features of a row, whose terms of its prediction are four an
/// iteration.
const MAX_BATCH_ROWS: usize = MAX_LOOP_ITERATIONS as usize - 16;
const MAX_ROW_FEATURES: usize = 4 * (MAX_LOOP_ITERATIONS as usize - 1);
/// Dispatches of one batch at most: losses before, residuals, the step.
const BATCH_DISPATCHES: usize = 3;

/// What is the same for training and prediction: rows on their way to residuals.
struct Rows<'a> {
    gpu: Gpu,
    data: &'a SparseDataset,
    kernel: Compiled,
    limits: DispatchLimits,
    commands: Commands,
    /// The words of this submission, and where they go.
    words: Words,
    window: wgpu::Buffer,
    staging: [Staging; 2],
    next: usize,
    parameters: wgpu::Buffer,
    residuals: wgpu::Buffer,
    /// The window's bind group to the residuals, which are of all rows.
    bind_group: wgpu::BindGroup,
}

impl<'a> Rows<'a> {
    fn new(
        gpu: &Gpu,
        precision: Precision,
        loss: Loss,
        data: &'a SparseDataset,
        batch_size: usize,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let limits = gpu.device().limits();
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let parameters = model.parameters();
        for needed in [4 * parameters.len() as u64, 4 * data.rows() as u64] {
            if needed > binding {
                let limit = "max_storage_buffer_binding_size";
                return Err(TrainError::Limit { limit, needed, allowed: binding });
            }
        }
        // Any rows may meet in a batch: it has at most the entries of the longest ones.
        let mut lens: Vec<_> = (0..data.rows()).map(|row| data.row(row).0.len()).collect();
        lens.sort_unstable_by(|a, b| b.cmp(a));
        for (what, found, max) in [
            ("rows of a batch", batch_size, MAX_BATCH_ROWS),
            ("features of a row", lens[0], MAX_ROW_FEATURES),
        ] {
            if found > max {
                return Err(TrainError::Terms { what, found, max });
            }
        }
        let largest = Words::max_count(batch_size, lens.iter().take(batch_size).sum());
        let window_words = (WINDOW_WORDS as u64).min(binding / 4).max(largest as u64);
        let (needed, allowed) = (4 * window_words, binding);
        if needed > allowed {
            let limit = "max_storage_buffer_binding_size";
            return Err(TrainError::Limit { limit, needed, allowed });
        }
        let kernel = compiled(gpu, Kernel::SparseResidual, precision, loss)?;
        let window = storage(gpu, "sparse rows", needed)?;
        let buffer = storage(gpu, "parameters", 4 * parameters.len() as u64)?;
        gpu.write(&GpuVec::padded(&buffer, parameters.len()), &parameters)?;
        let residuals = storage(gpu, "residuals", 4 * data.rows() as u64)?;
        let staging = || Staging::new(gpu, needed).map_err(StepError::from);
        Ok(Self {
            bind_group: bind(gpu, &kernel, &[&window, &buffer, &residuals])?,
            kernel,
            limits: DispatchLimits::of(&limits, WORKGROUP_SIZE),
            commands: Commands::new(gpu)?,
            gpu: gpu.clone(),
            data,
            words: Words::default(),
            window,
            staging: [staging()?, staging()?],
            next: 0,
            parameters: buffer,
            residuals,
        })
    }

    /// Whether another batch of `rows` rows with `entries` entries may join this submission.
    fn has_room(&self, rows: usize, entries: usize) -> bool {
        let words = self.words.words.len() + Words::max_count(rows, entries);
        4 * words as u64 <= self.window.size() && self.commands.has_room(BATCH_DISPATCHES)
    }

    fn job(&self, layout: BatchLayout) -> Job {
        Job {
            rows: layout.rows.1,
            row_first: layout.rows.0,
            columns: self.data.feature_count() as u32 + 1, // column numbers are u32
            batch_rows: layout.rows.1,
            ..Job::default()
        }
    }

    fn residual(&self, bind_group: &wgpu::BindGroup, job: Job) -> Operation {
        Operation {
            pipeline: self.kernel.pipeline.clone(),
            bind_group: bind_group.clone(),
            grid: self.limits.grid(u64::from(job.rows)),
            job,
        }
    }

    /// Submits what there is, its words first.
    async fn submit(&mut self, wait: Wait) -> Result<(), TrainError> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.words.words);
        if bytes.is_empty() {
            self.commands.submit()?;
            return Ok(());
        }
        let staging = &mut self.staging[self.next];
        let size = bytes.len() as u64;
        staging.fill(&self.gpu, wait, size, |mut place| place.copy_from_slice(bytes)).await?;
        let encoder = self.commands.begin()?;
        let copy = || encoder.copy_buffer_to_buffer(&staging.buffer, 0, &self.window, 0, size);
        self.gpu.catch(copy).map_err(StepError::from)?;
        if let Some(submission) = self.commands.submit()? {
            staging.submitted(&self.gpu, submission).map_err(StepError::from)?;
        }
        self.words.words.clear();
        self.next = 1 - self.next;
        Ok(())
    }

    /// What is `kept` of all rows, in the residuals.
    async fn all_rows(&mut self, kept: Kept, wait: Wait) -> Result<(), TrainError> {
        let rows = self.data.rows();
        let mut first = 0;
        while first < rows {
            let mut end = first;
            let mut entries = 0;
            while end < rows && end - first < ROWS_AT_ONCE {
                entries += self.data.row(end).0.len();
                if end > first && !self.has_room(end - first, entries) {
                    break;
                }
                end += 1;
            }
            if !self.has_room(end - first, entries) {
                self.submit(wait).await?;
            }
            let layout = self.words.add_rows(self.data, first..end);
            let job = Job { first: first as u32, terms: kept as u32, ..self.job(layout) };
            let operation = self.residual(&self.bind_group, job);
            self.commands.push(operation);
            first = end;
        }
        Ok(())
    }
}

/// Trains on a device.
pub(in crate::linear) struct SparseGpuWorker<'a, R: Rule> {
    rows: Rows<'a>,
    kernel: Compiled,
    bind_group: wgpu::BindGroup,
    /// Losses of an epoch's rows before they are learned from, if somebody asks.
    before: Option<(wgpu::Buffer, wgpu::BindGroup)>,
    job: Job,
    optimizer: GpuOptimizer<R>,
    steps: StepUniforms<R>,
    losses: Losses,
}

/// The kernel that steps. Bindings: words, residuals, hyper-parameters, parameters, state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SparseDescendKernel {
    formula: Formula,
    precision: Precision,
}

impl gpu::Kernel for SparseDescendKernel {
    fn entry(&self) -> &'static str {
        "sparse_descend"
    }

    fn text(&self) -> String {
        let Self { formula, precision } = self;
        let mut text = Text::new(&[include_str!("../../../shaders/linear/sparse/descend.wgsl")]);
        text.rule(formula, *precision, SquareOf::Own);
        text.files(&[JOB, PENALTY, Element::Scalars.file()]);
        text.vector("parameters", Element::Scalars, true);
        text.state(formula, Bound::All, Element::Scalars);
        text.finish()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.formula.constants()
    }
}

impl<'a, R: Rule> SparseGpuWorker<'a, R> {
    pub(in crate::linear) fn new(
        gpu: &Gpu,
        precision: Precision,
        rule: R,
        data: &'a SparseDataset,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let batch_size = training.batch_size.min(data.rows());
        let loss = training.loss;
        let rows = Rows::new(gpu, precision, loss, data, batch_size, model)?;
        let columns = data.feature_count() + 1;
        let optimizer = GpuOptimizer::new(gpu, rule, columns)?
            .with_precision(precision)
            .with_schedule(training.schedule.clone())?;
        let state: Vec<_> =
            (0..optimizer.state_count()).map(|index| optimizer.state(index)).collect();
        Needs::of(&gpu.device().limits()).buffers(4 + state.len() as u64, 1).check()?;
        let formula = Formula::of(optimizer.rule());
        let kernel = gpu.kernel(&SparseDescendKernel { formula, precision });
        let kernel = kernel.map_err(StepError::from)?;
        let steps = StepUniforms::new(gpu)?;
        let fixed = [&rows.window, &rows.residuals, &steps.buffer, &rows.parameters].map(whole);
        // State lies in one buffer, since the parameters fit one binding.
        let buffers = fixed.into_iter().chain(state.iter().map(|vector| vector.binding()));
        let bind_group = bind_parts(gpu, &kernel, buffers)?;
        let count = data.rows() as u64;
        let before = if training.progressive {
            let buffer = storage(gpu, "losses before", 4 * count)?;
            let bind_group = bind(gpu, &rows.kernel, &[&rows.window, &rows.parameters, &buffer])?;
            Some((buffer, bind_group))
        } else {
            None
        };
        let penalty = training.penalty;
        Ok(Self {
            losses: Losses::new(gpu, precision, &rows.residuals, count)?,
            rows,
            kernel,
            bind_group,
            before,
            job: Job { l1: penalty.l1, l2: penalty.l2, ..Job::default() },
            optimizer,
            steps,
        })
    }

    async fn submit(&mut self, wait: Wait) -> Result<(), TrainError> {
        self.steps.write(&self.rows.gpu)?;
        self.rows.submit(wait).await
    }
}

impl<R: Rule> Worker for SparseGpuWorker<'_, R> {
    fn begin_epoch(&mut self, _: &[u32]) -> Result<(), TrainError> {
        Ok(())
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], wait: Wait) -> Result<(), TrainError> {
        let numbers = &order[batch.rows.clone()];
        let data = self.rows.data;
        let entries: usize = numbers.iter().map(|&row| data.row(row as usize).0.len()).sum();
        if !self.rows.has_room(numbers.len(), entries) || self.steps.is_full() {
            self.submit(wait).await?;
        }
        let layout = self.rows.words.add_batch(data, numbers);
        let job = self.rows.job(layout);
        if let Some((_, bind_group)) = &self.before {
            let (first, terms) = (batch.rows.start as u32, Kept::Terms as u32);
            let operation = self.rows.residual(bind_group, Job { first, terms, ..job });
            self.rows.commands.push(operation);
        }
        let operation = self.rows.residual(&self.rows.bind_group, job);
        self.rows.commands.push(operation);
        self.rows.commands.push(Operation {
            pipeline: self.kernel.pipeline.clone(),
            bind_group: self.bind_group.clone(),
            grid: self.rows.limits.grid(u64::from(layout.columns.1.div_ceil(4))),
            job: Job {
                group_first: layout.columns.0,
                groups: layout.columns.1,
                first_step: self.steps.push(self.optimizer.next_uniforms()),
                divisor: numbers.len() as f32,
                l1: self.job.l1,
                l2: self.job.l2,
                ..job
            },
        });
        self.rows.commands.work += (entries + numbers.len()) as u64;
        Ok(())
    }

    async fn evaluate(&mut self, wait: Wait) -> Result<(), TrainError> {
        // The steps so far go ahead, with their uniforms.
        self.submit(wait).await?;
        self.rows.all_rows(Kept::Terms, wait).await?;
        if !self.rows.commands.has_room(BATCH_DISPATCHES) {
            self.rows.submit(wait).await?;
        }
        for operation in self.losses.sample(0) {
            self.rows.commands.push(operation);
        }
        self.rows.submit(wait).await?;
        self.losses.submitted(1);
        Ok(())
    }

    async fn losses(&mut self, wait: Wait, all: bool) -> Result<Vec<f32>, TrainError> {
        self.losses.arrived(wait, all).await
    }

    async fn progressive(
        &mut self,
        rows: Range<usize>,
        wait: Wait,
    ) -> Result<Vec<f32>, TrainError> {
        self.submit(wait).await?;
        let Some((buffer, _)) = &self.before else { return Ok(Vec::new()) };
        let terms = GpuVec::padded(buffer, self.rows.data.rows());
        let asked = terms.slice(rows).map_err(StepError::State)?;
        Ok(asked.download_waiting(&self.rows.gpu, wait).await?)
    }

    fn set_model(&mut self, model: &LinearModel) -> Result<(), TrainError> {
        let parameters = model.parameters();
        let vector = GpuVec::padded(&self.rows.parameters, parameters.len());
        Ok(self.rows.gpu.write(&vector, &parameters)?)
    }

    async fn model(&mut self, wait: Wait) -> Result<LinearModel, TrainError> {
        self.submit(wait).await?;
        let columns = self.rows.data.feature_count() + 1;
        let vector = GpuVec::padded(&self.rows.parameters, columns);
        let parameters = vector.download_waiting(&self.rows.gpu, wait).await?;
        Ok(LinearModel::from_parameters(parameters))
    }
}

/// The prediction for every row of `data`.
pub(in crate::linear) async fn predictions(
    gpu: &Gpu,
    precision: Precision,
    model: &LinearModel,
    data: &SparseDataset,
    wait: Wait,
) -> Result<Vec<f32>, TrainError> {
    let mut rows = Rows::new(gpu, precision, Loss::Squared, data, 1, model)?;
    rows.all_rows(Kept::Predictions, wait).await?;
    rows.submit(wait).await?;
    let residuals = GpuVec::padded(&rows.residuals, data.rows());
    Ok(residuals.download_waiting(gpu, wait).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::shader_check;
    use crate::rules::{AnyRule, with_rule};

    #[test]
    fn every_rules_kernel_can_be_translated() {
        for rule in AnyRule::examples() {
            for precision in [Precision::Native, Precision::Exact] {
                let formula = with_rule!(rule, |rule| Formula::of(&rule));
                shader_check::check(&SparseDescendKernel { formula, precision });
            }
        }
    }
}
