//! Burn's `Optimizer` over our rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::wgpu::CubeTensor;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use wgpu_optim::{Precision, Rule};

use crate::error::OptimError;
use crate::launch::Launcher;
use crate::state::OptimState;
use crate::update::{Task, update};

/// A rule of [`wgpu_optim`] as an optimizer of Burn's, for tensors on any wgpu device of Burn's.
///
/// [`ModuleOptimizer::from`] makes of it what steps a whole module, with Burn's schedulers, parameter
/// groups and records; a `Learner` takes that. The rule's own learning rate is not used: Burn passes
/// one to each step.
///
/// Each parameter is one kernel, launched in Burn's own stream, which writes parameter and state in
/// place. A tensor that something else holds, such as a clone of the module, is copied first;
/// [`WgpuOptim::copies`] counts those.
#[derive(Clone, Debug)]
pub struct WgpuOptim<R> {
    rule: R,
    launcher: Launcher<R>,
    copies: Arc<AtomicU64>,
}

impl<R: Rule> WgpuOptim<R> {
    /// Of a rule in native precision.
    ///
    /// # Errors
    /// [`OptimError`] if a hyper-parameter is outside its domain.
    pub fn new(rule: R) -> Result<Self, OptimError> {
        Self::with_precision(rule, Precision::Native)
    }

    /// Of a rule in another precision.
    ///
    /// # Errors
    /// As [`WgpuOptim::new`].
    pub fn with_precision(rule: R, precision: Precision) -> Result<Self, OptimError> {
        rule.validate()?;
        Ok(Self { rule, launcher: Launcher::new(rule, precision)?, copies: Arc::default() })
    }

    /// How many tensors have been copied, by this optimizer and its clones, because something else
    /// held their memory or they were not contiguous. Burn's operations are lazy: what is queued is
    /// not counted yet.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// The optimizer of a whole module.
    #[must_use]
    pub fn init(self) -> ModuleOptimizer {
        ModuleOptimizer::from(self)
    }
}

impl<R: Rule> Optimizer for WgpuOptim<R> {
    type State<const D: usize> = OptimState<R, D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let task = |step: Arc<AtomicU64>| Step {
            launcher: self.launcher.clone(),
            learning_rate,
            step: step.load(Ordering::Relaxed),
            copies: Arc::clone(&self.copies),
        };
        let (tensor, state) = update(&self.rule, tensor, gradient, state, task);
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.on(device)
    }
}

/// One step of one parameter.
struct Step<R> {
    launcher: Launcher<R>,
    learning_rate: f64,
    step: u64,
    copies: Arc<AtomicU64>,
}

impl<R: Rule> Task for Step<R> {
    fn run(&self, tensors: Vec<CubeTensor>) {
        self.launcher.launch(self.learning_rate, self.step, &tensors);
    }

    fn copied(&self) {
        self.copies.fetch_add(1, Ordering::Relaxed);
    }
}
