//! The gradient on the GPU: a dataset in device memory, and the dispatches that turn a batch of
//! its rows into a gradient or all of its rows into a loss, with nothing read back in between.

mod gradient;
mod job;
mod kernels;
mod table;
mod worker;

pub(super) use worker::{GpuWorker, predictions};
