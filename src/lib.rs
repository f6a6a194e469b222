//! Fused first-order optimizers for wgpu.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::expect_used,
        reason = "a test fails by panicking"
    )
)]

pub mod cpu;
pub mod data;
pub mod gpu;
pub mod linear;
pub mod numerics;
pub mod rules;

pub use cpu::{CpuError, CpuOptimizer};
pub use gpu::{
    AdapterKind, DownloadError, Gpu, GpuOptimizer, GpuRequest, GpuVec, RequestError, StepError,
    VectorError,
};
pub use numerics::Precision;
pub use rules::{Adagrad, EpsilonPlacement, Rule, RuleError, WeightDecay};
pub use wgpu;
