//! Waiting until a buffer is mapped for the host.

use std::future::poll_fn;
use std::task::Poll;

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use super::context::Gpu;
use super::errors::DownloadError;
use super::scope::now;

/// How to wait for the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wait {
    /// Polls the device each time the future is polled, and yields in between. Nothing blocks.
    Yield,
    /// Blocks the thread until the device is done, without using processor time.
    Block,
}

/// A mapping in progress.
#[derive(Debug)]
pub(crate) struct Mapping {
    mapped: OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
    done: Option<bool>,
}

impl Mapping {
    /// Requests a mapping of all of `buffer`, after the work submitted so far. Call it inside
    /// `catch`.
    pub(crate) fn start(buffer: &wgpu::Buffer, mode: wgpu::MapMode) -> Self {
        let (sender, mapped) = oneshot_channel();
        buffer.map_async(mode, .., move |result| {
            let _ = sender.send(result); // the receiver may have been dropped
        });
        Self { mapped, done: None }
    }

    /// Whether the mapping is done. Polls the device, but does not wait.
    pub(crate) fn is_ready(&mut self, gpu: &Gpu) -> Result<bool, DownloadError> {
        gpu.poll(wgpu::PollType::Poll)?;
        if self.done.is_none() {
            // A sender that was dropped without a result has failed.
            self.done = now(self.mapped.receive()).map(|result| result == Some(Ok(())));
        }
        Ok(self.done.is_some())
    }

    /// Waits for the mapping. [`Wait::Block`] waits for `submission`, the last one that uses the
    /// buffer, or for all submitted work if that is `None`.
    pub(crate) async fn finish(
        mut self,
        gpu: &Gpu,
        wait: Wait,
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Result<(), DownloadError> {
        if wait == Wait::Block && self.done.is_none() {
            gpu.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None })?;
        }
        // A browser makes progress by itself, but only while no code spins.
        #[cfg(target_arch = "wasm32")]
        if self.done.is_none() {
            self.done = Some(self.mapped.receive().await == Some(Ok(())));
        }
        // Each poll of the future polls the device, so any executor works.
        poll_fn(|context| match self.is_ready(gpu) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        })
        .await?;
        if self.done == Some(true) { Ok(()) } else { Err(refused(gpu, "it cannot map the buffer")) }
    }
}

/// The error of a buffer that cannot be mapped.
pub(crate) fn refused(gpu: &Gpu, message: &str) -> DownloadError {
    match gpu.is_lost() {
        true => DownloadError::DeviceLost,
        false => DownloadError::Rejected { message: message.to_owned() },
    }
}
