//! How good a trained model is on some rows.

use serde::Serialize;
use wgpu_optim::linear::{LinearModel, Loss, TrainError};

use crate::training::metrics::{Metrics, mean_loss};
use crate::training::parts::Rows;

/// A model's loss on some rows, as training reports it, and its metrics.
#[derive(Debug, Serialize)]
pub(crate) struct Score {
    pub(crate) rows: usize,
    pub(crate) loss: f64,
    #[serde(flatten)]
    pub(crate) metrics: Metrics,
}

/// Bytes that a score needs for each row: its prediction and its target, and for the AUC both in
/// sorted order.
pub(crate) fn bytes_per_row(loss: Loss) -> usize {
    match loss {
        Loss::Logistic => 16,
        _ => 8,
    }
}

impl Score {
    /// Scores `model` on `rows`, by the CPU engine whatever trained it. `unit` is the size of one
    /// unit of the scaled target in the file.
    ///
    /// # Errors
    /// [`TrainError`] if the model has another number of features.
    pub(crate) fn new(
        model: &LinearModel,
        rows: &Rows,
        loss: Loss,
        unit: f64,
    ) -> Result<Self, TrainError> {
        let data = rows.data();
        let predictions = model.predict(data)?;
        let targets = data.target().to_vec();
        Ok(Self {
            rows: targets.len(),
            loss: mean_loss(loss, &predictions, &targets),
            metrics: Metrics::new(loss, &predictions, &targets, unit),
        })
    }
}
