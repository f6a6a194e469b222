//! The files that `fit` writes: the model and the picture of its loss.

use std::io::Write;
use std::path::Path;

use super::args::FitArgs;
use super::outcome::Outcome;
use crate::error::Error;
use crate::model_file::{ModelDescription, SavedModel};
use crate::output::OutputError;
use crate::output::file::{OutputFile, all_written};
use crate::plot::file::PlotFile;
use crate::plot::loss::LossCurve;

/// The files that were asked for, checked to be writable before anything else is done.
pub(super) struct Files {
    plot: Option<PlotFile>,
    model: Option<OutputFile>,
}

impl Files {
    pub(super) fn prepare(args: &FitArgs) -> Result<Self, Error> {
        let inputs: Vec<&Path> = args.data.as_deref().into_iter().collect();
        let plot = args.plot.as_deref();
        let plot = plot.map(|path| PlotFile::prepare("--plot", path, &inputs)).transpose()?;
        let prepare = |path| OutputFile::prepare(path, &inputs)?.beside_result();
        let model = args.save.as_deref().map(prepare).transpose()?;
        if let (Some(plot), Some(model)) = (&plot, &model)
            && plot.file().is_same(model)
        {
            return Err(Error::Argument(
                "--plot and --save name the same file: give each its own".to_owned(),
            ));
        }
        Ok(Self { plot, model })
    }

    /// Writes each file even if the other one fails.
    pub(super) fn write(&self, outcome: &Outcome<'_>) -> Result<(), OutputError> {
        let model = self.model.as_ref().map(|file| (file.name(), write_model(file, outcome)));
        let plot = self.plot.as_ref().map(|plot| (plot.file().name(), draw(plot, outcome)));
        all_written(model.into_iter().chain(plot))
    }
}

fn write_model(file: &OutputFile, outcome: &Outcome<'_>) -> Result<(), Error> {
    let set = outcome.set;
    let columns = set.origin.columns.clone();
    let sparse = set.parts.training.is_sparse();
    let description =
        ModelDescription::new(columns, set.scaling.clone(), set.origin.classes.clone(), sparse);
    let saved = SavedModel { model: outcome.trained.model.clone(), description };
    let bytes = saved.to_bytes()?;
    Ok(file.write(|file| file.write_all(&bytes))?)
}

fn draw(file: &PlotFile, outcome: &Outcome<'_>) -> Result<(), Error> {
    let history = &outcome.trained.history;
    let points: Vec<_> = history.iter().map(|point| (point.epoch, point.loss)).collect();
    Ok(file.write(&LossCurve { points: &points, best: outcome.best_loss })?)
}
