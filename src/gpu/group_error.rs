//! Errors of optimizers over lists of tensors on a GPU.

use super::errors::{DeviceError, StepError, VectorError};
use super::limits::LimitError;
use crate::step::{TensorName, TensorsError};

/// Why an optimizer over groups could not be created, or its step was refused. A refused step
/// changes nothing: no parameter, no state, no step count.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The lists do not fit the optimizer, or a hyper-parameter is outside its domain.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
    /// Two vectors share bytes of one buffer: two tensors, or a tensor and its state. For state,
    /// the list in the name is the state vector's.
    #[error("{first} and {second} overlap in one buffer, at byte {byte}: give each its own range")]
    Overlap {
        /// The vector that comes first in the lists; state comes last.
        first: TensorName,
        /// The other vector.
        second: TensorName,
        /// The first byte that both use.
        byte: u64,
    },
    /// A tensor is on another device.
    #[error("{tensor} is on another device: upload it to the optimizer's device")]
    ForeignDevice {
        /// The tensor.
        tensor: TensorName,
    },
    /// An error that any step can have: limits, memory, rows, the device.
    #[error(transparent)]
    Step(#[from] StepError),
}

impl GroupError {
    /// The error of a step over rows of one tensor.
    pub(super) fn of_tensor(tensor: usize, error: StepError) -> Self {
        match error {
            StepError::Rows(error) => TensorsError::Rows { tensor, error }.into(),
            other => other.into(),
        }
    }
}

impl From<DeviceError> for GroupError {
    fn from(error: DeviceError) -> Self {
        Self::Step(error.into())
    }
}

impl From<VectorError> for GroupError {
    fn from(error: VectorError) -> Self {
        Self::Step(StepError::State(error))
    }
}

impl From<LimitError> for GroupError {
    fn from(error: LimitError) -> Self {
        Self::Step(error.into())
    }
}

/// The error of an optimizer of one tensor, whose vectors are named like the lists.
impl From<GroupError> for StepError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Step(error) => error,
            GroupError::Overlap { first, second, byte } => {
                Self::Overlap { first: first.list, second: second.list, byte }
            }
            GroupError::ForeignDevice { tensor } => Self::ForeignDevice { vector: tensor.list },
            GroupError::Tensors(TensorsError::Length { tensor, found, expected }) => {
                Self::Length { vector: tensor.list, found, expected }
            }
            GroupError::Tensors(TensorsError::Rule { error, .. }) => Self::Rule(error),
            GroupError::Tensors(TensorsError::Rows { error, .. }) => Self::Rows(error),
            // Cannot occur: there is one tensor, of at least one element, in one group.
            GroupError::Tensors(other) => Self::Rejected { message: other.to_string() },
        }
    }
}
