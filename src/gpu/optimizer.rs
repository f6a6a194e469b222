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

/// Applies a rule to a parameter vector in device memory: one fused pass per step.
///
/// The optimizer holds the rule's state, one f32 per parameter for each state vector. Repeated
/// steps over the same pair of vectors allocate nothing on the device. The bindings of the last
/// four pairs are kept, and keep the buffers alive, until newer pairs replace them or
/// [`GpuOptimizer::forget_bindings`] is called.
#[derive(Debug)]
pub struct GpuOptimizer<R: Rule> {
    core: Core<R>,
}

impl<R: Rule> GpuOptimizer<R> {
    /// Creates an optimizer for `len` parameters, with its state at the rule's initial values.
    ///
    /// # Errors
    /// [`StepError`] if a hyper-parameter is outside its domain, or the device's limits or memory
    /// are too small.
    pub fn new(gpu: &Gpu, rule: R, len: usize) -> Result<Self, StepError> {
        Self::with_rows(gpu, rule, len, None)
    }

    /// Creates an optimizer for a table of `rows` rows of `width` parameters in which each row has
    /// one accumulator, as in [`crate::CpuOptimizer::row_wise`]; in exact precision the bits are
    /// the same. A shared state vector has `rows` elements instead of `rows * width`. Each step
    /// takes one more dispatch, which computes the mean squares.
    ///
    /// # Errors
    /// As [`GpuOptimizer::new`]; also [`StepError::Rule`] if a row's parameters can share none of
    /// the rule's state, and [`StepError::Rows`] if `width` is 0 or more than 698,560.
    pub fn row_wise(gpu: &Gpu, rule: R, rows: usize, width: usize) -> Result<Self, StepError> {
        check_row_wise(&rule)?;
        if width == 0 {
            return Err(RowsError::Empty.into());
        }
        check_row_length(width)?;
        // A count that overflows is more than any device has memory for.
        let too_many = StepError::State(VectorError::OutOfMemory { bytes: u64::MAX });
        let len = rows.checked_mul(width).ok_or(too_many)?;
        Self::with_rows(gpu, rule, len, Some(width))
    }

    /// Creates an optimizer for `len` parameters over state that the caller holds: one vector of
    /// `len` elements for each of [`Rule::state_names`], in any buffers. Steps start from the
    /// vectors' present values ([`Rule::initial_state`] has those for the first step) and update
    /// them in place. Steps over rows are refused.
    ///
    /// # Errors
    /// As [`GpuOptimizer::new`], and if the vectors do not match the rule in number or length.
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
    /// [`StepError`]; on error, nothing has changed.
    pub fn step(&mut self, params: &GpuVec, grads: &GpuVec) -> Result<(), StepError> {
        Ok(self.core.step(slice::from_ref(params), Grads::Dense(slice::from_ref(grads)))?)
    }

    /// Encodes one step into the caller's encoder, which must belong to the same device. The step
    /// runs when the encoder's commands are submitted, with the learning rate that was set when it
    /// was recorded.
    ///
    /// # Errors
    /// [`StepError`]; on error, nothing has been encoded.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &GpuVec,
        grads: &GpuVec,
    ) -> Result<(), StepError> {
        let grads = Grads::Dense(slice::from_ref(grads));
        Ok(self.core.record(encoder, slice::from_ref(params), grads)?)
    }

    /// Encodes one step that changes only the rows of `params` named in `row_indices`, and submits
    /// it. `params` is a table of rows with the optimizer's length. `row_gradients` has one row of
    /// gradients for each index; its length determines the length of a row. If an index occurs
    /// several times, its gradients are summed first, in their order. The cost grows with the
    /// number of named rows, not with the size of the table.
    ///
    /// Momentum and weight decay are lazy: they apply only to the named rows, and skipped steps are
    /// not made up for.
    ///
    /// # Example
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wgpu_optim::{Adagrad, Gpu, GpuOptimizer};
    ///
    /// let gpu = Gpu::request_blocking(&Default::default())?;
    /// let embeddings = gpu.zeros(100_000 * 64)?;
    /// let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), embeddings.len())?;
    /// // Three rows of gradients: row 7 occurs twice.
    /// let row_gradients = gpu.upload(&[0.5; 3 * 64])?;
    /// optimizer.step_rows(&embeddings, &row_gradients, &[7, 40_000, 7])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StepError`], such as [`StepError::Rows`]; on error, nothing has changed. A step without
    /// indices is not possible, because a vector is never empty; make no call instead.
    pub fn step_rows(
        &mut self,
        params: &GpuVec,
        row_gradients: &GpuVec,
        row_indices: &[u32],
    ) -> Result<(), StepError> {
        let grads = [TensorGradient::Rows { gradients: row_gradients, indices: row_indices }];
        Ok(self.core.step(slice::from_ref(params), Grads::Mixed(&grads))?)
    }

    /// Encodes the step of [`GpuOptimizer::step_rows`] into the caller's encoder, which must belong
    /// to the same device. The step runs when the encoder's commands are submitted. Each recorded
    /// step keeps its own rows and learning rate.
    ///
    /// # Errors
    /// As [`GpuOptimizer::step_rows`]; on error, nothing has been encoded.
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

    /// Sets the base learning rate for all steps that are recorded or submitted from now on.
    ///
    /// # Errors
    /// [`StepError::Rule`] if it is NaN, infinite or negative; the old rate then remains.
    pub fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), StepError> {
        let set = self.core.tensors.set_learning_rate(0, learning_rate);
        Ok(set.map_err(super::group_error::GroupError::from)?)
    }

    /// State vector number `index`, in the order of [`Rule::state_names`]. To resume from a saved
    /// state, write it with [`Gpu::write`]. The vector may share its buffer with the state of other
    /// optimizers ([`GpuVec::buffers`]).
    ///
    /// # Panics
    /// If the rule has no such vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, index: usize) -> &GpuVec {
        &self.core.state.vectors[index].tensors[0]
    }

    /// The length of a row, if this optimizer was created by [`GpuOptimizer::row_wise`].
    #[must_use]
    pub fn row_width(&self) -> Option<usize> {
        self.core.row_width
    }

    /// The rule with its current hyper-parameters.
    #[must_use]
    pub fn rule(&self) -> &R {
        &self.core.tensors.rules[0]
    }

    /// The number of parameters, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a vector is never empty")]
    pub fn len(&self) -> usize {
        self.core.tensors.lens[0]
    }

    /// Returns the uniforms of the next step, for a kernel of the caller, and counts the step.
    #[cfg(feature = "linear")]
    pub(crate) fn next_uniforms(&mut self) -> R::Uniforms {
        self.core.next_uniforms()
    }
}

optimizer_methods!(GpuOptimizer, StepError);

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
