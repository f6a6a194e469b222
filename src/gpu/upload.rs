//! Uploads of small structs. They are collected at offsets that can be bound, and sent with one
//! write per buffer.

use std::ops::Range;
use std::sync::Arc;

use super::context::Gpu;
use super::errors::DeviceError;
use super::memory::range;
use super::memory::{Part, PartGuard};

/// The structs collected so far.
#[derive(Debug)]
pub(crate) struct Upload {
    alignment: usize,
    /// The maximum size of a buffer, in bytes.
    max_bytes: usize,
    buffers: Vec<Vec<u8>>,
}

/// The place of a struct in an upload.
#[derive(Clone, Debug)]
pub(crate) struct UploadPlace {
    buffer: usize,
    bytes: Range<u64>,
}

impl Upload {
    /// Creates an upload for structs that are bound as storage or as uniforms.
    pub(crate) fn new(gpu: &Gpu) -> Self {
        let limits = gpu.device().limits();
        let storage = limits.min_storage_buffer_offset_alignment;
        let alignment = storage.max(limits.min_uniform_buffer_offset_alignment).max(16) as usize;
        let max_bytes = usize::try_from(limits.max_buffer_size).unwrap_or(usize::MAX);
        Self { alignment, max_bytes, buffers: Vec::new() }
    }

    /// Adds a struct, or several that are bound together.
    pub(crate) fn push<T: bytemuck::NoUninit>(&mut self, structs: &[T]) -> UploadPlace {
        let new: &[u8] = bytemuck::cast_slice(structs);
        let (alignment, max_bytes) = (self.alignment, self.max_bytes);
        let start = |known: &Vec<u8>| known.len().next_multiple_of(alignment);
        let last = self.buffers.last();
        if last.is_none_or(|known| start(known) + new.len() > max_bytes) {
            self.buffers.push(Vec::new());
        }
        let buffer = self.buffers.len() - 1;
        let bytes = &mut self.buffers[buffer];
        let start = start(bytes);
        bytes.resize(start, 0);
        bytes.extend_from_slice(new);
        UploadPlace { buffer, bytes: start as u64..bytes.len() as u64 }
    }

    /// Queues the writes of all structs, before everything that is submitted from now on.
    pub(crate) fn send(self, gpu: &Gpu) -> Result<Uploaded, DeviceError> {
        let mut parts = Vec::with_capacity(self.buffers.len());
        for mut bytes in self.buffers {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let part = gpu.small_storage(bytes.len() as u64)?;
            let write = || gpu.queue().write_buffer(&part.buffer, part.offset, &bytes);
            gpu.catch(write)?;
            parts.push(part);
        }
        Ok(Uploaded { parts })
    }
}

/// The structs that have been sent.
#[derive(Debug)]
pub(crate) struct Uploaded {
    parts: Vec<Part>,
}

impl Uploaded {
    /// The binding of a struct.
    pub(crate) fn binding(&self, place: &UploadPlace) -> wgpu::BufferBinding<'_> {
        let part = &self.parts[place.buffer];
        let UploadPlace { bytes, .. } = place;
        range(&part.buffer, part.offset + bytes.start, bytes.end - bytes.start)
    }

    /// The guards that keep the memory from being reused.
    pub(crate) fn guards(self) -> impl Iterator<Item = Arc<PartGuard>> {
        self.parts.into_iter().map(|part| part.guard)
    }
}
