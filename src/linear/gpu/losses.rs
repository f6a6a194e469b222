//! Samples of the loss: sums in a ring buffer in device memory, which are read back while later
//! steps run.

use std::time::Duration;

use web_time::Instant;

use super::super::errors::Result;
use super::super::order::BLOCK;
use super::commands::Commands;
use super::core::Core;
use super::job::Job;
use super::kernels::{BoundKernel, Kernel, WORKGROUP_SIZE, storage};
use crate::gpu::{Gpu, Readback, Wait};

/// The number of places in the ring: more than the maximum number of losses not yet read.
const PLACES: u64 = 64;
/// The number of losses not yet read at which the run waits for the oldest: enough to keep the
/// device busy, few enough that an interrupt takes effect soon.
const UNDER_WAY: u64 = 16;
/// How long a loss may wait for others to be copied with it: too short for a user to notice.
const INTERVAL: Duration = Duration::from_millis(20);

/// The sums of loss terms that a run samples.
pub(super) struct Losses {
    gpu: Gpu,
    ring: wgpu::Buffer,
    /// The kernels that sum blocks of values, then blocks of these sums, until one sum is left.
    /// Each has the number of its values.
    levels: Vec<(BoundKernel, u64)>,
    /// The number of losses returned so far.
    collected: u64,
    /// A copy of the ring in progress, with the number of losses sampled before it.
    under_way: Option<(Readback, u64)>,
    /// When the last copy was started.
    started: Option<Instant>,
}

impl Losses {
    /// Prepares for samples that are sums of `count` values in the residuals.
    pub(super) fn new(core: &Core, mut count: u64) -> Result<Self> {
        let gpu = &core.gpu;
        let ring = storage(gpu, "losses", 4 * PLACES)?;
        let mut levels = Vec::new();
        let mut input = core.residuals.clone();
        while levels.is_empty() || count > 1 {
            let blocks = count.div_ceil(BLOCK as u64);
            let output = match blocks {
                1 => ring.clone(),
                _ => storage(gpu, "block sums", 4 * blocks)?,
            };
            levels.push((core.bind(Kernel::Sum, &[&input, &output])?, count));
            (input, count) = (output, blocks);
        }
        let gpu = gpu.clone();
        Ok(Self { gpu, ring, levels, collected: 0, under_way: None, started: None })
    }

    /// Dispatches the kernels that sum the terms of the next sample.
    pub(super) fn sample(&self, commands: &mut Commands) -> Result<()> {
        let place = (commands.sampled + commands.samples) % PLACES;
        for (kernel, values) in &self.levels {
            let blocks = values.div_ceil(BLOCK as u64);
            let output = if blocks == 1 { place as u32 } else { 0 };
            // At most the number of rows of a dataset.
            let job = Job { rows: *values as u32, output, ..Job::default() };
            commands.dispatch(kernel, blocks * u64::from(WORKGROUP_SIZE), job)?;
        }
        commands.samples += 1;
        Ok(())
    }

    /// Returns those of the `sampled` submitted losses that have arrived, in the order of sampling.
    /// With `all`, waits for all of them.
    pub(super) async fn arrived(
        &mut self,
        sampled: u64,
        wait: Wait,
        all: bool,
    ) -> Result<Vec<f32>> {
        let mut arrived = Vec::new();
        loop {
            let behind = sampled - self.collected;
            if self.under_way.is_none() && behind > 0 && (all || self.is_due(behind)) {
                let readback = Readback::start(&self.gpu, &self.ring, 0, 4 * PLACES)?;
                self.under_way = Some((readback, sampled));
                self.started = Some(Instant::now());
            }
            let Some((mut readback, copied)) = self.under_way.take() else { break };
            if !all && behind < UNDER_WAY && !readback.is_ready(&self.gpu)? {
                self.under_way = Some((readback, copied));
                break;
            }
            let collected = self.collected;
            readback
                .read(&self.gpu, wait, |bytes| {
                    let ring: &[f32] = bytemuck::cast_slice(bytes);
                    let place = |number: u64| ring[(number % PLACES) as usize];
                    arrived.extend((collected..copied).map(place));
                })
                .await?;
            self.collected = copied;
        }
        Ok(arrived)
    }

    /// Whether a copy is worth its cost: there are several losses, or the last copy was a while
    /// ago.
    fn is_due(&self, behind: u64) -> bool {
        behind >= UNDER_WAY / 2 || self.started.is_none_or(|last| last.elapsed() >= INTERVAL)
    }
}
