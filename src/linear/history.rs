//! The history of a run: the samples of its loss, reported to an observer.

use std::ops::ControlFlow;

use super::errors::{Result, TrainError};
use super::loss::Loss;
use super::model::LinearModel;
use super::training::{LossPoint, Progress, Trained, Training};

/// A run has diverged if its loss stays above this multiple of the first loss.
const DIVERGED: f64 = 1e6;

/// The losses of rows before they were learned from.
#[derive(Default)]
struct Progressive {
    sum: f64,
    rows: u64,
    means: Vec<LossPoint>,
}

/// The history of a run, and its observer.
pub(super) struct History<F> {
    loss: Loss,
    rows: f64,
    total: u64,
    /// Examples trained at each sample, and the losses that have arrived.
    samples: Vec<u64>,
    history: Vec<LossPoint>,
    progressive: Progressive,
    observe: F,
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> History<F> {
    pub(super) fn new(training: &Training, rows: usize, observe: F) -> Self {
        Self {
            loss: training.loss,
            rows: rows as f64,
            total: rows as u64 * u64::from(training.epochs),
            samples: Vec::new(),
            history: Vec::new(),
            progressive: Progressive::default(),
            observe,
        }
    }

    pub(super) fn sampled(&mut self, examples: u64) {
        self.samples.push(examples);
    }

    /// Adds sums of loss terms, in the order of their samples.
    pub(super) fn add(&mut self, sums: Vec<f32>) -> Result<()> {
        for sum in sums {
            let Some(&examples) = self.samples.get(self.history.len()) else { break };
            let epoch = examples as f64 / self.rows;
            let loss = self.loss.mean(f64::from(sum), self.rows);
            match examples {
                _ if loss.is_finite() => self.history.push(LossPoint { epoch, loss }),
                0 => return Err(TrainError::Overflow),
                _ => return Err(TrainError::Diverged { epoch: whole(epoch), loss }),
            }
            self.report(examples)?;
        }
        Ok(())
    }

    /// Whether the next mean of losses before learning is due after `examples` examples.
    pub(super) fn is_progressive_due(&self, examples: u64) -> bool {
        examples >= (self.progressive.rows + 1).next_power_of_two()
    }

    /// Adds the losses that the next rows had before they were learned from.
    pub(super) fn progressive(&mut self, terms: &[f32]) -> Result<()> {
        for &term in terms {
            self.progressive.sum += f64::from(term);
            self.progressive.rows += 1;
            if self.progressive.rows.is_power_of_two() {
                self.mean_so_far()?;
            }
        }
        Ok(())
    }

    fn mean_so_far(&mut self) -> Result<()> {
        let rows = self.progressive.rows as f64;
        let loss = self.loss.mean(self.progressive.sum, rows);
        self.progressive.means.push(LossPoint { epoch: rows / self.rows, loss });
        self.report(self.progressive.rows)
    }

    pub(super) fn report(&mut self, examples: u64) -> Result<()> {
        let Some(&LossPoint { epoch, loss }) = self.history.last() else { return Ok(()) };
        let progressive = self.progressive.means.last().copied();
        let progress = Progress { examples, total: self.total, epoch, loss, progressive };
        match (self.observe)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(TrainError::Interrupted { epoch: whole(examples as f64 / self.rows) })
            }
        }
    }

    /// The result of `epochs` epochs that took `seconds` seconds.
    pub(super) fn finish(
        mut self,
        model: LinearModel,
        epochs: u32,
        seconds: f64,
        validation: Vec<LossPoint>,
    ) -> Result<Trained> {
        let first = self.history.first().map_or(f64::NAN, |point| point.loss);
        let last = self.history.last().map_or(f64::NAN, |point| point.loss);
        let diverged = |epoch| Err(TrainError::Diverged { epoch: whole(epoch), loss: last });
        if !model.weights.iter().chain([&model.bias]).all(|value| value.is_finite()) {
            return diverged(self.total as f64 / self.rows);
        }
        // A loss may rise far and come back. The run diverged where the loss rose and stayed high.
        let far = |point: &&LossPoint| point.loss > DIVERGED * first.max(f64::MIN_POSITIVE);
        if let Some(point) = self.history.iter().rev().take_while(far).last() {
            return diverged(point.epoch);
        }
        if self.progressive.rows > 0 && !self.progressive.rows.is_power_of_two() {
            // The run has ended, so a request to stop it changes nothing.
            let _ = self.mean_so_far();
        }
        Ok(Trained {
            model,
            loss: last,
            history: self.history,
            seconds_per_epoch: seconds / f64::from(epochs),
            epochs,
            validation,
            progressive: self.progressive.means,
        })
    }
}

/// The epoch, counted from 1, that was in progress after `epochs` epochs.
fn whole(epochs: f64) -> u32 {
    epochs.ceil().max(1.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(losses: &[f64]) -> Result<Trained> {
        let training = Training { epochs: losses.len() as u32 - 1, ..Training::default() };
        let mut history = History::new(&training, 10, |_| ControlFlow::Continue(()));
        history.history = (0..)
            .zip(losses)
            .map(|(epoch, &loss)| LossPoint { epoch: f64::from(epoch), loss })
            .collect();
        history.finish(LinearModel { weights: vec![1.0], bias: 0.0 }, 1, 0.0, Vec::new())
    }

    #[test]
    fn divergence_is_reported_from_where_the_loss_stays_high() {
        assert_eq!(finish(&[1.0, 0.5, 0.2]).map(|trained| trained.loss), Ok(0.2));
        // The loss rises far and comes back.
        assert_eq!(finish(&[1.0, 1e9, 0.2]).map(|trained| trained.loss), Ok(0.2));
        let error = finish(&[1.0, 1e9, 0.2, 2e9, 3e9]);
        assert_eq!(error, Err(TrainError::Diverged { epoch: 3, loss: 3e9 }));
    }

    #[test]
    fn progressive_losses_are_means_after_powers_of_two_and_at_the_end() {
        let mut reported = Vec::new();
        let training = Training { loss: Loss::Logistic, epochs: 1, ..Training::default() };
        let mut history = History::new(&training, 10, |progress: &Progress| {
            reported.extend(progress.progressive.map(|mean| (progress.examples, mean.loss)));
            ControlFlow::Continue(())
        });
        history.history.push(LossPoint { epoch: 0.0, loss: 1.0 });
        assert_eq!([0, 1].map(|examples| history.is_progressive_due(examples)), [false, true]);
        history.progressive(&[8.0, 0.0, 1.0]).unwrap();
        assert_eq!([3, 4].map(|examples| history.is_progressive_due(examples)), [false, true]);
        history.progressive(&[3.0, 3.0]).unwrap();
        let model = LinearModel { weights: vec![1.0], bias: 0.0 };
        let trained = history.finish(model, 1, 0.0, Vec::new()).unwrap();
        let means: Vec<_> = trained.progressive.iter().map(|p| (p.epoch, p.loss)).collect();
        assert_eq!(means, [(0.1, 8.0), (0.2, 4.0), (0.4, 3.0), (0.5, 3.0)]);
        assert_eq!(reported, [(1, 8.0), (2, 4.0), (4, 3.0), (5, 3.0)]);
    }
}
