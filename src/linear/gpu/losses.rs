//! Losses on their way back: sums in a ring in device memory, read behind the steps that follow.

use std::time::Duration;

use web_time::Instant;

use super::super::errors::TrainError;
use super::commands::Operation;
use super::memory::storage;
use super::sum::Sum;
use crate::gpu::{Gpu, Readback, Wait};
use crate::numerics::Precision;

/// Places in the ring; more than the losses ever under way.
const PLACES: u32 = 64;
/// Losses that may be under way before the run waits for the oldest: enough to keep the device
/// busy, few enough that an interrupt takes effect soon.
const UNDER_WAY: u64 = 16;
/// How long a loss may wait for others to be copied with it: less than anyone who looks on notices.
const INTERVAL: Duration = Duration::from_millis(20);

/// The sums of squared errors that a run samples.
pub(super) struct Losses {
    gpu: Gpu,
    ring: wgpu::Buffer,
    sum: Sum,
    /// Losses sampled, and losses handed out.
    sampled: u64,
    collected: u64,
    /// A copy of the ring under way, with the number of losses sampled before it.
    under_way: Option<(Readback, u64)>,
    /// When the last copy was started.
    started: Option<Instant>,
}

impl Losses {
    /// For samples that are the sums of `count` values in `terms`.
    pub(super) fn new(
        gpu: &Gpu,
        precision: Precision,
        terms: &wgpu::Buffer,
        count: u64,
    ) -> Result<Self, TrainError> {
        let ring = storage(gpu, "losses", 4 * u64::from(PLACES))?;
        Ok(Self {
            sum: Sum::new(gpu, precision, terms, count, &ring)?,
            gpu: gpu.clone(),
            ring,
            sampled: 0,
            collected: 0,
            under_way: None,
            started: None,
        })
    }

    /// The dispatches that sum the terms of the next sample; `unsubmitted` samples precede it.
    pub(super) fn sample(&self, unsubmitted: u64) -> Vec<Operation> {
        let place = (self.sampled + unsubmitted) % u64::from(PLACES);
        self.sum.operations(place as u32).collect()
    }

    /// The commands that compute the next `count` losses have been submitted.
    pub(super) fn submitted(&mut self, count: u64) {
        self.sampled += count;
    }

    /// Hands out the losses that have arrived, in the order of sampling; all of them if `all`.
    pub(super) async fn arrived(&mut self, wait: Wait, all: bool) -> Result<Vec<f32>, TrainError> {
        let mut arrived = Vec::new();
        loop {
            let behind = self.sampled - self.collected;
            if self.under_way.is_none() && behind > 0 && (all || self.is_due(behind)) {
                self.start()?;
            }
            let Some((mut readback, sampled)) = self.under_way.take() else { break };
            if !all && behind < UNDER_WAY && !readback.is_ready(&self.gpu)? {
                self.under_way = Some((readback, sampled));
                break;
            }
            let collected = self.collected;
            readback
                .read(&self.gpu, wait, |bytes| {
                    let ring: &[f32] = bytemuck::cast_slice(bytes);
                    let place = |number: u64| ring[(number % u64::from(PLACES)) as usize];
                    arrived.extend((collected..sampled).map(place));
                })
                .await?;
            self.collected = sampled;
        }
        Ok(arrived)
    }

    /// Whether it is worth a copy: there are several losses, or somebody has waited for one.
    fn is_due(&self, behind: u64) -> bool {
        behind >= UNDER_WAY / 2 || self.started.is_none_or(|last| last.elapsed() >= INTERVAL)
    }

    fn start(&mut self) -> Result<(), TrainError> {
        let readback = Readback::start(&self.gpu, &self.ring, 0, 4 * u64::from(PLACES))?;
        self.under_way = Some((readback, self.sampled));
        self.started = Some(Instant::now());
        Ok(())
    }
}
