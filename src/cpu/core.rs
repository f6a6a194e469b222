//! The part that all optimizers over slices share: tensors with their rules and state, and a step.

use super::apply::Update;
use super::error::CpuError;
use super::guarded::Guarded;
use super::row_gradients::RowGradients;
use super::tensor_list::{Gradient, TensorList};
use super::vector::CpuVec;
use crate::rules::{MAX_STATE, Rule, check_state};
use crate::step::{Schedule, TensorGradient, Tensors, TensorsError, scheduled};

/// Tensors, their rules and state, and the settings of a step.
#[derive(Clone, Debug)]
pub(super) struct Core<R: Rule> {
    pub(super) tensors: Tensors<R>,
    /// The length of a row, if rows share state.
    pub(super) row_wise: Option<usize>,
    pub(super) steps: u64,
    pub(super) schedule: Schedule,
    pub(super) guarded: Guarded,
    /// The indices in [`Rule::STATE`] of the state vectors that the rule of any group uses.
    pub(super) used: Vec<usize>,
    /// For each tensor, its part of these vectors, by their index.
    pub(super) state: Vec<[CpuVec; MAX_STATE]>,
    /// Scratch memory: the row gradients of each tensor; empty until a tensor has some.
    rows: Vec<RowGradients>,
    /// Scratch memory: the update of each group.
    updates: Vec<Update<R>>,
}

impl<R: Rule> Core<R> {
    /// Starts with the initial state. The caller has checked rules and tensors.
    pub(super) fn new(tensors: Tensors<R>, row_wise: Option<usize>) -> Result<Self, CpuError> {
        const { check_state::<R>() };
        let used = tensors.used_state();
        let mut state = Vec::new();
        state.resize_with(tensors.lens.len(), <[CpuVec; MAX_STATE]>::default);
        // Allocates one vector for all tensors, then the next. In the other order, a tensor's
        // vectors often lie 4 KiB apart, which is slow.
        for &k in &used {
            let places = tensors.group_of.iter().zip(&tensors.lens).zip(&mut state);
            for ((&group, &len), vectors) in places {
                let rule = &tensors.rules[group as usize];
                let shared_by = row_wise.filter(|_| rule.can_share(k)).unwrap_or(1);
                let initial = rule.initial_state().as_ref()[k];
                vectors[k] = CpuVec::filled(initial, len / shared_by)?;
            }
        }
        let (schedule, guarded) = Default::default();
        let (rows, updates) = Default::default();
        Ok(Self { tensors, row_wise, steps: 0, schedule, guarded, used, state, rows, updates })
    }

    /// One step of every tensor that has a gradient.
    pub(super) fn step(
        &mut self,
        params: &mut [&mut [f32]],
        grads: &[TensorGradient<'_, [f32]>],
    ) -> Result<(), CpuError> {
        self.check(params, grads)?;
        self.sum_rows(grads)?;
        let gradient = |(tensor, gradient)| Gradient::new(gradient, tensor, &self.rows);
        let vectors = grads.iter().enumerate().filter_map(gradient).map(|gradient| gradient.values);
        let treatment = self.guarded.decide(vectors)?;
        self.steps += 1;
        let Some(treatment) = treatment else { return Ok(()) };
        let row_wise = self.row_wise.is_some();
        let update = |&rule: &R| {
            let uniforms = scheduled(&rule, &self.schedule, self.steps);
            Update { rule, uniforms, treatment, row_wise }
        };
        self.updates.clear();
        self.updates.extend(self.tensors.rules.iter().map(update));
        let list = TensorList {
            updates: &self.updates,
            row_wise: self.row_wise,
            groups: &self.tensors.group_of,
            params,
            state: &mut self.state,
            grads,
            rows: &self.rows,
        };
        list.run();
        Ok(())
    }

    /// Checks the lists of a step and the lengths of their vectors.
    fn check(
        &self,
        params: &[&mut [f32]],
        grads: &[TensorGradient<'_, [f32]>],
    ) -> Result<(), TensorsError> {
        self.tensors.check_count("params", params.len())?;
        self.tensors.check_count("grads", grads.len())?;
        for (tensor, (params, gradient)) in params.iter().zip(grads).enumerate() {
            self.tensors.check_length("params", tensor, params.len())?;
            if let TensorGradient::Dense(values) = gradient {
                self.tensors.check_length("grads", tensor, values.len())?;
            }
        }
        Ok(())
    }

    /// Sums the row gradients of all tensors that have any.
    fn sum_rows(&mut self, grads: &[TensorGradient<'_, [f32]>]) -> Result<(), TensorsError> {
        for (tensor, gradient) in grads.iter().enumerate() {
            let TensorGradient::Rows { gradients, indices } = gradient else { continue };
            self.rows.resize_with(grads.len(), RowGradients::default);
            let rows = &mut self.rows[tensor];
            let summed = rows.sum(self.tensors.lens[tensor], gradients, indices);
            let width = self.row_wise.map_or(Ok(()), |width| rows.named.check_width(width));
            summed.and(width).map_err(|error| TensorsError::Rows { tensor, error })?;
        }
        Ok(())
    }
}
