//! Linear models on the GPU: rows in device memory, or streamed through it, and the dispatches that
//! turn a batch of them into a step or all of them into a loss, with nothing read back in between.

mod commands;
mod core;
mod dense;
mod descent;
mod gradient;
mod job;
mod kernels;
mod losses;
mod sparse;
mod sparse_batch;
mod table;
mod worker;

pub(super) use worker::{GpuWorker, predictions};
