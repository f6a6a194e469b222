//! `wgpu-optim bench`: how long a step takes, and how near that is to what memory allows.

mod cpu;
mod gpu;
mod roofline;
mod sampling;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use wgpu_optim::{Adagrad, Precision, Rule, wgpu};

use crate::args::BenchArgs;
use crate::device::{Description, Device};
use crate::error::Error;
use crate::fit::report;
use crate::output;
use crate::output::progress::Measuring;
use crate::plot::PlotFile;
use roofline::{Line, Roofline};
use sampling::Medians;

/// Bytes that a step of `R` moves for an element: it reads the gradient, and reads and writes the
/// parameter and every state vector.
const fn traffic<R: Rule>() -> usize {
    4 * (3 + 2 * R::STATE.len())
}

/// Elements of the source, and of the destination, of a copy that lies in as much memory as a
/// step of `R` over `len` elements: whichever cache holds the one holds the other.
fn copy_len<R: Rule>(len: usize) -> usize {
    /// Two GiB for both: past every cache, and no more memory than that.
    const MOST: usize = 1 << 28;
    let vectors = 2 + R::STATE.len();
    len.saturating_mul(vectors).div_ceil(2).min(MOST)
}

/// The object that `--json` prints. The names are a contract.
#[derive(Serialize)]
struct JsonReport<'a> {
    optimizer: &'static str,
    bytes_per_element: usize,
    /// Of the device; the CPU engine is always exact.
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
    /// By the device's own clock; null where it has none, and on the CPU engine.
    kernel_seconds_per_step: Option<f64>,
    /// Of a plain copy in as much memory, bytes read and bytes written both counted.
    copy_gigabytes_per_second: f64,
    /// The step's share of that.
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
    let plot = args.plot.as_deref().map(|path| PlotFile::prepare(path, &[])).transpose()?;
    let device = Device::open_with(&args.device, false, wgpu::Features::TIMESTAMP_QUERY)?;
    let precision = args.precision.into();
    let results = measure(&device, &args.sizes, Adagrad::default(), precision)?;
    // The result is printed in any case: a full disk should not cost the measurement.
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
    drawn
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
    table.load_style(report::STYLE);
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

/// Three digits, which is more than a measurement repeats.
fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn percent(share: f64) -> String {
    format!(
        "{} %",
        if share < 0.1 { format!("{:.1}", 100.0 * share) } else { format!("{:.0}", 100.0 * share) }
    )
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

    /// Adagrad reads three words and writes two, and has three vectors; a copy reads as much as
    /// it writes.
    #[test]
    fn a_copy_lies_in_as_much_memory_as_a_step() {
        assert_eq!(traffic::<Adagrad>(), 20);
        assert_eq!([1, 2, 4096].map(copy_len::<Adagrad>), [2, 3, 6144]);
    }

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

    #[test]
    fn three_digits() {
        let values = [0.012_34, 1.234, 12.34, 1234.0].map(short);
        assert_eq!(values, ["0.012", "1.23", "12.3", "1234"]);
        assert_eq!([0.0123, 0.5678, 1.2].map(percent), ["1.2 %", "57 %", "120 %"]);
    }
}
