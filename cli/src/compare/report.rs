//! What `compare` prints for people: the problem in two lines, and a row for each rule.

use comfy_table::{CellAlignment, Table};
use wgpu_optim::Precision;
use wgpu_optim::linear::{Loss, Training};

use super::entry::Entry;
use super::rarity::{self, Group};
use crate::device::Description;
use crate::output;
use crate::output::text::{STYLE, significant};
use crate::training::metrics::Metrics;
use crate::training::parts::{Rows, TrainingSet};

/// The one score for which the table has room.
fn cell(metrics: &Metrics) -> String {
    match *metrics {
        Metrics::Numbers { r2, .. } => r2.map_or_else(|| "-".to_owned(), |r2| format!("{r2:.4}")),
        Metrics::Classes { accuracy, .. } => format!("{:.2} %", 100.0 * accuracy),
    }
}

/// All results, and the settings that produced them.
pub(super) struct Comparison<'a> {
    pub(super) set: &'a TrainingSet,
    pub(super) training: &'a Training,
    pub(super) device: Description,
    pub(super) precision: Precision,
    pub(super) entries: &'a [Entry],
}

impl Comparison<'_> {
    /// The errors of a rule's best weights, where the true ones are known.
    pub(super) fn groups(&self, entry: &Entry) -> Option<Vec<Group>> {
        let (_, _, trained) = entry.run()?;
        let (truth, _) = self.set.origin.truth.as_ref()?;
        let counts = rarity::occurrences(&self.set.parts.training);
        Some(rarity::groups(&counts, &trained.model.weights, truth))
    }

    /// How many rows there are to train, to validate and to test.
    pub(super) fn rows(&self) -> [usize; 3] {
        let parts = &self.set.parts;
        let held_out = |rows: &Option<Rows>| rows.as_ref().map_or(0, Rows::len);
        [parts.training.len(), held_out(&parts.validation), held_out(&parts.test)]
    }

    /// Reports learning rates at which training diverged.
    pub(super) fn notes(&self) {
        for Entry { label, trials, .. } in self.entries {
            let diverged = trials.all.iter().filter(|trial| trial.loss.is_none());
            let rates: Vec<_> = diverged.map(|trial| trial.learning_rate.to_string()).collect();
            if !rates.is_empty() {
                output::note(&format!("{label} diverged at {}", rates.join(", ")));
            }
        }
    }

    /// The problem in two lines, and a row for each rule.
    pub(super) fn table(&self) -> String {
        let Self { set, training, .. } = self;
        let [rows, validation, test] = self.rows();
        let precision = match self.device.kind {
            "cpu" => "exact precision".to_owned(),
            _ => format!("{} precision", self.precision),
        };
        let mut text = format!(
            "{}: {} features; rows {rows} to train, {validation} to validate, {test} to test\n\
             {} loss, epochs {}, batches of {}, seed {}; {}, {precision}\n\n",
            set.origin.source,
            set.parts.training.data().feature_count(),
            training.loss,
            training.epochs,
            training.batch_size.min(rows),
            training.seed,
            self.device,
        );
        text.push_str(&self.ranking());
        text.push('\n');
        if self.entries.iter().any(|entry| entry.trials.at_edge()) {
            text.push_str(
                "* the lowest or the highest learning rate tried: other rates may do better\n",
            );
        }
        text
    }

    fn ranking(&self) -> String {
        let score = match self.training.loss {
            Loss::Squared => "test R^2",
            Loss::Logistic => "test accuracy",
        };
        let mut table = Table::new();
        table.load_style(STYLE);
        table.set_header(["rule", "learning rate", "loss", "validation loss", score, "seconds"]);
        for entry in self.entries {
            let (Some((rate, validation, trained)), Some(scored)) = (entry.run(), &entry.test)
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
}
