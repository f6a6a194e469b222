//! Draws a record of `benches/peers/run`: the speed of wgpu-optim relative to each peer, with the
//! extremes over rounds and the goal.
//!
//! `cargo run --release --example peers_plot -- RECORD.csv FILE.svg|.png`

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

const FONT: &str = "sans-serif";
const MEDIAN: RGBColor = RGBColor(31, 90, 166);
const TARGET: RGBColor = RGBColor(200, 90, 20);
const FAINT: RGBColor = RGBColor(150, 160, 170);
const WIDTH: u32 = 980;
const LABELS: i32 = 470;
const ROW: i32 = 22;
const TOP: i32 = 64;
const BOTTOM: i32 = 46;

/// One line of the plot.
struct Line {
    /// The smallest, median and largest ratio; `None` in the heading of a case.
    ratio: Option<(f64, f64, f64)>,
    target: Option<f64>,
    text: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(record), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: peers_plot RECORD.csv FILE.svg|.png".into());
    };
    let lines = read(&record)?;
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the built-in font could not be read: please report this")?;
    let size = (WIDTH, (TOP + BOTTOM + ROW * lines.len() as i32) as u32);
    if path.ends_with(".png") {
        draw(&BitMapBackend::new(&path, size).into_drawing_area(), &lines)
    } else {
        draw(&SVGBackend::new(&path, size).into_drawing_area(), &lines)
    }
}

/// The lines of a record: a heading for each case, then its peers.
fn read(path: &str) -> Result<Vec<Line>, Box<dyn Error>> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_path(path)?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers.iter().position(|header| header == name).ok_or(format!("{path}: no column {name}"))
    };
    let (case, mode, contestant) = (column("case")?, column("mode")?, column("contestant")?);
    let numbers = [column("ratio_least")?, column("ratio")?, column("ratio_most")?];
    let target = column("target")?;
    let mut lines: Vec<Line> = Vec::new();
    let mut last = String::new();
    for row in reader.records() {
        let row = row?;
        if row[contestant] == *"wgpu-optim" {
            continue;
        }
        if row[case] != *last {
            last = row[case].to_owned();
            lines.push(Line { ratio: None, target: None, text: last.clone() });
        }
        let [least, median, most] = numbers.map(|at| row[at].parse::<f64>());
        let waits = match &row[mode] {
            "waited" => ", a wait after each step",
            "lazy" => ", ten steps in one",
            _ => "",
        };
        lines.push(Line {
            ratio: Some((least?, median?, most?)),
            target: row[target].parse().ok(),
            text: format!("{}{waits}", &row[contestant]),
        });
    }
    Ok(lines)
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    lines: &[Line],
) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let ratios = lines.iter().filter_map(|line| line.ratio);
    let (least, most) = ratios
        .fold((0.5_f64, 2.0_f64), |(low, high), (least, _, most)| (low.min(least), high.max(most)));
    let (low, high) = (least.log10().floor(), most.log10().ceil());
    let right = WIDTH as i32 - 40;
    let place = |ratio: f64| {
        LABELS + (f64::from(right - LABELS) * (ratio.log10() - low) / (high - low)) as i32
    };
    let end = TOP + ROW * lines.len() as i32;
    let text = |size: f64, color: &RGBColor, h: HPos| {
        (FONT, size).into_font().color(color).pos(Pos::new(h, VPos::Center))
    };
    let title = "Time of a peer divided by ours: how many times as fast we are";
    area.draw_text(title, &text(17.0, &BLACK, HPos::Left), (16, 24))?;
    for exponent in low as i32..=high as i32 {
        let x = place(10_f64.powi(exponent));
        area.draw(&PathElement::new([(x, TOP - 8), (x, end)], FAINT.mix(0.5)))?;
        let label = if exponent < 0 {
            format!("1/{}", 10_u32.pow(-exponent as u32))
        } else {
            10_u32.pow(exponent as u32).to_string()
        };
        area.draw_text(&label, &text(13.0, &BLACK, HPos::Center), (x, end + 14))?;
    }
    area.draw(&PathElement::new([(place(1.0), TOP - 8), (place(1.0), end)], BLACK))?;
    for (number, line) in lines.iter().enumerate() {
        let y = TOP + ROW * number as i32 + ROW / 2;
        let Some((least, median, most)) = line.ratio else {
            area.draw_text(&line.text, &text(14.0, &BLACK, HPos::Left), (16, y))?;
            continue;
        };
        area.draw_text(&line.text, &text(13.0, &RGBColor(60, 60, 60), HPos::Left), (36, y))?;
        area.draw(&PathElement::new(
            [(place(least), y), (place(most), y)],
            MEDIAN.stroke_width(2),
        ))?;
        if let Some(target) = line.target {
            let x = place(target);
            area.draw(&PathElement::new([(x, y - 8), (x, y + 8)], TARGET.stroke_width(3)))?;
        }
        area.draw(&Circle::new((place(median), y), 4, MEDIAN.filled()))?;
    }
    let legend = "dot: median of the rounds; line: their extremes; upright bar: what we aimed at";
    area.draw_text(legend, &text(13.0, &RGBColor(60, 60, 60), HPos::Left), (16, end + 32))?;
    area.present()?;
    Ok(())
}
