//! Tensors in groups: what the optimizers over many tensors share on both engines, and their
//! checks.

use super::rows::RowsError;
use crate::rules::{Rule, RuleError};

/// Tensors that share hyper-parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamGroup<R> {
    /// The rule that steps them.
    pub rule: R,
    /// The length of each tensor, in elements.
    pub lens: Vec<usize>,
}

/// The gradient of one tensor. `V` is the engine's vector type: `[f32]` or [`crate::GpuVec`].
#[derive(Debug)]
pub enum TensorGradient<'a, V: ?Sized> {
    /// One gradient for each parameter.
    Dense(&'a V),
    /// Gradients of some rows of a table: one row of gradients for each index. The gradients of a
    /// row that is named several times are summed first.
    Rows {
        /// The row gradients.
        gradients: &'a V,
        /// The row index of each.
        indices: &'a [u32],
    },
    /// No gradient: the step does not change the tensor and its state.
    Missing,
}

impl<V: ?Sized> Clone for TensorGradient<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: ?Sized> Copy for TensorGradient<'_, V> {}

/// One vector in the lists that a step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorName {
    /// "params" or "grads".
    pub list: &'static str,
    /// Its index in the list, counted from 0.
    pub index: usize,
}

impl std::fmt::Display for TensorName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}[{}]", self.list, self.index)
    }
}

/// Why a list of tensors is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorsError {
    /// No group has a tensor.
    #[error("there are no tensors: give at least one group with the length of at least one tensor")]
    Empty,
    /// A tensor has no elements.
    #[error("tensor {tensor} has no elements: leave it out")]
    EmptyTensor {
        /// Its index in the list of all tensors, counted from 0.
        tensor: usize,
    },
    /// A hyper-parameter of a group is outside its domain.
    #[error("group {group}: {error}")]
    Rule {
        /// The group, counted from 0.
        group: usize,
        /// The error.
        #[source]
        error: RuleError,
    },
    /// Row gradients, while the caller holds the state.
    #[error(
        "steps over rows need state that the optimizer owns: create it with `new`, and write the \
         state into it"
    )]
    HeldRows,
    /// A tensor has a number of state vectors that is not its rule's.
    #[error("tensor {tensor} has {found} state vectors, but its rule needs {expected}")]
    State {
        /// The tensor's index in the list of all, counted from 0.
        tensor: usize,
        /// How many were given.
        found: usize,
        /// How many the rule needs.
        expected: usize,
    },
    /// The rows that a step names do not fit their tensor.
    #[error("tensor {tensor}: {error}")]
    Rows {
        /// The tensor's index in the list of all, counted from 0.
        tensor: usize,
        /// The error.
        #[source]
        error: RowsError,
    },
    /// No group has this number.
    #[error("there is no group {group}: there are {groups} groups, counted from 0")]
    NoGroup {
        /// The number that was given.
        group: usize,
        /// How many there are.
        groups: usize,
    },
    /// A list does not have one vector for each tensor of the optimizer.
    #[error("{list} has {found} tensors, but the optimizer was made for {expected}")]
    Count {
        /// Which list.
        list: &'static str,
        /// Its length.
        found: usize,
        /// How many tensors the optimizer has.
        expected: usize,
    },
    /// A vector does not have the length of its tensor.
    #[error("{tensor} has {found} elements, but the optimizer was made for {expected}")]
    Length {
        /// Which vector.
        tensor: TensorName,
        /// Its length, in elements.
        found: usize,
        /// The length that the optimizer was made for, in elements.
        expected: usize,
    },
}

/// The tensors of an optimizer, in the order of their groups, and the rule of each group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensors<R> {
    /// The rule of each group.
    pub(crate) rules: Vec<R>,
    /// The group of each tensor.
    pub(crate) group_of: Vec<u32>,
    /// The length of each tensor, in elements; at least 1.
    pub(crate) lens: Vec<usize>,
}

impl<R: Rule> Tensors<R> {
    pub(crate) fn new(groups: &[ParamGroup<R>]) -> Result<Self, TensorsError> {
        let lens: Vec<usize> = groups.iter().flat_map(|group| group.lens.clone()).collect();
        if lens.is_empty() {
            return Err(TensorsError::Empty);
        }
        if let Some(tensor) = lens.iter().position(|&len| len == 0) {
            return Err(TensorsError::EmptyTensor { tensor });
        }
        for (group, ParamGroup { rule, .. }) in groups.iter().enumerate() {
            rule.validate().map_err(|error| TensorsError::Rule { group, error })?;
        }
        let group_of = (0..).zip(groups);
        let group_of = group_of.flat_map(|(index, group)| group.lens.iter().map(move |_| index));
        let rules = groups.iter().map(|group| group.rule).collect();
        Ok(Self { rules, group_of: group_of.collect(), lens })
    }

    /// One tensor, whose rule the caller has validated.
    pub(crate) fn one(rule: R, len: usize) -> Self {
        Self { rules: vec![rule], group_of: vec![0], lens: vec![len] }
    }

    /// Sets the base learning rate of a group. After an error, the old one remains.
    pub(crate) fn set_learning_rate(
        &mut self,
        group: usize,
        rate: f32,
    ) -> Result<(), TensorsError> {
        let groups = self.rules.len();
        let rule = self.rules.get_mut(group).ok_or(TensorsError::NoGroup { group, groups })?;
        let mut changed = *rule;
        changed.set_learning_rate(rate);
        changed.validate().map_err(|error| TensorsError::Rule { group, error })?;
        *rule = changed;
        Ok(())
    }

    /// Checks that a list has one vector for each tensor.
    pub(crate) fn check_count(&self, list: &'static str, found: usize) -> Result<(), TensorsError> {
        let expected = self.lens.len();
        if found == expected { Ok(()) } else { Err(TensorsError::Count { list, found, expected }) }
    }

    /// Checks the length of vector `index` of a list.
    pub(crate) fn check_length(
        &self,
        list: &'static str,
        index: usize,
        found: usize,
    ) -> Result<(), TensorsError> {
        let expected = self.lens[index];
        let tensor = TensorName { list, index };
        match found == expected {
            true => Ok(()),
            false => Err(TensorsError::Length { tensor, found, expected }),
        }
    }

    /// The indices in [`Rule::STATE`] of the state vectors that the rule of any group uses.
    pub(crate) fn used_state(&self) -> Vec<usize> {
        let used = |index: &usize| self.rules.iter().any(|rule| rule.uses_state(*index));
        (0..R::STATE.len()).filter(used).collect()
    }
}
