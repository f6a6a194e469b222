//! The tensors of a step, divided among threads.

use super::apply::Update;
use super::columns::{Column, Columns};
use super::row_gradients::RowGradients;
use super::tensor_step::{TensorStep, cost};
use super::threads::{fork, threads};
use super::vector::CpuVec;
use crate::rules::{MAX_STATE, Rule};
use crate::step::TensorGradient;

/// Parts of a list for each thread, so that a thread that finishes early can take more work.
const PARTS_PER_THREAD: usize = 4;

/// The gradient of one tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gradient<'a> {
    pub(super) values: &'a [f32],
    /// The rows that `values` belong to, if not all.
    named: Option<&'a RowGradients>,
}

impl<'a> Gradient<'a> {
    /// The gradient of a tensor, if it has one. `rows` has the sums of row gradients.
    pub(super) fn new(
        gradient: &'a TensorGradient<'_, [f32]>,
        tensor: usize,
        rows: &'a [RowGradients],
    ) -> Option<Self> {
        match *gradient {
            TensorGradient::Dense(values) => Some(Self { values, named: None }),
            TensorGradient::Rows { .. } => {
                let named = &rows[tensor];
                Some(Self { values: &named.sums, named: Some(named) })
            }
            TensorGradient::Missing => None,
        }
    }
}

/// Consecutive tensors of an optimizer.
#[derive(Debug)]
pub(super) struct TensorList<'a, 'p, R: Rule> {
    /// The update of each group.
    pub(super) updates: &'a [Update<R>],
    /// The length of a row, if rows share state.
    pub(super) row_wise: Option<usize>,
    /// The group of each tensor.
    pub(super) groups: &'a [u32],
    pub(super) params: &'a mut [&'p mut [f32]],
    /// For each tensor, its state by the index in [`Rule::STATE`].
    pub(super) state: &'a mut [[CpuVec; MAX_STATE]],
    pub(super) grads: &'a [TensorGradient<'a, [f32]>],
    /// The row gradients of each tensor; empty if no tensor has had any.
    pub(super) rows: &'a [RowGradients],
}

impl<R: Rule> TensorList<'_, '_, R> {
    /// Steps all tensors, on as many threads as the work justifies.
    pub(super) fn run(self) {
        let threads = threads((0..self.grads.len()).map(|index| self.cost(index)).sum());
        let parts =
            if self.grads.len() > 1 && threads > 1 { threads * PARTS_PER_THREAD } else { threads };
        self.run_parts(parts);
    }

    /// Steps all tensors in about `parts` parts of about equal cost.
    fn run_parts(mut self, parts: usize) {
        if parts <= 1 || self.grads.len() <= 1 {
            for index in 0..self.grads.len() {
                if let Some(step) = self.tensor(index) {
                    step.run_parts(parts);
                }
            }
            return;
        }
        let costs = (0..self.grads.len()).map(|index| self.cost(index));
        let cost: usize = costs.clone().sum();
        // The border between two tensors that is nearest to half the cost.
        let (mut border, mut left_cost) = (0, 0);
        for cost_here in costs.take(self.grads.len() - 1) {
            if border > 0 && left_cost + cost_here / 2 > cost / 2 {
                break;
            }
            (border, left_cost) = (border + 1, left_cost + cost_here);
        }
        let left_parts = (parts * left_cost).div_ceil(cost.max(1));
        let right_parts = (parts * (cost - left_cost)).div_ceil(cost.max(1));
        let (left, right) = self.split_at(border);
        fork(|| left.run_parts(left_parts), || right.run_parts(right_parts));
    }

    fn split_at(self, border: usize) -> (Self, Self) {
        let Self { updates, row_wise, groups, params, state, grads, rows } = self;
        let (params, params_rest) = params.split_at_mut(border);
        let (state, state_rest) = state.split_at_mut(border);
        let (groups, groups_rest) = groups.split_at(border);
        let (grads, grads_rest) = grads.split_at(border);
        let (rows, rows_rest) = rows.split_at(border.min(rows.len()));
        let left = Self { updates, row_wise, groups, params, state, grads, rows };
        let right = Self {
            groups: groups_rest,
            params: params_rest,
            state: state_rest,
            grads: grads_rest,
            rows: rows_rest,
            ..left
        };
        (left, right)
    }

    /// The cost of a tensor's step.
    fn cost(&self, index: usize) -> usize {
        let gradient = Gradient::new(&self.grads[index], index, self.rows);
        gradient.map_or(0, |Gradient { values, named }| cost(values, named.is_some()))
    }

    /// The step of a tensor, if it has a gradient.
    #[inline]
    fn tensor(&mut self, index: usize) -> Option<TensorStep<'_, R>> {
        let Gradient { values: grads, named } =
            Gradient::new(&self.grads[index], index, self.rows)?;
        let width = named.map_or(self.row_wise.unwrap_or(1), |rows| rows.named.width);
        let update = &self.updates[self.groups[index] as usize];
        let shared = |k| self.row_wise.is_some() && update.rule.can_share(k);
        let mut k = 0..;
        let state = self.state[index].each_mut().map(|values| {
            let width = if k.next().is_some_and(shared) { 1 } else { width };
            Column { values, width }
        });
        let columns = Columns { params: Column { values: &mut *self.params[index], width }, state };
        let rows = named.map(|rows| &*rows.named.rows);
        Some(TensorStep { update, columns, grads, rows, first: 0 })
    }
}
