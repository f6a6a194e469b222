//! Epochs of linear regression on the CPU engine and on every GPU: one problem of the size of the
//! textbook's experiment, with the loss sampled every 100 examples as in the book, and one larger
//! dense problem.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::ops::ControlFlow;
use std::time::Duration;
use support::gpus;
use wgpu_optim::data::{Dataset, synthetic};
use wgpu_optim::linear::{Engine, Training, train_blocking};
use wgpu_optim::{Adagrad, Precision};

fn epochs(criterion: &mut Criterion) {
    let small = synthetic(1500, 5, 0).dataset;
    let large = synthetic(100_000, 256, 0).dataset;
    let textbook = Training { epochs: 1, ..Training::default() };
    let batches =
        Training { epochs: 1, batch_size: 8192, seed: 0, evaluate_every: 0, ..Training::default() };
    let gpus = gpus();
    let mut engines = vec![("cpu".to_owned(), Engine::Cpu)];
    for (name, gpu) in &gpus {
        for precision in [Precision::Native, Precision::Exact] {
            engines.push((format!("{name}/{precision}"), Engine::Gpu { gpu, precision }));
        }
    }
    for (shape, data, training) in
        [("1500x5 by 10", &small, &textbook), ("100000x256 by 8192", &large, &batches)]
    {
        let mut group = criterion.benchmark_group(format!("epoch/{shape}"));
        group.throughput(Throughput::Elements(data.rows() as u64));
        for (name, engine) in &engines {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|runs| (0..runs).map(|_| epoch(*engine, data, training)).sum());
            });
        }
    }
}

/// The time of one epoch, without upload and compilation.
fn epoch(engine: Engine<'_>, data: &Dataset, training: &Training) -> Duration {
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    let trained =
        train_blocking(engine, rule, data, training, |_| ControlFlow::Continue(())).unwrap();
    Duration::from_secs_f64(trained.seconds_per_epoch)
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = benches; config = short(); targets = epochs }
criterion_main!(benches);
