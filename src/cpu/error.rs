//! Why the CPU engine refuses.

use crate::rules::RuleError;
use crate::step::{GradientError, RowsError, ScheduleError, TensorsError};

/// Why the CPU engine refused.
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
    #[error("no memory for a state vector of {len} elements")]
    OutOfMemory {
        /// The optimizer's length, in elements.
        len: usize,
    },
    /// The gradients are not finite, and the guard's policy is [`crate::NonFinite::Report`]. No
    /// parameter, no state and no step count has changed.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The rows that a step names do not fit the table.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Groups of tensors, or what a step was given for them, do not fit.
    #[error(transparent)]
    Tensors(#[from] TensorsError),
    /// A slice has another length than the optimizer was made for.
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
    /// The same where there is one tensor, so that its number says nothing.
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
