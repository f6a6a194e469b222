//! The optimizer over groups of tensors.

use super::core::Core;
use super::error::CpuError;
use super::methods::optimizer_methods;
use crate::rules::Rule;
use crate::step::{ParamGroup, TensorGradient, Tensors};

/// Applies a rule to many tensors in host memory at once, in groups with their own
/// hyper-parameters. This is the CPU engine's [`crate::GpuGroupOptimizer`]; it gives the bits of
/// exact precision.
///
/// The tensors of all groups form one list, in the order of the groups. A step takes the parameters
/// and the gradients of all tensors in this order. Each tensor gets the same bits as from its own
/// [`crate::CpuOptimizer`]. Threads share the elements of all tensors.
///
/// A guard applies to the gradients of all tensors: it computes one norm, in the order that
/// [`crate::GradientGuard`] defines, and skips the step for all tensors or for none.
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
/// optimizer.step(&mut params, &[&[3.0, -2.0], &[4.0], &[5.0]])?; // each at its group's rate
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
    /// An optimizer for the tensors of `groups`, with the rules' initial state.
    ///
    /// # Errors
    /// [`CpuError::Tensors`] if there are no tensors, a tensor is empty, or a hyper-parameter is
    /// outside its domain. [`CpuError::OutOfMemory`] if the state does not fit in memory.
    pub fn new(groups: &[ParamGroup<R>]) -> Result<Self, CpuError> {
        Ok(Self { core: Core::new(Tensors::new(groups)?, None)? })
    }

    /// One step of all tensors: updates `params` in place, and reads `grads`. Both have one slice
    /// of the tensor's length for each tensor, in the order of the groups.
    ///
    /// # Errors
    /// [`CpuError::Tensors`] if the slices do not fit the tensors; nothing has changed then.
    /// [`CpuError::Gradient`] if the guard's policy is [`crate::NonFinite::Report`] and it finds an
    /// error; only its report has changed then.
    pub fn step(&mut self, params: &mut [&mut [f32]], grads: &[&[f32]]) -> Result<(), CpuError> {
        let grads: Vec<_> = grads.iter().copied().map(TensorGradient::Dense).collect();
        self.core.step(params, &grads)
    }

    /// As [`CpuGroupOptimizer::step`], but each tensor has gradients of all its elements, of some
    /// rows, or none. A tensor without gradients keeps its parameters and state, and a guard
    /// ignores it. Of a tensor with row gradients, only the named rows are read and written. A
    /// guard checks the sum for each row, in ascending order of the rows.
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
    /// [`CpuError::Tensors`] if there is no such group, or the rate is NaN, infinite, negative or
    /// subnormal. The old rate then remains.
    pub fn set_learning_rate(&mut self, group: usize, rate: f32) -> Result<(), CpuError> {
        Ok(self.core.tensors.set_learning_rate(group, rate)?)
    }

    /// The rule of a group, with its current hyper-parameters.
    ///
    /// # Panics
    /// If there is no such group, as indexing an array does.
    #[must_use]
    pub fn rule(&self, group: usize) -> &R {
        &self.core.tensors.rules[group]
    }

    /// The length of each tensor in elements, in the order of the groups.
    #[must_use]
    pub fn lens(&self) -> &[usize] {
        &self.core.tensors.lens
    }

    /// State vector `index` of tensor `tensor`, of the tensor's length. Vectors are numbered in the
    /// order of [`Rule::STATE`], counting those that the rule of any group uses. A tensor has the
    /// vector even if the rule of its own group does not use it.
    ///
    /// # Panics
    /// If there is no such tensor or vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, tensor: usize, index: usize) -> &[f32] {
        &self.core.state[tensor][self.core.used[index]]
    }

    /// As [`CpuGroupOptimizer::state`], but mutable, for resuming from a saved state.
    ///
    /// # Panics
    /// If there is no such tensor or vector, as indexing an array does.
    pub fn state_mut(&mut self, tensor: usize, index: usize) -> &mut [f32] {
        &mut self.core.state[tensor][self.core.used[index]]
    }
}
