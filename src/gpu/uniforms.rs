//! The hyper-parameters of a step, one struct for each group, uploaded when they change.

use super::context::Gpu;
use super::errors::DeviceError;
use super::slots::Slot;
use crate::rules::Rule;

/// The uniforms of the last step, and their slot. Steps with the same uniforms share the slot.
#[derive(Debug)]
pub(super) struct StepUniforms<R: Rule> {
    known: Vec<R::Uniforms>,
    /// `None` before the first step.
    pub(super) slot: Option<Slot>,
}

impl<R: Rule> Default for StepUniforms<R> {
    fn default() -> Self {
        Self { known: Vec::new(), slot: None }
    }
}

impl<R: Rule> StepUniforms<R> {
    /// The size of the uniforms of all groups, in bytes.
    pub(super) fn bytes(groups: usize) -> u64 {
        (groups * size_of::<R::Uniforms>()) as u64
    }

    /// Puts these uniforms, one for each group, into a slot, unless the last step had the same.
    pub(super) fn prepare(&mut self, gpu: &Gpu, next: &[R::Uniforms]) -> Result<(), DeviceError> {
        let bytes: &[u8] = bytemuck::cast_slice(next);
        // Compare bytes: 0 and -0 are equal numbers but different uniforms.
        if self.slot.is_none() || bytemuck::cast_slice::<_, u8>(&self.known) != bytes {
            let slot = gpu.slots().take(gpu.device(), Self::bytes(next.len()))?;
            gpu.catch(|| slot.write(gpu.queue(), bytes))?;
            self.slot = Some(slot);
            self.known.clear();
            self.known.extend_from_slice(next);
        }
        Ok(())
    }
}
