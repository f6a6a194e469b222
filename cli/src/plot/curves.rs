//! Several curves in one chart, distinguished by colour and dashes, with a legend beside it.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::picture::{DrawResult, FAINT, FONT, Picture, padded, tick};

/// Okabe and Ito's colours, which people with any colour vision can distinguish, with brown instead of
/// yellow.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 70, 30),
];
/// Lengths of dashes and of the gaps between them; the first is a solid line.
const DASHES: [(u32, u32); 4] = [(0, 0), (10, 5), (3, 4), (16, 4)];

const LEGEND_WIDTH: u32 = 270;
const LEGEND_LINE: i32 = 26;
/// A longer label loses its middle: the rule is at its start, the learning rate at its end.
const LEGEND_CHARACTERS: usize = 30;
/// A positive axis whose values span at least this factor is logarithmic.
const WIDE: f64 = 10.0;

/// How values lie along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// All values are above 0.
    Logarithmic,
    /// Logarithmic if all values are above 0 and span a decade.
    Wide,
}

/// One curve.
pub(crate) struct Curve {
    pub(crate) label: String,
    /// Which colour and dashes it has.
    pub(crate) look: usize,
    pub(crate) points: Vec<(f64, f64)>,
    /// Whether there is a dot at each point.
    pub(crate) marked: bool,
}

/// Curves over a common axis.
pub(crate) struct Curves {
    pub(crate) title: String,
    /// The name and the scale of each axis.
    pub(crate) x: (&'static str, Scale),
    pub(crate) y: (&'static str, Scale),
    pub(crate) curves: Vec<Curve>,
    /// A value to compare with, and its name.
    pub(crate) baseline: Option<(f64, &'static str)>,
}

/// The look of curve number `index`.
fn look(index: usize) -> (ShapeStyle, (u32, u32)) {
    (COLORS[index % COLORS.len()].stroke_width(2), DASHES[index % DASHES.len()])
}

impl Scale {
    /// The range of an axis with these values, and whether it is logarithmic.
    fn range(self, values: impl Iterator<Item = f64> + Clone) -> (Range<f64>, bool) {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.clone().fold(0.0, f64::max);
        let logarithmic = match self {
            Self::Linear => false,
            Self::Logarithmic => low > 0.0,
            Self::Wide => low > 0.0 && high >= WIDE * low,
        };
        if !logarithmic {
            return (padded(values), false);
        }
        let range = padded(values.map(f64::log10));
        (10f64.powf(range.start)..10f64.powf(range.end), true)
    }
}

impl Picture for Curves {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        let points = || self.curves.iter().flat_map(|curve| curve.points.iter().copied());
        let (x, x_log) = self.x.1.range(points().map(|(x, _)| x));
        let baseline = self.baseline.map(|(value, _)| value);
        let (y, y_log) = self.y.1.range(points().map(|(_, y)| y).chain(baseline));
        let width = area.dim_in_pixel().0.saturating_sub(LEGEND_WIDTH);
        let (chart, legend) = area.split_horizontally(width);
        match (x_log, y_log) {
            (false, false) => self.chart(&chart, x.clone(), y.clone(), &x, &y),
            (false, true) => self.chart(&chart, x.clone(), y.clone().log_scale(), &x, &y),
            (true, false) => self.chart(&chart, x.clone().log_scale(), y.clone(), &x, &y),
            (true, true) => {
                self.chart(&chart, x.clone().log_scale(), y.clone().log_scale(), &x, &y)
            }
        }?;
        draw_legend(&legend, &self.curves, self.baseline.map(|(_, label)| label))
    }
}

impl Curves {
    fn chart<B: DrawingBackend, X, Y>(
        &self,
        area: &DrawingArea<B, Shift>,
        x: X,
        y: Y,
        x_range: &Range<f64>,
        y_range: &Range<f64>,
    ) -> DrawResult
    where
        B::ErrorType: 'static,
        X: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
        Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    {
        let mut chart = ChartBuilder::on(area)
            .margin(18)
            .caption(&self.title, (FONT, 22))
            .x_label_area_size(52)
            .y_label_area_size(86)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .axis_desc_style((FONT, 18))
            .label_style((FONT, 15))
            .x_label_formatter(&|value| tick(*value, x_range.end - x_range.start))
            .y_label_formatter(&|value| tick(*value, y_range.end - y_range.start))
            .light_line_style(WHITE)
            .bold_line_style(FAINT.mix(0.35))
            .draw()?;
        if let Some((value, _)) = self.baseline {
            let ends = [(x_range.start, value), (x_range.end, value)];
            chart.draw_series(LineSeries::new(ends, FAINT.stroke_width(2)))?;
        }
        for curve in &self.curves {
            let (style, dashes) = look(curve.look);
            let points = || curve.points.iter().copied();
            match dashes {
                (0, _) => chart.draw_series(LineSeries::new(points(), style))?,
                (dash, gap) => {
                    chart.draw_series(DashedLineSeries::new(points(), dash, gap, style))?
                }
            };
            if curve.marked {
                let dot = |point| Circle::new(point, 4, style.filled());
                chart.draw_series(points().map(dot))?;
            }
        }
        Ok(())
    }
}

/// A column of lines with their labels, and one for the baseline.
fn draw_legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    curves: &[Curve],
    baseline: Option<&str>,
) -> DrawResult
where
    B::ErrorType: 'static,
{
    let looks = curves.iter().map(|curve| (look(curve.look), curve.label.as_str()));
    let baseline = baseline.map(|label| ((FAINT.stroke_width(2), (0, 0)), label));
    for (((style, (dash, gap)), label), row) in looks.chain(baseline).zip(0..) {
        let y = 70 + LEGEND_LINE * row;
        let ends = [(0, y), (34, y)];
        match dash {
            0 => area.draw(&PathElement::new(ends, style))?,
            dash => area.draw(&DashedPathElement::new(ends, dash, gap, style))?,
        }
        area.draw(&Text::new(shortened(label), (42, y - 8), (FONT, 14)))?;
    }
    Ok(())
}

fn shortened(label: &str) -> String {
    let characters: Vec<char> = label.chars().collect();
    if characters.len() <= LEGEND_CHARACTERS {
        return label.to_owned();
    }
    let half = LEGEND_CHARACTERS / 2;
    let (start, end) = (&characters[..half], &characters[characters.len() - half + 1..]);
    start.iter().chain(&['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_logarithmic_where_values_span_a_decade() {
        let wide = |values: [f64; 2]| Scale::Wide.range(values.into_iter()).1;
        assert_eq!([wide([0.1, 1.0]), wide([0.2, 1.0]), wide([0.0, 1.0])], [true, false, false]);
        let (range, logarithmic) = Scale::Logarithmic.range([4.0, 4.0].into_iter());
        assert!(logarithmic && range.start < 4.0 && range.end > 4.0, "{range:?}");
        assert!(!Scale::Linear.range([1.0, 1e6].into_iter()).1);
    }

    #[test]
    fn long_labels_are_cut() {
        assert_eq!(shortened("adagrad at 0.1"), "adagrad at 0.1");
        let long = shortened("sgd:momentum=0.9:nesterov=true at 0.5");
        assert_eq!(long, "sgd:momentum=0.…ov=true at 0.5");
        assert_eq!(long.chars().count(), LEGEND_CHARACTERS);
    }
}
