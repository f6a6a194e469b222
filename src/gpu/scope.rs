//! Error scopes, which turn wgpu's errors into results, and checks for a lost device.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::errors::DeviceError;

/// Runs `work` and catches every error of the device. It also catches wgpu's panics, since wgpu
/// panics on a handle that its instance does not know. Code that has a [`super::Gpu`] calls its
/// `catch` instead, which remembers a loss.
///
/// On native targets the result of a scope is available at once. In a browser it comes later; there
/// the error goes to the caller's own uncaptured-error handler instead.
///
/// # Errors
/// [`DeviceError`]. Most calls on a lost device succeed without effect, so `Ok` does not mean that
/// the device works.
pub(crate) fn caught<T>(device: &wgpu::Device, work: impl FnOnce() -> T) -> Result<T, DeviceError> {
    let error = match scoped(device, work) {
        (None, Ok(value)) => return Ok(value),
        (Some(error), _) => error.into(),
        (None, Err(_)) => DeviceError::Foreign("it belongs to another wgpu instance".to_owned()),
    };
    // On a lost device, the loss is the reason for every failure, whatever wgpu reports.
    Err(if is_lost(device) { DeviceError::Lost } else { error })
}

/// The first error that `work` caused, and what it returned or panicked with.
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
    // Out of memory first: a validation error is then its consequence.
    (memory.or(validation).or(internal), value)
}

/// Whether the device answers. It refuses to write to `constant`, a buffer without the usage
/// `COPY_DST`; a lost device ignores the write. This takes less than a microsecond and allocates
/// nothing. In a browser, where errors come later, it is always false.
pub(crate) fn answers(device: &wgpu::Device, queue: &wgpu::Queue, constant: &wgpu::Buffer) -> bool {
    scoped(device, || queue.write_buffer(constant, 0, &[])).0.is_some()
}

/// Asks the device whether it is lost. This creates a buffer, which takes up to 0.5 us, or up to
/// 300 us if thousands of buffers are alive: try [`answers`] first.
///
/// A lost device creates a buffer without an error, but the buffer has no memory. wgpu gives no
/// other reliable sign: the device-lost callback belongs to the device's owner and runs only in a
/// later poll, and work on existing buffers is silently dropped. In a browser a buffer always has
/// memory, so this is always false there.
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
    // A device that has run out of memory reports an error.
    error.is_none() && matches!(has_memory, Ok(false))
}

/// Creates a buffer of zeros. If it is `mapped`, all of it is initialized at once.
///
/// # Errors
/// [`DeviceError`]. A lost device would create the buffer without an error, so this checks for a
/// loss.
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

/// The future's value, if it is ready without waiting.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
