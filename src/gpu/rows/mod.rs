//! Steps over some rows of a table in device memory: embeddings, and features that are rarely
//! there.
//!
//! The indices come from the host. So a bad one is found before anything is changed, and the order
//! in which duplicates are summed is fixed, with nothing read back from the device. The host sorts
//! them and uploads a list of rows, each with its occurrences; one kernel sums the occurrences of
//! a row and steps it in place. Row gradients that no one binding holds are summed into memory of
//! their own first, part after part, since the occurrences of a row may lie in several; and so are those
//! of a row that is named too often for one loop.

mod bind;
mod dispatches;
mod kernel;
mod lists;
mod memory;

use super::errors::StepError;
use super::optimizer::GpuOptimizer;
use super::scope::caught;
use super::vector::GpuVec;
use crate::rules::{NamedRows, RowsError, Rule};
use bind::RowsCommands;
use dispatches::{MEAN_LANES, MEAN_WORKGROUP};

pub(super) use dispatches::check_row_length;
pub(super) use memory::RowsMemory;

/// The most row gradients of a step: kernels count their elements, and those of a part of the
/// table beside them, in a u32.
const MOST_GRADIENTS: usize = 1 << 31;

impl<R: Rule> GpuOptimizer<R> {
    /// Encodes one step over the rows of `params` that `row_indices` names, and over no others, and
    /// submits it. `params` has the optimizer's length and is a table of rows; `row_gradients` has
    /// one row of gradients for each index, and its length says how long a row is. The gradients of
    /// an index that comes several times are summed first, in the order in which they come. The
    /// cost grows with the rows named, not with the table.
    ///
    /// A rule that would move a parameter whose gradient is 0, by momentum or weight decay, does so
    /// only for the rows named, and only once however many steps have passed.
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wgpu_optim::{Adagrad, Gpu, GpuOptimizer};
    ///
    /// let gpu = Gpu::request_blocking(&Default::default())?;
    /// let embeddings = gpu.zeros(100_000 * 64)?;
    /// let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), embeddings.len())?;
    /// // Rows 7 and 40,000; row 7 twice.
    /// let row_gradients = gpu.upload(&[0.5; 3 * 64])?;
    /// optimizer.step_rows(&embeddings, &row_gradients, &[7, 40_000, 7])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StepError`], among them [`StepError::RowWidth`], [`StepError::RowIndex`],
    /// [`StepError::RowCount`], [`StepError::RowWise`], and [`StepError::GuardedRows`] with a guard;
    /// nothing has changed then. Without indices there is nothing to call this with, as a vector is never empty.
    pub fn step_rows(
        &mut self,
        params: &GpuVec,
        row_gradients: &GpuVec,
        row_indices: &[u32],
    ) -> Result<(), StepError> {
        let commands = self.prepare_rows(params, row_gradients, row_indices)?;
        let device = self.gpu.device();
        caught(device, || {
            let mut encoder = device.create_command_encoder(&Default::default());
            self.encode_rows(&mut encoder, commands);
            self.gpu.queue().submit([encoder.finish()]);
        })?;
        self.steps += 1;
        Ok(())
    }

    /// Encodes the step of [`GpuOptimizer::step_rows`] into the caller's encoder, which must be of
    /// the same device. The step happens when the encoder's commands are submitted; each step that
    /// is recorded keeps its own rows and its own learning rate.
    ///
    /// # Errors
    /// As [`GpuOptimizer::step_rows`]; nothing has been encoded then.
    pub fn record_rows(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &GpuVec,
        row_gradients: &GpuVec,
        row_indices: &[u32],
    ) -> Result<(), StepError> {
        let commands = self.prepare_rows(params, row_gradients, row_indices)?;
        caught(self.gpu.device(), || self.encode_rows(encoder, commands))?;
        self.steps += 1;
        Ok(())
    }

    fn encode_rows(&self, encoder: &mut wgpu::CommandEncoder, commands: RowsCommands) {
        self.encode_dispatches(encoder, &commands.dispatches, None);
        // The lists are free again when the device has read them, or the commands are dropped.
        encoder.on_submitted_work_done(move || drop(commands.guards));
    }

    /// Checks a step over rows and makes ready what `encode_rows` needs.
    fn prepare_rows(
        &mut self,
        params: &GpuVec,
        row_gradients: &GpuVec,
        row_indices: &[u32],
    ) -> Result<RowsCommands, StepError> {
        if self.gpu.is_lost() {
            return Err(StepError::DeviceLost);
        }
        let mut memory = std::mem::take(&mut self.rows);
        let prepared = self.check_rows(params, row_gradients, row_indices, &mut memory.named);
        let prepared = prepared
            .and_then(|()| self.prepare_uniforms())
            .and_then(|()| memory.bind(self, params, row_gradients));
        self.rows = memory;
        prepared
    }

    fn check_rows(
        &self,
        params: &GpuVec,
        row_gradients: &GpuVec,
        row_indices: &[u32],
        named: &mut NamedRows,
    ) -> Result<(), StepError> {
        let (found, expected) = (params.len(), self.len());
        if found != expected {
            return Err(StepError::Length { vector: "params", found, expected });
        }
        if self.guard.scans() {
            return Err(StepError::GuardedRows);
        }
        self.check_apart([("params", params), ("row_gradients", row_gradients)])?;
        let (gradients, indices) = (row_gradients.len(), row_indices.len());
        if gradients > MOST_GRADIENTS {
            return Err(StepError::RowCount { gradients, indices, most: MOST_GRADIENTS });
        }
        named.name(expected, gradients, row_indices)?;
        if let Some(width) = self.row_wise
            && named.is_wider_or_narrower(width)
        {
            return Err(StepError::RowWise { width });
        }
        let limits = self.gpu.device().limits();
        // Job aside: the list, parameters, gradients, state; what rows share counts as one.
        let vectors = self.row_state(false).count() + usize::from(self.row_wise.is_some());
        let buffers = 3 + vectors.max(self.row_state(true).count()) as u64;
        // The kernel that finds means: whole rows in a workgroup, and its partial sums.
        let (lanes, bytes) = match self.row_wise {
            Some(_) => (u64::from(MEAN_LANES), u64::from(16 * MEAN_WORKGROUP)),
            None => (1, 0),
        };
        for (limit, needed, allowed) in [
            (
                "max_storage_buffers_per_shader_stage",
                buffers,
                limits.max_storage_buffers_per_shader_stage,
            ),
            (
                "max_compute_invocations_per_workgroup",
                lanes,
                limits.max_compute_invocations_per_workgroup,
            ),
            ("max_compute_workgroup_size_x", lanes, limits.max_compute_workgroup_size_x),
            (
                "max_compute_workgroup_storage_size",
                bytes,
                limits.max_compute_workgroup_storage_size,
            ),
        ] {
            if needed > u64::from(allowed) {
                return Err(StepError::Limit { limit, needed, allowed: allowed.into() });
            }
        }
        Ok(())
    }
}

impl From<RowsError> for StepError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Width { gradients, indices, len } => {
                Self::RowWidth { gradients, indices, len }
            }
            RowsError::Index { at, row, rows } => Self::RowIndex { at, row, rows },
            // More gradients than a step may have come first.
            RowsError::Count { indices } => {
                Self::RowCount { gradients: indices, indices, most: MOST_GRADIENTS }
            }
        }
    }
}
