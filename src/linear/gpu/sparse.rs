//! Training on sparse rows: batches are laid out by row and by column on the host and streamed to
//! the device, many per submission.

use super::super::batches::Batch;
use super::super::errors::{Result, TrainError};
use super::super::memory::reserve;
use super::core::{Core, Kept, Setup};
use super::job::Job;
use super::kernels::{BoundKernel, Kernel, check_binding, largest_binding, storage};
use super::sparse_batch::{BatchLayout, Words};
use crate::data::SparseDataset;
use crate::gpu::{Formula, GpuOptimizer, MAX_LOOP_ITERATIONS, Needs, Wait};
use crate::rules::Rule;

/// The maximum number of words in a submission, unless one batch needs more.
const WINDOW_WORDS: u64 = 4 << 20;
/// The maximum number of rows in a dispatch that does not step.
const ROWS_AT_ONCE: usize = 1 << 12;
/// The maximum number of rows in a batch: an invocation adds one term of a gradient per iteration.
/// The reserve is for its other loop.
const MAX_BATCH_ROWS: usize = MAX_LOOP_ITERATIONS as usize - 16;
/// The maximum number of features in a row: an invocation adds four terms of a prediction per
/// iteration.
const MAX_ROW_FEATURES: usize = 4 * (MAX_LOOP_ITERATIONS as usize - 1);
/// The maximum number of dispatches for one batch (losses before learning, residuals, the step),
/// and for one sample of the loss.
const BATCH_DISPATCHES: usize = 3;

/// The words that a window of this size holds.
fn window_words(bytes: u64) -> usize {
    usize::try_from(bytes / 4).unwrap_or(usize::MAX)
}

/// Sparse rows, and the kernels that turn them into residuals and steps.
pub(super) struct SparseRows<'a> {
    pub(super) core: Core,
    data: &'a SparseDataset,
    /// The words of this submission, and the buffer to which they are copied.
    words: Words,
    window: wgpu::Buffer,
    /// Computes residuals, in a buffer for all rows.
    residual: BoundKernel,
    /// The same with losses before learning, if requested, in place of residuals.
    before: Option<BoundKernel>,
    /// `None` for predictions.
    descend: Option<BoundKernel>,
}

impl<'a> SparseRows<'a> {
    pub(super) fn new(setup: Setup<'_>, data: &'a SparseDataset) -> Result<Self> {
        let Setup { gpu, training, .. } = setup;
        // A batch may consist of any rows, so its maximum number of entries is that of the longest
        // rows.
        let batch_size = training.batch_size;
        let mut lens = Vec::new();
        reserve(&mut lens, data.rows())?;
        lens.extend((0..data.rows()).map(|row| data.row(row).0.len()));
        lens.sort_unstable_by(|a, b| b.cmp(a));
        for (what, found, max) in [
            ("rows of a batch", batch_size, MAX_BATCH_ROWS),
            ("features of a row", lens[0], MAX_ROW_FEATURES),
        ] {
            if found > max {
                return Err(TrainError::Terms { what, found, max });
            }
        }
        let limits = gpu.device().limits();
        let batch_entries = lens.iter().take(batch_size).sum();
        let batch_words = Words::max_count(batch_size, batch_entries) as u64;
        let bytes = 4 * WINDOW_WORDS.min(largest_binding(&limits) / 4).max(batch_words);
        check_binding(&limits, bytes)?;
        let core = Core::new(setup, data.rows(), bytes)?;
        let window = storage(gpu, "sparse rows", bytes)?;
        let residual = |result: &wgpu::Buffer| {
            let buffers = [&window, &core.parameters, result];
            core.bind(Kernel::SparseResidual(training.loss), &buffers)
        };
        Ok(Self {
            residual: residual(&core.residuals)?,
            before: core.before.as_ref().map(residual).transpose()?,
            descend: None,
            core,
            data,
            words: Words::with_room(window_words(bytes), batch_size + batch_entries)?,
            window,
        })
    }

    /// Prepares for steps by an optimizer.
    pub(super) fn prepare<R: Rule>(&mut self, optimizer: &GpuOptimizer<R>) -> Result<()> {
        let buffers = 4 + optimizer.state_count() as u64;
        Needs::of(&self.core.gpu.device().limits()).buffers(buffers, 1).check()?;
        let kernel = Kernel::SparseDescend(Formula::of(optimizer.rule()));
        let buffers = [&self.window, &self.core.residuals.clone()];
        self.descend = Some(self.core.bind_step(kernel, &buffers, optimizer)?);
        Ok(())
    }

    /// Whether another batch of `rows` rows with `entries` entries may join this submission.
    fn has_room(&self, rows: usize, entries: usize) -> bool {
        let words = self.words.words.len() + Words::max_count(rows, entries);
        4 * words as u64 <= self.window.size() && self.core.commands.has_room(BATCH_DISPATCHES)
    }

    fn job(&self, layout: BatchLayout) -> Job {
        let (row_first, rows) = layout.rows;
        Job { rows, row_first, batch_rows: rows, ..self.core.job }
    }

    /// Submits the collected commands, after the copy of their words.
    pub(super) async fn submit(&mut self, wait: Wait) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.words.words);
        if !bytes.is_empty() {
            let buffers = [(&self.window, bytes.len() as u64)];
            let fill = |mut place: wgpu::WriteOnly<'_, [u8]>| place.copy_from_slice(bytes);
            self.core.commands.copy(wait, &buffers, fill).await?;
        }
        self.words.words.clear();
        self.core.commands.submit()
    }

    /// Dispatches the kernels that store what is `kept` of all rows. Leaves room for a sample of
    /// the loss.
    pub(super) async fn all_rows(&mut self, kept: Kept, wait: Wait) -> Result<()> {
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
            self.core.commands.push(&self.residual, u64::from(job.rows), job);
            self.core.commands.work += (entries + end - first) as u64;
            first = end;
        }
        if !self.core.commands.has_room(BATCH_DISPATCHES) {
            self.submit(wait).await?;
        }
        Ok(())
    }

    /// Trains on a batch.
    pub(super) async fn step<R: Rule>(
        &mut self,
        optimizer: &mut GpuOptimizer<R>,
        batch: &Batch,
        order: &[u32],
        wait: Wait,
    ) -> Result<()> {
        let numbers = &order[batch.rows.clone()];
        let entries = numbers.iter().map(|&row| self.data.row(row as usize).0.len()).sum();
        if !self.has_room(numbers.len(), entries) {
            self.submit(wait).await?;
        }
        let layout = self.words.add_batch(self.data, numbers);
        let job = self.job(layout);
        let commands = &mut self.core.commands;
        if let Some(before) = &self.before {
            let (first, terms) = (batch.rows.start as u32, Kept::Terms as u32);
            commands.push(before, u64::from(job.rows), Job { first, terms, ..job });
        }
        commands.push(&self.residual, u64::from(job.rows), job);
        if let Some(descend) = &self.descend {
            let (group_first, groups) = layout.columns;
            let first_step = commands.push_step(bytemuck::bytes_of(&optimizer.next_uniforms()));
            let divisor = numbers.len() as f32;
            let job = Job { group_first, groups, first_step, divisor, ..job };
            commands.push(descend, u64::from(groups.div_ceil(4)), job);
        }
        commands.work += (entries + numbers.len()) as u64;
        Ok(())
    }
}
