//! What `fit` prints for people: a table of the run, and one of the weights.

use comfy_table::{CellAlignment, Table, TableStyle};
use wgpu_optim::Schedule;
use wgpu_optim::linear::{LinearModel, Loss, Penalty};

use super::outcome::Outcome;
use crate::input::classes::Classes;
use crate::output::text::{STYLE, count, printable, significant};
use crate::training::metrics::Metrics;
use crate::training::parts::Rows;

/// How many weights of a sparse model a table shows.
const SHOWN_WEIGHTS: usize = 10;

/// A short table of the run, and one of the weights.
pub(super) fn tables(outcome: &Outcome<'_>) -> String {
    let mut parts = vec![run_table(outcome)];
    parts.extend(progressive_table(outcome));
    parts.push(match &outcome.set.parts.training {
        Rows::Dense(_) => weight_table(outcome),
        Rows::Sparse(_) => largest_weights(&outcome.trained.model),
    });
    parts.join("\n\n") + "\n"
}

fn run_table(outcome: &Outcome<'_>) -> String {
    let Outcome { set, trained, training, rule, .. } = outcome;
    let best = match (outcome.best_loss, training.loss, &set.parts.training) {
        (Some(loss), ..) => Some(format!("{} (least squares)", significant(loss))),
        (None, Loss::Squared, Rows::Dense(_)) => {
            Some("not computed for so many features".to_owned())
        }
        _ => None,
    };
    let data = set.parts.training.data();
    let (rows, features) = (data.rows(), data.feature_count());
    let batch = training.batch_size.min(rows);
    let epochs = training.epochs;
    let schedule = match &training.schedule {
        Schedule::Constant => String::new(),
        schedule => format!(" by {schedule}"),
    };
    let precision = match outcome.device.kind {
        "cpu" => "exact precision".to_owned(), // whichever was asked for
        _ => format!("{} precision", outcome.precision),
    };
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    let training =
        format!("{rule}{schedule}, batches of {batch}, epochs {epochs}, seed {}", training.seed);
    let source =
        format!("{}: {}, {}", set.origin.source, count(rows, "row"), count(features, "feature"));
    let mut lines = vec![
        ("data", source),
        ("device", format!("{}, {precision}", outcome.device)),
        ("training", training),
        ("loss", significant(trained.loss)),
    ];
    lines.extend(best.map(|best| ("best possible loss", best)));
    lines.extend(score_lines(outcome));
    lines.push(("seconds per epoch", significant(trained.seconds_per_epoch)));
    for (name, value) in lines {
        table.add_row([name, &value]);
    }
    table.trim_fmt()
}

fn weight_table(outcome: &Outcome<'_>) -> String {
    let Outcome { set, trained, .. } = outcome;
    let (origin, scaling) = (&set.origin, &set.scaling);
    let model = &trained.model;
    let scaled = !scaling.is_identity();
    let (weights, bias) = scaling.in_file_units(model);
    let mut table = Table::new();
    table.load_style(STYLE);
    let mut header = vec![format!("weight of ({})", printable(&origin.columns.target))];
    if scaled {
        header.push("standardized".to_owned());
    }
    header.push(if origin.truth.is_some() { "learned" } else { "original units" }.to_owned());
    if origin.truth.is_some() {
        header.push("true".to_owned());
    }
    table.set_header(header);

    let names = origin.columns.features.iter().map(String::as_str).chain(["(bias)"]);
    let standardized = model.weights.iter().copied().chain([model.bias]);
    let restored = weights.into_iter().chain([bias]);
    for (index, ((name, value), restored)) in names.zip(standardized).zip(restored).enumerate() {
        let mut row = vec![printable(name)];
        if scaled {
            row.push(format!("{value:.6}"));
        }
        row.push(significant(restored));
        if let Some((weights, bias)) = &origin.truth {
            row.push(significant(f64::from(weights.get(index).copied().unwrap_or(*bias))));
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// The largest weights of a sparse model, with their indices in the file.
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

/// Lines of the run's table: classes, penalties and scores.
fn score_lines(outcome: &Outcome<'_>) -> Vec<(&'static str, String)> {
    let Outcome { set, trained, training, .. } = outcome;
    let mut lines = Vec::new();
    if let Some(Classes([first, second])) = &set.origin.classes {
        lines.push(("classes", format!("{first} and {second}")));
    }
    let Penalty { l1, l2 } = training.penalty;
    if l1 != 0.0 || l2 != 0.0 {
        lines.push(("penalty", format!("l1 {l1}, l2 {l2}")));
    }
    lines.push(("scores", words(&outcome.score.metrics)));
    if let (Some(rows), Some(last)) = (&set.parts.validation, trained.validation.last()) {
        let least = trained.validation.iter().map(|p| p.loss).fold(f64::INFINITY, f64::min);
        let (rows, epochs) = (count(rows.len(), "row"), trained.epochs);
        let (last, least) = (significant(last.loss), significant(least));
        lines.push((
            "validation",
            format!(
                "{rows}: loss {last} after {epochs} of {} epochs, lowest {least}",
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

/// A table of the losses of rows before training on them; none unless asked for.
fn progressive_table(outcome: &Outcome<'_>) -> Option<String> {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["rows trained on", "mean loss before"]);
    for (rows, loss) in outcome.progressive() {
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
