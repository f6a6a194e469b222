//! The pictures that `compare` draws.

use std::path::Path;

use super::args::CompareArgs;
use super::report::Comparison;
use crate::error::Error;
use crate::output::OutputError;
use crate::output::file::all_written;
use crate::plot::curves::{Curve, Curves, Scale};
use crate::plot::file::{PlotError, PlotFile};

/// The pictures that were asked for, checked to be writable before anything else is done.
pub(super) struct Files {
    losses: Option<PlotFile>,
    rarity: Option<PlotFile>,
}

impl Files {
    pub(super) fn prepare(args: &CompareArgs) -> Result<Self, Error> {
        let inputs: Vec<&Path> = args.data.as_deref().into_iter().collect();
        let prepare = |option, path: Option<&Path>| {
            path.map(|path| PlotFile::prepare(option, path, &inputs)).transpose()
        };
        let losses = prepare("--plot", args.plot.as_deref())?;
        let rarity = prepare("--features-by-rarity", args.features_by_rarity.as_deref())?;
        if let (Some(a), Some(b)) = (&losses, &rarity)
            && a.file().is_same(b.file())
        {
            return Err(Error::Argument(
                "--plot and --features-by-rarity name the same file: give each its own".to_owned(),
            ));
        }
        Ok(Self { losses, rarity })
    }

    /// Writes each file even if the other one fails.
    pub(super) fn write(&self, comparison: &Comparison<'_>) -> Result<(), OutputError> {
        let losses =
            self.losses.as_ref().map(|file| (file.file().name(), draw_losses(file, comparison)));
        let rarity =
            self.rarity.as_ref().map(|file| (file.file().name(), draw_rarity(file, comparison)));
        all_written(losses.into_iter().chain(rarity))
    }
}

fn draw_losses(file: &PlotFile, comparison: &Comparison<'_>) -> Result<(), PlotError> {
    let runs = comparison.entries.iter().filter_map(|entry| Some((entry, entry.run()?.2)));
    let curves = runs.map(|(entry, trained)| Curve {
        label: entry.title(),
        look: entry.number,
        points: trained.history.iter().map(|point| (point.epoch, point.loss)).collect(),
        marked: false,
    });
    file.write(&Curves {
        title: format!("Training loss ({})", comparison.training.loss),
        x: ("epoch", Scale::Linear),
        y: ("mean loss over the training rows", Scale::Wide),
        curves: curves.collect(),
        baseline: None,
    })
}

fn draw_rarity(file: &PlotFile, comparison: &Comparison<'_>) -> Result<(), PlotError> {
    let curves = comparison.entries.iter().filter_map(|entry| {
        let groups = comparison.groups(entry)?;
        let points = groups.iter().map(|group| (group.occurrences, group.error)).collect();
        Some(Curve { label: entry.title(), look: entry.number, points, marked: true })
    });
    file.write(&Curves {
        title: "Error of the weights by how often a feature occurs".to_owned(),
        x: ("training rows in which a feature is not 0", Scale::Logarithmic),
        y: ("mean error / mean true weight", Scale::Linear),
        curves: curves.collect(),
        baseline: Some((1.0, "weights of 0")),
    })
}
