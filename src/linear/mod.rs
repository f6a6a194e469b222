//! Linear models, `X w + b`, with a squared or a logistic loss, trained in minibatches on the CPU
//! or a GPU.
//!
//! # The canonical order of summation
//! A sum of floating-point numbers depends on the order of its terms. Both engines use the order
//! below. So their results have the same bits wherever their arithmetic agrees, whatever the batch
//! size, the number of features, the chunks in which the data lie, the number of threads or the
//! vector width.
//!
//! - **A tree over N partial sums**, N a power of two: the upper half is added to the lower half,
//!   element by element, until one is left.
//! - **A prediction** is the sum over the columns `0..d` of `x[j] * w[j]`, then `1 * b` as column
//!   `d`: column `j` is added to partial sum `j % 32`, in ascending order from +0; then a tree over
//!   32.
//! - **A gradient** of one column over a batch of B rows: the rows, in the order of the batch, are
//!   cut into runs of `ceil(B / 32)`; each run adds `residual * x` in ascending order from +0; then
//!   a tree over 32 runs, and a division by B.
//! - **A sum** of n values: each block of 4096 is added into 256 partial sums, value `i` of the
//!   block to number `i % 256`, in ascending order from +0; then a tree over 256; then the block
//!   sums are summed in the same way until one is left.
//!
//! Missing terms are +0, which changes no partial sum, because none is ever -0.

mod batches;
mod cpu;
mod dense;
mod errors;
mod examples;
mod gpu;
mod history;
mod loss;
mod memory;
mod model;
mod order;
mod penalty;
mod predict;
mod prefetched;
mod sparse;
mod trainer;
mod training;
mod validation;
mod worker;

pub use errors::TrainError;
pub use examples::{Data, Examples};
pub use loss::Loss;
pub use model::LinearModel;
pub use penalty::Penalty;
pub use predict::{predict, predict_sparse};
pub use trainer::{Engine, train};
pub use training::{EarlyStop, LossPoint, Progress, Trained, Training};
#[cfg(not(target_arch = "wasm32"))]
pub use {
    predict::{predict_blocking, predict_sparse_blocking},
    trainer::train_blocking,
};
