//! Draws the error distribution of native steps, on every driver present and on the CPU engine:
//! `cargo run --release --example error_distribution -- FILE.svg|.png`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use wgpu_optim::numerics::{Running, Wgsl, ulp};
use wgpu_optim::rules::OwnSquare;
use wgpu_optim::{Adagrad, AdapterKind, CpuOptimizer, Gpu, GpuOptimizer, GpuRequest, Rule};

/// Elements of a step.
const LEN: usize = 1 << 22;
/// Magnitudes of parameters, gradients and accumulators are from 2^-20 to 2^20.
const EXPONENTS: u32 = 20;
/// Half the width of the plot, in ULP.
const REACH: f64 = 3.0;
const BINS_PER_ULP: f64 = 10.0;

const FONT: &str = "sans-serif";
const BAR: RGBColor = RGBColor(31, 90, 166);
const FAINT: RGBColor = RGBColor(150, 160, 170);
const WIDTH: u32 = 900;
const PANEL_HEIGHT: u32 = 230;

/// The errors of one engine.
struct Panel {
    title: String,
    counts: Vec<u32>,
    largest: f64,
    /// The largest ratio of an error to its derived bound.
    share: f64,
    /// The number of results that differ from the CPU engine's.
    different: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "error-distribution.svg".to_owned());
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    let params = values(1);
    let grads = values(2);
    let state: Vec<f32> = values(3).into_iter().map(f32::abs).collect();
    let inputs = [params.as_slice(), &grads, &state];

    let mut panels = Vec::new();
    let mut cpu = params.clone();
    let mut optimizer = CpuOptimizer::new(rule, LEN)?;
    optimizer.state_mut(0).copy_from_slice(&state);
    optimizer.step(&mut cpu, &grads)?;
    panels.push(panel("CPU engine".to_owned(), &rule, inputs, &cpu, &cpu));
    for gpu in devices() {
        let device_params = gpu.upload(&params)?;
        let device_grads = gpu.upload(&grads)?;
        let mut optimizer = GpuOptimizer::new(&gpu, rule, LEN)?;
        gpu.write(optimizer.state(0), &state)?;
        optimizer.step(&device_params, &device_grads)?;
        let stepped = device_params.download_blocking(&gpu)?;
        let info = gpu.info();
        let title = format!("{} · {} {}", info.name, info.driver, info.driver_info);
        let title = title.trim().to_owned();
        panels.push(panel(title, &rule, inputs, &stepped, &cpu));
    }
    for panel in &panels {
        println!(
            "{}: {:.3} ulp, {:.3} of the bound, {} differ from the CPU engine",
            panel.title, panel.largest, panel.share, panel.different
        );
    }

    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the built-in font could not be read: please report this")?;
    let size = (WIDTH, PANEL_HEIGHT * panels.len() as u32 + 60);
    if path.ends_with(".png") {
        draw(&BitMapBackend::new(&path, size).into_drawing_area(), &panels)
    } else {
        draw(&SVGBackend::new(&path, size).into_drawing_area(), &panels)
    }
}

/// One hardware device, and one device for each known software driver.
fn devices() -> Vec<Gpu> {
    let hardware = GpuRequest { kind: AdapterKind::Hardware, ..GpuRequest::default() };
    [hardware, GpuRequest::named("llvmpipe"), GpuRequest::named("swiftshader")]
        .iter()
        .filter_map(|request| Gpu::request_blocking(request).ok())
        .collect()
}

/// A fixed sequence of numbers of both signs over a wide range of magnitudes.
fn values(seed: u64) -> Vec<f32> {
    let number = |index: u64| {
        let mut bits = (index + (seed << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let exponent = 127 - EXPONENTS + ((bits >> 32) as u32) % (2 * EXPONENTS);
        f32::from_bits((bits as u32 & 0x807f_ffff) | exponent << 23)
    };
    (0..LEN as u64).map(number).collect()
}

fn panel(
    title: String,
    rule: &Adagrad,
    [params, grads, state]: [&[f32]; 3],
    stepped: &[f32],
    cpu: &[f32],
) -> Panel {
    let uniforms = rule.uniforms(1);
    let input = Running::<Wgsl>::input;
    let mut counts = vec![0; (2.0 * REACH * BINS_PER_ULP) as usize];
    let (mut largest, mut share) = (0.0_f64, 0.0_f64);
    for index in 0..LEN {
        let (x, g, s) = (params[index], grads[index], state[index]);
        let exact =
            rule.update(&uniforms, f64::from(x), f64::from(g), OwnSquare, &mut [f64::from(s)]);
        let error = f64::from(stepped[index]) - exact;
        // If x and its update nearly cancel, an error in ULP of the difference has no meaning.
        let size = exact.abs().max((f64::from(x) - exact).abs());
        let ulps = error / f64::from(ulp(size as f32));
        let bin = ((ulps + REACH) * BINS_PER_ULP).floor();
        let last = counts.len() - 1;
        counts[(bin.max(0.0) as usize).min(last)] += 1;
        let bound = rule
            .update(&uniforms, input(x), input(g), OwnSquare, &mut [input(s)])
            .error()
            .unwrap_or(f64::INFINITY);
        largest = largest.max(ulps.abs());
        share = share.max(error.abs() / bound);
    }
    let different = stepped.iter().zip(cpu).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    Panel { title, counts, largest, share, different }
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    panels: &[Panel],
) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let area = area
        .margin(10, 0, 0, 0)
        .titled("Error of a native Adagrad step, 4 194 304 elements", (FONT, 22))?;
    let top = 4.0 * LEN as f64;
    for (panel, area) in panels.iter().zip(area.split_evenly((panels.len(), 1))) {
        let mut chart = ChartBuilder::on(&area)
            .margin_left(12)
            .margin_right(24)
            .margin_bottom(10)
            .caption(&panel.title, (FONT, 16))
            .x_label_area_size(42)
            .y_label_area_size(78)
            .build_cartesian_2d(-REACH..REACH, (0.7..top).log_scale())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_desc("error of x, in ulp of the larger of x and its update")
            .y_desc("elements")
            .axis_desc_style((FONT, 14))
            .label_style((FONT, 13))
            .x_labels(13)
            .y_labels(7)
            .x_label_formatter(&|ulps| format!("{ulps:.1}"))
            .y_label_formatter(&|count| power_of_ten(*count))
            .light_line_style(WHITE)
            .bold_line_style(FAINT.mix(0.35))
            .draw()?;
        let bars = panel.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        chart.draw_series(bars.map(|(bin, &count)| {
            let left = bin as f64 / BINS_PER_ULP - REACH;
            let corners = [(left, 0.7), (left + 0.9 / BINS_PER_ULP, f64::from(count))];
            Rectangle::new(corners, BAR.filled())
        }))?;
        let note = format!(
            "largest {:.2} ulp, {:.0}% of the bound; {} bit patterns differ from the CPU engine's",
            panel.largest,
            100.0 * panel.share,
            panel.different
        );
        let style = TextStyle::from((FONT, 14)).color(&BLACK);
        chart.draw_series([Text::new(note, (0.98 * -REACH, 0.5 * top), style)])?;
    }
    area.present()?;
    Ok(())
}

/// 1, 10, 100, then 10^3 and so on.
fn power_of_ten(count: f64) -> String {
    let exponent = count.log10().round();
    if exponent < 3.0 { format!("{count:.0}") } else { format!("10^{exponent:.0}") }
}
