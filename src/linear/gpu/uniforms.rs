//! The hyper-parameters of many steps in one submission.

use super::super::errors::TrainError;
use super::memory::storage;
use crate::gpu::{Gpu, StepError};
use crate::rules::Rule;

/// The maximum number of steps of a submission, if a binding has room for as many.
const SUBMISSION_STEPS: usize = 4096;

/// One `Hyper` a step, in a storage buffer.
pub(super) struct StepUniforms<R: Rule> {
    pub(super) buffer: wgpu::Buffer,
    /// Those of this submission, and of the one before.
    steps: Vec<R::Uniforms>,
    written: Vec<R::Uniforms>,
    /// How many there is room for.
    capacity: usize,
}

impl<R: Rule> StepUniforms<R> {
    pub(super) fn new(gpu: &Gpu) -> Result<Self, TrainError> {
        let limits = gpu.device().limits();
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let size = size_of::<R::Uniforms>();
        let room = usize::try_from(binding).unwrap_or(usize::MAX) / size;
        let capacity = SUBMISSION_STEPS.min(room).max(1);
        let buffer = storage(gpu, "hyper-parameters", (size * capacity) as u64)?;
        Ok(Self { buffer, steps: Vec::new(), written: Vec::new(), capacity })
    }

    /// Whether a submission has as many steps as there is room for.
    pub(super) fn is_full(&self) -> bool {
        self.steps.len() >= self.capacity
    }

    /// Adds a step; says its number in the submission.
    pub(super) fn push(&mut self, uniforms: R::Uniforms) -> u32 {
        self.steps.push(uniforms);
        self.steps.len() as u32 - 1 // below the capacity
    }

    /// Queues the uniforms of a submission's steps, ahead of it.
    pub(super) fn write(&mut self, gpu: &Gpu) -> Result<(), TrainError> {
        let steps = std::mem::take(&mut self.steps);
        // By their bytes: 0 and -0 are equal numbers, but not the same uniforms.
        let bytes: &[u8] = bytemuck::cast_slice(&steps);
        if bytemuck::cast_slice::<_, u8>(&self.written).starts_with(bytes) {
            return Ok(());
        }
        gpu.catch(|| gpu.queue().write_buffer(&self.buffer, 0, bytes)).map_err(StepError::from)?;
        self.written = steps;
        Ok(())
    }
}
