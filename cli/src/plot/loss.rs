//! The loss of one training run.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::picture::{ACCENT, DrawResult, FAINT, FONT, LINE, Picture, padded, tick};
use crate::output::text::significant;

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
                .label(format!("least squares, {}", significant(best)))
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
