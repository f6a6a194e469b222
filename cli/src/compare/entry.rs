//! A rule and all runs with it.

use wgpu_optim::linear::Trained;

use super::search::Trials;
use crate::training::metrics::Metrics;

/// A rule and all runs with it.
pub(super) struct Entry {
    pub(super) label: String,
    /// Its place in `--optimizers`, which determines its colour whatever its rank.
    pub(super) number: usize,
    pub(super) trials: Trials<Trained>,
    /// The score of the best run on the test rows; none if all diverged.
    pub(super) test: Option<Metrics>,
}

impl Entry {
    /// The best run: its learning rate, its validation loss and its result.
    pub(super) fn run(&self) -> Option<(f32, f64, &Trained)> {
        let best = self.trials.best.as_ref()?;
        Some((best.learning_rate, best.loss, &best.run))
    }

    /// Name and learning rate, for legends.
    pub(super) fn title(&self) -> String {
        self.run().map_or_else(String::new, |(rate, ..)| format!("{} at {rate}", self.label))
    }
}

/// Sorts by validation loss, the lowest first; rules that diverged come last.
pub(super) fn rank(entries: &mut [Entry]) {
    let loss = |entry: &Entry| entry.run().map_or(f64::INFINITY, |(_, loss, _)| loss);
    entries.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
}
