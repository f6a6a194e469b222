//! Small pieces of device memory that share buffers: with 10,000 buffers alive, every submission
//! takes wgpu milliseconds.

use std::sync::{Arc, Mutex, PoisonError};

use super::errors::DeviceError;
use super::scope::{caught, new_buffer};

/// The largest piece of state or of structs that shares a buffer; a larger one gets its own.
pub(crate) const SHARED_BYTES: u64 = 64 << 10;
/// The smallest part, unless the device aligns storage more coarsely.
pub(crate) const PART_BYTES: u64 = 256;
/// Parts in the first page of a size; each page has twice as many as the one before.
const FIRST_PARTS: u64 = 16;
/// Parts in a page, however large they are, if a buffer can be as large.
const MIN_PARTS: u64 = 4;
/// The largest page of more parts.
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
    /// What is larger does not share a buffer.
    shared_bytes: u64,
    max_buffer: u64,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    buffers: Vec<wgpu::Buffer>,
    /// For each size, by its power of two: how many pages there are, and where parts are free.
    sizes: Vec<(u32, FreeList)>,
}

type FreeList = Arc<Mutex<Vec<Place>>>;

/// Where a part is.
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
    /// The number of its page in the pool; none for a part with a buffer of its own.
    pub(crate) page: Option<usize>,
    /// In bytes; a multiple of 256 and of the alignments for storage and uniforms.
    pub(crate) offset: u64,
    /// In bytes: what was asked for, and up to as much again; a multiple of 16.
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
    /// No memory yet, on a device with `limits`; parts of more than `shared_bytes` share no buffer.
    pub(crate) fn new(label: &'static str, limits: &wgpu::Limits, shared_bytes: u64) -> Self {
        let storage = limits.min_storage_buffer_offset_alignment;
        let alignment = storage.max(limits.min_uniform_buffer_offset_alignment);
        let part_bytes = u64::from(alignment).next_power_of_two().max(PART_BYTES);
        let (max_buffer, pages) = (limits.max_buffer_size, Mutex::default());
        Self { label, part_bytes, shared_bytes, max_buffer, pages }
    }

    /// A part of at least `bytes` bytes.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub(crate) fn take(&self, device: &wgpu::Device, bytes: u64) -> Result<Part, DeviceError> {
        let power = bytes.max(self.part_bytes).checked_next_power_of_two();
        let Some(size) =
            power.filter(|&size| bytes <= self.shared_bytes && size <= self.max_buffer)
        else {
            return self.alone(device, bytes);
        };
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let Pages { buffers, sizes } = &mut *pages;
        let power = size.trailing_zeros() as usize;
        sizes.resize_with(sizes.len().max(power + 1), Default::default);
        let (known, free) = &mut sizes[power];
        let taken = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let place = match taken {
            Some(place) => place,
            None => {
                let count = (FIRST_PARTS << (*known).min(32)).min(PAGE_BYTES / size);
                let count = count.max(MIN_PARTS).min(self.max_buffer / size);
                // Initialized as a whole. Otherwise wgpu clears what was never written when the page is
                // first submitted, and that can undo a write to a part that another thread has taken.
                let page = new_buffer(device, self.label, count * size, USAGE, true)?;
                caught(device, || page.unmap())?;
                buffers.push(page);
                *known += 1;
                let page = buffers.len() - 1;
                let place = |index| Place { page, offset: index * size, zeros: true };
                let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
                free.extend((1..count).rev().map(place));
                place(0)
            }
        };
        let Place { page, offset, zeros } = place;
        let guard = Arc::new(PartGuard { shared: Some((place, Arc::clone(free))) });
        Ok(Part { buffer: buffers[page].clone(), page: Some(page), offset, size, zeros, guard })
    }

    /// A part with a buffer of its own.
    fn alone(&self, device: &wgpu::Device, bytes: u64) -> Result<Part, DeviceError> {
        let size = bytes.checked_next_multiple_of(16).unwrap_or(bytes);
        let buffer = new_buffer(device, self.label, size, USAGE, false)?;
        let guard = Arc::new(PartGuard { shared: None });
        Ok(Part { buffer, page: None, offset: 0, size, zeros: true, guard })
    }
}

/// A part of a buffer, to be bound.
pub(crate) fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}

/// A whole buffer, to be bound.
pub(crate) fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    buffer.as_entire_buffer_binding()
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
