//! Everything random, from one seed: data, weights, and the order of rows. No draw passes through a
//! function of the platform's, so all of it is the same on every machine.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const FEATURES: usize = 100;
pub const HIDDEN: usize = 50;
pub const ROWS: usize = 1000;
/// The first rows are trained on, and the others held out: rows are independent of each other.
pub const TRAINING_ROWS: usize = 800;
/// How likely a feature is not 0.
const DENSITY: f64 = 0.05;

/// The streams of a seed; those of the epochs follow.
const DATA: u64 = 0;
const WEIGHTS: u64 = 1;
const FIRST_EPOCH: u64 = 2;

/// A problem and where its training starts.
pub struct Problem {
    pub seed: u64,
    /// Row by row.
    pub features: Vec<f32>,
    /// 1 where a random linear function of the features is above 0, else 0.
    pub labels: Vec<f32>,
    pub weights: Weights,
}

/// Weights of the network, as Burn has them: input by output, row by row.
pub struct Weights {
    pub hidden_weight: Vec<f32>,
    pub hidden_bias: Vec<f32>,
    pub output_weight: Vec<f32>,
    pub output_bias: Vec<f32>,
}

impl Problem {
    pub fn new(seed: u64) -> Self {
        let mut generator = generator(seed, DATA);
        let function: Vec<f64> = (0..FEATURES).map(|_| bell(&mut generator)).collect();
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..ROWS {
            let mut sum = 0.0;
            for weight in &function {
                let occurs = generator.random::<f64>() < DENSITY;
                let value = if occurs { bell(&mut generator) as f32 } else { 0.0 };
                sum += weight * f64::from(value);
                features.push(value);
            }
            labels.push(if sum > 0.0 { 1.0 } else { 0.0 });
        }
        Self { seed, features, labels, weights: Weights::new(seed) }
    }

    /// The order in which epoch number `epoch`, counted from 0, visits the rows that are trained on.
    pub fn order(&self, epoch: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..TRAINING_ROWS as u32).collect();
        order.shuffle(&mut generator(self.seed, FIRST_EPOCH + epoch as u64));
        order
    }

    /// Features and labels of some rows.
    pub fn rows(&self, rows: &[u32]) -> (Vec<f32>, Vec<f32>) {
        let starts = || rows.iter().map(|&row| row as usize);
        let row = |row: usize| &self.features[FEATURES * row..][..FEATURES];
        (starts().flat_map(row).copied().collect(), starts().map(|row| self.labels[row]).collect())
    }
}

impl Weights {
    /// As PyTorch and Burn begin: uniform between -1 and 1 over the root of a layer's inputs.
    fn new(seed: u64) -> Self {
        let mut generator = generator(seed, WEIGHTS);
        let mut draw = |count: usize, inputs: usize| -> Vec<f32> {
            let bound = 1.0 / (inputs as f64).sqrt();
            let mut one = || (bound * (2.0 * generator.random::<f64>() - 1.0)) as f32;
            (0..count).map(|_| one()).collect()
        };
        Self {
            hidden_weight: draw(FEATURES * HIDDEN, FEATURES),
            hidden_bias: draw(HIDDEN, FEATURES),
            output_weight: draw(HIDDEN, HIDDEN),
            output_bias: draw(1, HIDDEN),
        }
    }
}

/// A generator for one purpose; streams of one seed are independent.
fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// A draw with mean 0 and deviation 1, close to the normal distribution: 12 uniform ones less 6.
fn bell(generator: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| generator.random::<f64>()).sum::<f64>() - 6.0
}
