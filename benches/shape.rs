//! Every shape of the step kernel on every GPU: workgroup sizes and quads per invocation, in GB/s
//! at 20 bytes an element, by the device's own clock if it has one. The default `KernelShape` was
//! chosen from such tables.
//!
//! `cargo bench --bench shape -- NAME` measures only devices whose name contains NAME.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

#[path = "support/clock.rs"]
mod clock;
mod support;

use clock::Clock;
use support::gpus;
use wgpu_optim::{Adagrad, Gpu, GpuOptimizer, KernelShape, wgpu};

const SIZES: [usize; 3] = [1 << 12, 1 << 20, 1 << 24];
/// Only on hardware, whose memory is its own: a larger size shows nothing new on software drivers.
const HARDWARE_SIZE: usize = 1 << 26;
const WORKGROUPS: [u32; 7] = [8, 32, 64, 128, 256, 512, 1024];
const QUADS: [u32; 5] = [1, 2, 4, 8, 64];
const BYTES_PER_ELEMENT: f64 = 20.0;
/// Shapes are measured in turn, so that other load on the machine affects all of them.
const ROUNDS: usize = 7;
/// The minimum number of elements of a sample, in several steps if necessary.
const ELEMENTS_PER_SAMPLE: usize = 1 << 23;
const MAX_STEPS: usize = 256;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let once = arguments.iter().any(|argument| argument == "--test");
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    for (_, gpu) in gpus() {
        let info = gpu.info();
        if wanted.is_some_and(|w| !info.name.to_lowercase().contains(&w.to_lowercase())) {
            continue;
        }
        let hardware = info.device_type != wgpu::DeviceType::Cpu;
        let sizes = SIZES.into_iter().chain(hardware.then_some(HARDWARE_SIZE));
        for len in sizes.take(if once { 1 } else { usize::MAX }) {
            sweep(&gpu, len, if once { 1 } else { ROUNDS });
        }
    }
}

/// Measures all shapes at one length, and prints the table.
fn sweep(gpu: &Gpu, len: usize, rounds: usize) {
    let max = gpu.device().limits().max_compute_invocations_per_workgroup;
    let sizes: Vec<u32> = WORKGROUPS.into_iter().filter(|&size| size <= max).collect();
    let shapes: Vec<KernelShape> =
        sizes.iter().flat_map(|&size| QUADS.map(|quads| KernelShape::new(size, quads))).collect();
    let (params, grads) = (gpu.zeros(len).unwrap(), gpu.zeros(len).unwrap());
    gpu.fill(&params, 1.0).unwrap();
    gpu.fill(&grads, 0.5).unwrap();
    let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), len).unwrap();
    let clock = Clock::of(gpu);
    let steps = if rounds == 1 { 1 } else { (ELEMENTS_PER_SAMPLE / len).clamp(1, MAX_STEPS) };
    let mut samples = vec![Vec::new(); shapes.len()];
    for _ in 0..rounds {
        for (shape, samples) in shapes.iter().zip(&mut samples) {
            optimizer = optimizer.with_shape(*shape);
            optimizer.step(&params, &grads).unwrap(); // compiles and binds
            let seconds = clock.seconds(gpu, |encoder| {
                for _ in 0..steps {
                    optimizer.record(encoder, &params, &grads).unwrap();
                }
            });
            samples.push(seconds / steps as f64);
        }
    }
    let rates: Vec<f64> = samples.into_iter().map(|s| rate(len, median(s))).collect();
    let timestamps = gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
    let time = if timestamps { "kernel" } else { "wall" };
    println!("{}, {len} elements, GB/s by {time} time:", gpu.info().name);
    print_table(&sizes, &rates);
}

/// One row for each workgroup size, one column for each number of quads. A star marks the best, and
/// brackets mark `KernelShape::default`.
fn print_table(sizes: &[u32], rates: &[f64]) {
    let best = rates.iter().copied().fold(0.0, f64::max);
    let plural = |quads| if quads == 1 { "" } else { "s" };
    let header = QUADS.map(|quads| format!("{:>12}", format!("{quads} quad{}", plural(quads))));
    println!("  workgroup{}", header.concat());
    for (&size, row) in sizes.iter().zip(rates.chunks(QUADS.len())) {
        let cells = QUADS.iter().zip(row).map(|(&quads, &rate)| {
            let text = if rate < 10.0 { format!("{rate:.2}") } else { format!("{rate:.0}") };
            let star = if rate == best { "*" } else { "" };
            if KernelShape::new(size, quads) == KernelShape::default() {
                format!("{:>12}", format!("{star}[{text}]"))
            } else {
                format!("{:>12}", format!("{star}{text}"))
            }
        });
        println!("  {size:>9}{}", cells.collect::<String>());
    }
    println!();
}

fn rate(len: usize, seconds: f64) -> f64 {
    BYTES_PER_ELEMENT * len as f64 / seconds / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
