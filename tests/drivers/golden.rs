//! Parity with the frameworks on every driver, in both precisions.

#[path = "../golden/mod.rs"]
mod files;

use files::{After, Arithmetic, Engine, Run, check, golden_files, regressions};
use wgpu_optim::{Adagrad, Gpu, GpuOptimizer, GpuVec, Precision};

use crate::Check;
use crate::driver::Driver;

pub(crate) const CHECKS: &[Check] = &[
    ("golden files of PyTorch, optax and Keras, native", |driver| {
        parity(driver, Precision::Native);
    }),
    ("golden files of PyTorch, optax and Keras, exact", |driver| parity(driver, Precision::Exact)),
];

/// A driver with a precision, as an engine of the golden tests.
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
}
