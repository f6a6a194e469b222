//! The curves of all rules in three charts.

use crate::plot::{Chart, Curve};
use crate::report::Outcome;
use crate::train::{self, Run};

/// Losses, accuracies and effective learning rates by epoch.
pub fn charts(outcomes: &[Outcome]) -> [Chart; 3] {
    let chart = |title: &str, y, curve: fn(&Run) -> &train::Curve| {
        let curve = |Outcome { name, rate, run }: &Outcome| Curve {
            label: format!("{name} {rate}"),
            points: curve(run).clone(),
        };
        let curves = outcomes.iter().map(curve).collect();
        Chart { title: title.to_owned(), x: "epoch", y, curves }
    };
    [
        chart("Training loss", "loss", |run| &run.losses),
        chart("Held-out images", "accuracy", |run| &run.accuracies),
        chart("Median effective learning rate", "learning rate", |run| &run.rates),
    ]
}
