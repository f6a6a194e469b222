//! The interface between a training run and an engine.

use std::ops::Range;

use super::batches::Batch;
use super::errors::Result;
use super::model::LinearModel;
use crate::gpu::Wait;

/// An engine at work on one run.
pub(super) trait Worker {
    /// Begins an epoch that visits the rows in this order.
    fn begin_epoch(&mut self, order: &[u32]) -> Result<()>;

    /// Trains on one batch of that order.
    async fn step(&mut self, batch: &Batch, order: &[u32], wait: Wait) -> Result<()>;

    /// Samples the loss over all rows, after all steps so far.
    async fn evaluate(&mut self, wait: Wait) -> Result<()>;

    /// Returns the sums of loss terms that have arrived, in the order of sampling. With `all`,
    /// waits for all of them.
    async fn losses(&mut self, wait: Wait, all: bool) -> Result<Vec<f32>>;

    /// With [`super::Training::progressive`]: the losses that the rows at these positions of the
    /// epoch's order had before they were learned from. All of them have been trained on.
    async fn progressive(&mut self, rows: Range<usize>, wait: Wait) -> Result<Vec<f32>>;

    /// Replaces the model.
    async fn set_model(&mut self, model: &LinearModel, wait: Wait) -> Result<()>;

    /// The current model.
    async fn model(&mut self, wait: Wait) -> Result<LinearModel>;
}
