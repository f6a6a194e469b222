//! One optimizer over many tensors, in one dispatch where the device's limits allow it.
//!
//! A model has hundreds of parameter tensors of every size, in groups with hyper-parameters of
//! their own. A dispatch for each would cost more than its work. Here a step is a table: each
//! workgroup reads which part of which tensor is its own, with the hyper-parameters of which group.
//!
//! - **The state is ours.** Each state vector of the rule is one arena, in which every tensor
//!   starts on a multiple of 16 bytes.
//! - **Parameters and gradients are the caller's**, and nothing is copied to pack them. WebGPU has
//!   no portable way for a kernel to reach any number of buffers, so that a dispatch binds as many
//!   as `max_storage_buffers_per_shader_stage` allows, and the kernel, whose text is written for
//!   their number, branches to the right ones: the same branch for a whole workgroup. Tensors that
//!   are views of one buffer share its binding. With all parameters in one buffer and all
//!   gradients in another ([`super::Gpu::zeros_many`], [`super::Gpu::upload_many`], or views of the
//!   caller's own), a step over any number of tensors is one dispatch.
//! - **More dispatches** are needed for buffers past that limit, for parts past the largest
//!   binding, for groups whose rules choose different formulas, which are compiled into the
//!   kernel, and for what cannot be read four elements at once: tensors of the caller's at an
//!   offset that is no multiple of 16 bytes, and the last one to three elements of those whose
//!   length is no multiple of four. Vectors that were made here are padded and need none of it.
//! - **Hyper-parameters** of all groups are one uniform slot. A step writes it if any have changed.
//!
//! table.rs decides on windows, routes and blocks, without a GPU; kernel.rs writes the WGSL.
//! There is no [`crate::GradientGuard`] here: its norm would be over all tensors.

mod arena;
mod bindings;
mod error;
mod kernel;
mod limits;
mod optimizer;
mod table;
mod tensors;

pub use error::{GroupError, TensorName};
pub use optimizer::{GpuGroupOptimizer, ParamGroup};
