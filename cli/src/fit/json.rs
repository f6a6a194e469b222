//! The object that `fit --json` prints.

use serde::Serialize;
use serde_json::{Map, Value};
use wgpu_optim::linear::LossPoint;

use super::outcome::Outcome;
use crate::device::Description;
use crate::input::classes::Classes;
use crate::training::metrics::Metrics;
use crate::training::score::Score;

/// The object. The names are a contract.
#[derive(Serialize)]
pub(super) struct Report<'a> {
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
    /// Null for very wide tables, for sparse rows and for other losses.
    least_squares_loss: Option<f64>,
    /// As f64, which holds every f32 exactly and whose text reads back as the same number.
    weights: Vec<f64>,
    bias: f64,
    weights_bits: Vec<String>,
    bias_bits: String,
    loss_function: String,
    l1: f32,
    l2: f32,
    /// The classes that 0 and 1 stand for; null for numbers.
    classes: Option<&'a Classes>,
    /// Fewer than `epochs` if the run stopped early.
    epochs_trained: u32,
    metrics: &'a Metrics,
    /// Null without `--test`.
    test: Option<&'a Score>,
    /// Null without held-out rows.
    validation: Option<Validation>,
    /// Null without `--validation progressive`; rows trained on and the mean loss so far.
    progressive_loss: Option<Vec<(u64, f64)>>,
}

#[derive(Serialize)]
struct Validation {
    rows: usize,
    loss_history: Vec<(f64, f64)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(outcome: &'a Outcome<'_>) -> Self {
        let Outcome { set, trained, training, rule, .. } = outcome;
        let (rows, model) = (set.parts.training.data(), &trained.model);
        let bits = |value: &f32| format!("{:08x}", value.to_bits());
        Self {
            device: &outcome.device,
            precision: outcome.precision.to_string(),
            rows: rows.rows(),
            features: rows.feature_count(),
            epochs: training.epochs,
            batch_size: training.batch_size,
            optimizer: rule.name(),
            learning_rate: rule.learning_rate(),
            epsilon: rule.epsilon(),
            options: rule.options(),
            schedule: training.schedule.to_string(),
            seed: training.seed,
            loss: trained.loss,
            loss_history: pairs(&trained.history),
            seconds_per_epoch: trained.seconds_per_epoch,
            least_squares_loss: outcome.best_loss,
            weights: model.weights.iter().copied().map(f64::from).collect(),
            bias: f64::from(model.bias),
            weights_bits: model.weights.iter().map(bits).collect(),
            bias_bits: bits(&model.bias),
            loss_function: training.loss.to_string(),
            l1: training.penalty.l1,
            l2: training.penalty.l2,
            classes: set.origin.classes.as_ref(),
            epochs_trained: trained.epochs,
            metrics: &outcome.score.metrics,
            test: outcome.test.as_ref(),
            validation: set.parts.validation.as_ref().map(|rows| Validation {
                rows: rows.len(),
                loss_history: pairs(&trained.validation),
            }),
            progressive_loss: training.progressive.then(|| outcome.progressive().collect()),
        }
    }
}

fn pairs(points: &[LossPoint]) -> Vec<(f64, f64)> {
    points.iter().map(|point| (point.epoch, point.loss)).collect()
}
