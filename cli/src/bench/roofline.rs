//! The picture: throughput by vector length, below the limit set by a copy of as many bytes in as
//! much memory.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::words::percent;
use crate::plot::picture::{ACCENT, DrawResult, FAINT, FONT, LINE, Picture};

/// The height of a row of the legend.
const ROW: u32 = 22;
const GRAY: RGBColor = RGBColor(90, 96, 104);

const COLORS: [RGBColor; 2] = [LINE, ACCENT];

/// What is drawn.
pub(super) struct Roofline {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// One device.
pub(super) struct Line {
    pub(super) device: String,
    /// In ascending order of length.
    pub(super) points: Vec<Point>,
}

/// One length; throughputs in GB/s.
pub(super) struct Point {
    pub(super) size: f64,
    pub(super) step: f64,
    /// While the kernel runs, if known.
    pub(super) kernel: Option<f64>,
    pub(super) copy: f64,
}

impl Roofline {
    fn points(&self) -> impl Iterator<Item = &Point> {
        self.lines.iter().flat_map(|line| &line.points)
    }
}

impl Picture for Roofline {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        let area = area.margin(14, 18, 18, 18).titled(&self.title, (FONT, 24))?;
        let (legend, area) = area.split_vertically(self.lines.len().max(2) as u32 * ROW + 14);
        self.draw_legend(&legend)?;
        // Both axes are logarithms: base 2 of elements, base 10 of GB/s.
        let sizes = bounds(self.points().map(|point| point.size.log2()));
        let rates = bounds(self.points().flat_map(|p| {
            [Some(p.step), Some(p.copy), p.kernel].into_iter().flatten().map(f64::log10)
        }));
        // Room for the shares, which stand above or below their points.
        let room = 0.1 + 0.06 * (rates.1 - rates.0);
        let x_axis = Axis::new(sizes.0 - 0.6..sizes.1 + 0.6, size_ticks(sizes), elements);
        let y_axis = Axis::new(rates.0 - room..rates.1 + room, rate_ticks(rates), rate);
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(52)
            .y_label_area_size(76)
            .build_cartesian_2d(x_axis, y_axis)?;
        chart
            .configure_mesh()
            .x_desc("elements")
            .y_desc("GB/s")
            .axis_desc_style((FONT, 18))
            .label_style((FONT, 15))
            .light_line_style(WHITE)
            .bold_line_style(FAINT.mix(0.35))
            .draw()?;
        let plane = chart.plotting_area();
        for (line, color) in self.colored() {
            line.draw(plane, color)?;
        }
        // Above all lines.
        for (line, color) in self.colored() {
            line.draw_shares(plane, color)?;
        }
        Ok(())
    }
}

type Plane<B> = DrawingArea<B, Cartesian2d<Axis, Axis>>;

impl Line {
    /// Logarithms of length and throughput, where it is known.
    fn curve(&self, rate: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
        let at = |p: &Point| rate(p).map(|rate| (p.size.log2(), rate.log10()));
        self.points.iter().filter_map(at).collect()
    }

    fn draw<B: DrawingBackend>(&self, plane: &Plane<B>, color: RGBColor) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        let copy = self.curve(|p| Some(p.copy));
        for dash in DashedLineSeries::new(copy, 8, 6, color.stroke_width(2)) {
            plane.draw(&dash)?;
        }
        let kernel = self.curve(|p| p.kernel);
        plane.draw(&PathElement::new(kernel.clone(), color.stroke_width(1)))?;
        for at in kernel {
            plane.draw(&ring(at, color))?;
        }
        let step = self.curve(|p| Some(p.step));
        plane.draw(&PathElement::new(step.clone(), color.stroke_width(3)))?;
        for at in step {
            plane.draw(&dot(at, color))?;
        }
        Ok(())
    }

    /// Each step's share as text, on the side of its point that faces away from the copy's.
    fn draw_shares<B: DrawingBackend>(&self, plane: &Plane<B>, color: RGBColor) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        let style = (FONT, 14).into_font().color(&color).pos(Pos::new(HPos::Center, VPos::Center));
        for (at, point) in self.curve(|p| Some(p.step)).into_iter().zip(&self.points) {
            let text = percent(point.step / point.copy);
            let y = if point.step < point.copy { 18 } else { -18 };
            let width = 4 * text.len() as i32 + 2;
            let ground = [(-width, y - 9), (width, y + 8)];
            let label = EmptyElement::at(at)
                + Rectangle::new(ground, WHITE.mix(0.85).filled())
                + Text::new(text, (0, y), style.clone());
            plane.draw(&label)?;
        }
        Ok(())
    }
}

impl Roofline {
    fn colored(&self) -> impl Iterator<Item = (&Line, RGBColor)> {
        self.lines.iter().zip(COLORS.into_iter().cycle())
    }

    /// The colours of devices and the meanings of strokes.
    fn draw_legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        const STROKES: i32 = 520; // where the strokes' column begins
        const SAMPLE: i32 = 30;
        let text = (FONT, 15).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        let row = |index: usize| ROW as i32 * index as i32 + 16;
        for (index, (line, color)) in self.colored().enumerate() {
            let y = row(index);
            area.draw(&Rectangle::new([(20, y - 6), (44, y + 6)], color.filled()))?;
            area.draw(&Text::new(line.device.as_str(), (54, y), text.clone()))?;
        }
        let entry = |column: i32, index: usize, name: &str| {
            let (x, y) = (STROKES + column, row(index));
            area.draw(&Text::new(name.to_owned(), (x + SAMPLE + 8, y), text.clone()))?;
            Ok::<_, Box<dyn std::error::Error>>([(x, y), (x + SAMPLE, y)])
        };
        let middle = |ends: [(i32, i32); 2]| (ends[0].0 + SAMPLE / 2, ends[0].1);
        let step = entry(0, 0, "step, share of copy")?;
        let copy = entry(0, 1, "copy")?;
        area.draw(&PathElement::new(step, GRAY.stroke_width(3)))?;
        area.draw(&dot(middle(step), GRAY))?;
        area.draw(&DashedPathElement::new(copy, 8, 6, GRAY.stroke_width(2)))?;
        if self.points().any(|point| point.kernel.is_some()) {
            let kernel = entry(120, 1, "step, kernel alone")?;
            area.draw(&PathElement::new(kernel, GRAY.stroke_width(1)))?;
            area.draw(&ring(middle(kernel), GRAY))?;
        }
        Ok(())
    }
}

fn dot<At>(at: At, color: RGBColor) -> Circle<At, i32> {
    Circle::new(at, 4, color.filled())
}

fn ring<At>(at: At, color: RGBColor) -> Circle<At, i32> {
    Circle::new(at, 6, color.stroke_width(2))
}

/// A linear axis with its own ticks: plotters would only mark whole powers.
#[derive(Clone)]
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    label: fn(f64) -> String,
}

impl Axis {
    fn new(range: Range<f64>, mut ticks: Vec<f64>, label: fn(f64) -> String) -> Self {
        ticks.retain(|tick| range.contains(tick));
        Self { range, ticks, label }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // plotters asks again for the light lines between the bold ones.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

/// The smallest and the largest.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// Whole powers of two between `low` and `high`, at most ten of them and evenly spaced.
fn size_ticks((low, high): (f64, f64)) -> Vec<f64> {
    let step = [1.0, 2.0, 4.0].into_iter().find(|step| (high - low) / step < 10.0).unwrap_or(8.0);
    let first = (low / step).floor() as i32;
    let last = (high / step).ceil() as i32;
    (first..=last).map(|index| f64::from(index) * step).collect()
}

/// 1, 2 and 5 of each decade; only 1 if there are more than three decades.
fn rate_ticks((low, high): (f64, f64)) -> Vec<f64> {
    let digits: &[f64] = if high - low > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let decades = low.floor() as i32..=high.ceil() as i32;
    decades
        .flat_map(|decade| digits.iter().map(move |digit| f64::from(decade) + digit.log10()))
        .collect()
}

/// 2^`power` elements: 512, 4Ki, 16Mi.
fn elements(power: f64) -> String {
    const UNITS: [&str; 5] = ["", "Ki", "Mi", "Gi", "Ti"];
    let power = power.round().max(0.0) as usize;
    format!("{}{}", 1 << (power % 10), UNITS.get(power / 10).unwrap_or(&""))
}

/// 10^`power` GB/s, to one digit.
fn rate(power: f64) -> String {
    let value = 10f64.powf(power);
    let decimals = (-power.floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let sizes = size_ticks((12.0, 24.0));
        assert_eq!(
            sizes.iter().map(|&p| elements(p)).collect::<Vec<_>>().join(" "),
            "4Ki 16Ki 64Ki 256Ki 1Mi 4Mi 16Mi"
        );
        assert_eq!(elements(0.0), "1");
        assert_eq!(elements(39.0), "512Gi");
        let rates = rate_ticks((-0.4, 1.1));
        assert_eq!(
            rates.iter().map(|&p| rate(p)).collect::<Vec<_>>().join(" "),
            "0.1 0.2 0.5 1 2 5 10 20 50 100 200 500"
        );
        assert_eq!(rate_ticks((-1.0, 2.5)).len(), 5);
    }

    #[test]
    fn one_length_is_enough_for_a_picture() {
        let point = Point { size: 1000.0, step: 1.0, kernel: None, copy: 2.0 };
        let line = Line { device: "CPU engine".to_owned(), points: vec![point] };
        let roofline = Roofline { title: "a title".to_owned(), lines: vec![line] };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.svg");
        crate::plot::file::PlotFile::prepare("--plot", &path, &[])
            .unwrap()
            .write(&roofline)
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("50 %") && text.contains("CPU engine"), "{text}");
        assert!(!text.contains("kernel alone"), "what was not measured is not in the legend");
    }
}
