//! The device memory of steps over rows, kept from step to step.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::context::Gpu;
use super::super::errors::{Caught, StepError};
use super::super::scope::caught;
use super::super::vector::GpuVec;
use crate::rules::NamedRows;

/// What an optimizer keeps for its steps over rows; nothing before the first.
#[derive(Debug, Default)]
pub(in crate::gpu) struct RowsMemory {
    pub(super) named: NamedRows,
    /// Jobs and lists: one buffer for each step that the device has not done yet.
    pub(super) lists: ListPool,
    /// Sums of row gradients that no one binding holds, and of rows that are named often.
    pub(super) sums: Scratch,
    /// What the parameters of each row share.
    pub(super) shared: Scratch,
}

/// Device memory of an optimizer's own, made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Scratch(Option<GpuVec>);

impl Scratch {
    /// Room for `len` elements.
    pub(super) fn room(&mut self, gpu: &Gpu, len: usize) -> Result<GpuVec, StepError> {
        let known = self.0.take().filter(|vector| vector.len() >= len);
        let vector = match known {
            Some(vector) => vector,
            None => gpu.zeros(len).map_err(StepError::State)?,
        };
        let part = vector.slice(0..len).map_err(StepError::State)?;
        self.0 = Some(vector);
        Ok(part)
    }
}

/// Buffers that are taken for a step and come back when the device has done it. They are kept, so
/// that a step with no more rows than before allocates none.
#[derive(Debug, Default)]
pub(super) struct ListPool {
    buffers: Vec<wgpu::Buffer>,
    free: Arc<Mutex<Vec<usize>>>,
}

/// Gives a buffer back when dropped. Holds no handle of wgpu's, so that it is `Send` everywhere.
#[derive(Debug)]
pub(super) struct ListGuard {
    index: usize,
    free: Arc<Mutex<Vec<usize>>>,
}

impl Drop for ListGuard {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.index);
    }
}

impl ListPool {
    /// A free buffer of at least `bytes` bytes: the smallest that will do, else a new one in place
    /// of one that is too small.
    pub(super) fn take(
        &mut self,
        device: &wgpu::Device,
        bytes: u64,
    ) -> Result<(wgpu::Buffer, ListGuard), Caught> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |index: usize| self.buffers[index].size();
        let large = (0..free.len()).filter(|&place| size(free[place]) >= bytes);
        let chosen = large.min_by_key(|&place| size(free[place]));
        let (place, known) = (chosen.or(free.len().checked_sub(1)), chosen.is_some());
        if !known {
            // Room for some more, up to what the device allows.
            let size = bytes.next_power_of_two().min(device.limits().max_buffer_size).max(bytes);
            let buffer = caught(device, || {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("wgpu-optim rows"),
                    size,
                    usage: wgpu::BufferUsages::STORAGE
                        | wgpu::BufferUsages::UNIFORM
                        | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            })?;
            match place {
                Some(place) => self.buffers[free[place]] = buffer,
                None => self.buffers.push(buffer),
            }
        }
        let index = place.map_or(self.buffers.len() - 1, |place| free.swap_remove(place));
        drop(free);
        let guard = ListGuard { index, free: Arc::clone(&self.free) };
        Ok((self.buffers[index].clone(), guard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_grow_in_their_place() -> Result<(), Caught> {
        let (device, _queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let mut pool = ListPool::default();
        let (small, held) = pool.take(&device, 100)?;
        let (large, second) = pool.take(&device, 1000)?;
        assert_eq!((small.size(), large.size(), pool.buffers.len()), (128, 1024, 2));
        drop((held, second));
        // The smallest that will do.
        let (again, held) = pool.take(&device, 128)?;
        assert_eq!(again, small);
        let (again, second) = pool.take(&device, 128)?;
        assert_eq!(again, large);
        drop((held, second));
        let (grown, _held) = pool.take(&device, 2000)?;
        assert_eq!((grown.size(), pool.buffers.len()), (2048, 2));
        Ok(())
    }
}
