//! An optimizer over many tensors in groups, in one dispatch where the device's limits allow it.
//!
//! A model has hundreds of parameter tensors of every size, in groups with hyper-parameters of
//! their own. A dispatch for each would cost more than its work. Here a step is a table (table.rs): each
//! workgroup reads which part of which tensor is its own, with the hyper-parameters of which group.

use super::context::Gpu;
use super::core::Core;
use super::errors::{DownloadError, ReportError};
use super::group_error::GroupError;
use super::mapping::Wait;
use super::methods::optimizer_methods;
use super::shape::KernelShape;
use super::state::StateMemory;
use super::tensors::Grads;
use super::vector::GpuVec;
use crate::numerics::Precision;
use crate::rules::Rule;
use crate::step::{GradientGuard, GuardReport, ParamGroup, Schedule, TensorGradient, Tensors};

/// Applies a rule to many tensors in device memory at once: where buffers and limits allow, one
/// dispatch a step, however many there are.
///
/// The tensors of all groups make one list, group after group; a step is given the parameters and
/// the gradients of all of it, in this order. Tensors that are views of few buffers
/// ([`Gpu::zeros_many`], [`Gpu::upload_many`]) need the fewest dispatches. Each tensor's
/// parameters and state get the bits that a [`crate::GpuOptimizer`] of its own would give them.
///
/// More dispatches are needed for more buffers than a dispatch can bind
/// (`max_storage_buffers_per_shader_stage`), for tensors past the largest binding, for groups whose
/// rules choose different formulas, and for the caller's own tensors at offsets that are no multiple
/// of 16 bytes or of lengths that are no multiple of 4. [`GpuGroupOptimizer::dispatches`] says how
/// many there are.
///
/// Once a pair of lists has been stepped, stepping it again allocates nothing on the device: the
/// bindings of the last four pairs are kept, and their buffers stay alive with them until
/// [`GpuGroupOptimizer::forget_bindings`] or newer pairs take their place.
///
/// ```no_run
/// use wgpu_optim::{Adagrad, Gpu, GpuGroupOptimizer, ParamGroup};
///
/// let gpu = Gpu::request_blocking(&Default::default())?;
/// let (weights, biases) = (vec![4096, 1024], vec![64, 16]);
/// let params = gpu.zeros_many(&[4096, 1024, 64, 16])?;
/// let grads = gpu.zeros_many(&[4096, 1024, 64, 16])?; // for your kernels to write
/// let rule = Adagrad { learning_rate: 0.1, ..Default::default() };
/// let slower = Adagrad { learning_rate: 0.01, ..rule };
/// let groups =
///     [ParamGroup { rule, lens: weights }, ParamGroup { rule: slower, lens: biases }];
/// let mut optimizer = GpuGroupOptimizer::new(&gpu, &groups)?;
/// optimizer.step(&params, &grads)?; // one dispatch
/// optimizer.set_learning_rate(1, 0.005)?; // of the biases
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GpuGroupOptimizer<R: Rule> {
    core: Core<R>,
}

impl<R: Rule> GpuGroupOptimizer<R> {
    /// An optimizer for the tensors of `groups`, its state allocated at the rules' initial values.
    ///
    /// # Errors
    /// [`GroupError`] if there is no tensor or an empty one, a hyper-parameter is outside its
    /// domain, the device's limits are too low or its memory too small.
    pub fn new(gpu: &Gpu, groups: &[ParamGroup<R>]) -> Result<Self, GroupError> {
        Ok(Self { core: Core::new(gpu, Tensors::new(groups)?, None)? })
    }

    /// The same over state that the caller holds: for each tensor a vector for each state vector that
    /// the rule of some group has, in any buffers. Their values are taken as they are, and updated in
    /// place. Gradients of rows are refused.
    ///
    /// # Errors
    /// As [`GpuGroupOptimizer::new`]; and if the vectors are not those of the rules.
    pub fn over_state(
        gpu: &Gpu,
        groups: &[ParamGroup<R>],
        state: &[Vec<GpuVec>],
    ) -> Result<Self, GroupError> {
        let tensors = Tensors::new(groups)?;
        let lists: Vec<&[GpuVec]> = state.iter().map(Vec::as_slice).collect();
        let state = StateMemory::held(&tensors, &lists)?;
        Ok(Self { core: Core::over(gpu, tensors, None, state)? })
    }

    /// Encodes one step of all tensors and submits it.
    ///
    /// `params` and `grads` have a vector for each tensor, group after group, each of its tensor's
    /// length. The gradients are only read.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has changed then.
    pub fn step(&mut self, params: &[GpuVec], grads: &[GpuVec]) -> Result<(), GroupError> {
        self.core.step(params, Grads::Dense(grads))
    }

    /// Encodes one step of all tensors into the caller's encoder, which must be of the same
    /// device. The step happens when the encoder's commands are submitted; its learning rates are
    /// the present ones.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has been encoded then.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &[GpuVec],
        grads: &[GpuVec],
    ) -> Result<(), GroupError> {
        self.core.record(encoder, params, Grads::Dense(grads))
    }

    /// Encodes one step and submits it, for tensors of which some have gradients of rows, as
    /// [`crate::GpuOptimizer::step_rows`] takes them, or none. A guard looks at all that there are, and at
    /// the sums of row gradients.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has changed then.
    pub fn step_mixed(
        &mut self,
        params: &[GpuVec],
        grads: &[TensorGradient<'_, GpuVec>],
    ) -> Result<(), GroupError> {
        self.core.step(params, Grads::Mixed(grads))
    }

    /// Encodes the step of [`GpuGroupOptimizer::step_mixed`] into the caller's encoder.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has been encoded then.
    pub fn record_mixed(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &[GpuVec],
        grads: &[TensorGradient<'_, GpuVec>],
    ) -> Result<(), GroupError> {
        self.core.record(encoder, params, Grads::Mixed(grads))
    }

    /// Sets the base learning rate of a group from the next step or record on.
    ///
    /// # Errors
    /// [`GroupError::Tensors`] if there is no such group, or the rate is NaN, infinite or negative; the
    /// old one stays then.
    pub fn set_learning_rate(&mut self, group: usize, rate: f32) -> Result<(), GroupError> {
        Ok(self.core.tensors.set_learning_rate(group, rate)?)
    }

    /// Tensor number `tensor`'s part of state vector number `index`. Vectors are numbered in the order
    /// of [`Rule::STATE`], counting those that the rule of some group has. To resume from a saved
    /// state, [`Gpu::write`] it. It may share its buffer with other state ([`GpuVec::buffers`]).
    ///
    /// # Panics
    /// If there is no such tensor or vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, tensor: usize, index: usize) -> &GpuVec {
        &self.core.state.vectors[index].tensors[tensor]
    }

    /// The rule of a group with its present hyper-parameters.
    ///
    /// # Panics
    /// If there is no such group, as indexing an array does.
    #[must_use]
    pub fn rule(&self, group: usize) -> &R {
        &self.core.tensors.rules[group]
    }

    /// The length of each tensor in elements, group after group.
    #[must_use]
    pub fn lens(&self) -> &[usize] {
        &self.core.tensors.lens
    }

    /// How many dispatches a step over these two lists takes, less those of a guard.
    ///
    /// # Errors
    /// [`GroupError`] if the lists could not be stepped.
    pub fn dispatches(&mut self, params: &[GpuVec], grads: &[GpuVec]) -> Result<usize, GroupError> {
        self.core.dispatches(params, Grads::Dense(grads))
    }
}

optimizer_methods!(GpuGroupOptimizer, GroupError);
