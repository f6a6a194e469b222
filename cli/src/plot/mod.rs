//! Pictures, as SVG or PNG by the extension of the file. The font is inside the program, so that
//! they look the same everywhere.

mod curves;
mod paths;

use std::error::Error as StdError;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

pub(crate) use curves::{Curve, Curves, Scale};
pub(crate) use paths::{Panel, Paths};

use crate::error::Error;
use crate::output::OutputFile;

const SIZE: (u32, u32) = (900, 560);
pub(crate) const FONT: &str = "sans-serif";
pub(crate) const LINE: RGBColor = RGBColor(31, 90, 166);
pub(crate) const ACCENT: RGBColor = RGBColor(200, 60, 30);
pub(crate) const FAINT: RGBColor = RGBColor(150, 160, 170);

pub(crate) type DrawResult = Result<(), Box<dyn StdError>>;

/// A picture that can be drawn on any backend.
pub(crate) trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    /// Draws on `area`, which is white.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> DrawResult
    where
        B::ErrorType: 'static;
}

/// A picture's file, known to be writable and of a known format.
pub(crate) struct PlotFile {
    file: OutputFile,
    vector: bool,
}

impl PlotFile {
    /// Checks the extension and that the path can be written.
    pub(crate) fn prepare(path: &Path, inputs: &[&Path]) -> Result<Self, Error> {
        Self::prepare_for("--plot", path, inputs)
    }

    /// The same, for the argument called `option`.
    pub(crate) fn prepare_for(option: &str, path: &Path, inputs: &[&Path]) -> Result<Self, Error> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let vector = match extension.as_str() {
            "svg" => true,
            "png" => false,
            _ => {
                return Err(Error::Argument(format!(
                    "{option} {}: pictures are .svg or .png: give a name that ends so",
                    path.display()
                )));
            }
        };
        Ok(Self { file: OutputFile::prepare(path, inputs)?, vector })
    }

    /// Where the picture goes.
    pub(crate) fn file(&self) -> &OutputFile {
        &self.file
    }

    /// Draws the picture and puts it in place.
    pub(crate) fn write(&self, picture: &impl Picture) -> Result<(), Error> {
        let bytes = if self.vector { svg(picture) } else { png(picture) };
        let bytes = bytes.map_err(|error| Error::Run(format!("drawing failed: {error}")))?;
        Ok(self.file.write(|file| file.write_all(&bytes))?)
    }
}

fn svg(picture: &impl Picture) -> Result<Vec<u8>, Box<dyn StdError>> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, picture.size()), picture)?;
    Ok(text.into_bytes())
}

fn png(picture: &impl Picture) -> Result<Vec<u8>, Box<dyn StdError>> {
    let size = picture.size();
    let (width, height) = size;
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    draw(BitMapBackend::with_buffer(&mut pixels, size), picture)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(bytes)
}

fn draw<B: DrawingBackend>(backend: B, picture: &impl Picture) -> DrawResult
where
    B::ErrorType: 'static,
{
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the font inside the program is damaged")?;
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    picture.draw(&area)?;
    area.present()?;
    Ok(())
}

/// Loss against epoch.
pub(crate) struct LossCurve<'a> {
    /// Epoch and loss.
    pub(crate) points: &'a [(f64, f64)],
    /// The least-squares loss, drawn as a dashed line.
    pub(crate) best: Option<f64>,
}

impl Picture for LossCurve<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        let last_epoch = self.points.last().map_or(1.0, |&(epoch, _)| epoch);
        let losses = self.points.iter().map(|&(_, loss)| loss);
        let losses = padded(losses.chain(self.best));
        let height = losses.end - losses.start;
        let mut chart = ChartBuilder::on(area)
            .margin(18)
            .caption("Training loss", (FONT, 24))
            .x_label_area_size(52)
            .y_label_area_size(86)
            .build_cartesian_2d(0.0..last_epoch, losses)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc("half the mean squared error")
            .axis_desc_style((FONT, 18))
            .label_style((FONT, 15))
            .x_label_formatter(&|epoch| tick(*epoch, last_epoch))
            .y_label_formatter(&|loss| tick(*loss, height))
            .light_line_style(WHITE)
            .bold_line_style(FAINT.mix(0.35))
            .draw()?;
        let line = LINE.stroke_width(2);
        chart
            .draw_series(LineSeries::new(self.points.iter().copied(), line))?
            .label("loss")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], line));
        if let Some(best) = self.best {
            let dashed = ACCENT.stroke_width(2);
            let ends = [(0.0, best), (last_epoch, best)];
            chart
                .draw_series(DashedLineSeries::new(ends, 8, 6, dashed))?
                .label(format!("least squares, {}", tick_precise(best)))
                .legend(move |(x, y)| DashedPathElement::new([(x, y), (x + 24, y)], 6, 4, dashed));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .margin(14)
            .legend_area_size(34)
            .label_font((FONT, 16))
            .background_style(WHITE.mix(0.9))
            .border_style(FAINT)
            .draw()?;
        Ok(())
    }
}

/// From the smallest to the largest value, and a little more on both sides.
fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let margin = match 0.08 * (high - low) {
        margin if margin > 0.0 => margin,
        _ => 0.5 * high.abs().max(1e-6), // a single value
    };
    low - margin..high + margin
}

/// A number at an axis that is `span` long: as short as it can be.
fn tick(value: f64, span: f64) -> String {
    // Steps of an axis add up to 0.30000000000000004 and its like, and to nearly 0.
    let unit = 10f64.powf((span.log10() - 6.0).floor());
    let rounded = (value / unit).round() * unit;
    if rounded == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e6).contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    let decimals = (-unit.log10()).round().max(0.0) as usize;
    let text = format!("{rounded:.decimals$}");
    if decimals == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn tick_precise(value: f64) -> String {
    crate::fit::report::significant(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short() {
        let ticks = [0.1 + 0.2, -1e-17, 2.0, 1e7, -0.5, 0.25].map(|value| tick(value, 3.0));
        assert_eq!(ticks, ["0.3", "0", "2", "1.00e7", "-0.5", "0.25"]);
        let ticks = [-1e-25, 3e-10, 1e-9].map(|value| tick(value, 2e-9));
        assert_eq!(ticks, ["0", "3.00e-10", "1.00e-9"]);
        assert_eq!([100.0, 200.0, 2e7].map(|value| tick(value, 3e8)), ["100", "200", "2.00e7"]);
    }

    #[test]
    fn both_formats_are_what_their_names_say() {
        let directory = tempfile::tempdir().unwrap();
        let curve = LossCurve { points: &[(0.0, 1.0), (1.0, 0.5), (2.0, 0.3)], best: Some(0.2) };
        for (name, start) in [("a.svg", b"<svg".as_slice()), ("a.PNG", b"\x89PNG")] {
            let path = directory.path().join(name);
            PlotFile::prepare(&path, &[]).unwrap().write(&curve).unwrap();
            assert!(std::fs::read(&path).unwrap().starts_with(start));
        }
        assert!(PlotFile::prepare(Path::new("a.jpg"), &[]).is_err());
        assert!(PlotFile::prepare(Path::new("svg"), &[]).is_err());
    }

    /// One point, all points equal, and a run that ends where it began.
    #[test]
    fn flat_curves_can_be_drawn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flat.svg");
        for points in [&[(0.0, 0.0)][..], &[(0.0, 0.3), (1.0, 0.3)]] {
            let curve = LossCurve { points, best: None };
            PlotFile::prepare(&path, &[]).unwrap().write(&curve).unwrap();
        }
    }
}
