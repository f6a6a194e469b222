//! Epochs of linear regression, and the time to read the same rows.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;
use wgpu_optim::data::{Dataset, epoch_order};
use wgpu_optim::linear::{Engine, Trained, Training, train_blocking};
use wgpu_optim::{Adagrad, Gpu, GpuRequest, Precision};

use crate::{Contestant, adapter};

fn run(engine: Engine<'_>, data: &Dataset, training: &Training) -> Trained {
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    train_blocking(engine, rule, data, training, |_| ControlFlow::Continue(())).unwrap()
}

/// The mean seconds per epoch of whole runs for about `budget`. `run` returns its seconds per
/// epoch.
fn seconds_per_epoch(budget: Duration, mut run: impl FnMut() -> f64) -> f64 {
    let (mut total, mut runs) = (0.0, 0);
    while runs == 0 || total < budget.as_secs_f64() {
        total += run();
        runs += 1;
    }
    total / f64::from(runs)
}

/// The textbook's experiment: batches of 10, the loss sampled every 100 examples, two epochs.
pub(crate) struct Airfoil {
    data: Dataset,
    gpu: Option<Gpu>,
    training: Training,
    loss: f64,
}

impl Airfoil {
    /// Reads standardized rows of 5 features and the target, as little-endian f32.
    pub(crate) fn new(engine: &str, file: &str) -> Self {
        let bytes = std::fs::read(file).unwrap();
        let values: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let table = Array2::from_shape_vec((values.len() / 6, 6), values).unwrap();
        let (features, target) = table.view().split_at(Axis(1), 5);
        let data = Dataset::new(features.to_owned(), target.column(0).to_owned()).unwrap();
        let gpu = match engine {
            "cpu" => None,
            "gpu" => Some(Gpu::request_blocking(&GpuRequest::default()).unwrap()),
            _ => panic!("{engine}: cpu or gpu"),
        };
        let mut airfoil = Self { data, gpu, training: Training::default(), loss: 0.0 };
        airfoil.loss = airfoil.run().loss;
        airfoil
    }

    fn run(&self) -> Trained {
        let engine = self
            .gpu
            .as_ref()
            .map_or(Engine::Cpu, |gpu| Engine::Gpu { gpu, precision: Precision::Native });
        run(engine, &self.data, &self.training)
    }
}

impl Contestant for Airfoil {
    fn check(&self) -> f64 {
        self.loss
    }

    fn device(&self) -> String {
        self.gpu.as_ref().map_or_else(|| "CPU engine".to_owned(), adapter)
    }

    fn measure(&mut self, _: &str, budget: Duration) -> f64 {
        seconds_per_epoch(budget, || self.run().seconds_per_epoch)
    }
}

/// A number in [-1, 1) for each index: the finalizer "lowbias32", the same as in contestant.py.
pub(crate) fn uniform(mut index: u32) -> f32 {
    index ^= index >> 16;
    index = index.wrapping_mul(0x7feb_352d);
    index ^= index >> 15;
    index = index.wrapping_mul(0x846c_a68b);
    index ^= index >> 16;
    (index >> 8) as f32 / 8_388_608.0 - 1.0
}

/// The first index of the weights and of the noise. The indices of the features start at 0.
pub(crate) const WEIGHTS: u32 = 1 << 31;
pub(crate) const NOISE: u32 = 3 << 30;

/// A regression problem with uniform noise in [-0.1, 0.1).
pub(crate) fn dense_data(rows: usize, columns: usize) -> Dataset {
    let mut features = vec![0.0; rows * columns];
    let weights: Vec<f32> = (0..columns as u32).map(|column| uniform(WEIGHTS + column)).collect();
    let mut target = vec![0.0; rows];
    features.par_chunks_mut(columns).zip(&mut target).enumerate().for_each(
        |(row, (features, target))| {
            let first = (row * columns) as u32;
            for (index, feature) in (first..).zip(&mut *features) {
                *feature = uniform(index);
            }
            let clean: f32 = features.iter().zip(&weights).map(|(x, w)| x * w).sum();
            *target = clean + 0.1 * uniform(NOISE + row as u32);
        },
    );
    let features = Array2::from_shape_vec((rows, columns), features).unwrap();
    Dataset::new(features, Array1::from(target)).unwrap()
}

/// One epoch on a large problem, the loss sampled at its end.
pub(crate) struct Dense {
    data: Dataset,
    training: Training,
    loss: f64,
}

impl Dense {
    pub(crate) fn new(data: Dataset, batch_size: usize) -> Self {
        let training =
            Training { epochs: 1, batch_size, seed: 0, evaluate_every: 0, ..Training::default() };
        let loss = run(Engine::Cpu, &data, &training).loss;
        Self { data, training, loss }
    }
}

impl Contestant for Dense {
    fn check(&self) -> f64 {
        self.loss
    }

    fn measure(&mut self, _: &str, budget: Duration) -> f64 {
        seconds_per_epoch(budget, || run(Engine::Cpu, &self.data, &self.training).seconds_per_epoch)
    }
}

/// The reads that an epoch cannot avoid: every row once in shuffled order, batch by batch, and
/// every row once more in order, for the loss. The numbers are only added up.
pub(crate) struct Gather {
    data: Dataset,
    batch_size: usize,
}

impl Gather {
    pub(crate) fn new(data: Dataset, batch_size: usize) -> Self {
        Self { data, batch_size }
    }

    fn epoch(&self) -> f32 {
        let (rows, columns) = (self.data.rows(), self.data.feature_count());
        let table = self.data.features();
        let table = table.as_slice().unwrap();
        let order = epoch_order(rows as u32, 0, 0);
        let sum = |row: usize| sum(&table[row * columns..][..columns]);
        let batches = order.chunks(self.batch_size);
        let shuffled: f32 = batches
            .map(|batch| {
                batch.par_iter().with_min_len(16).map(|&row| sum(row as usize)).sum::<f32>()
            })
            .sum();
        shuffled + (0..rows).into_par_iter().with_min_len(16).map(sum).sum::<f32>()
    }
}

/// A sum in enough lanes for wide vector instructions.
fn sum(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<32>();
    let mut lanes = [0.0; 32];
    for group in groups {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane += value;
        }
    }
    lanes.iter().chain(rest).sum()
}

impl Contestant for Gather {
    /// It trains nothing.
    fn check(&self) -> f64 {
        0.0
    }

    fn measure(&mut self, _: &str, budget: Duration) -> f64 {
        seconds_per_epoch(budget, || {
            let start = Instant::now();
            black_box(self.epoch());
            start.elapsed().as_secs_f64()
        })
    }
}
