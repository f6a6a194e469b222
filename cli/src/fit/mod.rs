//! `wgpu-optim fit`: reads, trains, reports.

mod least_squares;
pub(crate) mod report;

use std::io::Write;
use std::path::Path;

use wgpu_optim::linear::{Examples, Loss, TrainError, Training};

use crate::args::FitArgs;
use crate::device::Device;
use crate::error::Error;
use crate::input::read::{Problem, Rows};
use crate::interrupt;
use crate::model_file::SavedModel;
use crate::output::progress::Display;
use crate::output::{self, OutputFile};
use crate::plot::{self, PlotFile};
use crate::training::score::Score;
use crate::training::train::{evaluate_every, train};
use report::{JsonReport, Outcome, tables};

/// Runs the subcommand.
pub(crate) fn run(args: &FitArgs) -> Result<(), Error> {
    let rule = args.rule.rule(args.learning_rate, args.epsilon)?;
    let learning = &args.learning;
    let penalty = learning.penalty()?;
    let files = Files::prepare(args)?;
    let device = Device::open(&args.device, args.quiet)?;
    let problem = Problem::load(args)?;

    if args.gpu_memory.is_some() && matches!(problem.dataset, Rows::Sparse(_)) && !args.quiet {
        output::warning("--gpu-memory is for tables: LIBSVM text goes to a GPU batch by batch");
    }
    let training = Training {
        loss: learning.loss.into(),
        penalty,
        early_stop: learning.early_stopping(),
        progressive: learning.progressive(),
        epochs: args.epochs,
        batch_size: args.batch_size,
        seed: args.seed,
        schedule: args.schedule.clone(),
        evaluate_every: evaluate_every(problem.dataset.values()),
        gpu_memory: args.gpu_memory,
    };
    let display = Display::new(args.quiet);
    // Before training, so that who gives up waiting for it has no trained model to lose.
    let best_loss = match (&problem.dataset, training.loss) {
        (Rows::Dense(dataset), Loss::Squared) => least_squares::best_loss(dataset)?,
        _ => None,
    };
    let engine = device.engine(args.precision.into());
    let examples = Examples {
        training: problem.dataset.data(),
        validation: problem.validation.as_ref().map(Rows::data),
    };
    let observe = &mut |progress: &_| display.update(progress);
    let trained = train(rule.rule, engine, examples, &training, observe);
    display.finish();
    let trained = trained.map_err(|error| match error {
        TrainError::Interrupted { .. } => Error::Interrupted,
        other => other.into(),
    })?;

    interrupt::check()?;
    let score = Score::of(&problem.dataset, &problem, &trained.model, training.loss)?;
    let test = problem.test.as_ref();
    let test = test.map(|rows| Score::of(rows, &problem, &trained.model, training.loss));
    let outcome = Outcome {
        score,
        test: test.transpose()?,
        problem: &problem,
        trained: &trained,
        best_loss,
        device: device.description(),
        training: &training,
        rule: &rule,
        precision: args.precision.into(),
    };
    let written = files.write(&outcome);
    // The result is printed in any case: a full disk should not cost a training run.
    let printed = if args.json {
        output::print_json(&JsonReport::new(&outcome))
    } else {
        output::print(&tables(&outcome))
    };
    written?;
    Ok(printed?)
}

/// The files that were asked for, found to be writable before anything else is done.
struct Files {
    plot: Option<PlotFile>,
    model: Option<OutputFile>,
}

impl Files {
    fn prepare(args: &FitArgs) -> Result<Self, Error> {
        let inputs: Vec<&Path> = args.data.as_deref().into_iter().collect();
        let plot = args.plot.as_deref().map(|path| PlotFile::prepare(path, &inputs)).transpose()?;
        let model = args.save.as_deref().map(|path| OutputFile::prepare(path, &inputs));
        let model = model.transpose()?;
        if let (Some(plot), Some(model)) = (&plot, &model)
            && plot.file().is_same(model)
        {
            return Err(Error::Argument(
                "--plot and --save name the same file: give each its own".to_owned(),
            ));
        }
        Ok(Self { plot, model })
    }

    /// Writes each file, whether or not the other one can be written.
    fn write(&self, outcome: &Outcome<'_>) -> Result<(), Error> {
        let model = self.model.as_ref().map(|file| (file.name(), write_model(file, outcome)));
        let plot = self.plot.as_ref().map(|plot| (plot.file().name(), draw(plot, outcome)));
        output::all_written(model.into_iter().chain(plot))
    }
}

fn write_model(file: &OutputFile, outcome: &Outcome<'_>) -> Result<(), Error> {
    let bytes = SavedModel::of(outcome).to_bytes()?;
    Ok(file.write(|file| file.write_all(&bytes))?)
}

fn draw(file: &PlotFile, outcome: &Outcome<'_>) -> Result<(), Error> {
    let history = &outcome.trained.history;
    let points: Vec<_> = history.iter().map(|point| (point.epoch, point.loss)).collect();
    file.write(&plot::LossCurve { points: &points, best: outcome.best_loss })
}
