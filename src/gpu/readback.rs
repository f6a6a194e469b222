//! Reading device memory back: a staging buffer, a copy, and a future that ends when it is mapped.

use std::future::poll_fn;
use std::task::Poll;

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use super::context::{Gpu, Lost};
use super::errors::DownloadError;
use super::scope::{caught, now};

/// How a readback waits for the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wait {
    /// Asks the device each time the future is polled and yields in between: nothing blocks.
    Yield,
    /// Blocks the thread until the device is done: no processor time is spent.
    Block,
}

/// A copy of a part of a buffer, on its way to the host.
pub(crate) struct Readback {
    staging: wgpu::Buffer,
    mapped: OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
    bytes: u64,
    done: Option<bool>,
}

impl Readback {
    /// Submits the copy of `bytes` bytes of `buffer` from `offset`, behind all work submitted.
    pub(crate) fn start(
        gpu: &Gpu,
        buffer: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Self, DownloadError> {
        if gpu.is_lost() {
            return Err(DownloadError::DeviceLost);
        }
        let (sender, mapped) = oneshot_channel();
        let staging = caught(gpu.device(), || {
            let staging = gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgpu-optim readback"),
                size: bytes,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, bytes);
            gpu.queue().submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., move |result| {
                let _ = sender.send(result); // the receiver may have been dropped
            });
            staging
        })
        .map_err(|error| error.for_download(bytes))?;
        Ok(Self { staging, mapped, bytes, done: None })
    }

    /// Whether the bytes have arrived; asks the device, but does not wait.
    pub(crate) fn is_ready(&mut self, gpu: &Gpu) -> Result<bool, DownloadError> {
        gpu.poll(wgpu::PollType::Poll).map_err(|Lost| DownloadError::DeviceLost)?;
        if self.done.is_none() {
            // A sender that is gone without a word means that the device is gone.
            self.done = now(self.mapped.receive()).map(|result| result == Some(Ok(())));
        }
        Ok(self.done.is_some())
    }

    /// Waits for the bytes and hands them to `read`.
    pub(crate) async fn read<T>(
        mut self,
        gpu: &Gpu,
        wait: Wait,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, DownloadError> {
        if wait == Wait::Block && self.done.is_none() {
            gpu.poll(wgpu::PollType::wait_indefinitely())
                .map_err(|Lost| DownloadError::DeviceLost)?;
        }
        // A browser makes progress by itself, and only while nothing spins.
        #[cfg(target_arch = "wasm32")]
        if self.done.is_none() {
            self.done = Some(self.mapped.receive().await == Some(Ok(())));
        }
        // The device is asked at each poll of the future, so any executor will do.
        poll_fn(|context| match self.is_ready(gpu) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        })
        .await?;
        if self.done != Some(true) {
            return Err(DownloadError::DeviceLost);
        }
        let view = self
            .staging
            .get_mapped_range(..self.bytes)
            .map_err(|error| DownloadError::Rejected { message: error.to_string() })?;
        let value = read(&view);
        drop(view);
        self.staging.unmap();
        Ok(value)
    }
}
