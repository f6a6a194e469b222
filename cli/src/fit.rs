//! `wgpu-optim fit`: reads, trains, reports.

use std::path::Path;

use wgpu_optim::Rule;
use wgpu_optim::linear::{TrainError, Training, train_blocking};

use crate::args::FitArgs;
use crate::device::Device;
use crate::error::Error;
use crate::least_squares;
use crate::model_file::SavedModel;
use crate::output::{self, OutputFile};
use crate::plot::{self, PlotFile};
use crate::problem::Problem;
use crate::progress::Display;
use crate::report::{JsonReport, Outcome, tables};

/// Examples between two samples of the loss, as the textbook has it.
const EXAMPLES_PER_SAMPLE: usize = 100;
/// Larger tables are sampled at the end of epochs only: the loss takes a pass over all rows.
const MOST_VALUES_TO_SAMPLE: usize = 1_000_000;

/// Runs the subcommand.
pub(crate) fn run(args: &FitArgs) -> Result<(), Error> {
    let rule = args.rule.rule(args.learning_rate, args.epsilon);
    rule.validate()?;
    let files = Files::prepare(args)?;
    let device = Device::open(&args.device, args.quiet)?;
    let problem = Problem::load(args)?;

    let values = problem.dataset.rows().saturating_mul(problem.dataset.feature_count());
    let sampled = values <= MOST_VALUES_TO_SAMPLE;
    let training = Training {
        epochs: args.epochs,
        batch_size: args.batch_size,
        seed: args.seed,
        evaluate_every: if sampled { EXAMPLES_PER_SAMPLE } else { 0 },
    };
    let display = Display::new(args.quiet);
    // Before training, so that who gives up waiting for it has no trained model to lose.
    let best_loss = least_squares::best_loss(&problem.dataset)?;
    let engine = device.engine(args.precision.into());
    let trained = train_blocking(engine, rule, &problem.dataset, &training, |progress| {
        display.update(progress)
    });
    display.finish();
    let trained = trained.map_err(|error| match error {
        TrainError::Interrupted { .. } => Error::Interrupted,
        other => other.into(),
    })?;

    let outcome = Outcome {
        problem: &problem,
        trained: &trained,
        best_loss,
        device: device.description(),
        training: &training,
        rule: &rule,
        precision: args.precision.into(),
    };
    files.write(&outcome)?;
    if args.json {
        output::print_json(&JsonReport::new(&outcome))?;
    } else {
        output::print(&tables(&outcome))?;
    }
    Ok(())
}

/// The files that were asked for, found to be writable before anything else is done.
struct Files {
    plot: Option<PlotFile>,
    model: Option<OutputFile>,
}

impl Files {
    fn prepare(args: &FitArgs) -> Result<Self, Error> {
        let inputs: Vec<&Path> = args.data.as_deref().into_iter().collect();
        if args.plot.is_some() && args.plot == args.save {
            return Err(Error::Argument(
                "--plot and --save name the same file: give each its own".to_owned(),
            ));
        }
        let plot = args.plot.as_deref().map(|path| PlotFile::prepare(path, &inputs)).transpose()?;
        let model = args.save.as_deref().map(|path| OutputFile::prepare(path, &inputs));
        Ok(Self { plot, model: model.transpose()? })
    }

    fn write(&self, outcome: &Outcome<'_>) -> Result<(), Error> {
        if let Some(file) = &self.model {
            let bytes = SavedModel::of(outcome).to_bytes()?;
            file.write(|path| Ok(std::fs::write(path, &bytes)?))?;
        }
        if let Some(file) = &self.plot {
            let history = &outcome.trained.history;
            let points: Vec<_> = history.iter().map(|point| (point.epoch, point.loss)).collect();
            file.write(&plot::LossCurve { points: &points, best: outcome.best_loss })?;
        }
        Ok(())
    }
}
