//! Errors of the CPU engine.

use crate::rules::RuleError;
use crate::step::{GradientError, RowsError, ScheduleError, TensorsError};

/// Why the CPU engine refused a call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// A hyper-parameter is outside its domain.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A number of a schedule is outside its domain.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The state does not fit in memory.
    #[error("not enough memory for a state vector of {len} elements: use fewer parameters")]
    OutOfMemory {
        /// The length of the vector, in elements.
        len: usize,
    },
    /// The gradients or their norm are not finite, and the guard's policy is
    /// [`crate::NonFinite::Report`]. Parameters, state and step count have not changed.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The rows that a step names do not fit the table.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Groups of tensors are not valid, or the slices of a step do not fit them.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
    /// A slice does not have the optimizer's length.
    #[error("{slice} has {found} elements, but the optimizer was made for {expected}")]
    Length {
        /// Which slice.
        slice: &'static str,
        /// Its length, in elements.
        found: usize,
        /// The optimizer's length, in elements.
        expected: usize,
    },
}

impl CpuError {
    /// The same error without the number of the tensor, for optimizers of one tensor.
    pub(super) fn of_one_tensor(self) -> Self {
        match self {
            Self::Tensors(TensorsError::Rule { error, .. }) => Self::Rule(error),
            Self::Tensors(TensorsError::Rows { error, .. }) => Self::Rows(error),
            Self::Tensors(TensorsError::Length { tensor, found, expected }) => {
                Self::Length { slice: tensor.list, found, expected }
            }
            other => other,
        }
    }
}
