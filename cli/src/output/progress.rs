//! How far a run is, on standard error: bars, only before a terminal, and lines that stay.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wgpu_optim::linear::{LossPoint, Progress};

use crate::interrupt;
use crate::output::{self, text::significant};

/// Shows how far a run is, and passes Ctrl-C on to it.
pub(crate) struct Display {
    bar: ProgressBar,
    quiet: bool,
    /// Up to which epoch the mean of losses before learning has been told.
    told: Cell<Option<f64>>,
}

impl Display {
    /// A bar, or nothing where nobody would see it.
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = bar(quiet, 1, "{wide_bar} {percent:>3} %  {msg}  {eta_precise} left");
        bar.set_message("finding the best possible loss");
        Self { bar, quiet, told: Cell::new(None) }
    }

    /// Takes a report of the trainer.
    pub(crate) fn update(&self, progress: &Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.total);
        advance(&self.bar, progress.examples);
        self.bar.set_message(format!("epoch {:.1}  loss {:.6}", progress.epoch, progress.loss));
        if let Some(mean) = progress.progressive
            && self.told.get() != Some(mean.epoch)
        {
            self.tell(progress.examples, mean);
        }
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// A line of the losses that rows had before they were learned from, above the bar if there is one.
    fn tell(&self, rows: u64, mean: LossPoint) {
        let first = self.told.replace(Some(mean.epoch)).is_none();
        if self.quiet {
            return;
        }
        self.bar.suspend(|| {
            if first {
                output::line("rows learned from   mean loss before");
            }
            output::line(&format!("{rows:>17}   {:>16}", significant(mean.loss)));
        });
    }

    /// Takes the bar away, so that the results stand alone.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows one run after the other.
pub(crate) struct Trying {
    bar: ProgressBar,
}

impl Trying {
    /// A bar, or nothing where nobody would see it.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { bar: bar(quiet, 1, "{wide_bar} {percent:>3} %  {prefix}: {msg}") }
    }

    /// Begins the next run.
    pub(crate) fn begin(&self, what: &str) {
        self.bar.set_prefix(what.to_owned());
        self.bar.set_message("");
        self.bar.set_position(0);
    }

    /// Takes a report of the trainer.
    pub(crate) fn update(&self, progress: &Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.total);
        advance(&self.bar, progress.examples);
        self.bar.set_message(format!("loss {:.6}", progress.loss));
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Takes the bar away, so that the results stand alone.
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
    /// A bar for `count` measurements, or nothing where nobody would see it.
    pub(crate) fn new(count: usize) -> Self {
        Self { bar: bar(false, count as u64, "{wide_bar} {msg}"), begun: 0 }
    }

    /// Begins the next measurement.
    pub(crate) fn next(&mut self, size: usize, device: &str) {
        let count = self.bar.length().unwrap_or(0);
        self.bar.set_message(format!("{} of {count}: {size} elements, {device}", self.begun + 1));
        // What is done, and not what is begun.
        self.bar.set_position(self.begun);
        self.begun += 1;
    }

    /// Takes the bar away, so that the results stand alone.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Moves a bar on. A report may be of fewer examples than the one before, as losses before learning
/// are counted up to a power of two.
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
