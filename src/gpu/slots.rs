//! Uniform slots: each recorded step reads its own slot, so that N steps in one encoder can have N
//! learning rates.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::errors::DeviceError;
use super::memory::range;
use super::memory::{PART_BYTES, Part, PartGuard, PartPool};
use super::scope::caught;

/// The maximum size of a rule's uniforms in bytes, and the size of the smallest slot.
pub(crate) const SLOT_BYTES: u64 = PART_BYTES;

/// The slots of a device. They are reused, so that repeated steps allocate nothing.
#[derive(Debug)]
pub(crate) struct SlotPool {
    parts: PartPool,
    /// The maximum size of a uniform binding, in bytes.
    max_bytes: u64,
    layout: OnceLock<wgpu::BindGroupLayout>,
    /// The bind group of each page, by the page's number.
    groups: Mutex<Vec<Option<wgpu::BindGroup>>>,
}

/// A slot taken from the pool. It becomes free when the last of its guards is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    part: Part,
    pub(crate) bind_group: wgpu::BindGroup,
}

impl SlotPool {
    /// Creates an empty pool for a device with `limits`.
    pub(crate) fn new(limits: &wgpu::Limits) -> Self {
        let parts = PartPool::new("uniforms", limits, u64::MAX);
        let max_bytes = limits.max_uniform_buffer_binding_size;
        Self { parts, max_bytes, layout: OnceLock::new(), groups: Mutex::default() }
    }

    /// The layout of the bind group that holds a slot: one uniform with a dynamic offset.
    pub(crate) fn layout(
        &self,
        device: &wgpu::Device,
    ) -> Result<wgpu::BindGroupLayout, DeviceError> {
        if let Some(layout) = self.layout.get() {
            return Ok(layout.clone());
        }
        let descriptor = wgpu::BindGroupLayoutDescriptor {
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
        };
        let layout = caught(device, || device.create_bind_group_layout(&descriptor))?;
        Ok(self.layout.get_or_init(|| layout).clone())
    }

    /// Takes a slot of at least `bytes` bytes. `bytes` is at most the size of a uniform binding.
    pub(crate) fn take(&self, device: &wgpu::Device, bytes: u64) -> Result<Slot, DeviceError> {
        let part = self.parts.take(device, bytes)?;
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = part.page.and_then(|page| groups.get(page)?.clone()) {
            return Ok(Slot { part, bind_group: known });
        }
        let (layout, size) = (self.layout(device)?, part.size.min(self.max_bytes));
        let bind_group = caught(device, || uniform_group(device, &layout, &part.buffer, size))?;
        if let Some(page) = part.page {
            let known = groups.len().max(page + 1);
            groups.resize(known, None);
            groups[page] = Some(bind_group.clone());
        }
        Ok(Slot { part, bind_group })
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
            resource: wgpu::BindingResource::Buffer(range(buffer, 0, size)),
        }],
    })
}

impl Slot {
    /// The dynamic offset to bind with.
    pub(crate) fn offset(&self) -> u32 {
        self.part.offset as u32 // in a page of few parts, or of at most 1 MiB
    }

    /// Queues a write of the slot's content, before everything that is submitted from now on.
    pub(crate) fn write(&self, queue: &wgpu::Queue, bytes: &[u8]) {
        queue.write_buffer(&self.part.buffer, self.part.offset, bytes);
    }

    /// A guard of the slot. Drop it when the work that reads the slot is done.
    pub(crate) fn guard(&self) -> Arc<PartGuard> {
        Arc::clone(&self.part.guard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_and_pages_added_only_when_all_are_taken() -> Result<(), DeviceError> {
        let (device, _queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let pool = SlotPool::new(&device.limits());
        let pages = || pool.groups.lock().unwrap_or_else(PoisonError::into_inner).len();
        for _ in 0..1000 {
            drop(pool.take(&device, 64)?.guard());
        }
        assert_eq!(pages(), 1);
        let held = (0..17).map(|_| pool.take(&device, 256)).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(pages(), 2);
        let mut places: Vec<_> = held.iter().map(|slot| (slot.part.page, slot.offset())).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 17, "no slot is given out twice");
        Ok(())
    }
}
