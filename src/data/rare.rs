//! A classification problem in which most features are rare.

use ndarray::Array1;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

use super::order::{RARE_STREAM, generator};
use super::sparse::SparseDataset;

/// The mean fraction of a row that is not 0.
const DENSITY: f64 = 0.05;

/// A seeded problem with the sign of a linear function as labels, and the function's weights.
#[derive(Clone, Debug, PartialEq)]
pub struct RareFeatures {
    /// Features that are not 0 are drawn from the standard normal distribution. The target is 1
    /// where the function is above 0, else 0.
    pub dataset: SparseDataset,
    /// The function's weights, from the standard normal distribution. It has no bias.
    pub weights: Vec<f32>,
}

/// Generates a problem of `rows` rows, at least 1, and `features` columns, with 95% zeros.
///
/// Frequencies follow Zipf's law, like those of words: feature `j`, counted from 1, is not 0 with
/// probability `c / j`, where `c` makes the mean over all features 0.05. Of 100 features, the first
/// occurs in 96% of the rows and the last in 1%. From 105 features on, the formula gives the first
/// ones a probability above 1: they occur in every row, and the mean is a little below 0.05.
///
/// For the same seed and `features`, a smaller problem has the first rows of a larger one.
#[must_use]
pub fn rare_features(rows: u32, features: usize, seed: u64) -> RareFeatures {
    let mut generator = generator(seed, RARE_STREAM);
    let weights: Vec<f32> = (0..features).map(|_| StandardNormal.sample(&mut generator)).collect();
    let shares: Vec<f64> = (1..=features).map(|rank| 1.0 / rank as f64).collect();
    let scale = DENSITY * features as f64 / shares.iter().sum::<f64>();

    let (mut starts, mut entries, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut target = Vec::new();
    for _ in 0..rows.max(1) {
        let mut sum = 0.0_f64;
        for ((column, share), &weight) in (0_u32..).zip(&shares).zip(&weights) {
            let draw: f64 = StandardUniform.sample(&mut generator);
            if draw < scale * share {
                let value: f32 = StandardNormal.sample(&mut generator);
                sum += f64::from(value) * f64::from(weight);
                entries.push(column);
                values.push(value);
            }
        }
        starts.push(entries.len());
        target.push(if sum > 0.0 { 1.0 } else { 0.0 });
    }
    match SparseDataset::new(features, starts, entries, values, Array1::from(target)) {
        Ok(dataset) => RareFeatures { dataset, weights },
        // The rows above are in order and finite, and there is at least one.
        Err(_) => unreachable!("a synthetic table is a dataset"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100,000 draws. The density is within 5 standard errors of 5%, and the counts of features 1,
    /// 10 and 100 are within 5 standard errors of Zipf's law.
    #[test]
    fn features_are_as_rare_as_stated() {
        let data = rare_features(1000, 100, 1).dataset;
        let mut counts = [0_f64; 100];
        for row in 0..data.rows() {
            data.row(row).0.iter().for_each(|&column| counts[column as usize] += 1.0);
        }
        let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        let expected = |rank: f64| 5.0 / harmonic / rank;
        for (rank, count) in [(1.0, counts[0]), (10.0, counts[9]), (100.0, counts[99])] {
            let p = expected(rank);
            assert!((count - 1000.0 * p).abs() < 5.0 * (1000.0 * p * (1.0 - p)).sqrt(), "{rank}");
        }
        let variance: f64 =
            (1..=100).map(f64::from).map(|r| expected(r) * (1.0 - expected(r))).sum();
        let entries = data.entry_count() as f64;
        assert!((entries - 5000.0).abs() < 5.0 * (1000.0 * variance).sqrt(), "{entries}");
    }

    #[test]
    fn labels_are_the_sign_of_the_function() {
        let RareFeatures { dataset, weights } = rare_features(500, 40, 3);
        for row in 0..dataset.rows() {
            let (columns, values) = dataset.row(row);
            let product = |(&c, &v): (&u32, &f32)| f64::from(weights[c as usize]) * f64::from(v);
            let sum: f64 = columns.iter().zip(values).map(product).sum();
            assert_eq!(dataset.target()[row] == 1.0, sum > 0.0, "row {row}");
        }
    }

    #[test]
    fn a_larger_problem_begins_with_the_smaller_one() {
        let (small, large) = (rare_features(10, 100, 5), rare_features(50, 100, 5));
        assert_eq!(small.weights, large.weights);
        assert!((0..10).all(|row| small.dataset.row(row) == large.dataset.row(row)));
        assert_ne!(small.weights, rare_features(10, 100, 6).weights);
        assert_eq!(rare_features(0, 0, 0).dataset.rows(), 1);
    }
}
