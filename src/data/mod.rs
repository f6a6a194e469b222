//! Datasets in host memory, standardization of columns, seeded minibatch order and synthetic data.
//!
//! The command reads files; the library does not.

mod dataset;
mod order;
mod rare;
mod scale;
mod sparse;
mod synthetic;

pub use dataset::{DataError, Dataset};
pub use order::{epoch_order, initial_weights, split_order};
pub use rare::{RareFeatures, rare_features};
pub use scale::ColumnScale;
pub use sparse::SparseDataset;
pub use synthetic::{Synthetic, synthetic};
