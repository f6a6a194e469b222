//! The hyper-parameters of a step, one struct for each group: uploaded when they are new.

use super::context::Gpu;
use super::errors::DeviceError;
use super::slots::Slot;
use crate::rules::Rule;
use crate::step::{Schedule, Tensors, scheduled};

/// Those of the last step, and where they are: steps with the same ones share them.
#[derive(Debug)]
pub(super) struct StepUniforms<R: Rule> {
    known: Vec<R::Uniforms>,
    /// None before the first.
    pub(super) slot: Option<Slot>,
    /// Those of the next step, in memory that is used again.
    next: Vec<R::Uniforms>,
}

impl<R: Rule> StepUniforms<R> {
    /// Of so many groups.
    pub(super) fn new(groups: usize) -> Self {
        Self { known: Vec::new(), slot: None, next: Vec::with_capacity(groups) }
    }

    /// Bytes of all groups.
    pub(super) fn bytes(groups: usize) -> u64 {
        (groups * size_of::<R::Uniforms>()) as u64
    }

    /// Makes the uniforms of step number `step` those in the slot.
    pub(super) fn prepare(
        &mut self,
        gpu: &Gpu,
        tensors: &Tensors<R>,
        schedule: &Schedule,
        step: u64,
    ) -> Result<(), DeviceError> {
        self.next.clear();
        self.next.extend(tensors.rules.iter().map(|rule| scheduled(rule, schedule, step)));
        let next: &[u8] = bytemuck::cast_slice(&self.next);
        // By their bytes: 0 and -0 are equal numbers, but not the same uniforms.
        if self.slot.is_none() || bytemuck::cast_slice::<_, u8>(&self.known) != next {
            let slot = gpu.slots().take(gpu.device(), next.len() as u64)?;
            gpu.catch(|| slot.write(gpu.queue(), next))?;
            self.slot = Some(slot);
            std::mem::swap(&mut self.known, &mut self.next);
        }
        Ok(())
    }
}
