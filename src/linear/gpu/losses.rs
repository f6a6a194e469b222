//! Losses on their way back: a ring in device memory, read behind the steps that follow.

use super::super::errors::TrainError;
use super::gradient::storage;
use crate::gpu::{Gpu, Readback, Wait};

/// Places in the ring; more than the losses ever under way.
const PLACES: u32 = 64;
/// Losses that may be under way before the run waits for the oldest: enough to keep the device
/// busy, few enough that an interrupt takes effect soon.
const UNDER_WAY: u64 = 8;

/// The sums of squared errors that a run samples.
pub(super) struct Losses {
    gpu: Gpu,
    pub(super) ring: wgpu::Buffer,
    /// Losses sampled, and losses handed out.
    sampled: u64,
    collected: u64,
    /// A copy of the ring under way, with the number of losses sampled before it.
    under_way: Option<(Readback, u64)>,
}

impl Losses {
    pub(super) fn new(gpu: &Gpu) -> Result<Self, TrainError> {
        let ring = storage(gpu, "losses", 4 * u64::from(PLACES))?;
        Ok(Self { gpu: gpu.clone(), ring, sampled: 0, collected: 0, under_way: None })
    }

    /// Where in the ring the next loss goes.
    pub(super) fn place(&self) -> u32 {
        (self.sampled % u64::from(PLACES)) as u32
    }

    /// The commands that compute the next loss have been submitted.
    pub(super) fn submitted(&mut self) -> Result<(), TrainError> {
        self.sampled += 1;
        if self.under_way.is_none() {
            self.start()?;
        }
        Ok(())
    }

    /// Hands out the losses that have arrived, in the order of sampling; all of them if `all`.
    pub(super) async fn arrived(&mut self, wait: Wait, all: bool) -> Result<Vec<f32>, TrainError> {
        let mut arrived = Vec::new();
        while let Some((mut readback, sampled)) = self.under_way.take() {
            let behind = self.sampled - self.collected;
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
            if self.sampled > self.collected {
                self.start()?;
            }
        }
        Ok(arrived)
    }

    fn start(&mut self) -> Result<(), TrainError> {
        let readback = Readback::start(&self.gpu, &self.ring, 0, 4 * u64::from(PLACES))?;
        self.under_way = Some((readback, self.sampled));
        Ok(())
    }
}
