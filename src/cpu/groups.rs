//! The optimizer over groups of tensors.

use super::core::Core;
use super::error::CpuError;
use super::methods::optimizer_methods;
use crate::rules::Rule;
use crate::step::{ParamGroup, TensorGradient, Tensors};

/// Applies a rule to many tensors in host memory at once, in groups with hyper-parameters of their
/// own: what [`crate::GpuGroupOptimizer`] does on a device, with the bits of its exact precision.
///
/// The tensors of all groups make one list, group after group; a step is given the parameters and
/// the gradients of all of it, in this order. Each tensor's parameters and state get the bits that a
/// [`crate::CpuOptimizer`] of its own would give them; threads share all elements of the list.
///
/// A guard is over the gradients of all tensors: one norm, summed as [`crate::GradientGuard`] has it,
/// and one step that happens or not.
///
/// # Example
/// ```
/// use wgpu_optim::step::ParamGroup;
/// use wgpu_optim::{Adagrad, CpuGroupOptimizer};
///
/// let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Default::default() };
/// let slower = Adagrad { learning_rate: 0.25, ..rule };
/// let groups =
///     [ParamGroup { rule, lens: vec![2] }, ParamGroup { rule: slower, lens: vec![1, 1] }];
/// let mut optimizer = CpuGroupOptimizer::new(&groups)?;
/// let (mut weights, mut bias, mut scale) = ([1.0, 1.0], [1.0], [1.0]);
/// let mut params: [&mut [f32]; 3] = [&mut weights, &mut bias, &mut scale];
/// optimizer.step(&mut params, &[&[3.0, -2.0], &[4.0], &[5.0]])?; // each by its learning rate
/// assert_eq!((weights, bias, scale), ([0.5, 1.5], [0.75], [0.75]));
/// assert_eq!(optimizer.state(1, 0), [16.0]);
/// # Ok::<(), wgpu_optim::CpuError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CpuGroupOptimizer<R: Rule> {
    core: Core<R>,
}

optimizer_methods!(CpuGroupOptimizer);

impl<R: Rule> CpuGroupOptimizer<R> {
    /// An optimizer for the tensors of `groups`, its state at the rules' initial values.
    ///
    /// # Errors
    /// [`CpuError::Tensors`] if there is no tensor or an empty one, or a hyper-parameter is outside
    /// its domain; [`CpuError::OutOfMemory`] if the state does not fit.
    pub fn new(groups: &[ParamGroup<R>]) -> Result<Self, CpuError> {
        Ok(Self { core: Core::new(Tensors::new(groups)?, None)? })
    }

    /// One step of all tensors: updates `params` in place, given `grads`. Both have a slice for each
    /// tensor, group after group, each of its tensor's length. The gradients are only read.
    ///
    /// # Errors
    /// [`CpuError::Tensors`]; nothing has changed then. [`CpuError::Gradient`] if a guard asks for
    /// it; nothing but its report has changed then.
    pub fn step(&mut self, params: &mut [&mut [f32]], grads: &[&[f32]]) -> Result<(), CpuError> {
        let grads: Vec<_> = grads.iter().copied().map(TensorGradient::Dense).collect();
        self.core.step(params, &grads)
    }

    /// The same, where each tensor has gradients of all its elements, of some rows, or none. A
    /// tensor without keeps its parameters and state, and a guard knows nothing of it. Of rows, only
    /// those named are read and written; a guard looks at the sum for each, in ascending order.
    ///
    /// ```
    /// use wgpu_optim::step::ParamGroup;
    /// use wgpu_optim::{Adagrad, CpuGroupOptimizer, TensorGradient};
    ///
    /// let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Default::default() };
    /// let mut optimizer = CpuGroupOptimizer::new(&[ParamGroup { rule, lens: vec![4, 1] }])?;
    /// let (mut table, mut bias) = ([1.0; 4], [1.0]);
    /// let rows = TensorGradient::Rows { gradients: &[3.0, -2.0][..], indices: &[1] };
    /// optimizer.step_mixed(&mut [&mut table, &mut bias], &[rows, TensorGradient::Missing])?;
    /// assert_eq!((table, bias), ([1.0, 1.0, 0.5, 1.5], [1.0]));
    /// # Ok::<(), wgpu_optim::CpuError>(())
    /// ```
    ///
    /// # Errors
    /// As [`CpuGroupOptimizer::step`].
    pub fn step_mixed(
        &mut self,
        params: &mut [&mut [f32]],
        grads: &[TensorGradient<'_, [f32]>],
    ) -> Result<(), CpuError> {
        self.core.step(params, grads)
    }

    /// Sets the base learning rate of a group from the next step on.
    ///
    /// # Errors
    /// [`CpuError::Tensors`] if there is no such group, or the rate is NaN, infinite or negative; the
    /// old one stays then.
    pub fn set_learning_rate(&mut self, group: usize, rate: f32) -> Result<(), CpuError> {
        Ok(self.core.tensors.set_learning_rate(group, rate)?)
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

    /// Tensor number `tensor`'s part of state vector number `index`. Vectors are numbered in the order
    /// of [`Rule::STATE`], counting those that the rule of some group has. The part has the tensor's
    /// length, whether the rule of its group has this vector or not.
    ///
    /// # Panics
    /// If there is no such tensor or vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, tensor: usize, index: usize) -> &[f32] {
        &self.core.state[tensor][self.core.used[index]]
    }

    /// The same, to be written: for resuming from a saved state.
    ///
    /// # Panics
    /// If there is no such tensor or vector, as indexing an array does.
    pub fn state_mut(&mut self, tensor: usize, index: usize) -> &mut [f32] {
        &mut self.core.state[tensor][self.core.used[index]]
    }
}
