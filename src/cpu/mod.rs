//! The CPU engine: optimizers over slices, and the reference that kernels are compared to.
//!
//! It computes in f32, in the order of the rule's update, with the machine's widest vector
//! instructions and, for large vectors, several threads. Neither changes a bit of the result,
//! because elements are independent.

mod apply;
mod columns;
mod core;
mod error;
mod groups;
mod guarded;
#[cfg(feature = "linear")]
mod interleaved;
mod methods;
#[cfg(test)]
mod nan_tests;
mod optimizer;
mod row_gradients;
#[cfg(test)]
mod rows_tests;
mod scan;
mod tensor_list;
mod tensor_step;
mod threads;
mod vector;

pub use error::CpuError;
pub use groups::CpuGroupOptimizer;
#[cfg(feature = "linear")]
pub(crate) use interleaved::Interleaved;
pub use optimizer::CpuOptimizer;
pub use vector::CpuVec;
