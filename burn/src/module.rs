//! All parameters of a module in one submission.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::wgpu::CubeTensor;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ParamGroup};
use burn::optim::{GradientsParams, LearningRate, ModuleOptimizer, Optimizer, OptimizerRecord};
use burn::tensor::{Device, Tensor};
use wgpu_optim::gpu::{GpuStepper, TensorStep};
use wgpu_optim::{Gpu, GpuVec, GradientGuard, GuardReport, KernelShape, Precision, Rule};

use crate::error::{OptimError, StepError};
use crate::lent::Lent;
use crate::state::OptimState;
use crate::update::{Queue, Task, check, checked_rate, update};

/// Steps all parameters of a module in one submission, which allows what needs all gradients at
/// once: clipping by their global norm, and skipping a step whose gradients are not finite.
///
/// It takes the place of a [`ModuleOptimizer`] in a training loop, with the same records and
/// groups: Burn keeps the state of each parameter, as with [`WgpuOptim`](crate::WgpuOptim). The
/// device is shared with Burn:
///
/// ```no_run
/// use burn::tensor::Device;
/// use wgpu_optim_burn::WgpuModuleOptim;
/// use wgpu_optim_burn::wgpu_optim::{Adam, Gpu, GradientGuard};
///
/// let (device, setup) = Device::wgpu_options().init_with_setup()?;
/// let gpu = Gpu::from_wgpu(setup.device, setup.queue);
/// let guard = GradientGuard { max_norm: Some(1.0), ..Default::default() };
/// let mut optim = WgpuModuleOptim::new(&gpu, Adam::default())?.with_guard(guard)?;
/// // model = optim.step(0.001, model, grads)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WgpuModuleOptim<R: Rule> {
    inner: ModuleOptimizer,
    rule: R,
    asked: Arc<Mutex<Asked<R>>>,
    stepper: GpuStepper<R>,
    copies: u64,
}

/// The steps that Burn has requested in one call, until they are submitted.
struct Asked<R> {
    /// The number of this call. What an earlier one left in a queue is ignored.
    call: u64,
    /// The step count of every parameter whose step was queued.
    queued: Vec<Arc<AtomicU64>>,
    /// The steps whose tensors have arrived through a queue.
    steps: Vec<Step<R>>,
    /// The queue of each device.
    queues: Vec<(Device, Queue)>,
    copies: u64,
    /// Why a parameter cannot be stepped. Then none is.
    failed: Option<OptimError>,
}

impl<R> Asked<R> {
    fn new(call: u64) -> Self {
        let (queued, steps, queues) = Default::default();
        Self { call, queued, steps, queues, copies: 0, failed: None }
    }
}

struct Step<R> {
    rule: R,
    learning_rate: f64,
    number: Arc<AtomicU64>,
    /// Parameters, gradients, and state vectors.
    tensors: Vec<CubeTensor>,
}

impl<R: Rule> WgpuModuleOptim<R> {
    /// An optimizer with this rule in native precision, on the device that Burn uses.
    ///
    /// # Errors
    /// [`OptimError`] if a hyper-parameter is outside its domain, or the device's limits are too low.
    pub fn new(gpu: &Gpu, rule: R) -> Result<Self, OptimError> {
        rule.validate()?;
        let asked = Arc::new(Mutex::new(Asked::new(0)));
        let inner = ModuleOptimizer::from(Asking { rule, asked: Arc::clone(&asked) });
        Ok(Self { inner, rule, asked, stepper: GpuStepper::new(gpu)?, copies: 0 })
    }

    /// Sets the precision.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { stepper: self.stepper.with_precision(precision), ..self }
    }

    /// Sets the shape of the kernels.
    #[must_use]
    pub fn with_shape(self, shape: KernelShape) -> Self {
        Self { stepper: self.stepper.with_shape(shape), ..self }
    }

    /// Sets a guard over the gradients of all parameters together: it clips by their global norm,
    /// and decides what happens to a step with a gradient that is not finite.
    ///
    /// # Errors
    /// [`OptimError`] if the norm is outside its domain, or the device's limits are too low.
    pub fn with_guard(self, guard: GradientGuard) -> Result<Self, OptimError> {
        Ok(Self { stepper: self.stepper.with_guard(guard)?, ..self })
    }

    /// Sets another rule for some parameters, like [`ModuleOptimizer::with_group`].
    ///
    /// # Errors
    /// [`OptimError`] if a hyper-parameter is outside its domain, or the rule has different state
    /// vectors.
    pub fn with_group(self, group: ParamGroup, rule: R) -> Result<Self, OptimError> {
        rule.validate()?;
        let (expected, found) = (self.rule.state_names(), rule.state_names());
        if found != expected {
            return Err(OptimError::State { expected, found });
        }
        let asking = Asking { rule, asked: Arc::clone(&self.asked) };
        Ok(Self { inner: self.inner.with_group(group, asking, None), ..self })
    }

    /// One step of all parameters that have a gradient, submitted at once. Burn's schedulers give the
    /// learning rate.
    ///
    /// # Errors
    /// [`StepError`], which contains the module. Its parameters have not been stepped, and the step
    /// does not count.
    pub fn step<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: M,
        gradients: GradientsParams,
    ) -> Result<M, StepError<M>> {
        let call = self.lock().call;
        *self.lock() = Asked::new(call + 1);
        let module = self.inner.step(learning_rate, module, gradients);
        match self.submit() {
            Ok(()) => Ok(module),
            Err(error) => Err(StepError { module, error }),
        }
    }

    /// Submits the steps that Burn has requested. If that fails, no step counts.
    fn submit(&mut self) -> Result<(), OptimError> {
        let queues = std::mem::take(&mut self.lock().queues);
        let drained = queues.into_iter().try_for_each(|(_, queue)| queue.drain());
        let asked = {
            let mut asked = self.lock();
            let next = Asked::new(asked.call + 1);
            std::mem::replace(&mut *asked, next)
        };
        self.copies += asked.copies;
        let (all, arrived) = (asked.queued.len(), asked.steps.len());
        // An operation whose inputs failed is skipped without an error.
        let complete = match all - arrived {
            0 => Ok(()),
            missing => Err(OptimError::Incomplete { missing, all }),
        };
        let checked = asked.failed.map_or(Ok(()), Err);
        let ready = drained.and(checked).and(complete);
        let submitted = ready.and_then(|()| self.submit_steps(&asked.steps));
        if submitted.is_err() {
            for number in &asked.queued {
                number.fetch_sub(1, Ordering::Relaxed);
            }
        }
        submitted
    }

    fn submit_steps(&mut self, asked: &[Step<R>]) -> Result<(), OptimError> {
        let tensors: Vec<&CubeTensor> = asked.iter().flat_map(|step| &step.tensors).collect();
        let lent = Lent::all(&tensors)?;
        let mut vectors = lent.iter().map(|lent| lent.vector.clone());
        let (mut steps, mut params, mut grads) = (Vec::new(), Vec::new(), Vec::new());
        for Step { rule, learning_rate, number, tensors } in asked {
            params.extend(vectors.next());
            grads.extend(vectors.next());
            let state: Vec<GpuVec> = vectors.by_ref().take(tensors.len() - 2).collect();
            let (rule, learning_rate) = (*rule, *learning_rate);
            let step = number.load(Ordering::Relaxed);
            steps.push(TensorStep { rule, learning_rate, step, state });
        }
        Ok(self.stepper.step(&steps, &params, &grads)?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Asked<R>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tensors have been copied, because something else held their memory or they were not
    /// contiguous.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.copies
    }

    /// The number of dispatches of the last step, including those of a guard.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.stepper.dispatches()
    }

    /// What the guard has seen since it was set, blocking the thread.
    ///
    /// # Errors
    /// [`OptimError`] if the device fails.
    pub fn report_blocking(&self) -> Result<GuardReport, OptimError> {
        Ok(self.stepper.report_blocking()?)
    }

    /// The state of all parameters, as Burn's records keep it.
    #[must_use]
    pub fn to_record(&self) -> OptimizerRecord {
        self.inner.to_record()
    }

    /// Loads the state of a record.
    #[must_use]
    pub fn load_record(self, record: OptimizerRecord) -> Self {
        Self { inner: self.inner.load_record(record), ..self }
    }
}

/// Requests steps, one parameter at a time.
#[derive(Clone)]
struct Asking<R> {
    rule: R,
    asked: Arc<Mutex<Asked<R>>>,
}

impl<R> Asking<R> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Asked<R>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Rule> Optimizer for Asking<R> {
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
        let checked = check(&self.rule, &tensor, &gradient, state.as_ref())
            .and_then(|()| checked_rate(&self.rule, learning_rate));
        let (call, learning_rate) = {
            let mut asked = self.lock();
            match checked {
                Ok(learning_rate) if asked.failed.is_none() => (asked.call, learning_rate),
                checked => {
                    asked.failed = asked.failed.take().or(checked.err());
                    return (tensor, state);
                }
            }
        };
        let rule = self.rule;
        let task =
            |number| Ask { rule, learning_rate, call, number, asked: Arc::clone(&self.asked) };
        let (tensor, state) = update(&self.rule, tensor, gradient, state, task);
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.on(device)
    }
}

/// Requests one step of one parameter.
struct Ask<R> {
    rule: R,
    learning_rate: f64,
    call: u64,
    number: Arc<AtomicU64>,
    asked: Arc<Mutex<Asked<R>>>,
}

impl<R: Rule> Ask<R> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Asked<R>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Rule> Task for Ask<R> {
    fn run(&self, tensors: Vec<CubeTensor>) -> Result<(), OptimError> {
        let Self { rule, learning_rate, .. } = *self;
        let number = Arc::clone(&self.number);
        let mut asked = self.lock();
        if asked.call == self.call {
            asked.steps.push(Step { rule, learning_rate, number, tensors });
        }
        Ok(())
    }

    fn copied(&self) {
        self.lock().copies += 1;
    }

    fn queued(&self, queue: &Queue, device: &Device) {
        let mut asked = self.lock();
        asked.queued.push(Arc::clone(&self.number));
        if asked.queues.iter().all(|(known, _)| known != device) {
            asked.queues.push((device.clone(), queue.clone()));
        }
    }
}
