//! The sum of many values, in the canonical order.

use super::super::errors::TrainError;
use super::super::loss::Loss;
use super::super::order::BLOCK;
use super::commands::Operation;
use super::job::Job;
use super::kernels::{Kernel, WORKGROUP_SIZE, bind, compiled};
use super::memory::storage;
use crate::gpu::{Compiled, DispatchLimits, Gpu};
use crate::numerics::Precision;

/// Sums of blocks of values, and sums of those, until one is left.
#[derive(Debug)]
pub(super) struct Sum {
    kernel: Compiled,
    limits: DispatchLimits,
    /// For each level, its bind group and the number of its values.
    levels: Vec<(wgpu::BindGroup, u64)>,
}

impl Sum {
    /// For `count` values in `values`; the results go to `history`.
    pub(super) fn new(
        gpu: &Gpu,
        precision: Precision,
        values: &wgpu::Buffer,
        count: u64,
        history: &wgpu::Buffer,
    ) -> Result<Self, TrainError> {
        // No loss makes this kernel another.
        let kernel = compiled(gpu, Kernel::Sum, precision, Loss::Squared)?;
        let limits = DispatchLimits::of(&gpu.device().limits(), WORKGROUP_SIZE);
        let mut levels = Vec::new();
        let (mut count, mut input) = (count, values.clone());
        loop {
            let blocks = count.div_ceil(BLOCK as u64);
            let output = match blocks {
                1 => history.clone(),
                _ => storage(gpu, "block sums", 4 * blocks)?,
            };
            levels.push((bind(gpu, &kernel, &[&input, &output])?, count));
            if blocks == 1 {
                return Ok(Self { kernel, limits, levels });
            }
            (input, count) = (output, blocks);
        }
    }

    /// The dispatches to the sum, which goes to place `slot` of the history.
    pub(super) fn operations(&self, slot: u32) -> impl Iterator<Item = Operation> {
        let last = self.levels.len() - 1;
        self.levels.iter().enumerate().map(move |(level, (bind_group, values))| Operation {
            pipeline: self.kernel.pipeline.clone(),
            bind_group: bind_group.clone(),
            grid: self
                .limits
                .grid(values.div_ceil(BLOCK as u64) * u64::from(self.limits.workgroup_size)),
            job: Job {
                rows: *values as u32, // at most the number of rows of a dataset
                output: if level == last { slot } else { 0 },
                ..Job::default()
            },
        })
    }
}
