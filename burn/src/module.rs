//! All parameters of a module in one submission.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::wgpu::CubeTensor;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::optim::{
    GradientsParams, LearningRate, ModuleOptimizer, Optimizer, OptimizerRecord,
};
use burn::tensor::{DType, Device, Tensor};
use wgpu_optim::gpu::{GpuStepper, TensorStep};
use wgpu_optim::{Gpu, GpuVec, GradientGuard, GuardReport, Precision, Rule};

use crate::error::{OptimError, StepError};
use crate::lent::Lent;
use crate::state::OptimState;
use crate::update::{Queue, Task, update};

/// Steps all parameters of a module in one submission, which makes possible what needs all gradients
/// at once: clipping by their global norm, and skipping a step with a gradient that is not finite.
///
/// Burn keeps the state of each parameter, as in [`crate::WgpuOptim`], so that records, groups and
/// schedulers are Burn's own.
#[derive(Debug)]
pub struct WgpuModuleOptim<R: Rule> {
    gpu: Gpu,
    inner: ModuleOptimizer,
    batch: Batch<R>,
    stepper: GpuStepper<R>,
}

type Batch<R> = Arc<Mutex<Collected<R>>>;

/// The steps that Burn has asked for, until they are submitted.
#[derive(Debug, Default)]
struct Collected<R> {
    steps: Vec<Asked<R>>,
    queue: Option<Queue>,
    copies: u64,
}

/// One of them.
#[derive(Debug)]
struct Asked<R> {
    rule: R,
    learning_rate: f64,
    step: u64,
    tensors: Vec<CubeTensor>,
}
