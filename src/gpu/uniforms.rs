//! The hyper-parameters of a step, one struct for each group: uploaded when they are new.

use super::context::Gpu;
use super::errors::DeviceError;
use super::slots::Slot;
use crate::rules::Rule;

/// Those of the last step, and where they are: steps with the same ones share them.
#[derive(Debug)]
pub(super) struct StepUniforms<R: Rule> {
    known: Vec<R::Uniforms>,
    /// None before the first.
    pub(super) slot: Option<Slot>,
}

impl<R: Rule> Default for StepUniforms<R> {
    fn default() -> Self {
        Self { known: Vec::new(), slot: None }
    }
}

impl<R: Rule> StepUniforms<R> {
    /// Bytes of all groups.
    pub(super) fn bytes(groups: usize) -> u64 {
        (groups * size_of::<R::Uniforms>()) as u64
    }

    /// Makes these, one for each group, those in the slot.
    pub(super) fn prepare(&mut self, gpu: &Gpu, next: &[R::Uniforms]) -> Result<(), DeviceError> {
        let bytes: &[u8] = bytemuck::cast_slice(next);
        // By their bytes: 0 and -0 are equal numbers, but not the same uniforms.
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
