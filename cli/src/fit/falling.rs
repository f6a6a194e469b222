//! Whether the loss was still falling when training ended.

use wgpu_optim::linear::LossPoint;

/// A loss that falls by this share within an epoch is still falling.
const CLEAR: f64 = 0.01;
/// A fall below this share of the loss at the start does not matter: the loss is near 0.
const NEGLIGIBLE: f64 = 1e-4;

/// How much the training loss fell before training ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fall {
    /// The last sample at least one epoch before the end.
    from: LossPoint,
    to: LossPoint,
}

impl Fall {
    /// The fall over the last epoch, if it suggests that more epochs would lower the loss further.
    /// None if the loss is already close to `best`, the best possible loss, and after a single epoch,
    /// in which every loss falls.
    pub(super) fn new(history: &[LossPoint], best: Option<f64>) -> Option<Self> {
        let (start, to) = (history.first()?, *history.last()?);
        let from = *history.iter().rev().find(|point| point.epoch <= to.epoch - 1.0)?;
        let fell = from.loss - to.loss;
        let clear = fell > CLEAR * from.loss && fell > NEGLIGIBLE * start.loss;
        let improvable = best.is_none_or(|best| to.loss - best > CLEAR * to.loss);
        (to.epoch > 1.0 && clear && improvable).then_some(Self { from, to })
    }
}

impl std::fmt::Display for Fall {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let epoch = |point: LossPoint| (10.0 * point.epoch).round() / 10.0;
        let percent = 100.0 * (1.0 - self.to.loss / self.from.loss);
        write!(
            formatter,
            "the training loss was still falling: from epoch {} to epoch {} it fell by {percent:.1} %: \
             try more --epochs",
            epoch(self.from),
            epoch(self.to),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(points: &[(f64, f64)]) -> Vec<LossPoint> {
        points.iter().map(|&(epoch, loss)| LossPoint { epoch, loss }).collect()
    }

    fn fall(points: &[(f64, f64)]) -> Option<String> {
        Fall::new(&history(points), None).map(|fall| fall.to_string())
    }

    #[test]
    fn a_fall_of_more_than_one_percent_in_the_last_epoch_is_clear() {
        let note = fall(&[(0.0, 1.0), (1.0, 0.5), (1.5, 0.45), (2.0, 0.4)]).unwrap();
        assert!(note.contains("from epoch 1 to epoch 2 it fell by 20.0 %"), "{note}");
        assert_eq!(fall(&[(0.0, 1.0), (1.0, 0.5), (2.0, 0.4951)]), None);
        assert!(fall(&[(0.0, 1.0), (1.0, 0.5), (2.0, 0.4949)]).is_some());
        assert_eq!(fall(&[(0.0, 1.0), (1.0, 0.5), (2.0, 0.6)]), None);
    }

    /// Sampled every 100 examples, 60 rows have no sample between the start and epoch 1.
    #[test]
    fn the_last_sample_before_the_last_epoch_counts() {
        let note = fall(&[(0.0, 1.0), (5.0 / 3.0, 0.5), (2.0, 0.4)]).unwrap();
        assert!(note.contains("from epoch 0 to epoch 2 it fell by 60.0 %"), "{note}");
        let note = fall(&[(0.0, 9.0), (0.998, 1.0), (1.06, 0.9), (2.0, 0.8)]).unwrap();
        assert!(note.contains("from epoch 1 to epoch 2 it fell by 20.0 %"), "{note}");
    }

    #[test]
    fn a_loss_close_to_the_best_is_not_noted() {
        let points = history(&[(0.0, 1.0), (1.0, 0.5), (2.0, 0.4)]);
        assert!(Fall::new(&points, Some(0.395)).is_some());
        assert_eq!(Fall::new(&points, Some(0.397)), None);
    }

    #[test]
    fn one_epoch_and_a_loss_near_zero_are_not_noted() {
        assert_eq!(fall(&[(0.0, 1.0), (0.5, 0.6), (1.0, 0.4)]), None);
        assert_eq!(fall(&[(0.0, 1.0), (1.0, 2e-4), (2.0, 1.1e-4)]), None);
        assert_eq!(fall(&[]), None);
    }
}
