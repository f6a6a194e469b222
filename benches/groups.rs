//! One step of Adagrad over many tensors, compared with one tensor of as many elements: a thousand
//! tensors of a thousand elements as views of one buffer and in separate buffers, the tensors of a
//! small transformer, and one optimizer for each tensor. Throughput counts 20 bytes an element.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use support::gpus;
use wgpu_optim::{
    Adagrad, Gpu, GpuGroupOptimizer, GpuOptimizer, GpuVec, ParamGroup, Precision, wgpu,
};

const BYTES_PER_ELEMENT: u64 = 20;
const RULE: Adagrad = Adagrad {
    learning_rate: 0.01,
    epsilon: 1e-6,
    epsilon_placement: wgpu_optim::EpsilonPlacement::InsideRoot,
    initial_accumulator: 0.0,
    learning_rate_decay: 0.0,
    weight_decay: wgpu_optim::WeightDecay::None,
    maximize: false,
};

/// The tensors of a transformer with 4 layers of width 128 and a vocabulary of 2000. They have 128
/// to 256,000 elements.
fn transformer() -> Vec<usize> {
    let (width, layers, vocabulary, context) = (128, 4, 2000, 128);
    let mut lens = vec![vocabulary * width, context * width];
    for _ in 0..layers {
        lens.extend([width, width]); // the first normalisation
        lens.extend([3 * width * width, 3 * width, width * width, width]); // attention
        lens.extend([width, width]); // the second normalisation
        lens.extend([4 * width * width, 4 * width, 4 * width * width, width]); // feed-forward
    }
    lens.extend([width, width]);
    lens
}

fn values(len: usize) -> Vec<f32> {
    (0..len as u32).map(|index| 0.5 + (index % 1000) as f32 / 1000.0).collect()
}

fn separate(gpu: &Gpu, lens: &[usize]) -> Vec<GpuVec> {
    lens.iter().map(|&len| gpu.upload(&values(len)).unwrap()).collect()
}

fn side_by_side(gpu: &Gpu, lens: &[usize]) -> Vec<GpuVec> {
    let hosts: Vec<_> = lens.iter().map(|&len| values(len)).collect();
    let hosts: Vec<_> = hosts.iter().map(Vec::as_slice).collect();
    gpu.upload_many(&hosts).unwrap()
}

/// The time of `steps` steps, waiting only at the end. `step` submits one.
fn time(gpu: &Gpu, steps: u64, mut step: impl FnMut()) -> Duration {
    gpu.wait_blocking().unwrap();
    let start = Instant::now();
    for _ in 0..steps {
        step();
    }
    gpu.wait_blocking().unwrap();
    start.elapsed()
}

/// A layout: creates tensors of these lengths in device memory.
type Lay = fn(&Gpu, &[usize]) -> Vec<GpuVec>;

fn steps(criterion: &mut Criterion) {
    let lists = [
        ("one of 1000000", vec![1_000_000], side_by_side as Lay),
        ("1000 of 1000, one buffer", vec![1000; 1000], side_by_side),
        ("1000 of 1000, own buffers", vec![1000; 1000], separate),
        ("transformer, one buffer", transformer(), side_by_side),
        ("transformer, own buffers", transformer(), separate),
    ];
    for (name, gpu) in gpus() {
        for precision in [Precision::Native, Precision::Exact] {
            let mut group = criterion.benchmark_group(format!("groups/{name}/{precision}"));
            for (what, lens, lay) in &lists {
                let (params, grads) = (lay(&gpu, lens), lay(&gpu, lens));
                let groups = [ParamGroup { rule: RULE, lens: lens.clone() }];
                let mut optimizer =
                    GpuGroupOptimizer::new(&gpu, &groups).unwrap().with_precision(precision);
                let elements: usize = lens.iter().sum();
                group.throughput(Throughput::Bytes(BYTES_PER_ELEMENT * elements as u64));
                group.bench_function(*what, |bencher| {
                    bencher.iter_custom(|steps| {
                        time(&gpu, steps, || optimizer.step(&params, &grads).unwrap())
                    });
                });
            }
        }
    }
}

/// One optimizer for each tensor, all in one submission; and one tensor alone.
fn each_alone(criterion: &mut Criterion) {
    for (name, gpu) in gpus() {
        let mut group = criterion.benchmark_group(format!("groups/{name}/GpuOptimizer"));
        for (what, lens) in
            [("one of 1000000", vec![1_000_000]), ("1000 of 1000", vec![1000; 1000])]
        {
            let (params, grads) = (separate(&gpu, &lens), separate(&gpu, &lens));
            let make = |&len: &usize| GpuOptimizer::new(&gpu, RULE, len).unwrap();
            let mut optimizers: Vec<_> = lens.iter().map(make).collect();
            let elements: usize = lens.iter().sum();
            group.throughput(Throughput::Bytes(BYTES_PER_ELEMENT * elements as u64));
            group.bench_function(what, |bencher| {
                bencher.iter_custom(|steps| {
                    time(&gpu, steps, || {
                        let device = gpu.device();
                        let mut encoder = device.create_command_encoder(&Default::default());
                        for ((optimizer, params), grads) in
                            optimizers.iter_mut().zip(&params).zip(&grads)
                        {
                            optimizer.record(&mut encoder, params, grads).unwrap();
                        }
                        gpu.queue().submit([encoder.finish()]);
                    })
                });
            });
        }
    }
}

/// Host time to encode one warm step, on a device that executes nothing.
fn encoding(criterion: &mut Criterion) {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let gpu = Gpu::from_wgpu(device, queue);
    let mut group = criterion.benchmark_group("groups/encode");
    for (what, lay) in [("1000, one buffer", side_by_side as Lay), ("1000, own buffers", separate)]
    {
        let lens = vec![1000; 1000];
        let (params, grads) = (lay(&gpu, &lens), lay(&gpu, &lens));
        let groups = [ParamGroup { rule: RULE, lens }];
        let mut optimizer = GpuGroupOptimizer::new(&gpu, &groups).unwrap();
        group.bench_function(what, |bencher| {
            bencher.iter_custom(|steps| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..steps {
                    let device = gpu.device();
                    let mut encoder = device.create_command_encoder(&Default::default());
                    let start = Instant::now();
                    optimizer.record(&mut encoder, &params, &grads).unwrap();
                    elapsed += start.elapsed();
                    gpu.queue().submit([encoder.finish()]);
                }
                elapsed
            });
        });
    }
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! { name = benches; config = short(); targets = steps, each_alone, encoding }
criterion_main!(benches);
