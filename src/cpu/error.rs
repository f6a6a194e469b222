//! Why the CPU engine refuses.

use crate::rules::{GradientError, RuleError, ScheduleError};

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
    /// Row gradients are not as many whole rows as there are indices, or the optimizer's length is
    /// not a number of such rows.
    #[error(
        "{gradients} gradients for {indices} rows of a table of {len} elements: \
         give one row of gradients for each index"
    )]
    RowWidth {
        /// Elements of the row gradients.
        gradients: usize,
        /// Row indices.
        indices: usize,
        /// The optimizer's length, in elements.
        len: usize,
    },
    /// A row index past the end of the table.
    #[error("row index {row} at position {at}: the table has {rows} rows, counted from 0")]
    RowIndex {
        /// Where among the indices.
        at: usize,
        /// The index.
        row: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// More row indices than a u32 counts.
    #[error("{indices} rows in one step: give at most {}", u32::MAX)]
    RowCount {
        /// Row indices.
        indices: usize,
    },
    /// An optimizer made by [`super::CpuOptimizer::row_wise`] was not given rows of its length.
    #[error(
        "this optimizer keeps one accumulator for each row of {width}: call step_rows, with row \
         gradients of {width} for each index"
    )]
    RowWise {
        /// The optimizer's length of a row, in elements.
        width: usize,
    },
    /// A row-wise optimizer was to have rows without parameters.
    #[error("rows of 0 parameters have nothing to share: give a width of at least 1")]
    EmptyRow,
    /// A step over rows does not look at a guard.
    #[error("a step over rows takes no guard: use an optimizer without one")]
    GuardedRows,
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
