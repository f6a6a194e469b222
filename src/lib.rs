//! First-order optimizers as compute kernels on wgpu, with a CPU engine that takes the same steps.
//!
//! A step is one pass over memory: it reads parameters, gradients and state, and updates parameters
//! and state in place. In exact precision, the GPU and the CPU give the same bits.
//!
//! # Example
//! The parameters and the gradient are buffers on the caller's device. Each iteration encodes the
//! caller's gradient kernel and one optimizer step into the same command encoder:
//!
//! ```no_run
//! use wgpu_optim::{Adagrad, Gpu, GpuOptimizer, GpuVec, Precision, wgpu};
//!
//! fn train(
//!     device: wgpu::Device,
//!     queue: wgpu::Queue,
//!     weights: &[f32],
//!     gradient: wgpu::Buffer,
//!     compute_gradient: impl Fn(&mut wgpu::CommandEncoder, &GpuVec),
//! ) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
//!     let gpu = Gpu::from_wgpu(device.clone(), queue.clone());
//!     let params = gpu.upload(weights)?;
//!     let grads = GpuVec::from_buffer(gradient, 0, weights.len())?;
//!     let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::pytorch(), params.len())?
//!         .with_precision(Precision::Exact);
//!     let mut encoder = device.create_command_encoder(&Default::default());
//!     for _ in 0..10 {
//!         compute_gradient(&mut encoder, &params);
//!         optimizer.record(&mut encoder, &params, &grads)?;
//!     }
//!     queue.submit([encoder.finish()]);
//!     Ok(params.download_blocking(&gpu)?)
//! }
//! ```
//!
//! # On the CPU
//! The CPU engine takes slices. Here it minimizes x^2 / 2, whose gradient is x:
//!
//! ```
//! use wgpu_optim::{Adagrad, CpuOptimizer};
//!
//! let mut x = [4.0_f32, -3.0];
//! let rule = Adagrad { learning_rate: 1.0, ..Default::default() };
//! let mut optimizer = CpuOptimizer::new(rule, x.len())?;
//! for _ in 0..100 {
//!     let gradient = x;
//!     optimizer.step(&mut x, &gradient)?;
//! }
//! assert!(x.iter().all(|value| value.abs() < 1e-3), "{x:?}");
//! # Ok::<(), wgpu_optim::CpuError>(())
//! ```
//!
//! # Main types
//! - [`Sgd`], [`Adagrad`], [`RmsProp`], [`AdaDelta`] and [`Adam`] are the rules: plain structs of
//!   hyper-parameters. Constructors such as [`Adagrad::pytorch`] give the defaults of other
//!   frameworks. All rules implement [`Rule`].
//! - [`AnyRule`] holds a rule that is chosen at run time. [`with_rule!`] runs code with the
//!   concrete type.
//! - [`Schedule`] changes the learning rate from step to step.
//! - [`GpuOptimizer`] and [`CpuOptimizer`] step one parameter vector, or named rows of it, and hold
//!   its state.
//! - [`GpuGroupOptimizer`] and [`CpuGroupOptimizer`] step many tensors at once, in groups that have
//!   their own hyper-parameters.
//! - [`GradientGuard`] skips or reports gradients that are not finite, and clips by the global
//!   norm.
//! - [`Gpu`] is a device and its queue: the caller's, or one that the crate opens.
//! - [`GpuVec`] is a vector of f32 in device memory: a new one, or a view of the caller's buffer.
//! - [`Precision`] selects the device's native arithmetic, or exact arithmetic with the same bits
//!   on every device.
//! - [`linear`] trains linear models on the GPU or the CPU, on the datasets of [`data`].
//! - [`numerics`] measures distances in ULP and derives error bounds from a rule's update.
//!
//! # Scope
//! The rules are elementwise and first-order, over dense f32 vectors. A vector may be longer than
//! the largest binding and the largest buffer, as long as device memory holds it, and may start at
//! any 4-byte offset of the caller's buffer.
//!
//! The caller owns the device. The crate installs no callback, no uncaptured-error handler and no
//! global state on it. A function blocks only if its name says `blocking`.
//!
//! Out of scope:
//! - Automatic differentiation: the caller supplies the gradients. Only the linear models compute
//!   their own.
//! - A tensor library.
//! - Reading files: the `wgpu-optim` command does that.
//!
//! # Accuracy
//! - [`Precision::Native`] uses the device's own arithmetic. Running a rule's update on
//!   [`numerics::Running`] numbers bounds the error of one step. WGSL promises nothing for NaN,
//!   infinity and overflow, so native precision promises nothing for them either.
//! - [`Precision::Exact`] rounds each operation once, to nearest, ties to even, in the order of
//!   [`Rule::update`]. Subnormals are kept, and there is one NaN. A step and a whole training run
//!   give the same bits on every device. The kernels compute in u32, which WGSL defines to the last
//!   bit.
//! - The CPU engine gives the bits of exact precision, at any vector width and number of threads.
//!
//! # Features
//! - `vulkan`, `metal`, `dx12` (on by default) and `webgpu` are the backends of wgpu. A backend
//!   that the platform lacks costs nothing. Without any of them, only the CPU engine works.
//! - `linear` (on by default) adds linear models and datasets, and depends on ndarray and the
//!   random-number crates. A program that only steps vectors compiles 75 packages instead of 85
//!   on Linux without it: `default-features = false, features = ["vulkan"]`.
//!
//! # Versions
//! Each release is for one major version of wgpu. This one is for wgpu 30, re-exported as [`wgpu`].
//! Before 1.0, support for the next major version of wgpu is a new minor version of this crate;
//! from 1.0 on, a new major version. The oldest supported Rust is the `rust-version` of Cargo.toml.
//!
//! # Errors and panics
//! A function that can fail returns a narrow enum, whose message has the numbers and the remedy:
//! [`RequestError`] for a device, [`VectorError`] for memory, [`StepError`], [`GroupError`] and
//! [`CpuError`] for a step, [`DownloadError`] for a readback. A call that fails has changed
//! nothing. Where the driver reports that memory has run out, that is an error too, and the
//! optimizer stays usable.
//!
//! Bad input, a full GPU and a lost device cause no panic. Only accessors that take an index panic,
//! as indexing a slice does: `state`, `state_mut` and others whose documentation says so. wgpu
//! itself panics for a lost device and for a buffer of another instance. The crate catches both
//! panics, which it cannot do in a program built with `panic = "abort"`. After
//! [`GpuOptimizer::record`], the caller submits the work, so wgpu reports errors of the submission
//! to the caller.
#![cfg_attr(
    not(feature = "linear"),
    allow(rustdoc::broken_intra_doc_links, reason = "some links lead to items of that feature")
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::expect_used,
        reason = "a test fails by panicking"
    )
)]
// These two know conditions that Cargo.toml cannot express: tests have more dependencies, and a usize has
// another size elsewhere.
#![cfg_attr(not(any(test, target_arch = "wasm32")), warn(unused_crate_dependencies))]
#![cfg_attr(target_pointer_width = "64", warn(clippy::trivially_copy_pass_by_ref))]
// docs.rs labels the items that need a feature.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod cpu;
#[cfg(feature = "linear")]
pub mod data;
pub mod gpu;
#[cfg(feature = "linear")]
pub mod linear;
pub mod numerics;
pub mod rules;
pub mod step;

pub use cpu::{CpuError, CpuGroupOptimizer, CpuOptimizer, CpuVec};
pub use gpu::{
    AdapterKind, DownloadError, Gpu, GpuGroupOptimizer, GpuOptimizer, GpuRequest, GpuVec,
    GroupError, KernelShape, ReportError, RequestError, StepError, VectorError,
};
#[cfg(feature = "linear")]
pub use ndarray;
pub use numerics::Precision;
pub use rules::all::*;
pub use rules::{AnyRule, EpsilonPlacement, Rule, RuleError, WeightDecay};
pub use step::{
    GradientError, GradientGuard, GuardReport, NonFinite, ParamGroup, RowsError, Schedule,
    ScheduleError, TensorGradient, TensorName, TensorsError,
};
pub use wgpu;

/// Compiles the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
