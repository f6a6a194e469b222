//! The paths of optimizers over the contours of a function of two variables: one, or several side
//! by side on the same axes.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::picture::{ACCENT, DrawResult, FAINT, FONT, LINE, Picture, SIZE, padded, tick};

/// More would only overlap.
const MAX_CIRCLES: usize = 2000;
/// Width and height of one of several panels.
const PANEL: (u32, u32) = (400, 330);
/// A single path is shown whole, as long as it is finite.
const FAR: f64 = 1e6;
/// With several paths, one that diverges must not make the others too small to see: points further
/// from the minimum than the start by this factor are left out.
const NEAR: f64 = 1.2;

/// One path.
pub(crate) struct Panel<'a> {
    pub(crate) title: String,
    pub(crate) path: &'a [[f64; 2]],
}

/// Paths over the same contours.
pub(crate) struct Paths<'a> {
    pub(crate) panels: Vec<Panel<'a>>,
    /// Closed curves of equal value.
    pub(crate) contours: &'a [Vec<[f64; 2]>],
}

/// Sizes of text and margins.
struct Sizes {
    margin: i32,
    caption: i32,
    label: i32,
    tick: i32,
    contour: u32,
    /// Only one in `every` points of a contour is drawn: segments shorter than a pixel look dotted.
    every: usize,
    /// Sizes of the areas below and beside the chart.
    areas: (i32, i32),
}

const ONE: Sizes =
    Sizes { margin: 18, caption: 22, label: 18, tick: 15, contour: 2, every: 1, areas: (52, 76) };
const MANY: Sizes =
    Sizes { margin: 10, caption: 16, label: 14, tick: 12, contour: 1, every: 8, areas: (38, 52) };

impl Picture for Paths<'_> {
    fn size(&self) -> (u32, u32) {
        match self.panels.len() {
            0 | 1 => SIZE,
            _ => {
                let (rows, columns) = self.grid();
                (PANEL.0 * columns as u32, PANEL.1 * rows as u32)
            }
        }
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        let (sizes, limit) = if self.panels.len() > 1 { (MANY, NEAR) } else { (ONE, FAR) };
        let ranges = self.ranges(limit);
        for (panel, area) in self.panels.iter().zip(area.split_evenly(self.grid())) {
            self.panel(panel, &area, &sizes, &ranges)?;
        }
        Ok(())
    }
}

impl Paths<'_> {
    /// Rows and columns of panels.
    fn grid(&self) -> (usize, usize) {
        let columns = match self.panels.len() {
            4 => 2,
            count => count.clamp(1, 3),
        };
        (self.panels.len().div_ceil(columns).max(1), columns)
    }

    /// The ranges of both axes: all points, except those `limit` times further from the minimum than
    /// the start.
    fn ranges(&self, limit: f64) -> [Range<f64>; 2] {
        let norm = |[x, y]: [f64; 2]| x.hypot(y);
        let paths = || self.panels.iter().map(|panel| panel.path);
        let start = paths().filter_map(<[_]>::first).map(|&point| norm(point)).fold(0.0, f64::max);
        let near = move |point: &&[f64; 2]| norm(**point) <= limit * start;
        [0, 1].map(|axis| {
            let values = paths().flatten().filter(near).map(|point| point[axis]);
            padded(values.chain([0.0]))
        })
    }

    fn panel<B: DrawingBackend>(
        &self,
        panel: &Panel<'_>,
        area: &DrawingArea<B, Shift>,
        sizes: &Sizes,
        ranges: &[Range<f64>; 2],
    ) -> DrawResult
    where
        B::ErrorType: 'static,
    {
        let [x_range, y_range] = ranges;
        let inside = |point: &[f64; 2]| contains(ranges, point);
        let leaves = if panel.path.iter().all(inside) { "" } else { " (leaves the picture)" };
        let mut chart = ChartBuilder::on(area)
            .margin(sizes.margin)
            .caption(format!("{}{leaves}", panel.title), (FONT, sizes.caption))
            .x_label_area_size(sizes.areas.0)
            .y_label_area_size(sizes.areas.1)
            .build_cartesian_2d(x_range.clone(), y_range.clone())?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc("x1")
            .y_desc("x2")
            .axis_desc_style((FONT, sizes.label))
            .label_style((FONT, sizes.tick))
            .x_label_formatter(&|value| tick(*value, x_range.end - x_range.start))
            .y_label_formatter(&|value| tick(*value, y_range.end - y_range.start))
            .draw()?;
        let faint = FAINT.mix(0.7).stroke_width(sizes.contour);
        let line = LINE.stroke_width(2);
        for contour in self.contours {
            let contour: Vec<_> = contour.iter().copied().step_by(sizes.every).collect();
            for run in cut(&contour, ranges) {
                chart.draw_series(LineSeries::new(run, faint))?;
            }
        }
        for run in cut(panel.path, ranges) {
            chart.draw_series(LineSeries::new(run, line))?;
        }
        let points = || panel.path.iter().filter(|point| inside(point)).map(|&[x, y]| (x, y));
        let (first, last) = (points().take(MAX_CIRCLES), points().next_back());
        let radius = if sizes.margin == ONE.margin { 4 } else { 3 };
        let circle = |point| Circle::new(point, radius, LINE.filled());
        chart.draw_series(first.chain(last).map(circle))?;
        chart.draw_series([Cross::new((0.0, 0.0), 6, ACCENT.stroke_width(2))])?;
        Ok(())
    }
}

fn contains(ranges: &[Range<f64>; 2], point: &[f64; 2]) -> bool {
    ranges.iter().zip(point).all(|(range, value)| range.contains(value))
}

/// The parts of a line inside the chart: plotters does not clip lines at its edge. A segment between
/// two points that are both outside is left out.
fn cut(line: &[[f64; 2]], ranges: &[Range<f64>; 2]) -> Vec<Vec<(f64, f64)>> {
    let (mut runs, mut run) = (Vec::new(), Vec::new());
    for pair in line.windows(2) {
        let &[from, to] = pair else { continue };
        let point = |[x, y]: [f64; 2]| (x, y);
        match (contains(ranges, &from), contains(ranges, &to)) {
            (true, to_inside) => {
                if run.is_empty() {
                    run.push(point(from));
                }
                if to_inside {
                    run.push(point(to));
                } else {
                    run.extend(edge(from, to, ranges));
                    runs.push(std::mem::take(&mut run));
                }
            }
            (false, true) => {
                run.extend(edge(to, from, ranges));
                run.push(point(to));
            }
            (false, false) => {}
        }
    }
    runs.push(run);
    runs
}

/// Where the segment from a point inside to a point outside meets the edge.
fn edge(inside: [f64; 2], outside: [f64; 2], ranges: &[Range<f64>; 2]) -> Option<(f64, f64)> {
    let mut share = 1.0_f64;
    for ((from, to), range) in inside.into_iter().zip(outside).zip(ranges) {
        let end = if to > from { range.end } else { range.start };
        if !range.contains(&to) {
            share = share.min((end - from) / (to - from));
        }
    }
    let at = |axis: usize| inside[axis] + share * (outside[axis] - inside[axis]);
    let point = (at(0), at(1));
    (point.0.is_finite() && point.1.is_finite()).then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: &[[f64; 2]] = &[[-5.0, -2.0], [-1.0, 1.0]];
    const WILD: &[[f64; 2]] = &[[-5.0, -2.0], [1e9, f64::NAN], [f64::INFINITY, 4.0]];

    fn paths(all: &[&'static [[f64; 2]]]) -> Paths<'static> {
        let panel = |path: &&'static _| Panel { title: String::new(), path };
        Paths { panels: all.iter().map(panel).collect(), contours: &[] }
    }

    #[test]
    fn a_path_that_diverges_does_not_make_the_others_small() {
        let [x, y] = paths(&[CALM, WILD]).ranges(NEAR);
        assert!(x.start > -6.0 && x.end < 1.0 && y.start > -3.0 && y.end < 2.0, "{x:?} {y:?}");
        let [x, _] = paths(&[&[[-5.0, 0.0], [95.0, 0.0]]]).ranges(FAR);
        assert!(x.end > 95.0, "{x:?}");
    }

    #[test]
    fn lines_end_at_the_edge() {
        let ranges = [0.0..2.0, 0.0..1.0];
        let line = [[1.0, 0.5], [1.5, 0.5], [5.5, 1.5], [9.0, 9.0], [1.0, -0.5], [1.0, 0.5]];
        // The segment from (1.5, 0.5) to (5.5, 1.5) reaches x = 2 after an eighth of its length,
        // before y = 1.
        let expected = [vec![(1.0, 0.5), (1.5, 0.5), (2.0, 0.625)], vec![(1.0, 0.0), (1.0, 0.5)]];
        assert_eq!(cut(&line, &ranges), expected);
        let [run, last] = &cut(&[[1.0, 0.5], [f64::NAN, 0.5]], &ranges)[..] else { panic!() };
        assert_eq!((run.as_slice(), last.len()), (&[(1.0, 0.5)][..], 0));
    }

    #[test]
    fn panels_fill_a_grid() {
        let grids = [1, 2, 3, 4, 5, 7].map(|count| paths(&vec![CALM; count]).grid());
        assert_eq!(grids, [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3)]);
        assert_eq!(paths(&[CALM]).size(), SIZE);
    }
}
