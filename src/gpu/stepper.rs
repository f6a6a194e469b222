//! Steps of tensors whose state the caller holds.

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
    /// The rule. Its own learning rate is not used.
    pub rule: R,
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// The number of this step among those of the tensor, counted from 1.
    pub step: u64,
    /// The state vectors that the rule has ([`Rule::state_names`]), each of the tensor's length.
    pub state: Vec<GpuVec>,
}

/// Steps tensors whose state the caller holds, with a learning rate and a step count for each: for
/// hosts with an optimizer state of their own, as tensor libraries have. Neighbours in the lists whose
/// vectors lie in the same buffers share a dispatch; their bits are those of [`crate::GpuOptimizer`].
///
/// The rules of a step must have the same state vectors. State starts at [`Rule::initial_state`], and is
/// updated in place. A call with the same vectors as the one before is the cheapest. The
/// stepper keeps the state of its last step alive until the next.
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
    /// For tensors on this device.
    ///
    /// # Errors
    /// [`GroupError`] if the device's limits are too low, or it is lost.
    pub fn new(gpu: &Gpu) -> Result<Self, GroupError> {
        let tensors = Tensors { rules: Vec::new(), group_of: Vec::new(), lens: Vec::new() };
        let state = StateMemory { vectors: Vec::new(), held: true };
        Ok(Self { core: Core::over(gpu, tensors, None, state)?.with_max_routes(1) })
    }

    /// Encodes one step of all tensors and submits it. The three lists have an entry for each; of
    /// none, there is nothing to do. The gradients are only read.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has changed then.
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

    /// The same, where some tensors have no gradients: the step leaves them alone.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has changed then. [`TensorsError::HeldRows`] for gradients of rows.
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

    /// Encodes one step of all tensors into the caller's encoder, which must be of the same device.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has been encoded then.
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

    /// Makes the tensors those of this step. Tensors whose uniforms are the same are a group; returns
    /// those of each.
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
            group_of.push(group as u32); // no more groups than tensors, which a table counts
        }
        // A power of two, so that there are few kernels however many differ.
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

/// The uniforms of a step whose rule, with this learning rate, is valid and has all state vectors.
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
