//! What can go wrong with a list of tensors.

use super::super::errors::{Caught, StepError, VectorError};
use crate::rules::RuleError;

/// One vector of the lists that a step was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorName {
    /// "params" or "grads".
    pub list: &'static str,
    /// Its place in the list, counted from 0.
    pub index: usize,
}

impl std::fmt::Display for TensorName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}[{}]", self.list, self.index)
    }
}

/// Why an optimizer over groups could not be made, or its step was refused. Nothing has changed
/// then: no parameter, no state, no step count.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// No tensor in any group.
    #[error("there are no tensors: give at least one group with the length of at least one tensor")]
    Empty,
    /// A tensor of no elements.
    #[error("tensor {tensor} has no elements: leave it out")]
    EmptyTensor {
        /// Its place in the list of all tensors, counted from 0.
        tensor: usize,
    },
    /// A hyper-parameter of a group is outside its domain.
    #[error("group {group}: {error}")]
    Rule {
        /// The group, counted from 0.
        group: usize,
        /// What is wrong with it.
        #[source]
        error: RuleError,
    },
    /// There is no such group.
    #[error("there is no group {group}: there are {groups}, counted from 0")]
    NoGroup {
        /// The group asked for.
        group: usize,
        /// How many there are.
        groups: usize,
    },
    /// A list has another length than the optimizer was made for.
    #[error("{list} has {found} tensors, but the optimizer was made for {expected}")]
    Count {
        /// Which list.
        list: &'static str,
        /// Its length.
        found: usize,
        /// How many tensors the optimizer has.
        expected: usize,
    },
    /// A tensor has another length than the optimizer was made for.
    #[error("{tensor} has {found} elements, but the optimizer was made for {expected} there")]
    Length {
        /// Which tensor.
        tensor: TensorName,
        /// Its length, in elements.
        found: usize,
        /// The length that the optimizer was made for, in elements.
        expected: usize,
    },
    /// Two tensors share bytes of one buffer.
    #[error(
        "{first} and {second} overlap in one buffer, at byte {byte}: give them ranges of their own"
    )]
    Overlap {
        /// The one that starts first in the buffer.
        first: TensorName,
        /// The other.
        second: TensorName,
        /// The first byte that both claim.
        byte: u64,
    },
    /// A tensor lies in a buffer of the optimizer's own state.
    #[error("{tensor} lies in the optimizer's own state: copy it to a vector of its own")]
    State {
        /// Which tensor.
        tensor: TensorName,
    },
    /// A tensor lies on another device.
    #[error("{tensor} lies on another device: upload it to the optimizer's")]
    ForeignDevice {
        /// Which tensor.
        tensor: TensorName,
    },
    /// What can go wrong with any step: limits, memory, the device.
    #[error(transparent)]
    Step(#[from] StepError),
}

impl From<Caught> for GroupError {
    fn from(caught: Caught) -> Self {
        Self::Step(caught.into())
    }
}

impl From<VectorError> for GroupError {
    fn from(error: VectorError) -> Self {
        Self::Step(StepError::State(error))
    }
}
