//! The tables and the picture.

use crate::args::Args;
use crate::plot::{Chart, Curve};
use crate::rules::Kind;
use crate::train::{Outcome, Plan};

/// One rule's results, one of each run.
pub struct Row {
    pub kind: Kind,
    /// The mean loss of the last epoch.
    pub losses: Vec<f64>,
    pub accuracies: Vec<f64>,
    pub seconds: Vec<f64>,
}

impl Row {
    pub fn new(kind: Kind) -> Self {
        Self { kind, losses: Vec::new(), accuracies: Vec::new(), seconds: Vec::new() }
    }

    pub fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        self.losses.push(plan.epoch_losses(outcome).last().copied().unwrap_or(f64::NAN));
        self.accuracies.push(outcome.accuracy);
        self.seconds.push(outcome.time.as_secs_f64());
    }
}

/// Of several runs, what the lines of [`run_line`] are.
pub fn run_header() -> String {
    let names = Kind::ALL.map(|kind| format!("{:>8}", kind.name())).join("  ");
    format!("test accuracies\nseed        {names}")
}

/// The accuracies of one run.
pub fn run_line(seed: u64, outcomes: &[(Kind, Outcome)]) -> String {
    let accuracy = |(_, outcome): &(Kind, Outcome)| format!("  {:>8.4}", outcome.accuracy);
    format!("{seed:<10}") + &outcomes.iter().map(accuracy).collect::<String>()
}

/// The table of one run, or of several.
pub fn table(rows: &[Row], runs: u32) -> String {
    if runs == 1 {
        let mut text = "rule      training loss   test accuracy   tutorial   seconds\n".to_owned();
        for row in rows {
            text += &format!(
                "{:<8}  {:>13}   {:>13.4}   {:>8.4}   {:>7.1}\n",
                row.kind.name(),
                significant(mean(&row.losses)),
                mean(&row.accuracies),
                row.kind.tutorial(),
                mean(&row.seconds),
            );
        }
        return text;
    }
    let mut text =
        "                           test accuracy                                   seconds\n\
        rule      training loss     mean  deviation      min      max   tutorial   per run\n"
            .to_owned();
    for row in rows {
        let accuracies = || row.accuracies.iter().copied();
        text += &format!(
            "{:<8}  {:>13}   {:>6.4}     {:>6.4}   {:>6.4}   {:>6.4}     {:>6.4}   {:>7.1}\n",
            row.kind.name(),
            significant(mean(&row.losses)),
            mean(&row.accuracies),
            deviation(&row.accuracies),
            accuracies().fold(f64::INFINITY, f64::min),
            accuracies().fold(f64::NEG_INFINITY, f64::max),
            row.kind.tutorial(),
            mean(&row.seconds),
        );
    }
    text
}

/// The mean loss of each epoch, of one seed.
pub fn chart(args: &Args, plan: &Plan, outcomes: &[(Kind, Outcome)]) -> Chart {
    let curve = |(kind, outcome): &(Kind, Outcome)| {
        let points = (1..).map(f64::from).zip(plan.epoch_losses(outcome)).collect();
        Curve { label: kind.name().to_owned(), points }
    };
    let Args { learning_rate, batch_size, seed, .. } = args;
    Chart {
        title: format!("Learning rate {learning_rate}, batches of {batch_size}, seed {seed}"),
        x: "epoch",
        y: "training loss",
        curves: outcomes.iter().map(curve).collect(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation, estimated from a sample.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// A loss, with digits where they matter.
fn significant(loss: f64) -> String {
    if (1e-3..1e4).contains(&loss) { format!("{loss:.4}") } else { format!("{loss:.2e}") }
}
