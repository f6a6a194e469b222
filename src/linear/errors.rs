//! Errors of training and prediction.

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
        /// The loss, possibly infinite or NaN.
        loss: f64,
    },
    /// The loss overflows f32 before the first step.
    #[error("the loss is not finite before the first step: scale the features or the target down")]
    Overflow,
    /// The observer asked to stop.
    #[error("training was interrupted in epoch {epoch}")]
    Interrupted {
        /// The epoch, counted from 1.
        epoch: u32,
    },
    /// A setting that must be at least 1 is 0.
    #[error("{setting} is 0: give at least 1")]
    Zero {
        /// The setting's name.
        setting: &'static str,
    },
    /// A penalty is NaN, infinite, negative or subnormal.
    #[error("{setting} is {value:e}: give 0 or a finite number of at least 2^-126")]
    Penalty {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
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
    /// Early stopping was requested without validation rows.
    #[error("early stopping needs validation rows")]
    NoValidation,
    /// The features and the model differ in width.
    #[error("there are {found} feature columns, but the model has {expected} weights")]
    Columns {
        /// Columns of the features.
        found: usize,
        /// Weights of the model.
        expected: usize,
    },
    /// One row of the table is larger than the device's largest binding.
    #[error(
        "a row of {features} features does not fit a binding of {binding} bytes: use the CPU engine"
    )]
    RowTooLarge {
        /// The number of features in a row.
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
        "{found} {what} are more than the {max} that a GPU can sum in one loop: use fewer, or the \
         CPU engine"
    )]
    Terms {
        /// What is summed.
        what: &'static str,
        /// Their number.
        found: usize,
        /// The maximum.
        max: usize,
    },
    /// The device's limits are too low for the kernels of linear models.
    #[error("training needs {limit} of {needed}, but the device was opened with {allowed}")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// What is needed.
        needed: u64,
        /// What the device was opened with.
        allowed: u64,
    },
    /// The table is not a valid dataset.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The optimizer refused the run or a step.
    #[error(transparent)]
    Cpu(#[from] CpuError),
    /// The optimizer refused the run or a step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The data could not be uploaded to the device.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// The result could not be read back.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// The result of most functions of this module.
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

/// Checks that the features have as many columns as the model has weights.
pub(super) fn check_columns(found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(TrainError::Columns { found, expected }) }
}
