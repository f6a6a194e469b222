//! The training loop.

use std::time::{Duration, Instant};

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData, Transaction};

use crate::Failure;
use crate::network::SparseNn;
use crate::problem::{FEATURES, Problem, ROWS, TRAINING_ROWS};
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

    /// Trains a network from the problem's own weights. `epoch` is told the mean loss of each.
    pub fn train(
        &self,
        problem: &Problem,
        device: &Device,
        mut step: Step,
        mut epoch: impl FnMut(f64),
    ) -> Result<Outcome, Failure> {
        let tensor = |data: &[f32], width: usize| {
            let rows = data.len() / width;
            Tensor::<2>::from_data(TensorData::new(data.to_vec(), [rows, width]), device)
        };
        let features = tensor(&problem.features, FEATURES);
        let labels = tensor(&problem.labels, 1);
        let mut network = SparseNn::new(&problem.weights, device);
        device.sync().map_err(Failure::burn)?;
        let start = Instant::now();
        let mut losses = Vec::new();
        for number in 0..self.epochs {
            let order = problem.order(number).into_iter().map(|row| row as i32).collect();
            let order = TensorData::new::<i32, _>(order, [TRAINING_ROWS]);
            let order = Tensor::<1, Int>::from_data(order, device);
            let (x, y) =
                (features.clone().select(0, order.clone()), labels.clone().select(0, order));
            let mut batches = Transaction::default();
            for first in (0..TRAINING_ROWS).step_by(self.batch_size) {
                let rows = first..TRAINING_ROWS.min(first + self.batch_size);
                let loss = network.loss(x.clone().slice([rows.clone()]), y.clone().slice([rows]));
                let gradients = GradientsParams::from_grads(loss.backward(), &network);
                // Read once in an epoch, so that the device does not wait for the host at each step.
                batches = batches.register(loss.inner());
                network = step(network, gradients)?;
            }
            for loss in batches.try_execute().map_err(Failure::burn)? {
                losses.extend(loss.try_into_vec_as::<f32>().map_err(Failure::burn)?);
            }
            epoch(mean(&losses[losses.len() - self.steps_per_epoch()..]));
        }
        let time = start.elapsed();
        let held_out = features.slice([TRAINING_ROWS..ROWS]);
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
