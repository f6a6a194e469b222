//! Steps recorded into the caller's encoder.

use wgpu_optim::{Adagrad, Gpu, GpuOptimizer, Precision, wgpu};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{Reference, values};

pub(crate) const CHECKS: &[Check] = &[
    ("N steps in one encoder with N learning rates", learning_rates),
    ("encoders submitted out of turn and dropped ones", out_of_turn),
    ("a device wrapped from wgpu", wrapped),
    ("a learning rate that is refused changes nothing", refused_learning_rate),
];

const LEN: usize = 1001;

fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device().create_command_encoder(&Default::default())
}

/// An optimizer whose bits are the reference's over any number of steps: a native step elsewhere
/// than on the drivers that round correctly adds an error of its own each time.
fn optimizer(driver: &Driver) -> GpuOptimizer<Adagrad> {
    let optimizer = GpuOptimizer::new(driver.gpu(), Adagrad::default(), LEN).unwrap();
    let native = driver.rounds_correctly();
    optimizer.with_precision(if native { Precision::Native } else { Precision::Exact })
}

fn learning_rates(driver: &Driver) {
    let gpu = driver.gpu();
    let rates: Vec<f32> = (1..=100).map(|n| 1.0 / n as f32).collect();
    let (host, gradient) = (values(LEN, 1, 5), values(LEN, 2, 5));
    let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&gradient).unwrap());
    let mut optimizer = optimizer(driver);
    let mut reference = Reference::new(Adagrad::default(), &host);
    // Twice, so that the second round takes the slots of the first.
    for _ in 0..2 {
        let mut encoder = encoder(gpu);
        for &rate in &rates {
            optimizer.set_learning_rate(rate).unwrap();
            optimizer.record(&mut encoder, &params, &grads).unwrap();
            reference.optimizer.set_learning_rate(rate).unwrap();
            reference.step(&gradient);
        }
        gpu.queue().submit([encoder.finish()]);
        gpu.wait_blocking().unwrap();
    }
    let stepped = params.download_blocking(gpu).unwrap();
    driver.check_exact("200 steps", &reference.params, &stepped);
}

/// Uniforms belong to the encoder that they were recorded into, whenever it is submitted.
fn out_of_turn(driver: &Driver) {
    let gpu = driver.gpu();
    let gradient = values(LEN, 2, 5);
    let grads = gpu.upload(&gradient).unwrap();
    let mut optimizer = optimizer(driver);
    let first = gpu.upload(&vec![0.0; LEN]).unwrap();
    let second = gpu.upload(&vec![0.0; LEN]).unwrap();
    let (mut early, mut late) = (encoder(gpu), encoder(gpu));
    optimizer.set_learning_rate(1.0).unwrap();
    optimizer.record(&mut late, &second, &grads).unwrap();
    optimizer.set_learning_rate(2.0).unwrap();
    optimizer.record(&mut early, &first, &grads).unwrap();
    // A dropped encoder gives its slot back, and one that was never submitted is not waited for.
    let mut dropped = encoder(gpu);
    optimizer.set_learning_rate(3.0).unwrap();
    optimizer.record(&mut dropped, &first, &grads).unwrap();
    drop(dropped);
    gpu.queue().submit([early.finish()]);
    optimizer.set_learning_rate(4.0).unwrap();
    optimizer.step(&first, &grads).unwrap();
    gpu.queue().submit([late.finish()]);

    // The accumulator is shared: the order of submission is the order of the steps.
    let mut reference = Reference::new(Adagrad::default(), &vec![0.0; LEN]);
    for rate in [2.0, 4.0] {
        reference.optimizer.set_learning_rate(rate).unwrap();
        reference.step(&gradient);
    }
    let stepped = first.download_blocking(gpu).unwrap();
    driver.check_exact("submitted early", &reference.params, &stepped);
    reference.params.fill(0.0);
    reference.optimizer.set_learning_rate(1.0).unwrap();
    reference.step(&gradient);
    let stepped = second.download_blocking(gpu).unwrap();
    driver.check_exact("submitted late", &reference.params, &stepped);
}

/// The caller's own device and queue, wrapped twice: nothing is installed, nothing is shared.
fn wrapped(driver: &Driver) {
    let own = driver.gpu();
    let gpu = Gpu::from_wgpu(own.device().clone(), own.queue().clone());
    assert_eq!(gpu.info().name, own.info().name);
    crate::boundaries::agree(driver, &gpu, Adagrad::default(), 77, 2);
}

fn refused_learning_rate(driver: &Driver) {
    let gpu = driver.gpu();
    let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), 4).unwrap();
    assert!(optimizer.set_learning_rate(f32::NAN).is_err());
    assert_eq!(optimizer.rule().learning_rate, Adagrad::default().learning_rate);
}
