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
    /// What keeps the weights small. Default: nothing.
    pub penalty: Penalty,
    /// What the rule's learning rate is multiplied by in each step. Default: 1.
    pub schedule: Schedule,
    /// How often every row is visited; at least 1. Default 2.
    pub epochs: u32,
    /// Rows in a minibatch, at least 1; all rows if there are fewer. Default 10.
    pub batch_size: usize,
    /// Decides initial weights and the order of rows. Default 0.
    pub seed: u64,
    /// Examples between two samples of the loss over all rows; with 0, the loss is sampled when
    /// an epoch ends. Default 100.
    pub evaluate_every: usize,
    /// The maximum number of bytes of the table to keep on a GPU. A larger one stays on the host and is
    /// streamed through a buffer of at most 32 MiB, and of at least one row, by two staging buffers of
    /// that size. Default: none, so that only a table for which the device has no room is streamed.
    pub gpu_memory: Option<u64>,
    /// Ends the run when the loss of the validation rows gets no better. Default: none.
    pub early_stop: Option<EarlyStop>,
    /// Whether the loss of each row is taken before it is learned from. Default: no.
    pub progressive: bool,
}

/// When a run ends before its time; its model is then that of its best epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStop {
    /// Epochs in a row that may pass without improvement; at least 1. Default 3.
    pub patience: u32,
    /// By how much the loss has to fall below the best one before to count as improvement.
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
    /// These settings for `rows` rows: a batch larger than the data is all of the data.
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

/// A sample of the loss: its mean over all rows, for the squared loss half the mean squared error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossPoint {
    /// Epochs trained so far; 0 before the first step.
    pub epoch: f64,
    /// The loss.
    pub loss: f64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Examples trained so far, over all epochs; on a GPU, handed to the device.
    pub examples: u64,
    /// Examples of the whole run.
    pub total: u64,
    /// The epochs trained when `loss` was sampled.
    pub epoch: f64,
    /// The newest loss that is known.
    pub loss: f64,
    /// With [`Training::progressive`], the newest of the means that [`Trained::progressive`] has; each
    /// is reported as soon as it is known, `examples` then being the rows that it is over.
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
    /// Epochs trained; fewer than asked for if the run was stopped early.
    pub epochs: u32,
    /// The loss over the validation rows at the end of each epoch.
    pub validation: Vec<LossPoint>,
    /// With [`Training::progressive`], the mean of the losses that rows had before they were learned
    /// from, over all rows so far: after 1, 2, 4, 8, ... of them, and at the end.
    pub progressive: Vec<LossPoint>,
    /// Wall-clock seconds an epoch, sampling of the loss included, compilation and upload not.
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
