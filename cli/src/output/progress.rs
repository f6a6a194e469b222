//! Progress on standard error: bars, only on a terminal, and permanent lines.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wgpu_optim::linear::{LossPoint, Progress};

use crate::interrupt;
use crate::output::{self, text::significant};

/// Shows the progress of a run, and passes Ctrl-C on to it.
pub(crate) struct Display {
    bar: ProgressBar,
    quiet: bool,
    /// The epoch up to which the mean loss before training has been shown.
    shown: Cell<Option<f64>>,
}

impl Display {
    /// A bar, or nothing if standard error is not a terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = bar(quiet, 1, "{wide_bar} {percent:>3} %  {msg}  {eta_precise} left");
        bar.set_message("finding the best possible loss");
        Self { bar, quiet, shown: Cell::new(None) }
    }

    /// Shows a report of the trainer.
    pub(crate) fn update(&self, progress: &Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.total);
        advance(&self.bar, progress.examples);
        self.bar.set_message(format!("epoch {:.1}  loss {:.6}", progress.epoch, progress.loss));
        if let Some(mean) = progress.progressive
            && self.shown.get() != Some(mean.epoch)
        {
            self.show(progress.examples, mean);
        }
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Writes a line of the mean loss of rows before training on them, above the bar if there is one.
    fn show(&self, rows: u64, mean: LossPoint) {
        let first = self.shown.replace(Some(mean.epoch)).is_none();
        if self.quiet {
            return;
        }
        self.bar.suspend(|| {
            if first {
                output::line("  rows trained on   mean loss before");
            }
            output::line(&format!("{rows:>17}   {:>16}", significant(mean.loss)));
        });
    }

    /// Removes the bar, so that only the results remain.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows the progress of several runs, one after the other.
pub(crate) struct Trying {
    bar: ProgressBar,
}

impl Trying {
    /// A bar, or nothing if standard error is not a terminal.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { bar: bar(quiet, 1, "{wide_bar} {percent:>3} %  {prefix}: {msg}") }
    }

    /// Begins the next run.
    pub(crate) fn begin(&self, what: &str) {
        self.bar.set_prefix(what.to_owned());
        self.bar.set_message("");
        self.bar.set_position(0);
    }

    /// Shows a report of the trainer.
    pub(crate) fn update(&self, progress: &Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.total);
        advance(&self.bar, progress.examples);
        self.bar.set_message(format!("loss {:.6}", progress.loss));
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Removes the bar, so that only the results remain.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows what is being measured.
pub(crate) struct Measuring {
    bar: ProgressBar,
    begun: u64,
}

impl Measuring {
    /// A bar for `count` measurements, or nothing if standard error is not a terminal.
    pub(crate) fn new(count: usize) -> Self {
        Self { bar: bar(false, count as u64, "{wide_bar} {msg}"), begun: 0 }
    }

    /// Begins the next measurement.
    pub(crate) fn next(&mut self, size: usize, device: &str) {
        let count = self.bar.length().unwrap_or(0);
        self.bar.set_message(format!("{} of {count}: {size} elements, {device}", self.begun + 1));
        // Count finished measurements, not the one that begins.
        self.bar.set_position(self.begun);
        self.begun += 1;
    }

    /// Removes the bar, so that only the results remain.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Advances a bar. A report may count fewer examples than the previous one, since losses before
/// training are reported at powers of two.
fn advance(bar: &ProgressBar, examples: u64) {
    bar.set_position(examples.max(bar.position()));
}

fn bar(quiet: bool, len: u64, template: &str) -> ProgressBar {
    let hidden = quiet || !io::stderr().is_terminal();
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(len), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
