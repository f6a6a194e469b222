//! Burn's modules trained by wgpu-optim's fused optimizers.
//!
//! [`WgpuOptim`] is an `Optimizer` of Burn's: made into a `ModuleOptimizer`, it stands wherever Burn's own
//! stand. [`WgpuModuleOptim`] steps all parameters of a module in one submission, with clipping by the
//! global norm and a guard against gradients that are not finite.
//!
//! Tensors are of f32 on a wgpu device. Parameters and state are updated in place; what has to be copied
//! is counted.
#![deny(missing_docs, clippy::unwrap_used, clippy::expect_used)]
#![warn(unreachable_pub)]

mod error;
mod launch;
mod lent;
mod module;
mod optimizer;
mod state;
mod update;

pub use error::{OptimError, StepError};
pub use module::WgpuModuleOptim;
pub use optimizer::WgpuOptim;
pub use state::OptimState;
pub use wgpu_optim;
