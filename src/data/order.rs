//! All randomness of a training run. It follows from one seed and is the same on every machine.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Standard deviation of the initial weights.
const INITIAL_DEVIATION: f32 = 0.01;

/// A generator for one purpose. The streams of one seed are independent.
pub(super) fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// The streams in use: weights, data and one for each epoch; counted from the end, the data of
/// `rare_features` and the split of rows.
const WEIGHTS_STREAM: u64 = 0;
pub(super) const DATA_STREAM: u64 = 1;
const FIRST_EPOCH_STREAM: u64 = 2;
pub(super) const RARE_STREAM: u64 = u64::MAX;
const SPLIT_STREAM: u64 = u64::MAX - 1;

/// The initial weights: `count` draws from the normal distribution with mean 0 and standard
/// deviation 0.01.
#[must_use]
pub fn initial_weights(count: usize, seed: u64) -> Vec<f32> {
    let mut generator = generator(seed, WEIGHTS_STREAM);
    let mut draw = || -> f32 { StandardNormal.sample(&mut generator) };
    (0..count).map(|_| INITIAL_DEVIATION * draw()).collect()
}

/// The order in which epoch `epoch`, counted from 0, visits the rows: a permutation of `0..rows`.
/// Batches are consecutive parts of it.
#[must_use]
pub fn epoch_order(rows: u32, seed: u64, epoch: u32) -> Vec<u32> {
    permutation(rows, seed, FIRST_EPOCH_STREAM + u64::from(epoch))
}

/// A permutation of `0..rows` for selecting held-out rows: they are its first elements. No epoch
/// visits rows in this order.
#[must_use]
pub fn split_order(rows: u32, seed: u64) -> Vec<u32> {
    permutation(rows, seed, SPLIT_STREAM)
}

fn permutation(rows: u32, seed: u64, stream: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows).collect();
    order.shuffle(&mut generator(seed, stream));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_a_permutation_that_no_epoch_has() {
        let mut order = split_order(1500, 7);
        assert_ne!(order, split_order(1500, 8));
        assert!((0..3).all(|epoch| order != epoch_order(1500, 7, epoch)));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1500));
    }

    #[test]
    fn each_epoch_visits_every_row_once_in_its_own_order() {
        let first = epoch_order(1500, 7, 0);
        assert_ne!(first, epoch_order(1500, 7, 1));
        assert_ne!(first, epoch_order(1500, 8, 0));
        assert_eq!(first, epoch_order(1500, 7, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1500));
    }

    /// For 10,000 draws, the mean is within 5 of its standard errors (0.0005), and the standard
    /// deviation within 5 of its own (0.00035).
    #[test]
    fn initial_weights_have_the_stated_distribution() {
        let weights = initial_weights(10_000, 3);
        let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / 1e4;
        let square = weights.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.0005, "{mean}");
        assert!((square.sqrt() - 0.01).abs() < 0.00035, "{}", square.sqrt());
    }
}
