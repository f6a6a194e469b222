//! Uniform slots: each recorded step reads its own, so that N steps in one encoder can have N
//! learning rates.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::errors::DeviceError;
use super::scope::{caught, new_buffer};

/// Bytes in a slot of the device's own pool: the largest alignment that WebGPU lets a device ask
/// for, and the most that a rule's uniforms may take.
pub(crate) const SLOT_BYTES: u64 = 256;
/// Slots in a page of the smallest slots: 16 KiB.
const SLOTS_PER_PAGE: u32 = 64;
/// Slots in a page, however large they are.
const FEWEST_SLOTS_PER_PAGE: u32 = 4;

/// The slots of a device. Pages are added when all slots are taken and never given back, so that
/// a warm optimizer allocates nothing.
#[derive(Debug)]
pub(crate) struct SlotPool {
    /// A multiple of [`SLOT_BYTES`].
    slot_bytes: u64,
    layout: OnceLock<wgpu::BindGroupLayout>,
    pages: Mutex<Vec<Page>>,
    free: Arc<Mutex<Vec<SlotIndex>>>,
}

#[derive(Clone, Debug)]
struct Page {
    buffer: wgpu::Buffer,
    bind_group: wgpu::BindGroup,
}

#[derive(Clone, Copy, Debug)]
struct SlotIndex {
    page: usize,
    slot: u32,
}

/// A slot taken from the pool; it goes back when the last of its guards is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    guard: Arc<SlotGuard>,
    offset: u32,
    buffer: wgpu::Buffer,
    pub(crate) bind_group: wgpu::BindGroup,
}

/// Gives a slot back when dropped. Holds no handle of wgpu's, so that it is `Send` everywhere.
#[derive(Debug)]
pub(crate) struct SlotGuard {
    index: SlotIndex,
    free: Arc<Mutex<Vec<SlotIndex>>>,
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.index);
    }
}

impl Default for SlotPool {
    fn default() -> Self {
        Self::of_bytes(SLOT_BYTES)
    }
}

impl SlotPool {
    /// A pool whose slots hold at least `bytes`, which is at most the largest uniform binding.
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        let slot_bytes = bytes.max(1).next_multiple_of(SLOT_BYTES);
        let (layout, pages, free) = Default::default();
        Self { slot_bytes, layout, pages, free }
    }

    fn slots_per_page(&self) -> u32 {
        // At most `SLOTS_PER_PAGE`.
        let slots = (SLOT_BYTES * u64::from(SLOTS_PER_PAGE) / self.slot_bytes) as u32;
        slots.max(FEWEST_SLOTS_PER_PAGE)
    }

    /// The layout of the bind group that holds a slot: one uniform with a dynamic offset.
    pub(crate) fn layout(
        &self,
        device: &wgpu::Device,
    ) -> Result<wgpu::BindGroupLayout, DeviceError> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout.clone());
        }
        let layout = caught(device, || Self::new_layout(device))?;
        Ok(self.layout.get_or_init(|| layout).clone())
    }

    fn new_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("wgpu-optim uniforms"),
            entries: &[wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: true,
                    min_binding_size: None,
                },
                count: None,
            }],
        })
    }

    /// A free slot; a new page if there is none.
    pub(crate) fn take(&self, device: &wgpu::Device) -> Result<Slot, DeviceError> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = free().pop();
        let index = match taken {
            Some(index) => index,
            None => {
                let layout = self.layout(device)?;
                let page = self.page(device, &layout)?;
                pages.push(page);
                let page = pages.len() - 1;
                free()
                    .extend((1..self.slots_per_page()).rev().map(|slot| SlotIndex { page, slot }));
                SlotIndex { page, slot: 0 }
            }
        };
        let Page { buffer, bind_group } = pages[index.page].clone();
        let guard = Arc::new(SlotGuard { index, free: Arc::clone(&self.free) });
        // A page is a few slots of at most the largest uniform binding, which a u32 counts.
        let offset = index.slot * self.slot_bytes as u32;
        Ok(Slot { guard, offset, buffer, bind_group })
    }

    fn page(
        &self,
        device: &wgpu::Device,
        layout: &wgpu::BindGroupLayout,
    ) -> Result<Page, DeviceError> {
        let size = self.slot_bytes * u64::from(self.slots_per_page());
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        // Mapped, so that all of it is initialized at once. Otherwise wgpu clears what was never
        // written when the page is first submitted, and that can undo the write of a slot that
        // another thread has taken in the meantime.
        let buffer = new_buffer(device, "uniforms", size, usage, true)?;
        let bind_group = caught(device, || {
            buffer.unmap();
            uniform_group(device, layout, &buffer, self.slot_bytes)
        })?;
        Ok(Page { buffer, bind_group })
    }
}

/// The bind group of uniforms of `size` bytes at dynamic offsets in `buffer`.
pub(crate) fn uniform_group(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    buffer: &wgpu::Buffer,
    size: u64,
) -> wgpu::BindGroup {
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("wgpu-optim uniforms"),
        layout,
        entries: &[wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: 0,
                size: wgpu::BufferSize::new(size),
            }),
        }],
    })
}

impl Slot {
    /// The dynamic offset to bind with.
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// Queues the slot's new content, ahead of all that is submitted from now on.
    pub(crate) fn write(&self, queue: &wgpu::Queue, bytes: &[u8]) {
        queue.write_buffer(&self.buffer, u64::from(self.offset()), bytes);
    }

    /// A guard to be dropped when the work that reads the slot is done.
    pub(crate) fn guard(&self) -> Arc<SlotGuard> {
        Arc::clone(&self.guard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_and_pages_grow_only_when_all_are_taken() -> Result<(), DeviceError> {
        let (device, _queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let pool = SlotPool::default();
        let pages = || pool.pages.lock().unwrap_or_else(PoisonError::into_inner).len();
        for _ in 0..1000 {
            drop(pool.take(&device)?.guard());
        }
        assert_eq!(pages(), 1);
        let held: Vec<Slot> = (0..65).map(|_| pool.take(&device)).collect::<Result<_, _>>()?;
        assert_eq!(pages(), 2);
        let mut places: Vec<_> =
            held.iter().map(|slot| (slot.guard.index.page, slot.offset())).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 65, "no slot is given out twice");
        Ok(())
    }
}
