//! How good predictions are: for classes accuracy, log loss and AUC, for numbers R^2 and RMSE.

use serde::Serialize;
use wgpu_optim::linear::Loss;

/// The scores of a model on some rows, which depend on the loss. Null is a score that is undefined for
/// these rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Metrics {
    Classes {
        /// The share of rows whose class is predicted.
        accuracy: f64,
        /// The mean of the negative logarithm of the probability of the true class.
        log_loss: f64,
        /// The share of pairs of rows of different classes whose predictions are in order; a tie counts
        /// half. None if all rows are of one class.
        auc: Option<f64>,
    },
    Numbers {
        /// 1 minus the sum of squared errors over the target's sum of squares around its mean; none for
        /// a constant target.
        r2: Option<f64>,
        /// The root of the mean squared error, in the file's units.
        rmse: f64,
    },
}

impl Metrics {
    /// Scores at least one prediction; `unit` is the size of one unit of the target in the file.
    pub(crate) fn new(loss: Loss, predictions: &[f32], targets: &[f32], unit: f64) -> Self {
        match loss {
            Loss::Squared => numbers(predictions, targets, unit),
            Loss::Logistic => classes(predictions, targets),
        }
    }

    /// Names and values, for tables.
    pub(crate) fn named(&self) -> Vec<(&'static str, Option<f64>)> {
        match *self {
            Self::Classes { accuracy, log_loss, auc } => {
                vec![("accuracy", Some(accuracy)), ("log loss", Some(log_loss)), ("AUC", auc)]
            }
            Self::Numbers { r2, rmse } => vec![("R^2", r2), ("RMSE", Some(rmse))],
        }
    }
}

/// The mean loss, as training reports it.
pub(crate) fn mean_loss(loss: Loss, predictions: &[f32], targets: &[f32]) -> f64 {
    let pairs = predictions.iter().zip(targets).map(|(&p, &y)| (f64::from(p), f64::from(y)));
    let sum: f64 = match loss {
        Loss::Squared => pairs.map(|(p, y)| (p - y).powi(2) / 2.0).sum(),
        Loss::Logistic => pairs.map(|(p, y)| p.max(0.0) + (-p.abs()).exp().ln_1p() - y * p).sum(),
    };
    sum / predictions.len() as f64
}

fn numbers(predictions: &[f32], targets: &[f32], unit: f64) -> Metrics {
    let rows = targets.len() as f64;
    let mean = targets.iter().map(|&y| f64::from(y)).sum::<f64>() / rows;
    let variation: f64 = targets.iter().map(|&y| (f64::from(y) - mean).powi(2)).sum();
    let squares = mean_loss(Loss::Squared, predictions, targets) * 2.0 * rows;
    let r2 = (variation > 0.0).then(|| 1.0 - squares / variation);
    Metrics::Numbers { r2, rmse: (squares / rows).sqrt() * unit }
}

fn classes(predictions: &[f32], targets: &[f32]) -> Metrics {
    let right = predictions.iter().zip(targets).filter(|&(&p, &y)| (p > 0.0) == (y > 0.5)).count();
    Metrics::Classes {
        accuracy: right as f64 / targets.len() as f64,
        log_loss: mean_loss(Loss::Logistic, predictions, targets),
        auc: auc(predictions, targets),
    }
}

/// By the sum of the ranks of the second class (Mann and Whitney); ties share their mean rank.
fn auc(predictions: &[f32], targets: &[f32]) -> Option<f64> {
    // -0 and 0 are one prediction.
    let mut ranked: Vec<(f32, bool)> =
        predictions.iter().zip(targets).map(|(&p, &y)| (p + 0.0, y > 0.5)).collect();
    ranked.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    let (mut rank_sum, mut positive, mut before) = (0.0, 0, 0);
    for tie in ranked.chunk_by(|(a, _), (b, _)| a == b) {
        let positive_here = tie.iter().filter(|(_, is_positive)| *is_positive).count();
        let mean_rank = before as f64 + (tie.len() as f64 + 1.0) / 2.0;
        rank_sum += positive_here as f64 * mean_rank;
        positive += positive_here;
        before += tie.len();
    }
    let (positive, negative) = (positive as f64, (before - positive) as f64);
    let least = positive * (positive + 1.0) / 2.0;
    (positive > 0.0 && negative > 0.0).then(|| (rank_sum - least) / (positive * negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the pairs (0.5 or 2.0 against 0.5, -1.0): tie, order, order, order: 3.5 of 4.
    #[test]
    fn auc_counts_a_tie_half() {
        assert_eq!(auc(&[0.5, 2.0, 0.5, -1.0], &[1.0, 1.0, 0.0, 0.0]), Some(0.875));
        assert_eq!(auc(&[1.0, 2.0], &[0.0, 1.0]), Some(1.0));
        assert_eq!(auc(&[1.0, 2.0], &[1.0, 0.0]), Some(0.0));
        assert_eq!(auc(&[0.0, -0.0], &[1.0, 0.0]), Some(0.5));
        assert_eq!(auc(&[1.0, 2.0], &[1.0, 1.0]), None);
    }

    /// The odds of predictions 0 and ln 3 are 1:1 and 3:1.
    #[test]
    fn classes_are_scored_by_probability() {
        let Metrics::Classes { accuracy, log_loss, .. } =
            classes(&[0.0, 3.0_f32.ln()], &[0.0, 0.0])
        else {
            panic!("these are classes")
        };
        assert_eq!(accuracy, 0.5);
        assert!((log_loss - (2.0_f64.ln() + 4.0_f64.ln()) / 2.0).abs() < 1e-7, "{log_loss}");
    }

    /// Errors 1, 0, -1 against 1, 2, 3, whose variation is 2: R^2 is 0; one unit is 10 of the file's.
    #[test]
    fn numbers_are_scored_in_the_files_units() {
        let metrics = numbers(&[2.0, 2.0, 2.0], &[1.0, 2.0, 3.0], 10.0);
        assert_eq!(
            metrics,
            Metrics::Numbers { r2: Some(0.0), rmse: 10.0 * (2.0_f64 / 3.0).sqrt() }
        );
        let constant = numbers(&[1.0, 3.0], &[2.0, 2.0], 1.0);
        assert_eq!(constant, Metrics::Numbers { r2: None, rmse: 1.0 });
    }
}
