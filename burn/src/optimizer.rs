//! Burn's `Optimizer` over our rules.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::wgpu::CubeTensor;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};
use wgpu_optim::gpu::{GpuStepper, TensorStep};
use wgpu_optim::{Gpu, Precision, Rule};

use crate::error::OptimError;
use crate::launch::{Launcher, takes_wgsl};
use crate::lent::Lent;
use crate::state::OptimState;
use crate::update::{Task, checked_rate, update};

/// A rule of [`wgpu_optim`] as an optimizer for Burn, for tensors on any of Burn's wgpu devices.
///
/// [`ModuleOptimizer::from`] turns it into an optimizer for a whole module, with Burn's schedulers,
/// parameter groups and records, which a `Learner` takes. The rule's own learning rate is not used:
/// Burn passes one to each step.
///
/// A step runs one kernel per parameter in Burn's own stream, which updates the parameter and its
/// state in place. A tensor that something else holds, such as a clone of the module, is copied
/// first; [`WgpuOptim::copies`] counts those. If Burn compiles its shaders to a language other than
/// WGSL (its features `vulkan` and `metal`), pass the device's handles too, with
/// [`WgpuOptim::with_gpu`].
///
/// # Panics
/// Burn's trait has no way to return an error. A step panics if a tensor is not f32 on a wgpu
/// device, if gradient or state have another shape than the parameter, if the state is of another
/// rule, or if the learning rate is negative or not finite. [`WgpuModuleOptim`] returns an error
/// instead.
///
/// [`WgpuModuleOptim`]: crate::WgpuModuleOptim
#[derive(Clone, Debug)]
pub struct WgpuOptim<R: Rule> {
    rule: R,
    precision: Precision,
    launcher: Launcher<R>,
    copies: Arc<AtomicU64>,
    buffers: Option<Arc<Mutex<GpuStepper<R>>>>,
    /// Whether to step through buffers even where the runtime takes WGSL.
    always_buffers: bool,
}

impl<R: Rule> WgpuOptim<R> {
    /// An optimizer with this rule in native precision.
    ///
    /// # Errors
    /// [`OptimError`] if a hyper-parameter is outside its domain.
    pub fn new(rule: R) -> Result<Self, OptimError> {
        Self::with_precision(rule, Precision::Native)
    }

    /// An optimizer with this rule in this precision.
    ///
    /// # Errors
    /// As [`WgpuOptim::new`].
    pub fn with_precision(rule: R, precision: Precision) -> Result<Self, OptimError> {
        rule.validate()?;
        let launcher = Launcher::new(rule, precision)?;
        let (copies, buffers) = Default::default();
        Ok(Self { rule, precision, launcher, copies, buffers, always_buffers: false })
    }

    /// Sets the handles of Burn's device, through which parameters are stepped if Burn's runtime
    /// does not take WGSL. Each parameter then waits for Burn.
    ///
    /// # Errors
    /// [`OptimError`] if the device's limits are too low.
    pub fn with_gpu(self, gpu: &Gpu) -> Result<Self, OptimError> {
        let stepper = GpuStepper::new(gpu)?.with_precision(self.precision);
        Ok(Self { buffers: Some(Arc::new(Mutex::new(stepper))), ..self })
    }

    /// For tests: steps through buffers also where Burn's runtime takes WGSL.
    #[doc(hidden)]
    #[must_use]
    pub fn always_through_buffers(self) -> Self {
        Self { always_buffers: true, ..self }
    }

    /// How many tensors have been copied, by this optimizer and its clones, because something else
    /// held their memory or they were not contiguous. Burn's operations are lazy: copies that are
    /// still queued are not counted yet.
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
        if tensor.shape().num_elements() == 0 {
            return (tensor, state);
        }
        let learning_rate = match checked_rate(&self.rule, learning_rate) {
            Ok(learning_rate) => learning_rate,
            Err(error) => panic!("{error}"),
        };
        let task = |step: Arc<AtomicU64>| Step {
            launcher: self.launcher.clone(),
            learning_rate,
            step: step.load(Ordering::Relaxed),
            copies: Arc::clone(&self.copies),
            buffers: self.buffers.clone(),
            always_buffers: self.always_buffers,
        };
        let (tensor, state) = update(&self.rule, tensor, gradient, state, task);
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.on(device)
    }
}

/// One step of one parameter.
struct Step<R: Rule> {
    launcher: Launcher<R>,
    learning_rate: f64,
    step: u64,
    copies: Arc<AtomicU64>,
    buffers: Option<Arc<Mutex<GpuStepper<R>>>>,
    always_buffers: bool,
}

impl<R: Rule> Task for Step<R> {
    fn run(&self, tensors: Vec<CubeTensor>) -> Result<(), OptimError> {
        if takes_wgsl(&tensors[0]) && !self.always_buffers {
            return self.launcher.launch(self.learning_rate, self.step, &tensors);
        }
        let buffers = self.buffers.as_ref().ok_or(OptimError::NoWgsl)?;
        let lent = Lent::all(&tensors.iter().collect::<Vec<_>>())?;
        let vectors: Vec<_> = lent.iter().map(|lent| lent.vector.clone()).collect();
        let step = TensorStep {
            rule: self.launcher.rule,
            learning_rate: self.learning_rate,
            step: self.step,
            state: vectors[2..].to_vec(),
        };
        let mut stepper = buffers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stepper.step(&[step], &vectors[..1], &vectors[1..2])?)
    }

    fn copied(&self) {
        self.copies.fetch_add(1, Ordering::Relaxed);
    }
}
