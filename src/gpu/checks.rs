//! What wgpu would refuse later, with less to say.

use super::errors::StepError;
use super::optimizer::GpuOptimizer;
use super::slots::SLOT_BYTES;
use super::vector::GpuVec;
use crate::rules::Rule;

impl<R: Rule> GpuOptimizer<R> {
    /// Checks the vectors of a step.
    pub(super) fn check(&self, params: &GpuVec, grads: &GpuVec) -> Result<(), StepError> {
        let expected = self.len();
        let pair = [("params", params), ("grads", grads)];
        for (vector, vec) in pair {
            if vec.len() != expected {
                return Err(StepError::Length { vector, found: vec.len(), expected });
            }
        }
        self.check_apart(pair)
    }

    /// Checks that the vectors of a step are of this device and share no memory.
    pub(super) fn check_apart(&self, pair: [(&'static str, &GpuVec); 2]) -> Result<(), StepError> {
        for (vector, vec) in pair {
            if vec.is_foreign(&self.gpu) {
                return Err(StepError::ForeignDevice { vector });
            }
        }
        let state = self.rule.state_names().into_iter().zip(&self.state);
        let all: Vec<_> = pair.into_iter().chain(state).collect();
        for (index, (first, a)) in all.iter().enumerate() {
            if let Some(byte) = a.overlaps_itself() {
                return Err(StepError::Overlap { first, second: first, byte });
            }
            for (second, b) in &all[index + 1..] {
                if let Some(byte) = a.overlap(b) {
                    return Err(StepError::Overlap { first, second, byte });
                }
            }
        }
        Ok(())
    }
}

/// Whether the device can run the step kernel of a rule with so many state vectors at all.
pub(super) fn check_limits(state: usize, limits: &wgpu::Limits) -> Result<(), StepError> {
    let alignment = u64::from(limits.min_storage_buffer_offset_alignment).max(16);
    let needs = [
        (
            "max_storage_buffers_per_shader_stage",
            2 + state as u64,
            u64::from(limits.max_storage_buffers_per_shader_stage),
        ),
        // One group of four elements behind the worst alignment.
        ("max_storage_buffer_binding_size", alignment + 16, limits.max_storage_buffer_binding_size),
        ("max_uniform_buffer_binding_size", SLOT_BYTES, limits.max_uniform_buffer_binding_size),
        ("max_bind_groups", 2, u64::from(limits.max_bind_groups)),
    ];
    for (limit, needed, allowed) in needs {
        if needed > allowed {
            return Err(StepError::Limit { limit, needed, allowed });
        }
    }
    Ok(())
}
