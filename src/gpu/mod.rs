//! All that talks to wgpu: the device, vectors in its memory, and the optimizer that steps them.
//!
//! The caller owns the device. Nothing here waits unless its name says `blocking`, installs a
//! callback on a device that it was handed, or keeps state outside the values it returns.

mod context;
mod errors;
mod groups;
mod guard;
mod optimizer;
mod plan;
mod readback;
mod scope;
#[cfg(test)]
pub(crate) mod shader_check;
mod slots;
mod step_kernel;
mod vector;

pub use context::{AdapterKind, Gpu, GpuRequest};
pub use errors::{DownloadError, ReportError, RequestError, StepError, VectorError};
pub use groups::{GpuGroupOptimizer, GroupError, ParamGroup, TensorName};
pub use optimizer::GpuOptimizer;
pub use vector::GpuVec;

pub(crate) use plan::DispatchLimits;
pub(crate) use readback::{Readback, Wait};
pub(crate) use scope::caught;
pub(crate) use step_kernel::arithmetic;
