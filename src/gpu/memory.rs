//! Small pieces of device memory that share buffers. With 10,000 buffers alive, every submission
//! would take wgpu milliseconds.

use std::sync::{Arc, Mutex, PoisonError};

use super::errors::DeviceError;
use super::scope::{caught, new_buffer};

/// The maximum size of state or structs that share a buffer, in bytes. Larger ones get their own
/// buffer.
pub(crate) const SHARED_BYTES: u64 = 64 << 10;
/// The size of the smallest part in bytes, unless the device needs a coarser alignment.
pub(crate) const PART_BYTES: u64 = 256;
/// The number of parts in the first page of a size. Each further page has twice as many.
const FIRST_PARTS: u64 = 16;
/// The minimum number of parts in a page, however large they are, if a buffer can be that large.
const MIN_PARTS: u64 = 4;
/// The maximum size of a page with more parts, in bytes.
const PAGE_BYTES: u64 = 1 << 20;

const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::UNIFORM)
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// Memory for parts that dispatches bind in the same way. The size of a part is a power of two, and
/// a page has parts of one size, so that a returned part fits the next request. Pages are freed
/// only with the pool.
#[derive(Debug)]
pub(crate) struct PartPool {
    label: &'static str,
    /// The size of the smallest parts in bytes: a power of two, and so the alignment of all parts.
    part_bytes: u64,
    /// Parts of more bytes than this get their own buffer.
    shared_bytes: u64,
    max_buffer: u64,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    buffers: Vec<wgpu::Buffer>,
    /// For each size, by its power of two: the number of pages, and the free parts.
    sizes: Vec<(u32, FreeList)>,
}

type FreeList = Arc<Mutex<Vec<Place>>>;

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    page: usize,
    offset: u64,
    /// Whether it still holds the zeros with which the page was created.
    zeros: bool,
}

/// A piece of device memory. It becomes free when the last clone of its guard is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) buffer: wgpu::Buffer,
    /// The number of its page in the pool; `None` for a part with its own buffer.
    pub(crate) page: Option<usize>,
    /// In bytes; a multiple of 256 and of the alignments for storage and uniforms.
    pub(crate) offset: u64,
    /// In bytes: at least what was requested; a multiple of 16.
    pub(crate) size: u64,
    /// Whether it holds zeros. A reused part holds what was left there.
    pub(crate) zeros: bool,
    /// Hold it until all commands that use the part have been submitted: a write that is queued
    /// later then runs after them. A bind group does not hold it.
    pub(crate) guard: Arc<PartGuard>,
}

/// Returns a part to the pool when dropped. It holds no wgpu handle, so it is `Send` on all
/// targets.
#[derive(Debug)]
pub(crate) struct PartGuard {
    /// `None` for a part with its own buffer.
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
    /// Creates an empty pool for a device with `limits`. Parts of more than `shared_bytes` bytes
    /// get their own buffer.
    pub(crate) fn new(label: &'static str, limits: &wgpu::Limits, shared_bytes: u64) -> Self {
        let storage = limits.min_storage_buffer_offset_alignment;
        let alignment = storage.max(limits.min_uniform_buffer_offset_alignment);
        let part_bytes = u64::from(alignment).next_power_of_two().max(PART_BYTES);
        let (max_buffer, pages) = (limits.max_buffer_size, Mutex::default());
        Self { label, part_bytes, shared_bytes, max_buffer, pages }
    }

    /// Takes a part of at least `bytes` bytes.
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
                // Initialize the whole page now. Otherwise wgpu clears its unwritten parts when the
                // page is first submitted, which can undo a write to a part that another thread has
                // taken.
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

    /// A part with its own buffer.
    fn alone(&self, device: &wgpu::Device, bytes: u64) -> Result<Part, DeviceError> {
        let size = bytes.checked_next_multiple_of(16).unwrap_or(bytes);
        let buffer = new_buffer(device, self.label, size, USAGE, false)?;
        let guard = Arc::new(PartGuard { shared: None });
        Ok(Part { buffer, page: None, offset: 0, size, zeros: true, guard })
    }
}

/// The binding of a part of a buffer.
pub(crate) fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}

/// The binding of a whole buffer.
pub(crate) fn whole(buffer: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
    buffer.as_entire_buffer_binding()
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
