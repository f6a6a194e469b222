//! All that talks to wgpu: the device, vectors in its memory, and the optimizer that steps them.
//!
//! The caller owns the device. Nothing here waits unless its name says `blocking`, installs a
//! callback on a device that it was handed, or keeps state outside the values it returns.

mod checks;
mod context;
mod errors;
mod groups;
mod guard;
mod mapping;
mod optimizer;
mod plan;
mod readback;
mod rows;
mod scope;
#[cfg(test)]
pub(crate) mod shader_check;
mod shape;
mod slots;
mod staging;
mod step_kernel;
mod vector;

pub use context::{AdapterKind, Gpu, GpuRequest};
pub use errors::{DownloadError, ReportError, RequestError, StepError, VectorError};
pub use groups::{GpuGroupOptimizer, GroupError, ParamGroup, TensorName};
pub use optimizer::GpuOptimizer;
pub use shape::KernelShape;
pub use vector::GpuVec;

pub(crate) use mapping::Wait;
pub(crate) use plan::{DispatchLimits, MOST_TURNS};
pub(crate) use readback::Readback;
pub(crate) use scope::caught;
pub(crate) use staging::Staging;
pub(crate) use step_kernel::{OWN_SQUARE, StateNames, arithmetic, expand_state};
