//! The progress bar of a training run, on standard error and only before a terminal.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wgpu_optim::linear::Progress;

use crate::interrupt;

/// Shows how far a run is, and passes Ctrl-C on to it.
pub(crate) struct Display {
    bar: ProgressBar,
}

impl Display {
    /// A bar, or nothing where nobody would see it.
    pub(crate) fn new(quiet: bool) -> Self {
        let hidden = quiet || !io::stderr().is_terminal();
        let target =
            if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}  {eta_precise} left")
        {
            bar.set_style(style);
        }
        bar.set_message("finding the best possible loss");
        Self { bar }
    }

    /// Takes a report of the trainer.
    pub(crate) fn update(&self, progress: &Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.examples);
        self.bar.set_message(format!("epoch {:.1}  loss {:.6}", progress.epoch, progress.loss));
        if interrupt::requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Takes the bar away, so that the results stand alone.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
