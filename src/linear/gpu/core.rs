//! What runs over dense and over sparse rows share on a device.

use std::ops::Range;

use super::super::errors::Result;
use super::super::model::LinearModel;
use super::super::training::Training;
use super::commands::Commands;
use super::job::Job;
use super::kernels::{BoundKernel, Kernel, check_binding, storage};
use crate::gpu::{Gpu, GpuOptimizer, GpuVec, Wait, whole};
use crate::numerics::Precision;
use crate::rules::Rule;

/// What is stored for each prediction: `job.terms` of the WGSL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kept {
    /// The loss term.
    Terms = 1,
    /// The prediction itself.
    Predictions = 2,
}

/// The inputs of a run or a prediction.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) precision: Precision,
    pub(super) training: &'a Training,
    pub(super) model: &'a LinearModel,
}

/// The model, the results for each row, and the commands that compute them.
pub(super) struct Core {
    pub(super) gpu: Gpu,
    pub(super) precision: Precision,
    pub(super) commands: Commands,
    /// The fields that the jobs of all dispatches share.
    pub(super) job: Job,
    pub(super) parameters: wgpu::Buffer,
    pub(super) residuals: wgpu::Buffer,
    /// The loss terms of an epoch's rows before they are learned from, if requested.
    pub(super) before: Option<wgpu::Buffer>,
}

impl Core {
    /// Prepares for `rows` rows, and for submissions that copy at most `staged` bytes to the
    /// device.
    pub(super) fn new(setup: Setup<'_>, rows: usize, staged: u64) -> Result<Self> {
        let Setup { gpu, precision, training, model } = setup;
        let columns = model.weights.len() as u32 + 1; // columns are counted in u32
        let (parameters, terms) = (4 * u64::from(columns), 4 * rows as u64);
        for bytes in [parameters, terms] {
            check_binding(&gpu.device().limits(), bytes)?;
        }
        let before = training.progressive.then(|| storage(gpu, "losses before", terms));
        let mut core = Self {
            gpu: gpu.clone(),
            precision,
            commands: Commands::new(gpu, staged)?,
            job: Job {
                columns,
                column_groups: columns.div_ceil(4),
                l1: training.penalty.l1,
                l2: training.penalty.l2,
                ..Job::default()
            },
            parameters: storage(gpu, "parameters", parameters)?,
            residuals: storage(gpu, "residuals", terms)?,
            before: before.transpose()?,
        };
        core.set_model(model)?;
        Ok(core)
    }

    /// Binds a kernel to these buffers.
    pub(super) fn bind(&self, kernel: Kernel, buffers: &[&wgpu::Buffer]) -> Result<BoundKernel> {
        BoundKernel::new(&self.gpu, self.precision, kernel, buffers.iter().copied().map(whole))
    }

    /// Binds a step kernel to these buffers, followed by hyper-parameters, parameters and state.
    pub(super) fn bind_step<R: Rule>(
        &mut self,
        kernel: Kernel,
        buffers: &[&wgpu::Buffer],
        optimizer: &GpuOptimizer<R>,
    ) -> Result<BoundKernel> {
        let hypers = self.commands.prepare_steps(size_of::<R::Uniforms>())?;
        let fixed = buffers.iter().copied().chain([&hypers, &self.parameters]).map(whole);
        // Each state vector lies in one buffer, because the parameters fit one binding.
        let state = (0..optimizer.state_count()).map(|index| optimizer.state(index).binding());
        BoundKernel::new(&self.gpu, self.precision, kernel, fixed.chain(state))
    }

    /// Downloads a part of a buffer.
    pub(super) async fn read(
        &self,
        buffer: &wgpu::Buffer,
        range: Range<usize>,
        wait: Wait,
    ) -> Result<Vec<f32>> {
        let part = GpuVec::padded(buffer, range.end).slice(range)?;
        Ok(part.download_waiting(&self.gpu, wait).await?)
    }

    /// Replaces the model, before everything that is submitted from now on.
    pub(super) fn set_model(&mut self, model: &LinearModel) -> Result<()> {
        let parameters = model.parameters();
        Ok(self.gpu.write(&GpuVec::padded(&self.parameters, parameters.len()), &parameters)?)
    }
}
