//! Trains a linear model from code: on a hardware GPU if there is one, else on the CPU engine.
//!
//! The data are synthetic, so the true weights are known. The program prints them beside the
//! learned weights.
//!
//! Run with `cargo run --release --example linear_regression`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::ops::ControlFlow;

use wgpu_optim::data::synthetic;
use wgpu_optim::linear::{Engine, TrainError, Training, train_blocking};
use wgpu_optim::{Adagrad, AdapterKind, Gpu, GpuRequest, Precision};

fn main() -> Result<(), TrainError> {
    let problem = synthetic(10_000, 5, 1);

    let hardware = GpuRequest { kind: AdapterKind::Hardware, ..GpuRequest::default() };
    let gpu = Gpu::request_blocking(&hardware);
    let engine = match &gpu {
        // The same bits as on the CPU engine; `Native` is faster.
        Ok(gpu) => Engine::Gpu { gpu, precision: Precision::Exact },
        Err(_) => Engine::Cpu,
    };
    match &gpu {
        Ok(gpu) => println!("engine: {}", gpu.info().name),
        Err(_) => println!("engine: CPU, because there is no hardware GPU"),
    }

    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    // With `evaluate_every` 0, the loss is sampled at the end of each epoch.
    let training =
        Training { epochs: 3, batch_size: 10, seed: 0, evaluate_every: 0, ..Training::default() };
    let trained = train_blocking(engine, rule, &problem.dataset, &training, |_progress| {
        // A progress bar could be drawn here. `Break` would stop the run.
        ControlFlow::Continue(())
    })?;

    for point in &trained.history {
        println!("epoch {}: loss {:.6}", point.epoch, point.loss);
    }
    println!("{:>10} {:>10} {:>10}", "", "true", "learned");
    for (index, (truth, learned)) in problem.weights.iter().zip(&trained.model.weights).enumerate()
    {
        println!("{:>10} {truth:>10.4} {learned:>10.4}", format!("weight {index}"));
    }
    println!("{:>10} {:>10.4} {:>10.4}", "bias", problem.bias, trained.model.bias);
    Ok(())
}
