//! The CPU engine: a device of its own, and the oracle that the kernels are held against.
//!
//! Plain f32 in the order that the rule writes it, over slices, with the widest vector
//! instructions that the machine has and, for large vectors, with threads. Neither changes a bit
//! of the result: every element is computed alone.

mod apply;
mod columns;
mod core;
mod error;
mod groups;
mod guarded;
#[cfg(feature = "linear")]
mod interleaved;
mod methods;
mod optimizer;
mod row_gradients;
#[cfg(test)]
mod rows_tests;
mod scan;
mod tensor_list;
mod tensor_step;
mod threads;

pub use error::CpuError;
pub use groups::CpuGroupOptimizer;
#[cfg(feature = "linear")]
pub(crate) use interleaved::Interleaved;
pub use optimizer::CpuOptimizer;
