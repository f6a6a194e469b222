//! Reading device memory back: a staging buffer, a copy, and a mapping.

use super::context::Gpu;
use super::errors::{DeviceError, DownloadError, full_message};
use super::mapping::{Mapping, Wait, refused};

/// A copy of a part of a buffer, on its way to the host.
pub(crate) struct Readback {
    staging: wgpu::Buffer,
    mapping: Mapping,
    bytes: u64,
}

impl Readback {
    /// Submits a copy of `bytes` bytes of `buffer` from `offset` on, after all work submitted so
    /// far.
    pub(crate) fn start(
        gpu: &Gpu,
        buffer: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Self, DownloadError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let start = || {
            let staging = gpu.buffer("readback", bytes, usage)?;
            let encoder = gpu.catch(|| {
                let mut encoder = gpu.device().create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
                encoder
            })?;
            gpu.submit(encoder)?;
            let mapping = gpu.catch(|| Mapping::start(&staging, wgpu::MapMode::Read))?;
            Ok((staging, mapping))
        };
        let (staging, mapping) = start().map_err(|error: DeviceError| error.for_download(bytes))?;
        Ok(Self { staging, mapping, bytes })
    }

    /// Whether the bytes have arrived. Polls the device, but does not wait.
    #[cfg(feature = "linear")]
    pub(crate) fn is_ready(&mut self, gpu: &Gpu) -> Result<bool, DownloadError> {
        self.mapping.is_ready(gpu)
    }

    /// Waits for the bytes and passes them to `read`.
    pub(crate) async fn read<T>(
        self,
        gpu: &Gpu,
        wait: Wait,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, DownloadError> {
        self.mapping.finish(gpu, wait, None).await?;
        let view = self
            .staging
            .get_mapped_range(..self.bytes)
            .map_err(|error| refused(gpu, &full_message(&error)))?;
        let value = read(&view);
        drop(view);
        self.staging.unmap();
        Ok(value)
    }
}
