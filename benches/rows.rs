//! Steps over some rows of a table, beside the same rows in a larger table.
//!
//! On the CPU engine: 10,000 rows of 64 in a table of 100,000 and in one of 10 million, each step
//! with new random rows, and each step with the same; with an accumulator for every parameter, and
//! with one for each row. The large table and its state are 5 GB: it is
//! left out, with a word, where there is not that much memory to spare. On every device: 10,000
//! rows in smaller tables. Figures are medians; the last line of each block is their ratio.
//!
//! It needs no harness: a step takes milliseconds, and the tables have to be made one by one.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measures")]

#[path = "support/measuring.rs"]
mod measuring;
mod support;

use std::time::Instant;

use measuring::measuring;
use support::gpus;
use wgpu_optim::{Adagrad, CpuOptimizer, Gpu, GpuOptimizer, Precision, wgpu};

const WIDTH: usize = 64;
const NAMED: usize = 10_000;
const SMALL: usize = 100_000;
const LARGE: usize = 10_000_000;
const STEPS: usize = 60;

/// Numbers that look random: a fixed sequence.
struct Random(u64);

impl Random {
    /// The finaliser of SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn rows(&mut self, rows: usize) -> Vec<u32> {
        (0..NAMED).map(|_| (self.next() % rows as u64) as u32).collect()
    }
}

fn gradients() -> Vec<f32> {
    (0..NAMED * WIDTH).map(|index| 0.5 + (index % 1000) as f32 / 1000.0).collect()
}

fn median(mut milliseconds: Vec<f64>) -> f64 {
    milliseconds.sort_by(f64::total_cmp);
    milliseconds[milliseconds.len() / 2]
}

/// The median time of `step`, in milliseconds; the first few steps do not count.
fn time(steps: usize, rows: usize, fresh: bool, mut step: impl FnMut(&[u32])) -> f64 {
    let mut random = Random(7);
    let mut named = random.rows(rows);
    let mut times = Vec::new();
    for number in 0..steps + 5 {
        if fresh {
            named = random.rows(rows);
        }
        let start = Instant::now();
        step(&named);
        if number >= 5 {
            times.push(1e3 * start.elapsed().as_secs_f64());
        }
    }
    median(times)
}

/// The memory that the operating system would hand out, where it says so.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kibibytes)
}

/// A table on the CPU engine, its state touched as its parameters are.
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
            println!("CPU engine: no {needed} bytes to spare for the large table: left out");
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

/// The same rows in smaller tables, on a device: until it is done.
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
        // Software lacks the memory for the large table; a device of its own gets it as well.
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
