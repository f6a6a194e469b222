//! A regression problem with known weights.

use ndarray::{Array1, Array2};
use rand_distr::{Distribution, StandardNormal};

use super::dataset::Dataset;
use super::order::{DATA_STREAM, generator};

/// A seeded problem `y = X w + b + noise`, and its true weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// Features drawn from the standard normal distribution, and the target.
    pub dataset: Dataset,
    /// The true weights, drawn from the standard normal distribution.
    pub weights: Vec<f32>,
    /// The true bias, drawn from the standard normal distribution.
    pub bias: f32,
    /// The standard deviation of the noise.
    pub noise: f32,
}

/// Standard deviation of the noise on the target.
const NOISE: f32 = 0.01;

/// Generates a problem of `rows` rows, at least 1, and `features` columns.
#[must_use]
pub fn synthetic(rows: u32, features: usize, seed: u64) -> Synthetic {
    let mut generator = generator(seed, DATA_STREAM);
    let mut draw = || -> f32 { StandardNormal.sample(&mut generator) };
    let weights: Vec<f32> = (0..features).map(|_| draw()).collect();
    let bias = draw();
    let rows = rows.max(1) as usize;
    let table = Array2::from_shape_simple_fn((rows, features), &mut draw);
    let clean = table.dot(&Array1::from(weights.clone()));
    let target = clean.mapv(|value| value + bias + NOISE * draw());
    match Dataset::new(table, target) {
        Ok(dataset) => Synthetic { dataset, weights, bias, noise: NOISE },
        // The shapes above agree and there is at least one row.
        Err(_) => unreachable!("a synthetic table is a dataset"),
    }
}
