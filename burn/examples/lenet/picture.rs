//! The curves of all rules in three charts, one below the other.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::Failure;
use crate::report::Outcome;
use crate::train::{Curve, Run};

const SIZE: (u32, u32) = (1000, 1200);
const FONT: &str = "sans-serif";
/// Okabe and Ito's colours, which people with any colour vision can tell apart.
const COLORS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
];

/// Draws a .png or .svg.
pub fn draw(path: &Path, outcomes: &[Outcome]) -> Result<(), Failure> {
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the font inside the program is damaged")?;
    let vector = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    match vector {
        true => draw_on(SVGBackend::new(path, SIZE), outcomes),
        false => draw_on(BitMapBackend::new(path, SIZE), outcomes),
    }
}

/// One chart.
struct Panel<'a> {
    title: &'a str,
    outcomes: &'a [Outcome],
    curve: fn(&Run) -> &Curve,
    /// With the rules' names in the upper right corner, or the lower.
    legend: SeriesLabelPosition,
}

fn draw_on<B: DrawingBackend>(backend: B, outcomes: &[Outcome]) -> Result<(), Failure>
where
    B::ErrorType: 'static,
{
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let panel = |title, curve, legend| Panel { title, outcomes, curve, legend };
    let (upper, lower) = (SeriesLabelPosition::UpperRight, SeriesLabelPosition::LowerRight);
    let panels = [
        (panel("Training loss", |run| &run.losses, upper.clone()), true),
        (panel("Accuracy on held-out images", |run| &run.accuracies, lower), false),
        (panel("Median effective learning rate", |run| &run.rates, upper), true),
    ];
    for (area, (panel, logarithmic)) in root.split_evenly((3, 1)).iter().zip(panels) {
        let Some((x, y)) = panel.ranges(logarithmic) else { continue };
        match logarithmic {
            true => panel.draw(area, x, y.log_scale())?,
            false => panel.draw(area, x, y)?,
        }
    }
    root.present()?;
    Ok(())
}

impl Panel<'_> {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let curves = self.outcomes.iter().map(|outcome| (self.curve)(&outcome.run));
        curves.flatten().copied().filter(|(_, value)| value.is_finite())
    }

    /// From the least to the largest, and a little more; none where there is nothing to draw.
    fn ranges(&self, logarithmic: bool) -> Option<(Range<f64>, Range<f64>)> {
        let last = self.points().map(|(epoch, _)| epoch).max_by(f64::total_cmp)?;
        let scaled = |value: f64| if logarithmic { value.log10() } else { value };
        let values = || self.points().map(|(_, value)| scaled(value)).filter(|v| v.is_finite());
        let (low, high) = (values().min_by(f64::total_cmp)?, values().max_by(f64::total_cmp)?);
        let margin = (0.06 * (high - low)).max(1e-3);
        let (low, high) = (low - margin, high + margin);
        Some((0.0..last, if logarithmic { 10f64.powf(low)..10f64.powf(high) } else { low..high }))
    }

    fn draw<B: DrawingBackend, Y>(
        &self,
        area: &DrawingArea<B, Shift>,
        x: Range<f64>,
        y: Y,
    ) -> Result<(), Failure>
    where
        B::ErrorType: 'static,
        Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .caption(self.title, (FONT, 22))
            .x_label_area_size(44)
            .y_label_area_size(80)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .axis_desc_style((FONT, 16))
            .label_style((FONT, 15))
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.12))
            .draw()?;
        for (index, Outcome { name, rate, run }) in self.outcomes.iter().enumerate() {
            let points: Curve = (self.curve)(run).iter().copied().filter(|p| p.1 > 0.0).collect();
            if points.is_empty() {
                continue;
            }
            let style = COLORS[index % COLORS.len()].stroke_width(2);
            let few = points.len() < 20;
            let dots =
                points.iter().filter(|_| few).map(|&point| Circle::new(point, 4, style.filled()));
            chart.draw_series(dots)?;
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(format!("{name} at {rate}"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
        }
        chart
            .configure_series_labels()
            .position(self.legend.clone())
            .margin(12)
            .legend_area_size(32)
            .label_font((FONT, 15))
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        Ok(())
    }
}

/// A number at an axis: what it is to six digits, without the zeros at its end.
fn short(value: &f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}
