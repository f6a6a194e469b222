//! A buffer that the host fills and the device copies from, repeatedly.

use super::context::Gpu;
use super::errors::{DeviceError, DownloadError, full_message};
use super::mapping::{Mapping, Wait, refused};
use super::scope::new_buffer;

/// A staging buffer.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) buffer: wgpu::Buffer,
    /// The last copy and the mapping after it; `None` while the buffer is mapped.
    under_way: Option<(Mapping, wgpu::SubmissionIndex)>,
}

impl Staging {
    /// Creates a buffer of `bytes` bytes.
    pub(crate) fn new(gpu: &Gpu, bytes: u64) -> Result<Self, DeviceError> {
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let buffer = new_buffer(gpu.device(), "staging", bytes, usage, true)?;
        Ok(Self { buffer, under_way: None })
    }

    /// Waits until the device has copied the previous content, then lets `fill` write the first
    /// `bytes` bytes. After that, encode and submit the copy, and call [`Staging::submitted`].
    pub(crate) async fn fill(
        &mut self,
        gpu: &Gpu,
        wait: Wait,
        bytes: u64,
        fill: impl FnOnce(wgpu::WriteOnly<'_, [u8]>),
    ) -> Result<(), DownloadError> {
        if let Some((mapping, submission)) = self.under_way.take() {
            mapping.finish(gpu, wait, Some(submission)).await?;
        }
        let mut view = self
            .buffer
            .get_mapped_range_mut(..bytes)
            .map_err(|error| refused(gpu, &full_message(&error)))?;
        fill(view.slice(..));
        drop(view);
        self.buffer.unmap();
        Ok(())
    }

    /// Call it after submitting the copy. It maps the buffer again as soon as the copy is done.
    pub(crate) fn submitted(
        &mut self,
        gpu: &Gpu,
        submission: wgpu::SubmissionIndex,
    ) -> Result<(), DeviceError> {
        let map = || Mapping::start(&self.buffer, wgpu::MapMode::Write);
        self.under_way = Some((gpu.catch(map)?, submission));
        Ok(())
    }
}
