//! Steps over tensors whose state the caller holds.

use super::context::Gpu;
use super::core::Core;
use super::errors::{DownloadError, ReportError};
use super::group_error::GroupError;
use super::mapping::Wait;
use super::methods::core_methods;
use super::shape::KernelShape;
use super::state::StateMemory;
use super::tensors::Grads;
use super::vector::GpuVec;
use crate::numerics::Precision;
use crate::rules::Rule;
use crate::step::{GradientGuard, GuardReport, TensorGradient, Tensors, TensorsError};

/// How a [`GpuStepper`] steps one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorStep<R> {
    /// The rule. Its own learning rate is ignored.
    pub rule: R,
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// The number of this step of the tensor, counted from 1.
    pub step: u64,
    /// The rule's state vectors ([`Rule::state_names`]), each of the tensor's length.
    pub state: Vec<GpuVec>,
}

/// Steps tensors whose state the caller holds, each with its own learning rate and step count. It
/// is for hosts that keep optimizer state themselves, such as tensor libraries. Tensors whose
/// vectors lie in the same buffers share a dispatch, and so do up to eight with buffers of their
/// own. Results have the same bits as
/// those of [`crate::GpuOptimizer`].
///
/// All rules of a step must have the same state vectors. The caller sets new state to
/// [`Rule::initial_state`]; a step updates it in place. A call with the same vectors as the
/// previous one is the cheapest. The stepper keeps the state vectors of its last step alive until
/// the next step.
///
/// ```no_run
/// use wgpu_optim::gpu::{GpuStepper, TensorStep};
/// use wgpu_optim::{Adagrad, Gpu};
///
/// let gpu = Gpu::request_blocking(&Default::default())?;
/// let (params, grads) = (gpu.zeros_many(&[4096, 64])?, gpu.zeros_many(&[4096, 64])?);
/// let state = gpu.zeros_many(&[4096, 64])?;
/// let mut stepper = GpuStepper::new(&gpu)?;
/// let step = |number: usize, learning_rate| TensorStep {
///     rule: Adagrad::default(),
///     learning_rate,
///     step: 1,
///     state: vec![state[number].clone()],
/// };
/// stepper.step(&[step(0, 0.1), step(1, 0.01)], &params, &grads)?; // one dispatch
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GpuStepper<R: Rule> {
    core: Core<R>,
}

core_methods!(GpuStepper, GroupError);

impl<R: Rule> GpuStepper<R> {
    /// Creates a stepper for tensors on this device.
    ///
    /// # Errors
    /// [`GroupError`] if the device's limits are too low, or it is lost.
    pub fn new(gpu: &Gpu) -> Result<Self, GroupError> {
        let tensors = Tensors { rules: Vec::new(), group_of: Vec::new(), lens: Vec::new() };
        let state = StateMemory { vectors: Vec::new(), held: true };
        Ok(Self { core: Core::over(gpu, tensors, None, state)?.with_separate_routes() })
    }

    /// Encodes one step of all tensors and submits it. The three lists have one entry for each
    /// tensor; with empty lists, nothing happens. The gradients are only read.
    ///
    /// # Errors
    /// [`GroupError`]; on error, nothing has changed.
    pub fn step(
        &mut self,
        steps: &[TensorStep<R>],
        params: &[GpuVec],
        grads: &[GpuVec],
    ) -> Result<(), GroupError> {
        let uniforms = self.take(steps, params)?;
        if steps.is_empty() {
            return Ok(());
        }
        self.core.step_with(&uniforms, params, Grads::Dense(grads))
    }

    /// Like [`GpuStepper::step`], but some tensors may have no gradients; the step leaves these
    /// unchanged.
    ///
    /// # Errors
    /// [`GroupError`]; on error, nothing has changed. [`TensorsError::HeldRows`] for row gradients.
    pub fn step_mixed(
        &mut self,
        steps: &[TensorStep<R>],
        params: &[GpuVec],
        grads: &[TensorGradient<'_, GpuVec>],
    ) -> Result<(), GroupError> {
        let uniforms = self.take(steps, params)?;
        if steps.is_empty() {
            return Ok(());
        }
        self.core.step_with(&uniforms, params, Grads::Mixed(grads))
    }

    /// Encodes one step of all tensors into the caller's encoder, which must belong to the same
    /// device.
    ///
    /// # Errors
    /// [`GroupError`]; on error, nothing has been encoded.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        steps: &[TensorStep<R>],
        params: &[GpuVec],
        grads: &[GpuVec],
    ) -> Result<(), GroupError> {
        let uniforms = self.take(steps, params)?;
        if steps.is_empty() {
            return Ok(());
        }
        self.core.record_with(encoder, &uniforms, params, Grads::Dense(grads))
    }

    /// The number of dispatches of the last step, including those of a guard; 0 before the first
    /// step.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        self.core.kept_dispatches()
    }

    /// Sets the tensors of this step. Tensors with the same uniforms form a group. Returns the
    /// uniforms of each group.
    fn take(
        &mut self,
        steps: &[TensorStep<R>],
        params: &[GpuVec],
    ) -> Result<Vec<R::Uniforms>, GroupError> {
        let mut groups: Vec<(&TensorStep<R>, R::Uniforms)> = Vec::new();
        let mut group_of = Vec::with_capacity(steps.len());
        for (tensor, step) in steps.iter().enumerate() {
            let same = |(known, _): &(&TensorStep<R>, _)| {
                known.rule == step.rule
                    && known.learning_rate.to_bits() == step.learning_rate.to_bits()
                    && known.step == step.step
            };
            let group = match groups.iter().rposition(same) {
                Some(group) => group,
                None => {
                    groups.push((step, checked_uniforms(tensor, step)?));
                    groups.len() - 1
                }
            };
            group_of.push(group as u32); // at most one group per tensor
        }
        // Pad to a power of two, so that few kernels cover any number of groups.
        while let Some(&last) = groups.last().filter(|_| !groups.len().is_power_of_two()) {
            groups.push(last);
        }
        let rules: Vec<R> = groups.iter().map(|(step, _)| step.rule).collect();
        let lens = params.iter().map(GpuVec::len).collect();
        let tensors = Tensors { rules, group_of, lens };
        let (found, expected) = (params.len(), steps.len());
        if found != expected {
            return Err(TensorsError::Count { list: "params", found, expected }.into());
        }
        let held: Vec<&[GpuVec]> = steps.iter().map(|step| &*step.state).collect();
        let state = StateMemory::held(&tensors, &held)?;
        self.core.set_tensors(tensors, state)?;
        Ok(groups.into_iter().map(|(_, uniforms)| uniforms).collect())
    }
}

/// Checks that the rule is valid with this learning rate and has all its state vectors, and returns
/// the uniforms of the step.
fn checked_uniforms<R: Rule>(
    tensor: usize,
    step: &TensorStep<R>,
) -> Result<R::Uniforms, GroupError> {
    let mut rule = step.rule;
    rule.set_learning_rate(step.learning_rate as f32);
    let names = rule.state_names().len();
    rule.validate().map_err(|error| TensorsError::Rule { group: tensor, error })?;
    if step.state.len() != names {
        let (found, expected) = (step.state.len(), names);
        return Err(TensorsError::State { tensor, found, expected }.into());
    }
    Ok(step.rule.uniforms_at(step.step, step.learning_rate))
}
