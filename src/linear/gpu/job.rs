//! The jobs of a submission's dispatches, and the buffers from which the device reads such structs.

use crate::gpu::{DeviceError, Gpu};

/// `struct Job` of `shaders/linear/job.wgsl`, which documents the fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Job {
    pub(super) rows: u32,
    pub(super) first: u32,
    pub(super) ordered: u32,
    pub(super) row_first: u32,
    pub(super) table_first: u32,
    pub(super) gathered: u32,
    pub(super) batch_rows: u32,
    pub(super) batches: u32,
    pub(super) first_step: u32,
    pub(super) columns: u32,
    pub(super) column_groups: u32,
    pub(super) group_first: u32,
    pub(super) groups: u32,
    pub(super) fresh: u32,
    pub(super) terms: u32,
    pub(super) output: u32,
    pub(super) divisor: f32,
    pub(super) l1: f32,
    pub(super) l2: f32,
    pub(super) skip: u32,
}

/// Structs that a submission reads, written together before it.
#[derive(Debug)]
pub(super) struct Structs {
    pub(super) buffer: wgpu::Buffer,
    stride: usize,
    capacity: usize,
    /// The structs of this submission, and the content at the start of the buffer.
    bytes: Vec<u8>,
    written: Vec<u8>,
}

impl Structs {
    /// Creates a buffer for `max_count` structs, `stride` bytes apart, or for as many as fit in
    /// `max_bytes` bytes.
    pub(super) fn new(
        gpu: &Gpu,
        label: &str,
        usage: wgpu::BufferUsages,
        stride: u64,
        max_count: u64,
        max_bytes: u64,
    ) -> Result<Self, DeviceError> {
        let capacity = max_count.min(max_bytes / stride).max(1);
        let bytes = (stride * capacity).next_multiple_of(16);
        Ok(Self {
            buffer: gpu.buffer(label, bytes, usage | wgpu::BufferUsages::COPY_DST)?,
            stride: stride as usize, // both are small
            capacity: capacity as usize,
            bytes: Vec::new(),
            written: Vec::new(),
        })
    }

    /// Whether there is room for `count` more.
    pub(super) fn has_room(&self, count: usize) -> bool {
        self.count() + count <= self.capacity
    }

    /// The number of structs in this submission.
    pub(super) fn count(&self) -> usize {
        self.bytes.len() / self.stride
    }

    /// Adds a struct. Returns its number in the submission.
    pub(super) fn push(&mut self, bytes: &[u8]) -> u32 {
        let number = self.count();
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.stride * (number + 1), 0);
        number as u32 // below the capacity
    }

    /// Where a struct begins in the buffer, in bytes.
    pub(super) fn offset(&self, number: usize) -> u32 {
        (number * self.stride) as u32 // far fewer than 2^24 of 256 bytes
    }

    /// Queues the write of this submission's structs, before everything that is submitted from now
    /// on. Structs that are added later belong to the next submission.
    pub(super) fn write(&mut self, gpu: &Gpu) -> Result<(), DeviceError> {
        if !self.written.starts_with(&self.bytes) {
            gpu.catch(|| gpu.queue().write_buffer(&self.buffer, 0, &self.bytes))?;
            std::mem::swap(&mut self.written, &mut self.bytes);
        }
        self.bytes.clear();
        Ok(())
    }
}
