//! An optimizer over many tensors in groups, in one dispatch where the device's limits allow it.
//!
//! A model has hundreds of parameter tensors of all sizes, in groups with their own
//! hyper-parameters. A separate dispatch for each tensor would cost more than its work. Here a step
//! is a table (table.rs), from which each workgroup reads its part of a tensor and the number of
//! the tensor's group.

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

/// Applies a rule to many tensors in device memory at once: where buffers and limits allow it, with
/// one dispatch per step, however many tensors there are.
///
/// The tensors of all groups form one list, group after group; a step takes parameters and
/// gradients in this order. Tensors that are views of a few buffers ([`Gpu::zeros_many`],
/// [`Gpu::upload_many`]) need the fewest dispatches. Parameters and state get the same bits as from
/// a separate [`crate::GpuOptimizer`] for each tensor.
///
/// A step needs more dispatches if the tensors lie in more buffers than one dispatch can bind
/// (`max_storage_buffers_per_shader_stage`), a tensor exceeds the largest binding, groups choose
/// different formulas of the rule, or the caller's own tensors start at an offset that is not a
/// multiple of 16 bytes or have a length that is not a multiple of 4.
/// [`GpuGroupOptimizer::dispatches`] returns the number.
///
/// Repeated steps over the same two lists allocate nothing on the device. The bindings of the last
/// four pairs of lists are kept, and keep the buffers alive, until newer pairs replace them or
/// [`GpuGroupOptimizer::forget_bindings`] is called.
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
/// optimizer.set_learning_rate(1, 0.005)?; // the biases
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GpuGroupOptimizer<R: Rule> {
    core: Core<R>,
}

impl<R: Rule> GpuGroupOptimizer<R> {
    /// Creates an optimizer for the tensors of `groups`, with its state at the rules' initial
    /// values.
    ///
    /// # Errors
    /// [`GroupError`] if there is no tensor, a tensor is empty, a hyper-parameter is outside its
    /// domain, or the device's limits or memory are too small.
    pub fn new(gpu: &Gpu, groups: &[ParamGroup<R>]) -> Result<Self, GroupError> {
        Ok(Self { core: Core::new(gpu, Tensors::new(groups)?, None)? })
    }

    /// Creates an optimizer over state that the caller holds: for each tensor, one vector for every
    /// state vector that the rule of any group has, in any buffers. Steps start from the vectors'
    /// present values and update them in place. Row gradients are refused.
    ///
    /// # Errors
    /// As [`GpuGroupOptimizer::new`], and if the vectors do not match the rules in number or
    /// length.
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
    /// `params` and `grads` have one vector for each tensor, group after group, of the tensor's
    /// length. The gradients are only read.
    ///
    /// # Errors
    /// [`GroupError`]; on error, nothing has changed.
    pub fn step(&mut self, params: &[GpuVec], grads: &[GpuVec]) -> Result<(), GroupError> {
        self.core.step(params, Grads::Dense(grads))
    }

    /// Encodes one step of all tensors into the caller's encoder, which must belong to the same
    /// device. The step runs when the encoder's commands are submitted, with the learning rates
    /// that were set when it was recorded.
    ///
    /// # Errors
    /// [`GroupError`]; on error, nothing has been encoded.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &[GpuVec],
        grads: &[GpuVec],
    ) -> Result<(), GroupError> {
        self.core.record(encoder, params, Grads::Dense(grads))
    }

    /// Encodes one step and submits it. Some tensors may have row gradients, as in
    /// [`crate::GpuOptimizer::step_rows`], or no gradients. A guard checks all gradients that are
    /// present, and the sums of row gradients.
    ///
    /// # Errors
    /// [`GroupError`]; on error, nothing has changed.
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
    /// [`GroupError`]; on error, nothing has been encoded.
    pub fn record_mixed(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &[GpuVec],
        grads: &[TensorGradient<'_, GpuVec>],
    ) -> Result<(), GroupError> {
        self.core.record(encoder, params, Grads::Mixed(grads))
    }

    /// Sets the base learning rate of a group for all steps that are recorded or submitted from now
    /// on.
    ///
    /// # Errors
    /// [`GroupError::Tensors`] if there is no such group, or the rate is NaN, infinite or negative;
    /// the old rate then remains.
    pub fn set_learning_rate(&mut self, group: usize, rate: f32) -> Result<(), GroupError> {
        Ok(self.core.tensors.set_learning_rate(group, rate)?)
    }

    /// State vector number `index` of tensor number `tensor`. State vectors are numbered in the
    /// order of [`Rule::STATE`], counting only those that the rule of some group has. To resume
    /// from a saved state, write it with [`Gpu::write`]. The vector may share its buffer with other
    /// state ([`GpuVec::buffers`]).
    ///
    /// # Panics
    /// If there is no such tensor or vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, tensor: usize, index: usize) -> &GpuVec {
        &self.core.state.vectors[index].tensors[tensor]
    }

    /// The rule of a group with its current hyper-parameters.
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

    /// The number of dispatches of a step over these two lists, without those of a guard.
    ///
    /// # Errors
    /// [`GroupError`] if a step over the lists would be refused.
    pub fn dispatches(&mut self, params: &[GpuVec], grads: &[GpuVec]) -> Result<usize, GroupError> {
        self.core.dispatches(params, Grads::Dense(grads))
    }
}

optimizer_methods!(GpuGroupOptimizer, GroupError);
