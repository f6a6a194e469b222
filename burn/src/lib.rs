//! Burn's modules trained by wgpu-optim.

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
