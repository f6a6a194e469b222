//! A rule that takes part, and all runs by it.

use wgpu_optim::linear::Trained;

use super::search::Trials;
use crate::training::metrics::Metrics;

/// A rule and all runs by it.
pub(super) struct Entry {
    pub(super) label: String,
    /// Its place among the rules of `--optimizers`, which gives it its colour, whatever its rank.
    pub(super) number: usize,
    pub(super) trials: Trials<Trained>,
    /// Which of them is the best, with its score on the test rows; none if all diverged.
    pub(super) best: Option<(usize, Metrics)>,
}

impl Entry {
    /// The best run: its learning rate, its validation loss, and what came of it.
    pub(super) fn run(&self) -> Option<(f32, f64, &Trained)> {
        let trial = &self.trials.all[self.best.as_ref()?.0];
        let (loss, trained) = trial.result.as_ref()?;
        Some((trial.learning_rate, *loss, trained))
    }

    /// Name and learning rate, for legends.
    pub(super) fn title(&self) -> String {
        self.run().map_or_else(String::new, |(rate, ..)| format!("{} at {rate}", self.label))
    }
}

/// The least validation loss first; those that diverged last.
pub(super) fn rank(entries: &mut [Entry]) {
    let loss = |entry: &Entry| entry.run().map_or(f64::INFINITY, |(_, loss, _)| loss);
    entries.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
}
