//! Training by one rule, and what is measured on the way.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use indicatif::ProgressBar;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use wgpu_optim_burn::wgpu_optim::{Adam, AnyRule, with_rule};
use wgpu_optim_burn::{OptimError, WgpuOptim};

use crate::data::{CLASSES, Images};
use crate::effective;
use crate::net::LeNet;
use crate::{Failure, Settings};

/// Points of the loss curve.
const POINTS: usize = 60;
/// Images in a batch that is only classified.
const SCORED_AT_ONCE: usize = 500;

/// A curve: epochs, and a value.
pub type Curve = Vec<(f64, f64)>;

/// What came of a training run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Mean loss of the batches between two points, each before its step.
    pub losses: Curve,
    /// On the held-out images after each epoch.
    pub accuracies: Curve,
    /// Median effective learning rate.
    pub rates: Curve,
    /// Mean loss of the last epoch's batches.
    pub loss: f64,
    /// Mean loss on the held-out images after the last epoch; not a number if the run diverged.
    pub validation_loss: f64,
    /// Training alone.
    pub seconds: f64,
    pub images: usize,
}

impl Run {
    /// The last one.
    pub fn accuracy(&self) -> f64 {
        self.accuracies.last().map_or(f64::NAN, |&(_, accuracy)| accuracy)
    }

    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.seconds
    }
}

/// How well a network does.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    pub loss: f64,
    pub accuracy: f64,
}

/// The network before training, which is the same for all rules.
pub fn initial(device: &Device, seed: u64) -> LeNet {
    LeNet::new(device, &mut generator(seed, 0))
}

/// The order of the images in an epoch, counted from 0.
pub fn order(images: usize, seed: u64, epoch: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..images as u32).collect();
    order.shuffle(&mut generator(seed, 1 + u64::from(epoch)));
    order
}

/// Streams of one seed are independent.
fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// A rule in the crate's optimizer.
fn optimizer(rule: AnyRule) -> Result<ModuleOptimizer, OptimError> {
    Ok(with_rule!(rule, |rule| WgpuOptim::new(rule)?.init()))
}

/// Takes a step of each size of batch, and scores, so that the first run's time has no tuning of
/// kernels in it.
pub fn warm_up(
    device: &Device,
    settings: &Settings,
    images: &Images,
    test: &Images,
) -> Result<(), Failure> {
    let batch = settings.batch_size.min(images.len());
    let (full, rest) = (images.split(batch, 0).0, images.len() % batch);
    let bar = ProgressBar::hidden();
    let settings = Settings { epochs: 1, ..*settings };
    train(device, &settings, (Adam::pytorch().into(), 1e-3), &full, test, &bar)?;
    if rest > 0 {
        let (rest, one) = images.split(rest, 1);
        train(device, &settings, (Adam::pytorch().into(), 1e-3), &rest, &one, &bar)?;
    }
    Ok(())
}

/// Trains from the seed's start, and scores after each epoch on `test`. A run whose loss is no longer
/// finite ends there.
pub fn train(
    device: &Device,
    settings: &Settings,
    (rule, learning_rate): (AnyRule, f64),
    images: &Images,
    test: &Images,
    bar: &ProgressBar,
) -> Result<Run, Failure> {
    let mut run = Run { validation_loss: f64::NAN, ..Run::default() };
    let mut trainer = Trainer {
        network: initial(device, settings.seed),
        optimizer: optimizer(rule)?,
        learning_rate,
        device,
        images,
    };
    let batches = images.len().div_ceil(settings.batch_size);
    let window = (batches * settings.epochs as usize).div_ceil(POINTS);
    let mut time = Duration::ZERO;
    for epoch in 0..settings.epochs {
        let order = order(images.len(), settings.seed, epoch);
        let (mut sum, mut done) = (0.0, 0);
        for part in order.chunks(window * settings.batch_size) {
            let start = Instant::now();
            let loss;
            (trainer, loss) = trainer.steps(part, settings.batch_size, bar);
            time += start.elapsed();
            sum += loss * part.len() as f64;
            done += part.len();
            let at = f64::from(epoch) + done as f64 / order.len() as f64;
            run.losses.push((at, loss));
            if !loss.is_finite() {
                return Ok(run);
            }
            let rate = effective::median(&rule, learning_rate, &trainer.optimizer)?;
            run.rates.extend(rate.map(|rate| (at, rate)));
            bar.set_message(format!("loss {loss:.4}"));
        }
        run.loss = sum / done as f64;
        let score = score(&trainer.network, test, device)?;
        run.validation_loss = score.loss;
        run.accuracies.push((f64::from(epoch + 1), score.accuracy));
        run.images += done;
    }
    run.seconds = time.as_secs_f64();
    Ok(run)
}

struct Trainer<'a> {
    network: LeNet,
    optimizer: ModuleOptimizer,
    learning_rate: f64,
    device: &'a Device,
    images: &'a Images,
}

impl Trainer<'_> {
    /// One step for each batch of `order`, and the images' mean loss, each before its step. The loss
    /// is summed up on the device: reading it at each step would make the host wait.
    fn steps(mut self, order: &[u32], batch: usize, bar: &ProgressBar) -> (Self, f64) {
        let mut sum = Tensor::<1>::zeros([1], &self.device.clone().inner());
        for indices in order.chunks(batch) {
            let pixels = self.images.pixels(indices, self.device);
            let labels = self.images.labels(indices, self.device);
            let logits = self.network.forward(pixels);
            let loss = CrossEntropyLossConfig::new().init(self.device).forward(logits, labels);
            sum = sum + loss.clone().inner().mul_scalar(indices.len() as f32);
            let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
            self.network = self.optimizer.step(self.learning_rate, self.network, gradients);
            bar.inc(indices.len() as u64);
        }
        let sum: f32 = sum.into_scalar();
        (self, f64::from(sum) / order.len() as f64)
    }
}

/// How well a network does on images.
pub fn score(network: &LeNet, images: &Images, device: &Device) -> Result<Score, Failure> {
    let (network, device) = (network.valid(), device.clone().inner());
    let all: Vec<u32> = (0..images.len() as u32).collect();
    let (mut loss, mut right) = (0.0, 0);
    for indices in all.chunks(SCORED_AT_ONCE) {
        let logits = network.forward(images.pixels(indices, &device)).into_data();
        let logits = logits.as_slice::<f32>()?;
        for (row, &index) in logits.chunks(CLASSES).zip(indices) {
            let label = images.label(index);
            loss += cross_entropy(row, label);
            // With a value that is not a number, nothing is the largest.
            right += usize::from((0..CLASSES).all(|class| row[label] >= row[class]));
        }
    }
    let count = images.len() as f64;
    Ok(Score { loss: loss / count, accuracy: right as f64 / count })
}

fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let over = |logit: f32| f64::from(logit) - f64::from(largest);
    let sum: f64 = logits.iter().map(|&logit| over(logit).exp()).sum();
    sum.ln() - over(logits[label])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_of_its_seed_and_epoch() {
        let first = order(100, 1, 0);
        assert_eq!(first, order(100, 1, 0));
        assert!(first != order(100, 1, 1) && first != order(100, 2, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
    }

    #[test]
    fn cross_entropy_of_large_logits_is_finite() {
        assert!((cross_entropy(&[0.0; 10], 3) - 10f64.ln()).abs() < 1e-12);
        assert!((cross_entropy(&[1000.0, 0.0], 1) - 1000.0).abs() < 1e-9);
    }
}
