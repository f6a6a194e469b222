//! Charts, one below the other, as an SVG or a PNG by the extension of the file. The font is inside
//! the program, so that the picture looks the same everywhere.

use std::error::Error;
use std::fs::OpenOptions;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

type Done = Result<(), Box<dyn Error>>;

/// Of one chart.
const SIZE: (u32, u32) = (900, 480);
const FONT: &str = "sans-serif";
/// Okabe and Ito's colours, which people with any colour vision can tell apart.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
/// Lengths of dashes and of the gaps between them; the first is a solid line.
const DASHES: [(u32, u32); 4] = [(0, 0), (10, 5), (3, 4), (16, 4)];
const GRID: RGBColor = RGBColor(205, 210, 216);
const LEGEND_WIDTH: u32 = 150;
const LEGEND_LINE: i32 = 26;
/// An axis of positive values that span this many times the least of them is logarithmic.
const WIDE: f64 = 10.0;

/// One curve. Points that are not finite are left out.
pub struct Curve {
    pub label: String,
    pub points: Vec<(f64, f64)>,
}

/// Curves over common axes. The vertical one is logarithmic if its values are above 0 and span a
/// decade.
pub struct Chart {
    pub title: String,
    /// What is along each axis.
    pub x: &'static str,
    pub y: &'static str,
    pub curves: Vec<Curve>,
}

/// Checks that a picture can be written to `path`, so that nobody waits for one that cannot.
pub fn check(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if !(is(path, "svg") || is(path, "png")) {
        return Err(format!("{shown}: pictures must be .svg or .png: change the name's ending"));
    }
    // Opens without truncating, so that a picture that is there stays until the new one is done.
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).map_err(|error| format!("{shown} cannot be written: {error}"))
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
}

/// Draws charts into `path`, a file that [`check`] has passed.
pub fn write(path: &Path, charts: &[Chart]) -> Done {
    let size = (SIZE.0, SIZE.1 * charts.len() as u32);
    if is(path, "svg") {
        let mut text = String::new();
        draw(charts, SVGBackend::with_string(&mut text, size))?;
        return Ok(std::fs::write(path, text)?);
    }
    draw(charts, BitMapBackend::new(path, size))
}

fn draw<B: DrawingBackend>(charts: &[Chart], backend: B) -> Done
where
    B::ErrorType: 'static,
{
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the built-in font could not be read: please report this")?;
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    for (chart, area) in charts.iter().zip(root.split_evenly((charts.len(), 1))) {
        chart.draw(&area)?;
    }
    root.present()?;
    Ok(())
}

impl Chart {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Done
    where
        B::ErrorType: 'static,
    {
        let (chart, legend) = area.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let points = || self.curves.iter().flat_map(|curve| curve.finite());
        let x = range(points().map(|(x, _)| x));
        let y = range(points().map(|(_, y)| y));
        if y.start > 0.0 && y.end >= WIDE * y.start {
            let (low, high) = (y.start * 0.7, y.end * 1.4);
            self.axes(&chart, x, (low..high).log_scale())?;
        } else {
            let margin = 0.05 * (y.end - y.start);
            self.axes(&chart, x, y.start - margin..y.end + margin)?;
        }
        self.legend(&legend)
    }

    fn axes<B: DrawingBackend, Y>(&self, area: &DrawingArea<B, Shift>, x: Range<f64>, y: Y) -> Done
    where
        B::ErrorType: 'static,
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
            .x_desc(self.x)
            .y_desc(self.y)
            .axis_desc_style((FONT, 18))
            .label_style((FONT, 15))
            .y_label_formatter(&|value| tick(*value))
            .x_label_formatter(&|value| tick(*value))
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .draw()?;
        for (index, curve) in self.curves.iter().enumerate() {
            let (style, (dash, gap)) = look(index);
            match dash {
                0 => chart.draw_series(LineSeries::new(curve.finite(), style))?,
                _ => chart.draw_series(DashedLineSeries::new(curve.finite(), dash, gap, style))?,
            };
            // A line through one point cannot be seen.
            if curve.finite().count() == 1 {
                let dot = |point| Circle::new(point, 4, style.filled());
                chart.draw_series(curve.finite().map(dot))?;
            }
        }
        Ok(())
    }

    /// A column of lines with their labels.
    fn legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Done
    where
        B::ErrorType: 'static,
    {
        for ((index, curve), row) in self.curves.iter().enumerate().zip(0..) {
            let (style, (dash, gap)) = look(index);
            let y = 70 + LEGEND_LINE * row;
            let ends = [(0, y), (34, y)];
            match dash {
                0 => area.draw(&PathElement::new(ends, style))?,
                _ => area.draw(&DashedPathElement::new(ends, dash, gap, style))?,
            }
            area.draw(&Text::new(curve.label.as_str(), (42, y - 8), (FONT, 14)))?;
        }
        Ok(())
    }
}

impl Curve {
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        self.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite())
    }
}

/// Colour and dashes of curve number `index`.
fn look(index: usize) -> (ShapeStyle, (u32, u32)) {
    (COLORS[index % COLORS.len()].stroke_width(2), DASHES[index % DASHES.len()])
}

/// From the least to the greatest value; around a single one, and of none from 0 to 1.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let ends = |(low, high): (f64, f64), value| (low.min(value), high.max(value));
    match values.fold((f64::INFINITY, f64::NEG_INFINITY), ends) {
        (low, high) if low > high => 0.0..1.0,
        (low, high) if low == high => low - 0.5..high + 0.5,
        (low, high) => low..high,
    }
}

/// A number at an axis, without the rounding errors that steps of an axis add up to.
fn tick(value: f64) -> String {
    match value.abs() {
        size if size < 1e-12 => "0".to_owned(),
        size if size < 1e-3 => format!("{value:.0e}"),
        _ => format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}
