//! A buffer that the host fills and the device copies from, again and again.

use super::context::Gpu;
use super::errors::{DeviceError, DownloadError, full_message};
use super::mapping::{Mapping, Wait, refused};
use super::scope::new_buffer;

/// Host memory on its way to the device.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) buffer: wgpu::Buffer,
    /// None while the buffer is mapped.
    under_way: Option<(Mapping, wgpu::SubmissionIndex)>,
}

impl Staging {
    /// Room for `bytes` bytes.
    pub(crate) fn new(gpu: &Gpu, bytes: u64) -> Result<Self, DeviceError> {
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let buffer = new_buffer(gpu.device(), "staging", bytes, usage, true)?;
        Ok(Self { buffer, under_way: None })
    }

    /// Waits until the device has copied what was here before, and lets `fill` write the first
    /// `bytes` bytes. Encode the copy then, submit it, and say so to [`Staging::submitted`].
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

    /// The copy has been submitted: maps the buffer again as soon as it is done.
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
