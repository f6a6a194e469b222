//! Everything that talks to wgpu: the device, vectors in its memory, and the optimizers that step
//! them.
//!
//! The caller owns the device. A function waits only if its name says `blocking`. Nothing here
//! installs a callback on the caller's device or keeps global state.

mod arena;
mod cache;
mod context;
mod core;
mod errors;
mod group_error;
mod groups;
mod guard;
mod kernel;
mod kernels;
mod limits;
mod mapping;
mod memory;
mod methods;
mod optimizer;
mod pass;
mod plan;
mod portable;
mod print;
mod readback;
mod request;
mod rows;
mod scope;
#[cfg(test)]
pub(crate) mod shader_check;
mod shape;
mod slots;
#[cfg(feature = "linear")]
mod staging;
mod state;
mod stepper;
mod table;
mod tensors;
mod uniforms;
mod upload;
mod vector;
mod wgsl;

pub use context::Gpu;
pub use errors::{DownloadError, ReportError, RequestError, StepError, VectorError};
pub use group_error::GroupError;
pub use groups::GpuGroupOptimizer;
pub use optimizer::GpuOptimizer;
pub use portable::PortableStep;
pub use print::{KernelChoice, KernelPlace, kernel_text};
pub use request::{AdapterKind, GpuRequest};
pub use shape::KernelShape;
pub use stepper::{GpuStepper, TensorStep};
pub use vector::GpuVec;

#[cfg(feature = "linear")]
pub(crate) use errors::DeviceError;
#[cfg(feature = "linear")]
pub(crate) use kernel::Kernel;
#[cfg(feature = "linear")]
pub(crate) use limits::{LimitError, Needs};
#[cfg(feature = "linear")]
pub(crate) use mapping::Wait;
#[cfg(feature = "linear")]
pub(crate) use memory::whole;
#[cfg(feature = "linear")]
pub(crate) use plan::{DispatchLimits, Element, MAX_LOOP_ITERATIONS};
#[cfg(feature = "linear")]
pub(crate) use readback::Readback;
#[cfg(feature = "linear")]
pub(crate) use slots::uniform_group;
#[cfg(feature = "linear")]
pub(crate) use staging::Staging;
#[cfg(feature = "linear")]
pub(crate) use wgsl::{Bound, Formula, SquareOf, Text, arithmetic};
