//! Linear models on the GPU. Rows lie in device memory or are streamed through it. Dispatches turn
//! a batch of rows into a step, or all rows into a loss, with nothing read back in between.

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
