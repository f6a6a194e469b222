//! Error scopes: wgpu's errors as results, and whether a device is lost.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::errors::DeviceError;

/// Runs `work` with every error of the device caught, and wgpu's panics too: it panics on a handle
/// that its instance has never heard of. Code that has the [`super::Gpu`] calls its `catch`, which
/// remembers a loss.
///
/// Natively a scope's result is there at once. In a browser it comes later; there the error goes
/// to the caller's own uncaptured-error handler instead.
///
/// # Errors
/// [`DeviceError`]. A lost device's calls mostly succeed without an effect: `Ok` does not mean
/// that it is alive.
pub(crate) fn caught<T>(device: &wgpu::Device, work: impl FnOnce() -> T) -> Result<T, DeviceError> {
    let error = match scoped(device, work) {
        (None, Ok(value)) => return Ok(value),
        (Some(error), _) => error.into(),
        (None, Err(_)) => DeviceError::Foreign("it is of another wgpu instance".to_owned()),
    };
    // What fails on a lost device fails for that reason, whatever wgpu calls it.
    Err(if is_lost(device) { DeviceError::Lost } else { error })
}

/// What `work` returned or panicked with, and the first error that it caused.
fn scoped<T>(
    device: &wgpu::Device,
    work: impl FnOnce() -> T,
) -> (Option<wgpu::Error>, std::thread::Result<T>) {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let value = catch_unwind(AssertUnwindSafe(work));
    // All three are popped, in reverse order, before the first error is returned.
    let validation = now(validation.pop()).flatten();
    let internal = now(internal.pop()).flatten();
    let memory = now(memory.pop()).flatten();
    // Out of memory first: what fails to validate afterwards is its consequence.
    (memory.or(validation).or(internal), value)
}

/// Whether the device answers: refuses to write to `constant`, a buffer without the usage
/// `COPY_DST`, which a lost device does not even look at. Takes less than a microsecond and
/// allocates nothing. Where errors come later, in a browser, nothing ever answers.
pub(crate) fn answers(device: &wgpu::Device, queue: &wgpu::Queue, constant: &wgpu::Buffer) -> bool {
    scoped(device, || queue.write_buffer(constant, 0, &[])).0.is_some()
}

/// Asks the device whether it is lost. It makes a buffer, which may take as long as 0.5 us, or as
/// 300 us where thousands of buffers are alive: first see whether it [`answers`].
///
/// A lost device makes a buffer without an error that has no memory. Nothing else of wgpu's tells
/// without doubt: the lost callback belongs to the device's owner and runs only in a later poll,
/// and work on what was made before is dropped in silence. In a browser a buffer always has
/// memory, so that this is false there.
pub(crate) fn is_lost(device: &wgpu::Device) -> bool {
    let (error, has_memory) = scoped(device, || {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgpu-optim probe"),
            size: 16,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        buffer.get_mapped_range(..).is_ok()
    });
    // A device that has run out of memory reports that.
    error.is_none() && matches!(has_memory, Ok(false))
}

/// A new buffer, which holds zeros; all of it is initialized at once if it is `mapped`.
///
/// # Errors
/// [`DeviceError`]. A lost device would make the buffer without an error, so it is asked.
pub(crate) fn new_buffer(
    device: &wgpu::Device,
    label: &str,
    size: u64,
    usage: wgpu::BufferUsages,
    mapped: bool,
) -> Result<wgpu::Buffer, DeviceError> {
    let label = format!("wgpu-optim {label}");
    let descriptor =
        wgpu::BufferDescriptor { label: Some(&label), size, usage, mapped_at_creation: mapped };
    let buffer = caught(device, || device.create_buffer(&descriptor))?;
    if is_lost(device) { Err(DeviceError::Lost) } else { Ok(buffer) }
}

/// The future's value if it is there without waiting.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
