//! Buffers of the linear kernels.

use super::super::errors::TrainError;
use crate::gpu::{Gpu, StepError};

/// A storage buffer, padded to whole groups of four.
pub(super) fn storage(gpu: &Gpu, label: &str, bytes: u64) -> Result<wgpu::Buffer, TrainError> {
    let usage =
        wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let buffer = gpu.buffer(label, bytes.next_multiple_of(16), usage);
    Ok(buffer.map_err(StepError::from)?)
}
