//! An optimizer over vectors in device memory.

use std::slice;

use super::context::Gpu;
use super::core::Core;
use super::errors::{DownloadError, ReportError, StepError, VectorError};
use super::mapping::Wait;
use super::methods::optimizer_methods;
use super::rows::check_row_length;
use super::shape::KernelShape;
use super::state::StateMemory;
use super::tensors::Grads;
use super::vector::GpuVec;
use crate::numerics::Precision;
use crate::rules::{Rule, check_row_wise};
use crate::step::{GradientGuard, GuardReport, RowsError, Schedule, TensorGradient, Tensors};

/// Applies a rule to a parameter vector in device memory: one fused pass a step.
///
/// The optimizer holds the rule's state, one f32 a parameter and state vector. Once a pair of
/// vectors has been stepped, stepping it again allocates nothing on the device: the bindings of
/// the last four pairs are kept, and their buffers stay alive with them until
/// [`GpuOptimizer::forget_bindings`] or newer pairs take their place.
#[derive(Debug)]
pub struct GpuOptimizer<R: Rule> {
    core: Core<R>,
}

impl<R: Rule> GpuOptimizer<R> {
    /// An optimizer for `len` parameters, its state allocated at the rule's initial values.
    ///
    /// # Errors
    /// [`StepError`] if a hyper-parameter is outside its domain, the device's limits are too low
    /// or its memory too small.
    pub fn new(gpu: &Gpu, rule: R, len: usize) -> Result<Self, StepError> {
        Self::with_rows(gpu, rule, len, None)
    }

    /// An optimizer for a table of `rows` rows of `width` parameters whose rows have one accumulator
    /// each, as [`crate::CpuOptimizer::row_wise`] has it; in exact precision with the same bits. A state
    /// vector that rows share has `rows` elements and not `rows * width`. Each step takes one more
    /// dispatch, which finds the mean squares.
    ///
    /// # Errors
    /// As [`GpuOptimizer::new`]; [`StepError::Rule`] too if rows can share nothing of the rule's state,
    /// and [`StepError::Rows`] if `width` is 0 or more than 698,560.
    pub fn row_wise(gpu: &Gpu, rule: R, rows: usize, width: usize) -> Result<Self, StepError> {
        check_row_wise(&rule)?;
        if width == 0 {
            return Err(RowsError::Empty.into());
        }
        check_row_length(width)?;
        // More elements than can be counted are more than any device has memory for.
        let too_many = StepError::State(VectorError::OutOfMemory { bytes: u64::MAX });
        let len = rows.checked_mul(width).ok_or(too_many)?;
        Self::with_rows(gpu, rule, len, Some(width))
    }

    /// An optimizer for `len` parameters over state that the caller holds: a vector for each of
    /// [`Rule::state_names`], each of `len` elements, in any buffers. Their values are taken as they are
    /// ([`Rule::initial_state`] has those of the first step), and updated in place. Steps over rows are
    /// refused.
    ///
    /// # Errors
    /// As [`GpuOptimizer::new`]; and if the vectors are not those of the rule.
    pub fn over_state(gpu: &Gpu, rule: R, len: usize, state: &[GpuVec]) -> Result<Self, StepError> {
        rule.validate()?;
        if len == 0 {
            return Err(StepError::State(VectorError::Empty));
        }
        let tensors = Tensors::one(rule, len);
        let state = StateMemory::held(&tensors, &[state])?;
        Ok(Self { core: Core::over(gpu, tensors, None, state)? })
    }

    fn with_rows(gpu: &Gpu, rule: R, len: usize, width: Option<usize>) -> Result<Self, StepError> {
        rule.validate()?;
        if len == 0 {
            return Err(StepError::State(VectorError::Empty));
        }
        Ok(Self { core: Core::new(gpu, Tensors::one(rule, len), width)? })
    }

    /// Encodes one step and submits it.
    ///
    /// `params` and `grads` have the optimizer's length. The gradients are only read.
    ///
    /// # Errors
    /// [`StepError`]; nothing has changed then.
    pub fn step(&mut self, params: &GpuVec, grads: &GpuVec) -> Result<(), StepError> {
        Ok(self.core.step(slice::from_ref(params), Grads::Dense(slice::from_ref(grads)))?)
    }

    /// Encodes one step into the caller's encoder, which must be of the same device. The step
    /// happens when the encoder's commands are submitted; its learning rate is the present one.
    ///
    /// # Errors
    /// [`StepError`]; nothing has been encoded then.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &GpuVec,
        grads: &GpuVec,
    ) -> Result<(), StepError> {
        let grads = Grads::Dense(slice::from_ref(grads));
        Ok(self.core.record(encoder, slice::from_ref(params), grads)?)
    }

    /// Encodes one step over the rows of `params` that `row_indices` names, and over no others, and
    /// submits it. `params` has the optimizer's length and is a table of rows; `row_gradients` has
    /// one row of gradients for each index, and its length says how long a row is. The gradients of
    /// an index that comes several times are summed first, in the order in which they come. The
    /// cost grows with the rows named, not with the table.
    ///
    /// Momentum and weight decay are lazy: they apply only to the named rows, and skipped steps are not
    /// made up for.
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wgpu_optim::{Adagrad, Gpu, GpuOptimizer};
    ///
    /// let gpu = Gpu::request_blocking(&Default::default())?;
    /// let embeddings = gpu.zeros(100_000 * 64)?;
    /// let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), embeddings.len())?;
    /// // Rows 7 and 40,000; row 7 twice.
    /// let row_gradients = gpu.upload(&[0.5; 3 * 64])?;
    /// optimizer.step_rows(&embeddings, &row_gradients, &[7, 40_000, 7])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StepError`], among them [`StepError::Rows`]; nothing has changed then. Without indices there is
    /// nothing to call this with, as a vector is never empty.
    pub fn step_rows(
        &mut self,
        params: &GpuVec,
        row_gradients: &GpuVec,
        row_indices: &[u32],
    ) -> Result<(), StepError> {
        let grads = [TensorGradient::Rows { gradients: row_gradients, indices: row_indices }];
        Ok(self.core.step(slice::from_ref(params), Grads::Mixed(&grads))?)
    }

    /// Encodes the step of [`GpuOptimizer::step_rows`] into the caller's encoder, which must be of
    /// the same device. The step happens when the encoder's commands are submitted; each step that
    /// is recorded keeps its own rows and its own learning rate.
    ///
    /// # Errors
    /// As [`GpuOptimizer::step_rows`]; nothing has been encoded then.
    pub fn record_rows(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &GpuVec,
        row_gradients: &GpuVec,
        row_indices: &[u32],
    ) -> Result<(), StepError> {
        let grads = [TensorGradient::Rows { gradients: row_gradients, indices: row_indices }];
        Ok(self.core.record(encoder, slice::from_ref(params), Grads::Mixed(&grads))?)
    }

    /// Sets the base learning rate from the next step or record on.
    ///
    /// # Errors
    /// [`StepError::Rule`] if it is NaN, infinite or negative; the old one stays then.
    pub fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), StepError> {
        let set = self.core.tensors.set_learning_rate(0, learning_rate);
        Ok(set.map_err(super::group_error::GroupError::from)?)
    }

    /// State vector number `index`, in the order of [`Rule::state_names`]. To resume from a saved
    /// state, [`Gpu::write`] it. It may share its buffer with other optimizers' state
    /// ([`GpuVec::buffers`]).
    ///
    /// # Panics
    /// If the rule has no such vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, index: usize) -> &GpuVec {
        &self.core.state.vectors[index].tensors[0]
    }

    /// The length of a row, if this optimizer was made by [`GpuOptimizer::row_wise`].
    #[must_use]
    pub fn row_width(&self) -> Option<usize> {
        self.core.row_width
    }

    /// The rule with its present hyper-parameters.
    #[must_use]
    pub fn rule(&self) -> &R {
        &self.core.tensors.rules[0]
    }

    /// How many parameters there are; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a vector is never empty")]
    pub fn len(&self) -> usize {
        self.core.tensors.lens[0]
    }

    /// The uniforms of the next step, which a kernel of the caller's takes; it counts.
    #[cfg(feature = "linear")]
    pub(crate) fn next_uniforms(&mut self) -> R::Uniforms {
        self.core.next_uniforms()
    }
}

optimizer_methods!(GpuOptimizer, StepError);

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
