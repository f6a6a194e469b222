//! Burn's modules trained by wgpu-optim.

mod error;
mod launch;
mod optimizer;
mod state;
mod update;

pub use error::{KernelError, OptimError};
pub use optimizer::WgpuOptim;
pub use state::OptimState;
pub use wgpu_optim;
