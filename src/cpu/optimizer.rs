//! An optimizer over one slice.

use super::core::Core;
use super::error::CpuError;
use super::methods::optimizer_methods;
use super::threads::threads;
use crate::rules::{Rule, check_row_wise};
use crate::step::{RowsError, TensorGradient, Tensors};

/// Applies a rule to a parameter vector in host memory.
///
/// # Example
/// ```
/// use wgpu_optim::{Adagrad, CpuOptimizer};
///
/// let rule = Adagrad { learning_rate: 0.5, epsilon: 16.0, ..Default::default() };
/// let mut x = vec![1.0_f32];
/// let mut optimizer = CpuOptimizer::new(rule, x.len())?;
/// optimizer.step(&mut x, &[3.0])?; // s = 9, x = 1 - 0.5 * 3 / sqrt(9 + 16)
/// assert_eq!((x[0], optimizer.state(0)[0]), (0.7, 9.0));
/// # Ok::<(), wgpu_optim::CpuError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CpuOptimizer<R: Rule> {
    /// It has one tensor.
    core: Core<R>,
}

optimizer_methods!(CpuOptimizer);

impl<R: Rule> CpuOptimizer<R> {
    /// An optimizer for `len` parameters, with the rule's initial state.
    ///
    /// # Errors
    /// [`CpuError::Rule`] if a hyper-parameter is outside its domain. [`CpuError::OutOfMemory`] if
    /// the state does not fit in memory.
    pub fn new(rule: R, len: usize) -> Result<Self, CpuError> {
        Self::with_rows(rule, len, None)
    }

    /// An optimizer for a table of `rows` rows of `width` parameters, with one accumulator for each
    /// row. Where the rule accumulates squared gradients, it uses the mean square of the row
    /// instead, as in the row-wise Adagrad of FBGEMM and TorchRec. A state vector of such squares
    /// ([`Rule::can_share`]) has `rows` elements instead of `rows * width`. Any other, such as
    /// Adam's average of gradients, has one for each parameter. [`CpuOptimizer::step_rows`] steps
    /// some rows, [`CpuOptimizer::step`] all.
    ///
    /// All engines sum the squares in one order. Element j of the row is added to partial sum
    /// j % 32, in ascending order from +0. Then the upper half of the partial sums is added to the
    /// lower half, until one is left, which is divided by `width`. A guard scales gradients before
    /// they are squared. An element that [`crate::NonFinite::SkipElement`] skips counts as 0: it
    /// keeps its parameter and its own state, and the row's accumulator is updated.
    ///
    /// # Example
    /// ```
    /// use wgpu_optim::{Adagrad, CpuOptimizer};
    ///
    /// let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Default::default() };
    /// let mut table = vec![1.0_f32; 3 * 2];
    /// let mut optimizer = CpuOptimizer::row_wise(rule, 3, 2)?;
    /// optimizer.step_rows(&mut table, &[1.0, 7.0], &[2])?; // s = (1 + 49) / 2, x = 1 - 0.5 g / 5
    /// assert_eq!(table, [1.0, 1.0, 1.0, 1.0, 0.9, 0.3]);
    /// assert_eq!(optimizer.state(0), [0.0, 0.0, 25.0]);
    /// # Ok::<(), wgpu_optim::CpuError>(())
    /// ```
    ///
    /// # Errors
    /// As [`CpuOptimizer::new`]. Also [`CpuError::Rule`] if rows cannot share any of the rule's
    /// state, and [`CpuError::Rows`] with [`RowsError::Empty`] if `width` is 0.
    pub fn row_wise(rule: R, rows: usize, width: usize) -> Result<Self, CpuError> {
        check_row_wise(&rule)?;
        if width == 0 {
            return Err(RowsError::Empty.into());
        }
        let len = rows.checked_mul(width).ok_or(CpuError::OutOfMemory { len: usize::MAX })?;
        Self::with_rows(rule, len, Some(width))
    }

    fn with_rows(rule: R, len: usize, row_wise: Option<usize>) -> Result<Self, CpuError> {
        rule.validate()?;
        Ok(Self { core: Core::new(Tensors::one(rule, len), row_wise)? })
    }

    /// One step: updates `params` in place, and reads `grads`. Both have the optimizer's length.
    ///
    /// # Errors
    /// [`CpuError::Length`] if they do not; nothing has changed then. [`CpuError::Gradient`] if the
    /// guard's policy is [`crate::NonFinite::Report`] and it finds an error; only its report has
    /// changed then.
    pub fn step(&mut self, params: &mut [f32], grads: &[f32]) -> Result<(), CpuError> {
        self.step_with(params, TensorGradient::Dense(grads))
    }

    /// One step over the rows of `params` that `row_indices` names. The parameters and state of
    /// other rows are not read. `params` is a table of rows and has the optimizer's length.
    /// `row_gradients` has one row of gradients for each index, which determines the length of a
    /// row. The gradients of an index that occurs several times are summed first, in the order of
    /// their occurrence. Without indices nothing changes except the step count.
    ///
    /// Momentum and weight decay are lazy: they apply only to the named rows, and skipped steps are
    /// not made up for.
    ///
    /// A guard checks the sums, one row for each named row. Its report counts their elements, in
    /// ascending order of the rows.
    ///
    /// # Errors
    /// [`CpuError::Length`] or [`CpuError::Rows`] if an argument does not fit; nothing has changed
    /// then. [`CpuError::Gradient`] if the guard's policy is [`crate::NonFinite::Report`] and it
    /// finds an error; only its report has changed then.
    pub fn step_rows(
        &mut self,
        params: &mut [f32],
        row_gradients: &[f32],
        row_indices: &[u32],
    ) -> Result<(), CpuError> {
        let gradient = TensorGradient::Rows { gradients: row_gradients, indices: row_indices };
        self.step_with(params, gradient)
    }

    fn step_with(
        &mut self,
        params: &mut [f32],
        gradient: TensorGradient<'_, [f32]>,
    ) -> Result<(), CpuError> {
        self.core.step(&mut [params], &[gradient]).map_err(CpuError::of_one_tensor)
    }

    /// Sets the base learning rate from the next step on.
    ///
    /// # Errors
    /// [`CpuError::Rule`] if it is NaN, infinite, negative or subnormal. The old rate then remains.
    pub fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), CpuError> {
        let set = self.core.tensors.set_learning_rate(0, learning_rate);
        set.map_err(|error| CpuError::from(error).of_one_tensor())
    }

    /// The length of a row, if [`CpuOptimizer::row_wise`] created this optimizer.
    #[must_use]
    pub fn row_width(&self) -> Option<usize> {
        self.core.row_wise
    }

    /// The number of threads that a step uses; 1 for short vectors.
    #[must_use]
    pub fn threads(&self) -> usize {
        threads(self.len())
    }

    /// The rule, with its current hyper-parameters.
    #[must_use]
    pub fn rule(&self) -> &R {
        &self.core.tensors.rules[0]
    }

    /// State vector `index`, in the order of [`Rule::state_names`].
    ///
    /// # Panics
    /// If the rule has no such vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, index: usize) -> &[f32] {
        &self.core.state[0][self.core.used[index]]
    }

    /// As [`CpuOptimizer::state`], but mutable, for resuming from a saved state.
    ///
    /// # Panics
    /// If the rule has no such vector, as indexing an array does.
    pub fn state_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.core.state[0][self.core.used[index]]
    }

    /// The number of parameters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.tensors.lens[0]
    }

    /// Whether there are no parameters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Adagrad, GradientError, GradientGuard, GuardReport, NonFinite};

    fn guarded(non_finite: NonFinite, max_norm: Option<f32>) -> CpuOptimizer<Adagrad> {
        let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Adagrad::default() };
        let guard = GradientGuard { non_finite, max_norm };
        CpuOptimizer::new(rule, 3).unwrap().with_guard(guard).unwrap()
    }

    const BAD: [f32; 3] = [3.0, f32::NAN, 4.0];

    /// x = 1 - 0.5 * 3 / sqrt(9) = 0.5.
    #[test]
    fn only_the_bad_element_is_skipped() {
        let mut optimizer = guarded(NonFinite::SkipElement, None);
        let mut x = [1.0; 3];
        optimizer.step(&mut x, &BAD).unwrap();
        assert_eq!((x, optimizer.state(0)), ([0.5, 1.0, 0.5], &[9.0, 0.0, 16.0][..]));
        let expected = GuardReport { non_finite: 1, first: Some(1), ..GuardReport::default() };
        assert_eq!(optimizer.report(), expected);
    }

    /// The norm of (3, 4) is 5, so both are halved: s = (1.5^2, 2^2).
    #[test]
    fn a_skipped_element_is_zero_in_the_norm() {
        let mut optimizer = guarded(NonFinite::SkipElement, Some(2.5));
        let mut x = [1.0; 3];
        optimizer.step(&mut x, &BAD).unwrap();
        assert_eq!((x, optimizer.state(0)), ([0.5, 1.0, 0.5], &[2.25, 0.0, 4.0][..]));
        let expected =
            GuardReport { non_finite: 1, first: Some(1), skipped_steps: 0, norm: Some(5.0) };
        assert_eq!(optimizer.report(), expected);
        optimizer.clear_report();
        assert_eq!(optimizer.report(), GuardReport::default());
    }

    #[test]
    fn a_skipped_step_changes_only_the_step_count() {
        let mut optimizer = guarded(NonFinite::SkipStep, None);
        let mut x = [1.0; 3];
        optimizer.step(&mut x, &BAD).unwrap();
        assert_eq!((x, optimizer.state(0), optimizer.steps()), ([1.0; 3], &[0.0; 3][..], 1));
        optimizer.step(&mut x, &[3.0; 3]).unwrap();
        assert_eq!((x, optimizer.state(0)), ([0.5; 3], &[9.0; 3][..]));
        assert_eq!(optimizer.report().skipped_steps, 1);
    }

    #[test]
    fn a_reported_step_is_an_error_and_changes_nothing() {
        let mut optimizer = guarded(NonFinite::Report, Some(1e20));
        let mut x = [1.0; 3];
        let error = optimizer.step(&mut x, &[f32::INFINITY, 0.0, f32::NAN]).unwrap_err();
        assert_eq!(error, CpuError::Gradient(GradientError::NonFinite { count: 2, first: 0 }));
        let error = optimizer.step(&mut x, &[1e30; 3]).unwrap_err();
        assert_eq!(error, CpuError::Gradient(GradientError::NormOverflow));
        assert_eq!((x, optimizer.state(0), optimizer.steps()), ([1.0; 3], &[0.0; 3][..], 0));
        assert_eq!(optimizer.report().skipped_steps, 2);
        optimizer.step(&mut x, &[3.0; 3]).unwrap();
        assert_eq!((x, optimizer.steps()), ([0.5; 3], 1));
    }

    /// An infinite gradient makes the norm infinite, the scale 0, and itself NaN.
    #[test]
    fn propagation_follows_the_formula() {
        let mut optimizer = guarded(NonFinite::Propagate, Some(1.0));
        let mut x = [1.0; 3];
        optimizer.step(&mut x, &[f32::INFINITY, 1.0, 1.0]).unwrap();
        assert!(x[0].is_nan());
        assert_eq!(optimizer.state(0)[1..], [0.0; 2]);
        optimizer.step(&mut x, &BAD).unwrap();
        assert!(x.iter().all(|x| x.is_nan()), "a NaN norm makes every gradient NaN");
    }
}
