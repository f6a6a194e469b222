//! The object that `compare --json` prints: the table and the curves as data.

use serde::Serialize;

use super::entry::Entry;
use super::rarity::Group;
use super::report::Comparison;
use super::search;
use crate::device::Description;
use crate::training::metrics::Metrics;

/// The object. The names are a contract.
#[derive(Serialize)]
pub(super) struct Report<'a> {
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
    results: Vec<RuleResult<'a>>,
}

#[derive(Serialize)]
struct RuleResult<'a> {
    optimizer: &'a str,
    #[serde(flatten)]
    run: Option<Run<'a>>,
    trials: Vec<Trial>,
}

#[derive(Serialize)]
struct Run<'a> {
    learning_rate: f32,
    /// Whether this is the first or the last rate tried.
    at_edge: bool,
    loss: f64,
    validation_loss: f64,
    test: &'a Metrics,
    seconds: f64,
    loss_history: Vec<(f64, f64)>,
    weights_bits: Vec<String>,
    bias_bits: String,
    /// Null unless the true weights are known.
    features_by_rarity: Option<Vec<RarityGroup>>,
}

#[derive(Serialize)]
struct Trial {
    learning_rate: f32,
    /// Null if training diverged.
    validation_loss: Option<f64>,
}

#[derive(Serialize)]
struct RarityGroup {
    features: usize,
    occurrences: f64,
    error: f64,
}

impl From<Group> for RarityGroup {
    fn from(Group { features, occurrences, error }: Group) -> Self {
        Self { features, occurrences, error }
    }
}

impl<'a> Report<'a> {
    pub(super) fn new(comparison: &'a Comparison<'_>) -> Self {
        let Comparison { set, training, .. } = comparison;
        let [training_rows, validation_rows, test_rows] = comparison.rows();
        Self {
            device: &comparison.device,
            precision: comparison.precision.to_string(),
            data: &set.origin.source,
            training_rows,
            validation_rows,
            test_rows,
            features: set.parts.training.data().feature_count(),
            objective: training.loss.to_string(),
            epochs: training.epochs,
            batch_size: training.batch_size,
            schedule: training.schedule.to_string(),
            seed: training.seed,
            results: comparison.entries.iter().map(|entry| result(comparison, entry)).collect(),
        }
    }
}

fn result<'a>(comparison: &Comparison<'_>, entry: &'a Entry) -> RuleResult<'a> {
    let bits = |value: &f32| format!("{:08x}", value.to_bits());
    let groups = |groups: Vec<Group>| groups.into_iter().map(RarityGroup::from).collect();
    let run = entry.run().zip(entry.test.as_ref());
    let run = run.map(|((learning_rate, validation_loss, trained), test)| Run {
        learning_rate,
        at_edge: entry.trials.at_edge(),
        loss: trained.loss,
        validation_loss,
        test,
        seconds: trained.seconds_per_epoch * f64::from(trained.epochs),
        loss_history: trained.history.iter().map(|point| (point.epoch, point.loss)).collect(),
        weights_bits: trained.model.weights.iter().map(bits).collect(),
        bias_bits: bits(&trained.model.bias),
        features_by_rarity: comparison.groups(entry).map(groups),
    });
    let trial = |trial: &search::Trial| Trial {
        learning_rate: trial.learning_rate,
        validation_loss: trial.loss,
    };
    RuleResult {
        optimizer: &entry.label,
        run,
        trials: entry.trials.all.iter().map(trial).collect(),
    }
}
