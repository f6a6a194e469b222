//! The training loop.

use std::time::{Duration, Instant};

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use crate::Failure;
use crate::network::SparseNn;
use crate::problem::{FEATURES, Problem, TRAINING_ROWS};
use crate::rules::Step;

/// How long, and in which batches.
#[derive(Clone, Copy)]
pub struct Plan {
    pub epochs: usize,
    pub batch_size: usize,
}

/// What came of a training.
pub struct Outcome {
    /// The loss of each step's batch, before the step.
    pub losses: Vec<f32>,
    /// The trained network's logits of the held-out rows.
    pub logits: Vec<f32>,
    /// The share of held-out rows that it classifies as their labels say.
    pub accuracy: f64,
    pub time: Duration,
}

impl Plan {
    pub fn steps_per_epoch(&self) -> usize {
        TRAINING_ROWS.div_ceil(self.batch_size)
    }

    /// Trains a network from the problem's own weights. `epoch` gets the mean loss of each epoch.
    pub fn train(
        &self,
        problem: &Problem,
        device: &Device,
        mut step: Step,
        mut epoch: impl FnMut(f64),
    ) -> Result<Outcome, Failure> {
        let tensor = |data: Vec<f32>, width: usize| {
            let rows = data.len() / width;
            Tensor::<2>::from_data(TensorData::new(data, [rows, width]), device)
        };
        let mut network = SparseNn::new(&problem.weights, device);
        device.sync().map_err(Failure::burn)?;
        let start = Instant::now();
        let mut losses = Vec::new();
        for number in 0..self.epochs {
            let order = problem.order(number);
            for rows in order.chunks(self.batch_size) {
                let (x, y) = problem.rows(rows);
                let loss = network.loss(tensor(x, FEATURES), tensor(y, 1));
                let gradients = GradientsParams::from_grads(loss.backward(), &network);
                network = step(network, gradients)?;
                // Read at each step, with which the host waits for the device. Burn's threads would
                // otherwise wait for each other by spinning, at the expense of a software device.
                losses.push(loss.try_into_scalar::<f32>().map_err(Failure::burn)?);
            }
            epoch(mean(&losses[losses.len() - self.steps_per_epoch()..]));
        }
        let time = start.elapsed();
        let held_out = tensor(problem.features[FEATURES * TRAINING_ROWS..].to_vec(), FEATURES);
        let logits = network.forward(held_out).try_into_vec_as::<f32>().map_err(Failure::burn)?;
        let labels = &problem.labels[TRAINING_ROWS..];
        let right = logits.iter().zip(labels).filter(|&(&z, &label)| (z > 0.0) == (label > 0.0));
        let accuracy = right.count() as f64 / labels.len() as f64;
        Ok(Outcome { losses, logits, accuracy, time })
    }

    /// The mean loss of each epoch.
    pub fn epoch_losses(&self, outcome: &Outcome) -> Vec<f64> {
        outcome.losses.chunks(self.steps_per_epoch()).map(mean).collect()
    }
}

/// Of step losses. A last batch with fewer rows counts as the others do.
fn mean(losses: &[f32]) -> f64 {
    losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
}
