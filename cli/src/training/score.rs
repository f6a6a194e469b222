//! How good a trained model is on some rows.

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use wgpu_optim::linear::{LinearModel, Loss, LossPoint, Penalty};

use crate::error::Error;
use crate::fit::report::{Outcome, STYLE, count, significant};
use crate::input::classes::Classes;
use crate::input::read::{Problem, Rows};
use crate::training::metrics::{Metrics, mean_loss};

/// A model's loss on some rows, as training tells it, and its metrics.
#[derive(Debug, Serialize)]
pub(crate) struct Score {
    pub(crate) rows: usize,
    pub(crate) loss: f64,
    #[serde(flatten)]
    pub(crate) metrics: Metrics,
}

impl Score {
    /// The score on `rows`, which are scaled as the problem is; by the CPU engine, whatever trained.
    pub(crate) fn of(
        rows: &Rows,
        problem: &Problem,
        model: &LinearModel,
        loss: Loss,
    ) -> Result<Self, Error> {
        let data = rows.data();
        let predictions = model.predict(data)?;
        let targets = data.target().to_vec();
        let unit = problem.scaling.target.deviation;
        Ok(Self {
            rows: targets.len(),
            loss: mean_loss(loss, &predictions, &targets),
            metrics: Metrics::of(loss, &predictions, &targets, unit),
        })
    }
}

/// What `--json` says of the loss and of scores, beside the loss itself.
#[derive(Serialize)]
pub(crate) struct JsonScores<'a> {
    loss_function: String,
    l1: f32,
    l2: f32,
    /// What stands for 0 and 1; null for numbers.
    classes: Option<&'a Classes>,
    /// Fewer than asked for where the run ended early.
    epochs_trained: u32,
    metrics: &'a Metrics,
    /// Null without `--test`.
    test: Option<&'a Score>,
    /// Null without held-out rows.
    validation: Option<JsonValidation>,
    /// Null without `--validation progressive`; rows learned from and the mean loss so far.
    progressive_loss: Option<Vec<(u64, f64)>>,
}

#[derive(Serialize)]
struct JsonValidation {
    rows: usize,
    loss_history: Vec<(f64, f64)>,
}

impl<'a> JsonScores<'a> {
    /// What is to be said of `outcome`.
    pub(crate) fn new(outcome: &'a Outcome<'_>) -> Self {
        let Outcome { problem, trained, training, .. } = outcome;
        let pairs = |points: &[LossPoint]| points.iter().map(|p| (p.epoch, p.loss)).collect();
        Self {
            loss_function: training.loss.to_string(),
            l1: training.penalty.l1,
            l2: training.penalty.l2,
            classes: problem.classes.as_ref(),
            epochs_trained: trained.epochs,
            metrics: &outcome.score.metrics,
            test: outcome.test.as_ref(),
            validation: problem.validation.as_ref().map(|rows| JsonValidation {
                rows: rows.data().rows(),
                loss_history: pairs(&trained.validation),
            }),
            progressive_loss: training.progressive.then(|| progressive(outcome).collect()),
        }
    }
}

/// Rows learned from, and the mean of the losses that they had before.
fn progressive(outcome: &Outcome<'_>) -> impl Iterator<Item = (u64, f64)> {
    let rows = outcome.problem.dataset.data().rows() as f64;
    let row_count = move |point: &LossPoint| (point.epoch * rows).round() as u64;
    outcome.trained.progressive.iter().map(move |point| (row_count(point), point.loss))
}

/// Lines for the table of the run: what was minimized, and scores.
pub(crate) fn lines(outcome: &Outcome<'_>) -> Vec<(&'static str, String)> {
    let Outcome { problem, trained, training, .. } = outcome;
    let mut lines = Vec::new();
    if let Some(Classes([first, second])) = &problem.classes {
        lines.push(("classes", format!("{first} and {second}")));
    }
    let Penalty { l1, l2 } = training.penalty;
    if l1 != 0.0 || l2 != 0.0 {
        lines.push(("penalty", format!("l1 {l1}, l2 {l2}")));
    }
    lines.push(("scores", words(&outcome.score.metrics)));
    if let (Some(rows), Some(last)) = (&problem.validation, trained.validation.last()) {
        let least = trained.validation.iter().map(|p| p.loss).fold(f64::INFINITY, f64::min);
        let (rows, epochs) = (count(rows.data().rows(), "row"), trained.epochs);
        let (last, least) = (significant(last.loss), significant(least));
        lines.push((
            "validation",
            format!(
                "{rows}: loss {last} after {epochs} of {} epochs, least {least}",
                training.epochs
            ),
        ));
    }
    if let Some(test) = &outcome.test {
        let (rows, loss) = (count(test.rows, "row"), significant(test.loss));
        lines.push(("test", format!("{rows}: loss {loss}, {}", words(&test.metrics))));
    }
    lines
}

/// The losses of rows before they were learned from, as a table; none if nobody asked.
pub(crate) fn progressive_table(outcome: &Outcome<'_>) -> Option<String> {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["rows learned from", "mean loss before"]);
    for (rows, loss) in progressive(outcome) {
        table.add_row([rows.to_string(), significant(loss)]);
    }
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    outcome.training.progressive.then(|| table.trim_fmt())
}

fn words(metrics: &Metrics) -> String {
    let word = |(name, value): (&str, Option<f64>)| {
        format!("{name} {}", value.map_or_else(|| "undefined".to_owned(), significant))
    };
    metrics.named().into_iter().map(word).collect::<Vec<_>>().join(", ")
}
