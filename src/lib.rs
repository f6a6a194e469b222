//! First-order optimizers for wgpu, each step one pass over memory, with the same step on the CPU.
//!
//! # The smallest example
//! On the CPU, for the function x^2 / 2, whose gradient is x:
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
//! # On a GPU
//! The same, with vectors in the memory of a device, here as part of a loop that computes
//! gradients on the device as well and encodes both into one command encoder:
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
//! # Main types
//! - [`Sgd`], [`Adagrad`], [`RmsProp`], [`AdaDelta`] and [`Adam`] are rules: plain hyper-parameters,
//!   with the defaults of other frameworks by name. [`Rule`] is what an engine asks of one, and
//!   [`AnyRule`] one of them chosen at run time; [`with_rule!`] gives the concrete one.
//! - [`Schedule`] changes the learning rate from step to step.
//! - [`GpuOptimizer`] and [`CpuOptimizer`] apply any rule to a parameter vector and hold its state.
//! - [`GpuGroupOptimizer`] and [`CpuGroupOptimizer`] apply one to many tensors at once, in groups with
//!   hyper-parameters of their own.
//! - [`GradientGuard`] says what becomes of gradients that are not finite, and clips by the norm.
//! - [`Gpu`] is a device and its queue: the caller's own, or one that is opened here.
//! - [`GpuVec`] is a vector of f32 in device memory: a new one, or a view of the caller's buffers.
//! - [`Precision`] chooses between the device's own arithmetic and the same bits everywhere.
//! - [`linear`] trains linear models on either engine, on the datasets of [`data`].
//! - [`numerics`] measures distances in ULP, and derives a rule's error bound from its update.
//!
//! # Scope
//! Elementwise first-order rules over dense f32 vectors of any length that the device's memory
//! holds: past the largest binding, past the largest buffer, at any 4-byte offset of the caller's
//! own. The caller owns the device: no callback, no uncaptured-error handler and no global state
//! is installed on it, and nothing blocks unless its name says `blocking`.
//!
//! Not in scope: automatic differentiation (gradients come from the caller, or from the linear
//! models here), a tensor library, reading files (the `wgpu-optim` command does that).
//!
//! # Accuracy
//! - [`Precision::Native`] uses the device's own arithmetic. A rule's update on [`numerics::Running`]
//!   numbers bounds how far one step may be from the exact result; for NaN, infinity and overflow
//!   WGSL promises nothing, and so neither does it.
//! - [`Precision::Exact`] rounds each operation once, to nearest, ties to even, in the order of
//!   [`Rule::update`], with subnormals kept and one NaN: the same bits on every device, for a step
//!   and for a training run. It is computed in u32 arithmetic, which WGSL defines to the last bit.
//! - The CPU engine gives the bits of exact precision, at any vector width and number of threads.
//!
//! # Features
//! Backends, passed on to wgpu: `vulkan`, `metal` and `dx12` (on by default; one that the platform
//! lacks costs nothing) and `webgpu`. Without any, the CPU engine remains.
//!
//! `linear` (on by default): linear models and datasets, with ndarray and the random-number crates. A
//! program that only steps vectors compiles 91 packages instead of 104 without it:
//! `default-features = false, features = ["vulkan"]`.
//!
//! # Versions
//! One release for each major version of wgpu: this one is for wgpu 30, re-exported as [`wgpu`]. A new
//! major version of wgpu is a new minor version of this crate before 1.0, and a new major one after.
//! The oldest Rust supported is the `rust-version` of Cargo.toml.
//!
//! # Errors and panics
//! What can fail returns an enum of its own whose message has the numbers and the remedy, such as
//! [`RequestError`] for a device, [`VectorError`] for memory, [`StepError`], [`GroupError`] and
//! [`CpuError`] for a step, [`DownloadError`] for a readback. A call that fails has changed nothing. Out
//! of memory is an error like any other where the driver reports it, and the optimizer stays usable.
//!
//! Bad input, a full GPU and a lost device cause no panic; only `state` and `state_mut` panic, with
//! an index that the rule does not have, as indexing does. In two places wgpu itself panics, for a
//! lost device and for a buffer of another instance: there the panic is caught, unless the program
//! is built with `panic = "abort"`. After [`GpuOptimizer::record`], what goes wrong at submission
//! is reported by wgpu to the caller, who submits.
#![cfg_attr(
    not(feature = "linear"),
    allow(rustdoc::broken_intra_doc_links, reason = "links to what that feature adds")
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

pub use cpu::{CpuError, CpuGroupOptimizer, CpuOptimizer};
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

/// The README's example, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
