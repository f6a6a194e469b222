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
    /// Asks the device each time the future is polled and yields in between: nothing blocks.
    Yield,
    /// Blocks the thread until the device is done: no processor time is spent.
    Block,
}

/// A mapping under way.
#[derive(Debug)]
pub(crate) struct Mapping {
    mapped: OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
    done: Option<bool>,
}

impl Mapping {
    /// Asks for all of `buffer`, behind the work submitted so far. Run it inside `catch`.
    pub(crate) fn start(buffer: &wgpu::Buffer, mode: wgpu::MapMode) -> Self {
        let (sender, mapped) = oneshot_channel();
        buffer.map_async(mode, .., move |result| {
            let _ = sender.send(result); // the receiver may have been dropped
        });
        Self { mapped, done: None }
    }

    /// Whether it is done; asks the device, but does not wait.
    pub(crate) fn is_ready(&mut self, gpu: &Gpu) -> Result<bool, DownloadError> {
        gpu.poll(wgpu::PollType::Poll)?;
        if self.done.is_none() {
            // A sender that is gone without a word has failed.
            self.done = now(self.mapped.receive()).map(|result| result == Some(Ok(())));
        }
        Ok(self.done.is_some())
    }

    /// Waits for it; blocking, no longer than for `submission`, the last that uses the buffer, or
    /// for all work if that is not known.
    pub(crate) async fn finish(
        mut self,
        gpu: &Gpu,
        wait: Wait,
        submission: Option<wgpu::SubmissionIndex>,
    ) -> Result<(), DownloadError> {
        if wait == Wait::Block && self.done.is_none() {
            gpu.poll(wgpu::PollType::Wait { submission_index: submission, timeout: None })?;
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
        if self.done == Some(true) { Ok(()) } else { Err(refused(gpu, "it maps no buffer")) }
    }
}

/// Why a buffer cannot be mapped.
pub(crate) fn refused(gpu: &Gpu, message: &str) -> DownloadError {
    match gpu.is_lost() {
        true => DownloadError::DeviceLost,
        false => DownloadError::Rejected { message: message.to_owned() },
    }
}
