//! What all pictures have in common: sizes, colours, and the numbers on axes.

use std::error::Error as StdError;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

/// Width and height of most pictures, in pixels.
pub(super) const SIZE: (u32, u32) = (900, 560);
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

/// From the smallest to the largest value, with a margin on both sides.
pub(super) fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let margin = match 0.08 * (high - low) {
        margin if margin > 0.0 => margin,
        _ => 0.5 * high.abs().max(1e-6), // a single value
    };
    low - margin..high + margin
}

/// The shortest text of a number on an axis of length `span`.
pub(super) fn tick(value: f64, span: f64) -> String {
    // Sums of an axis's steps look like 0.30000000000000004, or are nearly 0.
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
}
