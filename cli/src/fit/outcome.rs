//! A training run with its inputs: the content of reports and files.

use wgpu_optim::Precision;
use wgpu_optim::linear::{Trained, Training};

use crate::args::rule::ChosenRule;
use crate::device::Description;
use crate::training::parts::TrainingSet;
use crate::training::score::Score;

/// A training run with its inputs.
pub(super) struct Outcome<'a> {
    pub(super) set: &'a TrainingSet,
    pub(super) trained: &'a Trained,
    /// The trained model's score on the training rows and on the test rows.
    pub(super) score: Score,
    pub(super) test: Option<Score>,
    /// The loss of the least-squares fit.
    pub(super) best_loss: Option<f64>,
    pub(super) device: Description,
    pub(super) training: &'a Training,
    pub(super) rule: &'a ChosenRule,
    pub(super) precision: Precision,
}

impl Outcome<'_> {
    /// The number of rows trained on, and the mean of the losses that they had before that.
    pub(super) fn progressive(&self) -> impl Iterator<Item = (u64, f64)> {
        let rows = self.set.parts.training.len() as f64;
        self.trained
            .progressive
            .iter()
            .map(move |point| ((point.epoch * rows).round() as u64, point.loss))
    }
}
