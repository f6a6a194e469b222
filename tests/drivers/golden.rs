//! Parity with the frameworks on every driver, in both precisions.

#[path = "../golden/mod.rs"]
mod files;
#[path = "../golden/rules.rs"]
mod rules;

use files::{After, Arithmetic, Engine, Run, check, golden_files, gradients, regressions};
use rules::{Stepper, compare_all};
use wgpu_optim::{Adagrad, Gpu, GpuOptimizer, GpuVec, Precision, Rule};

use crate::Check;
use crate::driver::Driver;

pub(crate) const CHECKS: &[Check] = &[
    ("golden files of PyTorch, optax and Keras, native", |driver| {
        parity(driver, Precision::Native);
    }),
    ("golden files of PyTorch, optax and Keras, exact", |driver| parity(driver, Precision::Exact)),
];

/// A driver with a precision, as an engine for the golden tests.
struct Device<'a> {
    gpu: &'a Gpu,
    precision: Precision,
    arithmetic: Arithmetic,
}

struct DeviceRun<'a> {
    gpu: &'a Gpu,
    optimizer: GpuOptimizer<Adagrad>,
    params: GpuVec,
    grads: GpuVec,
}

impl Engine for Device<'_> {
    fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    fn start(&self, rule: Adagrad, x: &[f32]) -> Box<dyn Run + '_> {
        let optimizer = GpuOptimizer::new(self.gpu, rule, x.len()).unwrap();
        Box::new(DeviceRun {
            gpu: self.gpu,
            optimizer: optimizer.with_precision(self.precision),
            params: self.gpu.upload(x).unwrap(),
            grads: self.gpu.zeros(x.len()).unwrap(),
        })
    }
}

impl Run for DeviceRun<'_> {
    fn set_learning_rate(&mut self, learning_rate: f32) {
        self.optimizer.set_learning_rate(learning_rate).unwrap();
    }

    fn step(&mut self, gradients: &[f32]) -> After {
        self.gpu.write(&self.grads, gradients).unwrap();
        self.optimizer.step(&self.params, &self.grads).unwrap();
        let download = |vector: &GpuVec| vector.download_blocking(self.gpu).unwrap();
        After {
            x: download(&self.params),
            s: download(self.optimizer.state(0)),
            gradients: download(&self.grads),
        }
    }
}

impl Stepper for Device<'_> {
    fn rounds_to_nearest(&self) -> bool {
        self.arithmetic == Arithmetic::NEAREST
    }

    fn step<R: Rule>(
        &self,
        rule: R,
        step: u64,
        vectors: &[Vec<f32>],
        grads: &[f32],
    ) -> Vec<Vec<f32>> {
        let Self { gpu, precision, .. } = *self;
        let optimizer = GpuOptimizer::new(gpu, rule, grads.len()).unwrap();
        let mut optimizer = optimizer.with_precision(precision);
        optimizer.set_steps(step - 1);
        for (k, state) in vectors[1..].iter().enumerate() {
            gpu.write(optimizer.state(k), state).unwrap();
        }
        let params = gpu.upload(&vectors[0]).unwrap();
        optimizer.step(&params, &gpu.upload(grads).unwrap()).unwrap();
        let state = (0..optimizer.state_count()).map(|k| optimizer.state(k));
        let all = [&params].into_iter().chain(state);
        all.map(|vector| vector.download_blocking(gpu).unwrap()).collect()
    }
}

fn parity(driver: &Driver, precision: Precision) {
    // lavapipe rounds correctly and keeps subnormals; SwiftShader flushes them.
    let nearest = precision == Precision::Exact || driver.name == "lavapipe";
    let arithmetic = if nearest { Arithmetic::NEAREST } else { Arithmetic::WGSL };
    let device = Device { gpu: driver.gpu(), precision, arithmetic };
    for golden in golden_files() {
        for case in &golden.cases {
            if let Err(message) = check(&device, &golden, case) {
                panic!("{precision} on {}: {message}", driver.name);
            }
        }
    }
    for (_, regression) in regressions::ALL {
        regression(&device);
    }
    compare_all(&device);
}
