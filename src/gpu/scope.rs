//! Error scopes: wgpu's errors as results.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::errors::Caught;

/// Runs `work` with every error of the device caught, and wgpu's panics too: it panics on a handle
/// that its instance has never heard of.
///
/// Natively a scope's result is there at once. In a browser it comes later; there the error goes
/// to the caller's own uncaptured-error handler instead.
pub(crate) fn caught<T>(device: &wgpu::Device, work: impl FnOnce() -> T) -> Result<T, Caught> {
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let value = catch_unwind(AssertUnwindSafe(work));
    // All three are popped, in reverse order, before the first error is told.
    let validation = now(validation.pop()).flatten();
    let internal = now(internal.pop()).flatten();
    let memory = now(memory.pop()).flatten();
    // Out of memory first: what fails to validate afterwards is its consequence.
    match memory.or(validation).or(internal) {
        Some(error) => Err(error.into()),
        None => value.map_err(|_| Caught::Foreign("it is of another wgpu instance".to_owned())),
    }
}

/// The future's value if it is there without waiting.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
