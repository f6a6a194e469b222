//! The CPU engine: a device of its own, and the oracle that the kernels are held against.
//!
//! Plain f32 in the order that the rule writes it, over slices, with the widest vector
//! instructions that the machine has and, for large vectors, with threads. Neither changes a bit
//! of the result: every element is computed alone.

mod error;
mod optimizer;
mod records;
mod rows;
mod scan;
mod sweep;

pub use error::CpuError;
pub use optimizer::CpuOptimizer;
pub(crate) use records::Records;
