//! The progress bar and what is printed.

use std::fmt::{self, Write};
use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::train::{Curve, Run};

/// A rule, its learning rate and what came of it.
pub struct Outcome {
    pub name: &'static str,
    pub rate: f64,
    pub run: Run,
}

/// A bar on standard error for `images` images, or nothing where nobody would see it.
pub fn bar(images: u64) -> ProgressBar {
    let seen = stderr().is_terminal();
    let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(images), target);
    let template = "{prefix} {wide_bar} {percent:>3} %  {msg}  {speed} images/s  {eta} left";
    let speed = |state: &ProgressState, out: &mut dyn Write| {
        let _ = write!(out, "{:.0}", state.per_sec());
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.with_key("speed", speed)),
        Err(_) => bar,
    }
}

/// Starts the bar anew for what comes next.
pub fn begin(bar: &ProgressBar, what: String) {
    bar.reset();
    bar.set_message("");
    bar.set_prefix(what);
}

/// The losses that a rule's learning rates led to, in a line.
pub fn grid(name: &str, losses: &Curve) -> String {
    let cell = |&(rate, loss): &(f64, f64)| match loss.is_finite() {
        true => format!("  {rate:>6}: {loss:.4}"),
        false => format!("  {rate:>6}: diverged"),
    };
    format!("{name:<9}{}", losses.iter().map(cell).collect::<String>())
}

/// The first line of the table.
pub const HEAD: &str = "rule      learning rate training loss  accuracy  seconds  images/s";

/// A line of the table.
impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rate, run } = self;
        write!(formatter, "{name:<9} {rate:>13} ")?;
        if run.seconds == 0.0 {
            // It was cut off.
            return write!(formatter, "{:>13}", "diverged");
        }
        let (percent, speed) = (100.0 * run.accuracy(), run.images_per_second());
        write!(formatter, "{:>13.4} {percent:>7.2} % {:>8.1} {speed:>9.0}", run.loss, run.seconds)
    }
}

/// Median effective learning rates: at the first point of the curve and after each epoch.
pub fn effective(outcomes: &[Outcome]) -> Option<String> {
    let mut text = String::from("median effective learning rate\n");
    let mut any = false;
    for Outcome { name, run, .. } in outcomes {
        let Some(first) = run.rates.first() else { continue };
        any = true;
        let whole = run.rates.iter().filter(|(epoch, _)| epoch.fract() == 0.0 && *epoch > first.0);
        let _ = write!(text, "{name:<9}");
        for (epoch, rate) in [first].into_iter().chain(whole) {
            let _ = write!(text, "  epoch {epoch:.2}: {rate:.5}");
        }
        text.push('\n');
    }
    any.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seconds: f64) -> Outcome {
        let run = Run {
            accuracies: vec![(0.0, 0.1), (1.0, 0.8125)],
            rates: vec![(0.25, 0.5), (0.5, 0.4), (1.0, 0.3)],
            loss: 0.5,
            seconds,
            images: 600,
            ..Run::default()
        };
        Outcome { name: "adagrad", rate: 0.01, run }
    }

    #[test]
    fn a_run_is_a_line_of_the_table() {
        let line = "adagrad            0.01        0.5000   81.25 %      2.0       300";
        assert_eq!(outcome(2.0).to_string(), line);
        assert_eq!(line.len(), HEAD.len());
        assert_eq!(outcome(0.0).to_string(), "adagrad            0.01      diverged");
    }

    #[test]
    fn effective_rates_are_reported_first_and_at_each_epoch() {
        let text = effective(&[outcome(2.0)]).unwrap();
        assert!(text.ends_with("adagrad    epoch 0.25: 0.50000  epoch 1.00: 0.30000\n"), "{text}");
        let sgd = Outcome { run: Run::default(), ..outcome(1.0) };
        assert_eq!(effective(&[sgd]), None);
    }

    #[test]
    fn a_rate_that_diverged_is_reported() {
        let line = grid("sgd", &vec![(0.01, 0.7), (0.1, f64::NAN)]);
        assert_eq!(line, "sgd          0.01: 0.7000     0.1: diverged");
    }
}
