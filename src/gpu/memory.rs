//! Small pieces of device memory that share buffers: with 10,000 buffers alive, every submission
//! takes wgpu milliseconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::errors::DeviceError;
use super::scope::{caught, new_buffer};

/// The largest part that shares a buffer; a larger one gets its own.
pub(crate) const SHARED_BYTES: u64 = 64 << 10;
/// The smallest part, unless the device aligns storage more coarsely.
const PART_BYTES: u64 = 256;
/// Parts in the first page of a size; each page has twice as many as the one before.
const FIRST_PARTS: u64 = 16;
/// The largest page.
const PAGE_BYTES: u64 = 1 << 20;

const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::UNIFORM)
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// Memory for parts that dispatches bind alike. Every part has a power of two of bytes, and a page
/// has parts of one size, so that what was given back fits again. Pages are kept.
#[derive(Debug)]
pub(crate) struct PartPool {
    label: &'static str,
    /// The size of the smallest parts, a power of two, and thus the alignment of all.
    part_bytes: u64,
    largest_page: u64,
    sizes: Mutex<HashMap<u64, Size>>,
}

/// The pages of parts of one size.
#[derive(Debug, Default)]
struct Size {
    pages: Vec<wgpu::Buffer>,
    free: FreeList,
}

type FreeList = Arc<Mutex<Vec<Place>>>;

/// Where a part is free.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    page: usize,
    offset: u64,
    /// Whether it still holds the zeros that the page was made with.
    zeros: bool,
}

/// A piece of device memory, free again when the last clone of its guard is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) buffer: wgpu::Buffer,
    /// In bytes; a multiple of 256 and of the alignments for storage and uniforms.
    pub(crate) offset: u64,
    /// In bytes: what was asked for, and up to as much again; a multiple of 16.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests hold parts to it"))]
    pub(crate) size: u64,
    /// Whether it holds zeros. What was in use before holds what was left there.
    pub(crate) zeros: bool,
    /// Keep it until all commands that use the part have been submitted: what is queued then comes
    /// behind them. A bind group does not keep it.
    pub(crate) guard: Arc<PartGuard>,
}

/// Gives a part back when dropped. Holds no handle of wgpu's, so that it is `Send` everywhere.
#[derive(Debug)]
pub(crate) struct PartGuard {
    /// None for a part with a buffer of its own.
    shared: Option<(Place, FreeList)>,
}

impl Drop for PartGuard {
    fn drop(&mut self) {
        if let Some((place, free)) = &self.shared {
            let place = Place { zeros: false, ..*place };
            free.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        }
    }
}

impl PartPool {
    /// No memory yet, on a device with `limits`.
    pub(crate) fn new(label: &'static str, limits: &wgpu::Limits) -> Self {
        let storage = limits.min_storage_buffer_offset_alignment;
        let alignment = storage.max(limits.min_uniform_buffer_offset_alignment);
        let part_bytes = u64::from(alignment).next_power_of_two().max(PART_BYTES);
        let largest_page = PAGE_BYTES.min(limits.max_buffer_size);
        Self { label, part_bytes, largest_page, sizes: Mutex::default() }
    }

    /// A part of at least `bytes` bytes.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub(crate) fn take(&self, device: &wgpu::Device, bytes: u64) -> Result<Part, DeviceError> {
        let size = bytes.clamp(self.part_bytes, SHARED_BYTES.max(self.part_bytes));
        let size = size.next_power_of_two();
        if bytes > size || size > self.largest_page {
            return self.alone(device, bytes);
        }
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let Size { pages, free } = sizes.entry(size).or_default();
        let known = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let place = match known {
            Some(place) => place,
            None => {
                let count = FIRST_PARTS.saturating_mul(1 << pages.len().min(32));
                let count = count.min(self.largest_page / size);
                pages.push(self.page(device, count * size)?);
                let page = pages.len() - 1;
                let place = |index| Place { page, offset: index * size, zeros: true };
                let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
                free.extend((1..count).rev().map(place));
                place(0)
            }
        };
        let Place { page, offset, zeros } = place;
        let guard = Arc::new(PartGuard { shared: Some((place, Arc::clone(free))) });
        Ok(Part { buffer: pages[page].clone(), offset, size, zeros, guard })
    }

    /// A part with a buffer of its own.
    fn alone(&self, device: &wgpu::Device, bytes: u64) -> Result<Part, DeviceError> {
        let size = bytes.checked_next_multiple_of(16).unwrap_or(bytes);
        let buffer = new_buffer(device, self.label, size, USAGE, false)?;
        let guard = Arc::new(PartGuard { shared: None });
        Ok(Part { buffer, offset: 0, size, zeros: true, guard })
    }

    /// A buffer that is initialized as a whole: see the pages of uniforms for why.
    fn page(&self, device: &wgpu::Device, size: u64) -> Result<wgpu::Buffer, DeviceError> {
        let buffer = new_buffer(device, self.label, size, USAGE, true)?;
        caught(device, || buffer.unmap())?;
        Ok(buffer)
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
