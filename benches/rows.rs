//! Steps over some rows of a table, compared with the same number of rows of a larger table.
//!
//! On the CPU engine: 10,000 rows of width 64 in tables of 100,000 and 10 million rows. Each step
//! names new random rows, or the same rows; there is one accumulator for each parameter, or one for
//! each row. The large table and its state take 5 GB. Without that much free memory it is left out
//! with a message. On every device: 10,000 rows in smaller tables. Figures are medians; the last
//! line of each block is their ratio.
//!
//! It uses no harness: a step takes milliseconds, and memory holds only one table at a time.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measures")]

#[path = "support/measuring.rs"]
mod measuring;
#[path = "support/random.rs"]
mod random;
mod support;

use std::time::Instant;

use measuring::measuring;
use random::Random;
use support::gpus;
use wgpu_optim::{Adagrad, CpuOptimizer, Gpu, GpuOptimizer, Precision, wgpu};

const WIDTH: usize = 64;
const NAMED: usize = 10_000;
const SMALL: usize = 100_000;
const LARGE: usize = 10_000_000;
const STEPS: usize = 60;

fn gradients() -> Vec<f32> {
    (0..NAMED * WIDTH).map(|index| 0.5 + (index % 1000) as f32 / 1000.0).collect()
}

fn median(mut milliseconds: Vec<f64>) -> f64 {
    milliseconds.sort_by(f64::total_cmp);
    milliseconds[milliseconds.len() / 2]
}

/// The median time of `step` in milliseconds, without the first few steps.
fn time(steps: usize, rows: usize, fresh: bool, mut step: impl FnMut(&[u32])) -> f64 {
    let mut random = Random(7);
    let mut named = random.rows(NAMED, rows);
    let mut times = Vec::new();
    for number in 0..steps + 5 {
        if fresh {
            named = random.rows(NAMED, rows);
        }
        let start = Instant::now();
        step(&named);
        if number >= 5 {
            times.push(1e3 * start.elapsed().as_secs_f64());
        }
    }
    median(times)
}

/// The available memory, where the operating system reports it.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kibibytes)
}

/// A table on the CPU engine, with parameters and state that are in memory already.
struct OnCpu {
    params: Vec<f32>,
    optimizer: CpuOptimizer<Adagrad>,
}

impl OnCpu {
    fn new(rows: usize, row_wise: bool) -> Self {
        let rule = Adagrad::default();
        let optimizer = match row_wise {
            true => CpuOptimizer::row_wise(rule, rows, WIDTH),
            false => CpuOptimizer::new(rule, rows * WIDTH),
        };
        let mut optimizer = optimizer.unwrap();
        optimizer.state_mut(0).fill(0.5);
        Self { params: vec![1.0; rows * WIDTH], optimizer }
    }
}

fn cpu(steps: usize) {
    let gradients = gradients();
    let needed = (LARGE * WIDTH * 8) as u64 + (1 << 30);
    let large = match available_bytes() {
        Some(bytes) if bytes < needed => {
            println!("CPU engine: the large table needs {needed} bytes of free memory: left out");
            None
        }
        _ => measuring().then_some(LARGE),
    };
    for (fresh, row_wise) in [(true, false), (false, false), (true, true), (false, true)] {
        let which = if fresh { "new rows each step" } else { "the same rows each step" };
        let which = format!("{which}{}", if row_wise { ", row-wise" } else { "" });
        let mut found = Vec::new();
        for rows in [Some(SMALL), large].into_iter().flatten() {
            let mut table = OnCpu::new(rows, row_wise);
            let milliseconds = time(steps, rows, fresh, |named| {
                table.optimizer.step_rows(&mut table.params, &gradients, named).unwrap();
            });
            println!("CPU engine, {NAMED} of {rows} rows, {which}: {milliseconds:.3} ms");
            found.push(milliseconds);
        }
        if let [small, large] = found[..] {
            println!("CPU engine, {which}: ratio {:.2}", large / small);
        }
    }
}

/// The same in smaller tables on a device, waiting for each step.
fn device(name: &str, gpu: &Gpu, steps: usize, tables: &[usize]) {
    let gradients = gpu.upload(&gradients()).unwrap();
    for precision in [Precision::Native, Precision::Exact] {
        for fresh in [true, false] {
            let which = if fresh { "new rows each step" } else { "the same rows each step" };
            let mut found = Vec::new();
            for &rows in tables {
                let params = gpu.zeros(rows * WIDTH).unwrap();
                let optimizer = GpuOptimizer::new(gpu, Adagrad::default(), params.len()).unwrap();
                let mut optimizer = optimizer.with_precision(precision);
                let milliseconds = time(steps, rows, fresh, |named| {
                    optimizer.step_rows(&params, &gradients, named).unwrap();
                    gpu.wait_blocking().unwrap();
                });
                println!(
                    "{name}, {precision}, {NAMED} of {rows} rows, {which}: {milliseconds:.3} ms"
                );
                found.push(milliseconds);
            }
            if let [small, .., large] = found[..] {
                println!("{name}, {precision}, {which}: ratio {:.2}", large / small);
            }
        }
    }
}

fn main() {
    let steps = if measuring() { STEPS } else { 1 };
    cpu(steps);
    for (name, gpu) in gpus() {
        // Software devices lack the memory for the large table; hardware gets it as well.
        let software = gpu.info().device_type == wgpu::DeviceType::Cpu;
        let tables = [SMALL, LARGE / 10, LARGE];
        let count = if !measuring() {
            1
        } else if software {
            2
        } else {
            3
        };
        device(&name, &gpu, steps, &tables[..count]);
    }
}
