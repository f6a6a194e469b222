//! Which rows make a batch, and after which batches the loss is sampled.

use std::ops::Range;

use super::training::Training;

/// One batch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    /// Positions in the epoch's order.
    pub(super) rows: Range<usize>,
    /// The number of examples trained after this batch, over all epochs.
    pub(super) examples: u64,
    /// Whether the loss is sampled after this batch.
    pub(super) evaluate: bool,
}

impl Training {
    /// The batches of epoch number `epoch`, counted from 0, over `rows` rows; the last may be
    /// shorter.
    pub(super) fn batches(&self, rows: usize, epoch: u32) -> impl Iterator<Item = Batch> {
        let before = rows as u64 * u64::from(epoch);
        let (size, every) = (self.batch_size, self.evaluate_every as u64);
        let is_last_epoch = epoch + 1 == self.epochs;
        (0..rows).step_by(size).map(move |first| {
            let end = (first + size).min(rows);
            let examples = before + end as u64;
            let sampled = every > 0 && examples / every > (before + first as u64) / every;
            let last = end == rows && (every == 0 || is_last_epoch);
            Batch { rows: first..end, examples, evaluate: sampled || last }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batches of two epochs over 25 rows.
    fn batches(batch_size: usize, evaluate_every: usize) -> Vec<Batch> {
        let training = Training { epochs: 2, batch_size, evaluate_every, ..Training::default() };
        (0..2).flat_map(|epoch| training.batches(25, epoch)).collect()
    }

    #[test]
    fn a_short_last_batch_is_trained_and_the_end_is_sampled() {
        let run = batches(10, 20);
        let lengths: Vec<_> = run.iter().map(|batch| batch.rows.len()).collect();
        assert_eq!(lengths, [10, 10, 5, 10, 10, 5]);
        let sampled: Vec<_> = run.iter().filter(|b| b.evaluate).map(|b| b.examples).collect();
        // The run reaches 20 at 20 and 40 at 45, and ends at 50.
        assert_eq!(sampled, [20, 45, 50]);
    }

    #[test]
    fn without_an_interval_each_epoch_ends_with_a_sample() {
        let batch = |examples| Batch { rows: 0..25, examples, evaluate: true };
        assert_eq!(batches(25, 0), [batch(25), batch(50)]);
    }
}
