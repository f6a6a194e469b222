//! One step of Adagrad over vectors of 4,096 to 67,108,864 elements, on the CPU engine and on every
//! GPU, compared with the same traffic with additions only. Throughput counts 20 bytes an element:
//! parameters, gradients and accumulator are read, parameters and accumulator are written. The
//! group `kernel` measures the step by the device's own clock, without submission. The group
//! `guard` measures the step under each policy for non-finite gradients, and with clipping.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "support/clock.rs"]
mod clock;
#[path = "support/measuring.rs"]
mod measuring;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use clock::Clock;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use measuring::measuring;
use std::time::{Duration, Instant};
use support::gpus;
use traffic::{Traffic, values};
use wgpu_optim::{
    Adagrad, AnyRule, CpuOptimizer, Gpu, GpuOptimizer, GradientGuard, NonFinite, Precision, Rule,
    wgpu, with_rule,
};

const SIZES: [usize; 8] = [1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26];
const BYTES_PER_ELEMENT: u64 = 20;

/// The sizes to measure; only the small ones if the benchmark runs as a test.
fn sizes<const N: usize>(all: [usize; N]) -> impl Iterator<Item = usize> {
    all.into_iter().filter(|&size| measuring() || size <= 1 << 20)
}

fn throughput(len: usize) -> Throughput {
    Throughput::Bytes(BYTES_PER_ELEMENT * len as u64)
}

fn cpu<R: Rule>(criterion: &mut Criterion, name: &str, rule: R) {
    let mut group = criterion.benchmark_group(name);
    for len in sizes(SIZES) {
        let (mut params, grads) = (values(len), values(len));
        let mut optimizer = CpuOptimizer::new(rule, len).unwrap();
        group.throughput(throughput(len));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| optimizer.step(&mut params, &grads).unwrap());
        });
    }
}

/// The time of a step on a GPU: submits all steps and waits at the end.
fn gpu<R: Rule>(criterion: &mut Criterion, name: &str, gpu: &Gpu, rule: R, precision: Precision) {
    let mut group = criterion.benchmark_group(name);
    for len in sizes(SIZES) {
        let host = values(len);
        let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&host).unwrap());
        drop(host);
        let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap().with_precision(precision);
        group.throughput(throughput(len));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter_custom(|steps| {
                gpu.wait_blocking().unwrap();
                let start = Instant::now();
                for _ in 0..steps {
                    optimizer.step(&params, &grads).unwrap();
                }
                gpu.wait_blocking().unwrap();
                start.elapsed()
            });
        });
    }
}

fn cpu_steps(criterion: &mut Criterion) {
    cpu(criterion, "step/cpu/adagrad", Adagrad::default());
    cpu(criterion, "step/cpu/traffic", Traffic);
}

/// The rules' common choices of formula.
fn rules() -> Vec<(String, AnyRule)> {
    let variants: [(&str, &[(&str, &str)]); 8] = [
        ("sgd", &[("momentum", "0.9")]),
        ("sgd", &[("momentum", "0.9"), ("nesterov", "true")]),
        ("sgd", &[("momentum", "0.9"), ("weight_decay", "0.01")]),
        ("rmsprop", &[("centered", "true")]),
        ("rmsprop", &[("momentum", "0.9")]),
        ("rmsprop", &[("momentum", "0.9"), ("centered", "true")]),
        ("adam", &[("amsgrad", "true")]),
        ("adam", &[("weight_decay", "0.01")]),
    ];
    let presets =
        AnyRule::presets().into_iter().map(|preset| (preset.name.to_owned(), preset.rule));
    let variants = variants.map(|(name, options)| {
        let mut rule = AnyRule::named(name).unwrap();
        let mut name = name.to_owned();
        for (option, value) in options {
            rule.set(option, value).unwrap();
            name = format!("{name}, {option}");
        }
        (name, rule)
    });
    presets.chain(variants).collect()
}

/// Parameter, gradient and state are read, parameter and state are written.
fn bytes<R: Rule>(rule: &R, len: usize) -> Throughput {
    Throughput::Bytes((12 + 8 * rule.state_names().len() as u64) * len as u64)
}

fn cpu_rule<R: Rule>(criterion: &mut Criterion, name: &str, rule: R) {
    let mut group = criterion.benchmark_group(format!("step/cpu/{name}"));
    for len in sizes([1 << 20, 1 << 24]) {
        let (mut params, grads) = (values(len), values(len));
        let mut optimizer = CpuOptimizer::new(rule, len).unwrap();
        group.throughput(bytes(&rule, len));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| optimizer.step(&mut params, &grads).unwrap());
        });
    }
}

/// Every rule's common choices on the CPU engine, whose loop is compiled for them.
fn cpu_rules(criterion: &mut Criterion) {
    for (name, rule) in rules() {
        if name != Adagrad::NAME {
            with_rule!(rule, |rule| cpu_rule(criterion, &name, rule));
        }
    }
}

fn gpu_steps(criterion: &mut Criterion) {
    for (name, device) in gpus() {
        let rule = Adagrad::default();
        gpu(criterion, &format!("step/{name}/native"), &device, rule, Precision::Native);
        gpu(criterion, &format!("step/{name}/exact"), &device, rule, Precision::Exact);
        gpu(criterion, &format!("step/{name}/traffic"), &device, Traffic, Precision::Native);
    }
}

/// The lengths at which the kernel alone is measured. At the first, submission takes longer than
/// it.
const KERNEL_SIZES: [usize; 3] = [1 << 12, 1 << 20, 1 << 24];
/// The maximum number of steps recorded into one encoder.
const STEPS_PER_ENCODER: u64 = 256;

/// The time of a step on the device alone; the wall time of an encoder if the device has no clock.
fn kernels(criterion: &mut Criterion) {
    for (name, gpu) in gpus() {
        let clock = Clock::of(&gpu);
        for precision in [Precision::Native, Precision::Exact] {
            let mut group = criterion.benchmark_group(format!("kernel/{name}/{precision}"));
            for len in sizes(KERNEL_SIZES) {
                let host = values(len);
                let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&host).unwrap());
                let optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), len).unwrap();
                let mut optimizer = optimizer.with_precision(precision);
                group.throughput(throughput(len));
                group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
                    bencher.iter_custom(|steps| {
                        let encoders = (0..steps).step_by(STEPS_PER_ENCODER as usize);
                        let seconds = encoders.map(|first| {
                            clock.seconds(&gpu, |encoder| {
                                for _ in first..steps.min(first + STEPS_PER_ENCODER) {
                                    optimizer.record(encoder, &params, &grads).unwrap();
                                }
                            })
                        });
                        Duration::from_secs_f64(seconds.sum())
                    });
                });
            }
        }
    }
}

/// The policies of a guard, with and without clipping.
const GUARDS: [(&str, NonFinite, Option<f32>); 5] = [
    ("default", NonFinite::Propagate, None),
    ("skip element", NonFinite::SkipElement, None),
    ("skip step", NonFinite::SkipStep, None),
    ("clip", NonFinite::Propagate, Some(1.0)),
    ("clip, skip element", NonFinite::SkipElement, Some(1.0)),
];
/// The lengths at which guards are measured.
const GUARDED_SIZES: [usize; 2] = [1 << 20, 1 << 24];

/// The time of a step with and without a guard over the gradients.
fn guards(criterion: &mut Criterion) {
    let rule = Adagrad::default();
    for len in sizes(GUARDED_SIZES) {
        let mut group = criterion.benchmark_group(format!("guard/cpu/{len}"));
        group.throughput(throughput(len));
        let (mut params, grads) = (values(len), values(len));
        for (name, non_finite, max_norm) in GUARDS {
            let guard = GradientGuard { non_finite, max_norm };
            let mut optimizer = CpuOptimizer::new(rule, len).unwrap().with_guard(guard).unwrap();
            group.bench_function(name, |bencher| {
                bencher.iter(|| optimizer.step(&mut params, &grads).unwrap());
            });
        }
    }
    for (device, gpu) in gpus() {
        for (len, precision) in sizes(GUARDED_SIZES)
            .flat_map(|len| [Precision::Native, Precision::Exact].map(|p| (len, p)))
        {
            let mut group = criterion.benchmark_group(format!("guard/{device}/{precision}/{len}"));
            group.throughput(throughput(len));
            let host = values(len);
            let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&host).unwrap());
            for (name, non_finite, max_norm) in GUARDS {
                let optimizer = GpuOptimizer::new(&gpu, rule, len).unwrap();
                let mut optimizer = optimizer
                    .with_precision(precision)
                    .with_guard(GradientGuard { non_finite, max_norm })
                    .unwrap();
                group.bench_function(name, |bencher| {
                    bencher.iter_custom(|steps| {
                        gpu.wait_blocking().unwrap();
                        let start = Instant::now();
                        for _ in 0..steps {
                            optimizer.step(&params, &grads).unwrap();
                        }
                        gpu.wait_blocking().unwrap();
                        start.elapsed()
                    });
                });
            }
        }
    }
}

/// Host time to encode one warm step of one dispatch, on a device that executes nothing.
fn encoding(criterion: &mut Criterion) {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let gpu = Gpu::from_wgpu(device, queue);
    let (params, grads) = (gpu.zeros(4096).unwrap(), gpu.zeros(4096).unwrap());
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 4096).unwrap();
    criterion.bench_function("encode/record", |bencher| {
        bencher.iter_custom(|steps| {
            let mut elapsed = Duration::ZERO;
            let mut left = steps;
            while left > 0 {
                let steps = left.min(1000);
                let mut encoder = gpu.device().create_command_encoder(&Default::default());
                let start = Instant::now();
                for _ in 0..steps {
                    optimizer.record(&mut encoder, &params, &grads).unwrap();
                }
                elapsed += start.elapsed();
                gpu.queue().submit([encoder.finish()]);
                left -= steps;
            }
            elapsed
        });
    });
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = short();
    targets = cpu_steps, cpu_rules, gpu_steps, kernels, guards, encoding
}
criterion_main!(benches);
