//! Which rows make a batch, and after which batches the loss is sampled.

use std::ops::Range;

use super::errors::TrainError;
use super::training::Training;

/// The batches of a run over `rows` rows, epoch by epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batches {
    rows: usize,
    size: usize,
    evaluate_every: u64,
    epochs: u32,
}

/// One batch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// Positions in the epoch's order.
    pub(super) rows: Range<usize>,
    /// Examples trained when this batch is done, over all epochs.
    pub(super) examples: u64,
    /// Whether the loss is sampled after this batch.
    pub(super) evaluate: bool,
}

impl Batches {
    pub(super) fn new(training: &Training, rows: usize) -> Result<Self, TrainError> {
        let wrong = [("the batch size", training.batch_size), ("epochs", training.epochs as usize)];
        for (setting, value) in wrong {
            if value == 0 {
                return Err(TrainError::Zero { setting });
            }
        }
        Ok(Self {
            rows,
            // A batch larger than the data is all of the data.
            size: training.batch_size.min(rows),
            evaluate_every: training.evaluate_every as u64,
            epochs: training.epochs,
        })
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Examples of the whole run.
    pub(super) fn total(&self) -> u64 {
        self.rows as u64 * u64::from(self.epochs)
    }

    /// The batches of epoch number `epoch`, counted from 0; the last may be shorter.
    pub(super) fn epoch(self, epoch: u32) -> impl Iterator<Item = Batch> {
        let before = self.rows as u64 * u64::from(epoch);
        (0..self.rows).step_by(self.size).map(move |first| {
            let end = (first + self.size).min(self.rows);
            let examples = before + end as u64;
            let sampled = match self.evaluate_every {
                0 => false,
                every => examples / every > (before + first as u64) / every,
            };
            let last = end == self.rows && (self.evaluate_every == 0 || epoch + 1 == self.epochs);
            Batch { rows: first..end, examples, evaluate: sampled || last }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(rows: usize, batch_size: usize, evaluate_every: usize) -> Batches {
        let training = Training { epochs: 2, batch_size, evaluate_every, ..Training::default() };
        Batches::new(&training, rows).unwrap()
    }

    #[test]
    fn a_last_short_batch_and_the_end_are_not_forgotten() {
        let run: Vec<_> = (0..2).flat_map(|epoch| batches(25, 10, 20).epoch(epoch)).collect();
        let lengths: Vec<_> = run.iter().map(|batch| batch.rows.len()).collect();
        assert_eq!(lengths, [10, 10, 5, 10, 10, 5]);
        let sampled: Vec<_> = run.iter().filter(|b| b.evaluate).map(|b| b.examples).collect();
        // Multiples of 20 are passed at 20, 45 (40) and 50 is the end.
        assert_eq!(sampled, [20, 45, 50]);
    }

    #[test]
    fn without_an_interval_each_epoch_ends_with_a_sample() {
        let run = (0..2).flat_map(|epoch| batches(25, 100, 0).epoch(epoch));
        let ends: Vec<_> = run.map(|batch| (batch.rows, batch.examples, batch.evaluate)).collect();
        assert_eq!(ends, [(0..25, 25, true), (0..25, 50, true)]);
    }

    #[test]
    fn zero_is_refused() {
        for training in [
            Training { batch_size: 0, ..Training::default() },
            Training { epochs: 0, ..Training::default() },
        ] {
            assert!(matches!(Batches::new(&training, 5), Err(TrainError::Zero { .. })));
        }
    }
}
