//! `wgpu-optim bench`: how long a step takes.

use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use wgpu_optim::{Adagrad, CpuOptimizer, Gpu, GpuOptimizer, Rule};

use crate::args::BenchArgs;
use crate::device::{Description, Device};
use crate::error::Error;
use crate::interrupt;
use crate::{output, report};

/// Read parameter, gradient and accumulator; write parameter and accumulator.
const BYTES_PER_ELEMENT: f64 = 20.0;
/// How long each length is measured.
const MEASURED: Duration = Duration::from_millis(600);
const FEWEST_SAMPLES: usize = 5;
const MOST_SAMPLES: usize = 1000;
/// A group of steps should last this long, so that the wait for it does not count.
const GROUP: Duration = Duration::from_millis(4);
const MOST_STEPS_PER_GROUP: u32 = 512;

/// The object that `--json` prints.
#[derive(Serialize)]
struct JsonReport {
    optimizer: &'static str,
    bytes_per_element: f64,
    results: Vec<Measurement>,
}

#[derive(Serialize)]
struct Measurement {
    device: Description,
    size: usize,
    seconds_per_step: f64,
    gigabytes_per_second: f64,
}

/// Runs the subcommand.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Error> {
    let device = Device::open(&args.device, false)?;
    let mut results = Vec::new();
    for &size in &args.sizes {
        let size = usize::try_from(size)
            .map_err(|_| Error::Argument(format!("--sizes {size}: too long for this machine")))?;
        results.push(measurement(Description::cpu_engine(), size, cpu_step(size)?));
        if let Device::Gpu(gpu) = &device {
            results.push(measurement(device.description(), size, gpu_step(gpu, size)?));
        }
    }
    if args.json {
        let optimizer = Adagrad::NAME;
        output::print_json(&JsonReport {
            optimizer,
            bytes_per_element: BYTES_PER_ELEMENT,
            results,
        })?;
    } else {
        output::print(&table(&results))?;
    }
    Ok(())
}

fn measurement(device: Description, size: usize, seconds_per_step: f64) -> Measurement {
    let gigabytes_per_second = BYTES_PER_ELEMENT * size as f64 / seconds_per_step / 1e9;
    Measurement { device, size, seconds_per_step, gigabytes_per_second }
}

fn table(results: &[Measurement]) -> String {
    let mut table = Table::new();
    table.load_style(report::STYLE);
    table.set_header(["elements", "device", "time per step", "GB/s"]);
    for Measurement { device, size, seconds_per_step, gigabytes_per_second } in results {
        table.add_row([
            size.to_string(),
            device.to_string(),
            format!("{} us", report::significant(seconds_per_step * 1e6)),
            report::significant(*gigabytes_per_second),
        ]);
    }
    for column in [0, 2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

fn cpu_step(size: usize) -> Result<f64, Error> {
    let (mut params, grads) = (filled(size, 1.0)?, filled(size, 0.5)?);
    let mut optimizer = CpuOptimizer::new(Adagrad::default(), size)?;
    median_step(|steps| {
        for _ in 0..steps {
            optimizer.step(&mut params, &grads)?;
        }
        Ok(())
    })
}

fn gpu_step(gpu: &Gpu, size: usize) -> Result<f64, Error> {
    let (params, grads) = (gpu.zeros(size)?, gpu.zeros(size)?);
    gpu.fill(&params, 1.0)?;
    gpu.fill(&grads, 0.5)?;
    let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), size)?;
    median_step(|steps| {
        for _ in 0..steps {
            optimizer.step(&params, &grads)?;
        }
        Ok(gpu.wait_blocking()?)
    })
}

/// A vector of `size` times `value`, or an error where there is no room for it.
fn filled(size: usize, value: f32) -> Result<Vec<f32>, Error> {
    let mut vector = Vec::new();
    vector
        .try_reserve_exact(size)
        .map_err(|_| Error::Run(format!("no memory for {size} elements: give smaller --sizes")))?;
    vector.resize(size, value);
    Ok(vector)
}

/// The median time of one step in seconds; `run` takes as many steps as it is told.
fn median_step(mut run: impl FnMut(u32) -> Result<(), Error>) -> Result<f64, Error> {
    // Compiles kernels and touches all memory for the first time.
    run(1)?;
    let mut time = |steps: u32| -> Result<Duration, Error> {
        interrupt::check()?;
        let start = Instant::now();
        run(steps)?;
        Ok(start.elapsed())
    };
    let mut group = 1;
    while group < MOST_STEPS_PER_GROUP && time(group)? < GROUP {
        group *= 2;
    }
    let mut samples = Vec::new();
    let start = Instant::now();
    while samples.len() < FEWEST_SAMPLES
        || (start.elapsed() < MEASURED && samples.len() < MOST_SAMPLES)
    {
        samples.push(time(group)?.as_secs_f64() / f64::from(group));
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}
