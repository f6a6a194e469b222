//! What `compare` prints: a table for people, or one JSON object for programs.

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use wgpu_optim::Precision;
use wgpu_optim::linear::{Data, LinearModel, Loss, Training};

use super::Entry;
use super::data::Problem;
use super::rarity::{self, Group};
use crate::device::Description;
use crate::error::Error;
use crate::fit::report::{STYLE, significant};
use crate::input::read::Rows;
use crate::output;
use crate::training::metrics::Metrics;

/// How well `model` does on the test rows, on the CPU, whichever device trained it.
pub(super) fn scored(model: &LinearModel, problem: &Problem) -> Result<Metrics, Error> {
    let data = problem.test.data();
    let (predictions, target) = (model.predict(data)?, data.target().to_vec());
    Ok(Metrics::of(problem.loss, &predictions, &target, problem.unit))
}

/// The one score that the table has room for.
fn cell(metrics: &Metrics) -> String {
    match *metrics {
        Metrics::Numbers { r2, .. } => r2.map_or_else(|| "-".to_owned(), |r2| format!("{r2:.4}")),
        Metrics::Classes { accuracy, .. } => format!("{:.2} %", 100.0 * accuracy),
    }
}

/// Everything there is to be told.
pub(super) struct Comparison<'a> {
    pub(super) problem: &'a Problem,
    pub(super) training: &'a Training,
    pub(super) device: Description,
    pub(super) precision: Precision,
    pub(super) entries: &'a [Entry],
}

/// The object that `--json` prints. The names are a contract.
#[derive(Serialize)]
pub(super) struct JsonReport<'a> {
    device: &'a Description,
    precision: String,
    data: &'a str,
    training_rows: usize,
    validation_rows: usize,
    test_rows: usize,
    features: usize,
    objective: String,
    epochs: u32,
    batch_size: usize,
    schedule: String,
    seed: u64,
    results: Vec<JsonEntry<'a>>,
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    optimizer: &'a str,
    #[serde(flatten)]
    run: Option<JsonRun<'a>>,
    trials: Vec<JsonTrial>,
}

#[derive(Serialize)]
struct JsonRun<'a> {
    learning_rate: f32,
    /// Whether it is the first or the last one tried.
    at_edge: bool,
    loss: f64,
    validation_loss: f64,
    test: &'a Metrics,
    seconds: f64,
    loss_history: Vec<(f64, f64)>,
    weights_bits: Vec<String>,
    bias_bits: String,
    /// Where the true weights are known.
    features_by_rarity: Option<Vec<JsonGroup>>,
}

#[derive(Serialize)]
struct JsonTrial {
    learning_rate: f32,
    /// Null where training diverged.
    validation_loss: Option<f64>,
}

#[derive(Serialize)]
struct JsonGroup {
    features: usize,
    occurrences: f64,
    error: f64,
}

impl From<Group> for JsonGroup {
    fn from(Group { features, occurrences, error }: Group) -> Self {
        Self { features, occurrences, error }
    }
}

impl Comparison<'_> {
    /// The errors of a rule's best weights, where the true ones are known.
    pub(super) fn groups(&self, entry: &Entry) -> Option<Vec<Group>> {
        let (_, _, trained) = entry.run()?;
        let truth = self.problem.truth.as_deref()?;
        Some(rarity::groups(&self.problem.training.counts(), &trained.model.weights, truth))
    }

    /// Tells of learning rates that led nowhere.
    pub(super) fn notes(&self) {
        for Entry { label, trials, .. } in self.entries {
            let diverged = trials.all.iter().filter(|trial| trial.result.is_none());
            let rates: Vec<_> = diverged.map(|trial| trial.learning_rate.to_string()).collect();
            if !rates.is_empty() {
                output::note(&format!("{label} diverged at {}", rates.join(", ")));
            }
        }
    }

    /// The problem in two lines, and a row for each rule.
    pub(super) fn table(&self) -> String {
        let Self { problem, training, .. } = self;
        let rows = |rows: &Rows| rows.data().rows();
        let precision = match self.device.kind {
            "cpu" => "the bits of exact precision".to_owned(),
            _ => format!("{} precision", self.precision),
        };
        let mut text = format!(
            "{}: {} features; rows {} to train, {} to validate, {} to test\n\
             {} loss, epochs {}, batches of {}, seed {}; {}, {precision}\n\n",
            problem.source,
            problem.training.data().feature_count(),
            rows(&problem.training),
            rows(&problem.validation),
            rows(&problem.test),
            training.loss,
            training.epochs,
            training.batch_size.min(rows(&problem.training)),
            training.seed,
            self.device,
        );
        text.push_str(&self.ranking());
        text.push('\n');
        if self.entries.iter().any(|entry| entry.trials.at_edge()) {
            text.push_str("* the first or the last learning rate tried: others may do better\n");
        }
        text
    }

    fn ranking(&self) -> String {
        let score = match self.problem.loss {
            Loss::Squared => "test R^2",
            Loss::Logistic => "test accuracy",
        };
        let mut table = Table::new();
        table.load_style(STYLE);
        table.set_header(["rule", "learning rate", "loss", "validation loss", score, "seconds"]);
        for entry in self.entries {
            let (Some((rate, validation, trained)), Some((_, scored))) = (entry.run(), &entry.best)
            else {
                table.add_row([&entry.label, "diverged", "-", "-", "-", "-"]);
                continue;
            };
            let mark = if entry.trials.at_edge() { "*" } else { "" };
            table.add_row([
                entry.label.clone(),
                format!("{mark}{rate}"),
                significant(trained.loss),
                significant(validation),
                cell(scored),
                format!("{:.4}", trained.seconds_per_epoch * f64::from(trained.epochs)),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.trim_fmt()
    }

    /// The same, and the curves, as data.
    pub(super) fn json(&self) -> JsonReport<'_> {
        let Self { problem, training, .. } = self;
        let rows = |rows: &Rows| Data::rows(&rows.data());
        JsonReport {
            device: &self.device,
            precision: self.precision.to_string(),
            data: &problem.source,
            training_rows: rows(&problem.training),
            validation_rows: rows(&problem.validation),
            test_rows: rows(&problem.test),
            features: problem.training.data().feature_count(),
            objective: training.loss.to_string(),
            epochs: training.epochs,
            batch_size: training.batch_size,
            schedule: training.schedule.to_string(),
            seed: training.seed,
            results: self.entries.iter().map(|entry| self.json_entry(entry)).collect(),
        }
    }

    fn json_entry<'a>(&self, entry: &'a Entry) -> JsonEntry<'a> {
        let bits = |value: &f32| format!("{:08x}", value.to_bits());
        let run = entry.run().zip(entry.best.as_ref());
        let run = run.map(|((learning_rate, validation_loss, trained), (_, test))| JsonRun {
            learning_rate,
            at_edge: entry.trials.at_edge(),
            loss: trained.loss,
            validation_loss,
            test,
            seconds: trained.seconds_per_epoch * f64::from(trained.epochs),
            loss_history: trained.history.iter().map(|point| (point.epoch, point.loss)).collect(),
            weights_bits: trained.model.weights.iter().map(bits).collect(),
            bias_bits: bits(&trained.model.bias),
            features_by_rarity: self
                .groups(entry)
                .map(|groups| groups.into_iter().map(JsonGroup::from).collect()),
        });
        let trial = |trial: &super::search::Trial<_>| JsonTrial {
            learning_rate: trial.learning_rate,
            validation_loss: trial.result.as_ref().map(|(loss, _)| *loss),
        };
        JsonEntry {
            optimizer: &entry.label,
            run,
            trials: entry.trials.all.iter().map(trial).collect(),
        }
    }
}
