//! What `fit` prints: tables for people, or one JSON object for programs.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use serde::Serialize;
use serde_json::{Map, Value};
use wgpu_optim::linear::{LinearModel, Loss, Trained, Training};
use wgpu_optim::{Precision, Schedule};

use crate::args::rule::ChosenRule;
use crate::device::Description;
use crate::input::read::{Problem, Rows};
use crate::output::printable;
use crate::training::score::{self, JsonScores, Score};

/// A line below the header, and no others: easy to read and to search.
pub(crate) const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How many weights of a sparse model a table shows.
const SHOWN_WEIGHTS: usize = 10;

/// A training run and all that went into it.
pub(crate) struct Outcome<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) trained: &'a Trained,
    /// The trained model on the rows it was trained on, and on the test rows.
    pub(crate) score: Score,
    pub(crate) test: Option<Score>,
    /// The loss of the least-squares fit.
    pub(crate) best_loss: Option<f64>,
    pub(crate) device: Description,
    pub(crate) training: &'a Training,
    pub(crate) rule: &'a ChosenRule,
    pub(crate) precision: Precision,
}

/// The object that `--json` prints. The names are a contract.
#[derive(Serialize)]
pub(crate) struct JsonReport<'a> {
    device: &'a Description,
    precision: String,
    rows: usize,
    features: usize,
    epochs: u32,
    batch_size: usize,
    optimizer: &'static str,
    learning_rate: f32,
    /// Null for a rule that has none.
    epsilon: Option<f32>,
    options: Map<String, Value>,
    schedule: String,
    seed: u64,
    loss: f64,
    loss_history: Vec<(f64, f64)>,
    seconds_per_epoch: f64,
    /// Null for tables that are too wide for it, for sparse rows and for other losses.
    least_squares_loss: Option<f64>,
    /// As f64, which holds every f32 exactly and is written so that it reads back the same.
    weights: Vec<f64>,
    bias: f64,
    weights_bits: Vec<String>,
    bias_bits: String,
    #[serde(flatten)]
    scores: JsonScores<'a>,
}

impl<'a> JsonReport<'a> {
    /// What is to be said of `outcome`.
    pub(crate) fn new(outcome: &'a Outcome<'_>) -> Self {
        let Outcome { trained, training, rule, .. } = outcome;
        let model = &trained.model;
        let bits = |value: &f32| format!("{:08x}", value.to_bits());
        Self {
            device: &outcome.device,
            precision: outcome.precision.to_string(),
            rows: outcome.problem.dataset.data().rows(),
            features: outcome.problem.dataset.data().feature_count(),
            epochs: training.epochs,
            batch_size: training.batch_size,
            optimizer: rule.name(),
            learning_rate: rule.learning_rate(),
            epsilon: rule.epsilon(),
            options: rule.options(),
            schedule: training.schedule.to_string(),
            seed: training.seed,
            loss: trained.loss,
            loss_history: trained.history.iter().map(|point| (point.epoch, point.loss)).collect(),
            seconds_per_epoch: trained.seconds_per_epoch,
            least_squares_loss: outcome.best_loss,
            weights: model.weights.iter().copied().map(f64::from).collect(),
            bias: f64::from(model.bias),
            weights_bits: model.weights.iter().map(bits).collect(),
            bias_bits: bits(&model.bias),
            scores: JsonScores::new(outcome),
        }
    }
}

/// A short table of the run, and one of the weights.
pub(crate) fn tables(outcome: &Outcome<'_>) -> String {
    let mut parts = vec![run_table(outcome)];
    parts.extend(score::progressive_table(outcome));
    parts.push(match &outcome.problem.dataset {
        Rows::Dense(_) => weight_table(outcome),
        Rows::Sparse(_) => largest_weights(&outcome.trained.model),
    });
    parts.join("\n\n") + "\n"
}

fn run_table(outcome: &Outcome<'_>) -> String {
    let Outcome { problem, trained, training, rule, .. } = outcome;
    let best = match (outcome.best_loss, training.loss, &problem.dataset) {
        (Some(loss), ..) => Some(format!("{} (least squares)", significant(loss))),
        (None, Loss::Squared, Rows::Dense(_)) => {
            Some("not computed for so many features".to_owned())
        }
        _ => None,
    };
    let data = problem.dataset.data();
    let (rows, features) = (data.rows(), data.feature_count());
    let batch = training.batch_size.min(rows);
    let epochs = training.epochs;
    let schedule = match &training.schedule {
        Schedule::Constant => String::new(),
        schedule => format!(" by {schedule}"),
    };
    let precision = match outcome.device.kind {
        "cpu" => "the bits of exact precision".to_owned(), // whichever was asked for
        _ => format!("{} precision", outcome.precision),
    };
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    let training =
        format!("{rule}{schedule}, batches of {batch}, epochs {epochs}, seed {}", training.seed);
    let source =
        format!("{}: {}, {}", problem.source, count(rows, "row"), count(features, "feature"));
    let mut lines = vec![
        ("data", source),
        ("device", format!("{}, {precision}", outcome.device)),
        ("training", training),
        ("loss", significant(trained.loss)),
    ];
    lines.extend(best.map(|best| ("best possible loss", best)));
    lines.extend(score::lines(outcome));
    lines.push(("seconds per epoch", significant(trained.seconds_per_epoch)));
    for (name, value) in lines {
        table.add_row([name, &value]);
    }
    table.trim_fmt()
}

/// `1 row`, `2 rows`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn weight_table(outcome: &Outcome<'_>) -> String {
    let Outcome { problem, trained, .. } = outcome;
    let model = &trained.model;
    let scaled = !problem.scaling.is_identity();
    let (weights, bias) = problem.scaling.in_file_units(model);
    let mut table = Table::new();
    table.load_style(STYLE);
    let mut header = vec![format!("weight of ({})", printable(&problem.columns.target))];
    if scaled {
        header.push("standardized".to_owned());
    }
    header.push(if problem.truth.is_some() { "learned" } else { "original units" }.to_owned());
    if problem.truth.is_some() {
        header.push("true".to_owned());
    }
    table.set_header(header);

    let names = problem.columns.features.iter().map(String::as_str).chain(["(bias)"]);
    let standardized = model.weights.iter().copied().chain([model.bias]);
    let restored = weights.into_iter().chain([bias]);
    for (index, ((name, value), restored)) in names.zip(standardized).zip(restored).enumerate() {
        let mut row = vec![printable(name)];
        if scaled {
            row.push(format!("{value:.6}"));
        }
        row.push(significant(restored));
        if let Some((weights, bias)) = &problem.truth {
            row.push(significant(f64::from(weights.get(index).copied().unwrap_or(*bias))));
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// The largest of the many weights of a sparse model, by the indices of the file.
fn largest_weights(model: &LinearModel) -> String {
    let mut order: Vec<usize> = (0..model.weights.len()).collect();
    let size = |&index: &usize| model.weights[index].abs();
    let shown = order.len().min(SHOWN_WEIGHTS);
    if shown < order.len() {
        order.select_nth_unstable_by(shown, |a, b| size(b).total_cmp(&size(a)));
    }
    order.truncate(shown);
    order.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.cmp(b)));
    let mut table = Table::new();
    table.load_style(STYLE);
    let header = match model.weights.len() {
        all if all > shown => format!("largest weights, {shown} of {all}"),
        _ => "weight of".to_owned(),
    };
    table.set_header([header, "learned".to_owned()]);
    for index in order {
        table.add_row([format!("feature {}", index + 1), significant(model.weights[index].into())]);
    }
    table.add_row(["(bias)".to_owned(), significant(model.bias.into())]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Six significant digits; in powers of ten where they would be lost behind zeros.
pub(crate) fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor() as i32;
    match exponent {
        -4..6 => format!("{value:.*}", usize::try_from(5 - exponent).unwrap_or(0)),
        _ => format!("{value:.5e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::significant;

    #[test]
    fn six_significant_digits() {
        let cases = [
            (0.241_687_955, "0.241688"),
            (-2.382_563_4, "-2.38256"),
            (124_835.94, "124836"),
            (0.000_123_456_78, "0.000123457"),
            (0.000_012_345_678, "1.23457e-5"),
            (12_345_678.0, "1.23457e7"),
            (0.0, "0"),
        ];
        for (value, expected) in cases {
            assert_eq!(significant(value), expected);
        }
    }
}
