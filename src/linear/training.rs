//! The settings of a training run, and what it reports.

use super::errors::{Result, TrainError};
use super::loss::Loss;
use super::model::LinearModel;
use super::penalty::Penalty;
use crate::step::Schedule;

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// What is minimized. Default [`Loss::Squared`].
    pub loss: Loss,
    /// The penalty on large weights. Default: none.
    pub penalty: Penalty,
    /// The factor that multiplies the rule's learning rate in each step. Default: 1.
    pub schedule: Schedule,
    /// The number of passes over all rows, at least 1. Default 2.
    pub epochs: u32,
    /// The number of rows in a minibatch, at least 1; all rows if there are fewer. Default 10.
    pub batch_size: usize,
    /// The seed of the initial weights and of the order of rows. Default 0.
    pub seed: u64,
    /// The number of examples between two samples of the loss over all rows; with 0, the loss is
    /// sampled when an epoch ends. Default 100.
    pub evaluate_every: usize,
    /// The maximum size of a table kept on a GPU, in bytes. A larger table stays on the host and is
    /// streamed through a buffer of at most 32 MiB, but at least one row, with two staging buffers
    /// of that size. Default: none, so that only a table that does not fit the device's memory is
    /// streamed.
    pub gpu_memory: Option<u64>,
    /// Ends the run when the loss of the validation rows stops improving. Default: none.
    pub early_stop: Option<EarlyStop>,
    /// Whether the loss of each row is measured before the row is learned from. Default: no.
    pub progressive: bool,
}

/// When a run stops early. Its result is the model of its best epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStop {
    /// The number of consecutive epochs without improvement after which the run stops, at least 1.
    /// Default 3.
    pub patience: u32,
    /// The loss must fall below the best one so far by more than this to count as an improvement.
    /// Default 0.
    pub least_improvement: f64,
}

impl Default for EarlyStop {
    fn default() -> Self {
        Self { patience: 3, least_improvement: 0.0 }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            loss: Loss::Squared,
            penalty: Penalty::default(),
            schedule: Schedule::Constant,
            epochs: 2,
            batch_size: 10,
            seed: 0,
            evaluate_every: 100,
            gpu_memory: None,
            early_stop: None,
            progressive: false,
        }
    }
}

impl Training {
    /// Checks these settings, and limits the batch size to `rows` rows.
    pub(super) fn checked(&self, rows: usize) -> Result<Self> {
        let patience = self.early_stop.map_or(1, |stop| stop.patience);
        for (setting, value) in [
            ("the batch size", self.batch_size),
            ("epochs", self.epochs as usize),
            ("the patience of early stopping", patience as usize),
        ] {
            if value == 0 {
                return Err(TrainError::Zero { setting });
            }
        }
        self.penalty.validate()?;
        Ok(Self { batch_size: self.batch_size.min(rows), ..self.clone() })
    }
}

/// A sample of the loss: its mean over all rows. For the squared loss this is half the mean squared
/// error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossPoint {
    /// Epochs trained so far; 0 before the first step.
    pub epoch: f64,
    /// The loss.
    pub loss: f64,
}

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Examples trained so far, over all epochs; on a GPU, examples passed to the device.
    pub examples: u64,
    /// Examples of the whole run.
    pub total: u64,
    /// The epochs trained when `loss` was sampled.
    pub epoch: f64,
    /// The latest known loss.
    pub loss: f64,
    /// With [`Training::progressive`], the latest mean of [`Trained::progressive`]. Each mean is
    /// reported as soon as it is known; `examples` is then its number of rows.
    pub progressive: Option<LossPoint>,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The model.
    pub model: LinearModel,
    /// The loss at the end.
    pub loss: f64,
    /// All samples of the loss, the first before the first step and the last at the end.
    pub history: Vec<LossPoint>,
    /// Epochs trained; fewer than requested if the run was stopped early.
    pub epochs: u32,
    /// The loss over the validation rows at the end of each epoch.
    pub validation: Vec<LossPoint>,
    /// With [`Training::progressive`], the mean of the losses that all rows so far had before they
    /// were learned from: after 1, 2, 4, 8, ... rows, and at the end.
    pub progressive: Vec<LossPoint>,
    /// Wall-clock seconds per epoch, with sampling of the loss, but without compilation and upload.
    pub seconds_per_epoch: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_refused() {
        let impatient = EarlyStop { patience: 0, ..EarlyStop::default() };
        for training in [
            Training { batch_size: 0, ..Training::default() },
            Training { epochs: 0, ..Training::default() },
            Training { early_stop: Some(impatient), ..Training::default() },
        ] {
            assert!(matches!(training.checked(5), Err(TrainError::Zero { .. })));
        }
    }
}
