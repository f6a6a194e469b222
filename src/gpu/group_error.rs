//! What can go wrong with a list of tensors on a GPU.

use super::errors::{DeviceError, StepError, VectorError};
use super::limits::LimitError;
use crate::step::{TensorName, TensorsError};

/// Why an optimizer over groups could not be made, or its step was refused. Nothing has changed
/// then: no parameter, no state, no step count.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The lists do not fit the optimizer, or a hyper-parameter is outside its domain.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
    /// Two vectors share bytes of one buffer: tensors, or a tensor and a state vector, which is then
    /// the list of that name.
    #[error(
        "{first} and {second} overlap in one buffer, at byte {byte}: give them ranges of their own"
    )]
    Overlap {
        /// The one that comes first in the lists; state comes last.
        first: TensorName,
        /// The other.
        second: TensorName,
        /// The first byte that both claim.
        byte: u64,
    },
    /// A tensor lies on another device.
    #[error("{tensor} lies on another device: upload it to the optimizer's")]
    ForeignDevice {
        /// Which tensor.
        tensor: TensorName,
    },
    /// What can go wrong with any step: limits, memory, rows, the device.
    #[error(transparent)]
    Step(#[from] StepError),
}

impl GroupError {
    /// What went wrong with a step over rows of one tensor.
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

/// The same of an optimizer of one tensor: lists are its vectors.
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
            // One tensor, of at least one element, in one group.
            GroupError::Tensors(other) => Self::Rejected { message: other.to_string() },
        }
    }
}
