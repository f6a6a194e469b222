//! Burn's modules trained by wgpu-optim's fused optimizers.
//!
//! [`WgpuOptim`] implements Burn's `Optimizer`. As a `ModuleOptimizer`, it replaces Burn's own
//! optimizers. [`WgpuModuleOptim`] steps all parameters of a module in one submission, with
//! clipping by the global norm and a guard against gradients that are not finite.
//!
//! Tensors must be f32 on a wgpu device. Parameters and state are updated in place; any copies are
//! counted.
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
