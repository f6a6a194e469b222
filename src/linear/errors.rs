//! What can go wrong in training.

use crate::cpu::CpuError;
use crate::data::DataError;
use crate::gpu::{DeviceError, DownloadError, LimitError, StepError, VectorError};

/// Why a training run or a prediction ended without a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss grew without bound.
    #[error(
        "training diverged in epoch {epoch}: the loss is {loss:e}; \
         the learning rate may be too high, a column may need to be standardized, or \
         epsilon be above 0"
    )]
    Diverged {
        /// The epoch, counted from 1.
        epoch: u32,
        /// The loss that was found, perhaps infinite or NaN.
        loss: f64,
    },
    /// The squared errors do not fit f32 even before the first step.
    #[error("the loss is not finite before the first step: scale the features or the target down")]
    Overflow,
    /// The observer asked to stop.
    #[error("training was interrupted in epoch {epoch}")]
    Interrupted {
        /// The epoch, counted from 1.
        epoch: u32,
    },
    /// A setting outside its domain.
    #[error("{setting} is 0: give at least 1")]
    Zero {
        /// Which setting.
        setting: &'static str,
    },
    /// NaN, infinite, negative or subnormal.
    #[error("{setting} is {value:e}: give 0 or a finite number of at least 2^-126")]
    Penalty {
        /// Which setting.
        setting: &'static str,
        /// What it was set to.
        value: f32,
    },
    /// Logistic regression needs targets 0 and 1.
    #[error("row {row} has target {target}, but the logistic loss takes 0 and 1")]
    NoClass {
        /// The row, counted from 0.
        row: usize,
        /// Its target.
        target: f32,
    },
    /// Early stopping without validation rows.
    #[error("early stopping needs rows for validation")]
    NoValidation,
    /// Features of another width than the model.
    #[error("{found} columns of features, but the model has {expected} weights")]
    Columns {
        /// Columns of the features.
        found: usize,
        /// Weights of the model.
        expected: usize,
    },
    /// One row of the table is larger than the device can bind.
    #[error(
        "a row of {features} features does not fit a binding of {binding} bytes: use the CPU engine"
    )]
    RowTooLarge {
        /// How many features a row has.
        features: usize,
        /// The device's largest binding, in bytes.
        binding: u64,
    },
    /// There is no memory for what a run or a prediction keeps.
    #[error("no memory for {bytes} bytes: use fewer rows or features, or free memory")]
    OutOfMemory {
        /// How much was asked for, beside what is in use.
        bytes: u64,
    },
    /// A sum with more terms than one shader invocation may add.
    #[error(
        "{found} {what} are more than the {max} that a GPU adds up one by one: use fewer, or the \
         CPU engine"
    )]
    Terms {
        /// What is added up.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// The device's limits are too low for the gradient's kernels.
    #[error("the device allows {limit} of {allowed}, but the gradient needs {needed}")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// What is needed.
        needed: u64,
        /// What the device was opened with.
        allowed: u64,
    },
    /// The table is no dataset.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The optimizer refused.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// The optimizer refused.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The data could not be brought to the device.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// The result could not be read back.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// What most functions of this module return.
pub(super) type Result<T, E = TrainError> = std::result::Result<T, E>;

impl From<LimitError> for TrainError {
    fn from(LimitError { limit, needed, allowed }: LimitError) -> Self {
        Self::Limit { limit, needed, allowed }
    }
}

impl From<DeviceError> for TrainError {
    fn from(error: DeviceError) -> Self {
        Self::Step(error.into())
    }
}

/// Whether features have as many columns as the model has weights.
pub(super) fn check_columns(found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(TrainError::Columns { found, expected }) }
}
