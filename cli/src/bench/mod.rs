//! `wgpu-optim bench`: how long a step takes, and how close that is to the memory's limit.

pub(crate) mod args;
mod cpu;
mod gpu;
mod roofline;
mod sampling;
mod traffic;
mod words;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use wgpu_optim::{Adagrad, Precision, Rule, wgpu};

use crate::device::{Description, Device};
use crate::error::Error;
use crate::output;
use crate::output::progress::Measuring;
use crate::output::text::STYLE;
use crate::plot::file::PlotFile;
use args::BenchArgs;
use roofline::{Line, Roofline};
use sampling::Medians;
use traffic::{copy_len, traffic};
use words::{percent, short};

/// The object that `--json` prints. The names are a contract.
#[derive(Serialize)]
struct JsonReport<'a> {
    optimizer: &'static str,
    bytes_per_element: usize,
    /// The device's; the CPU engine is always exact.
    precision: String,
    results: &'a [Measurement],
}

/// One length on one device.
#[derive(Serialize)]
struct Measurement {
    device: Description,
    size: usize,
    seconds_per_step: f64,
    gigabytes_per_second: f64,
    /// By the device's own clock; null if it has none, and on the CPU engine.
    kernel_seconds_per_step: Option<f64>,
    /// The throughput of a plain copy in as much memory; bytes read and bytes written both count.
    copy_gigabytes_per_second: f64,
    /// The step's throughput over the copy's.
    share_of_copy: f64,
}

impl Measurement {
    fn new<R: Rule>(device: Description, size: usize, medians: Medians) -> Self {
        let rate = |bytes: usize, seconds: f64| bytes as f64 / seconds / 1e9;
        let gigabytes_per_second = rate(traffic::<R>() * size, medians.step);
        let copy_gigabytes_per_second = rate(2 * 4 * copy_len::<R>(size), medians.copy);
        Self {
            device,
            size,
            seconds_per_step: medians.step,
            gigabytes_per_second,
            kernel_seconds_per_step: medians.kernel,
            copy_gigabytes_per_second,
            share_of_copy: gigabytes_per_second / copy_gigabytes_per_second,
        }
    }

    /// Throughput while the kernel runs.
    fn kernel_rate(&self) -> Option<f64> {
        let bytes = self.gigabytes_per_second * self.seconds_per_step;
        self.kernel_seconds_per_step.map(|seconds| bytes / seconds)
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Error> {
    let plot = args.plot.as_deref();
    let plot = plot.map(|path| PlotFile::prepare("--plot", path, &[])).transpose()?;
    let device = Device::open_with(&args.device, false, wgpu::Features::TIMESTAMP_QUERY)?;
    let precision = args.precision.into();
    let results = measure(&device, &args.sizes, Adagrad::default(), precision)?;
    // Print the result even if the picture fails: a full disk should not cost the measurement.
    let drawn = plot.map_or(Ok(()), |plot| plot.write(&picture(&results, precision)));
    if args.json {
        output::print_json(&JsonReport {
            optimizer: Adagrad::NAME,
            bytes_per_element: traffic::<Adagrad>(),
            precision: precision.to_string(),
            results: &results,
        })?;
    } else {
        output::print(&table(&results))?;
    }
    Ok(drawn?)
}

/// Every length, on the CPU engine and then on the device.
fn measure<R: Rule>(
    device: &Device,
    sizes: &[u64],
    rule: R,
    precision: Precision,
) -> Result<Vec<Measurement>, Error> {
    let gpu = match device {
        Device::Cpu => None,
        Device::Gpu(gpu) => Some(gpu),
    };
    let mut display = Measuring::new(sizes.len() * (1 + usize::from(gpu.is_some())));
    let mut results = Vec::new();
    for &size in sizes {
        let size = usize::try_from(size)
            .map_err(|_| Error::Argument(format!("--sizes {size}: too long for this machine")))?;
        let engine = Description::cpu_engine();
        display.next(size, &engine.name);
        results.push(Measurement::new::<R>(engine, size, cpu::medians(rule, size)?));
        if let Some(gpu) = gpu {
            let description = device.description();
            display.next(size, &description.name);
            let medians = gpu::medians(gpu, rule, precision, size)?;
            results.push(Measurement::new::<R>(description, size, medians));
        }
    }
    display.finish();
    Ok(results)
}

fn table(results: &[Measurement]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE);
    let numbers = ["time per step", "kernel", "GB/s", "copy GB/s", "share"];
    table.set_header(["elements", "device"].into_iter().chain(numbers));
    let time = |seconds: f64| format!("{} us", short(seconds * 1e6));
    for result in results {
        table.add_row([
            result.size.to_string(),
            result.device.to_string(),
            time(result.seconds_per_step),
            result.kernel_seconds_per_step.map_or("-".to_owned(), time),
            short(result.gigabytes_per_second),
            short(result.copy_gigabytes_per_second),
            percent(result.share_of_copy),
        ]);
    }
    for column in (0..table.column_count()).filter(|&column| column != 1) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

/// The results by device, each in ascending order of length.
fn picture(results: &[Measurement], precision: Precision) -> Roofline {
    let mut lines: Vec<Line> = Vec::new();
    let mut ordered: Vec<_> = results.iter().collect();
    ordered.sort_by_key(|result| result.size);
    for result in ordered {
        let device = match result.device.kind {
            "cpu" => result.device.name.clone(),
            _ => format!("{}, {precision}", result.device.name),
        };
        let point = roofline::Point {
            size: result.size as f64,
            step: result.gigabytes_per_second,
            kernel: result.kernel_rate(),
            copy: result.copy_gigabytes_per_second,
        };
        match lines.iter_mut().find(|line| line.device == device) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { device, points: vec![point] }),
        }
    }
    Roofline { title: format!("One step of {}, beside a copy", Adagrad::NAME), lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_share_by_hand() {
        let medians = Medians { step: 1e-3, copy: 0.5e-3, kernel: Some(0.8e-3) };
        let result = Measurement::new::<Adagrad>(Description::cpu_engine(), 1000, medians);
        // 20,000 bytes in a millisecond; 12,000 bytes in half of one.
        assert!((result.gigabytes_per_second - 0.02).abs() < 1e-12);
        assert!((result.copy_gigabytes_per_second - 0.024).abs() < 1e-12);
        assert!((result.share_of_copy - 0.02 / 0.024).abs() < 1e-12);
        assert!((result.kernel_rate().unwrap() - 0.025).abs() < 1e-12);
    }
}
