//! `wgpu-optim fit`: read, split, scale, train, score, write.

pub(crate) mod args;
mod data;
mod falling;
mod files;
mod json;
mod least_squares;
mod memory;
mod outcome;
mod penalty;
mod report;
mod validation;

use wgpu_optim::linear::{Loss, Trained, Training};

use crate::args::rule::ChosenRule;
use crate::device::Device;
use crate::error::Error;
use crate::input::read::Input;
use crate::interrupt;
use crate::output;
use crate::output::progress::Display;
use crate::training::parts::{Rows, TrainingSet};
use crate::training::score::Score;
use crate::training::train::{evaluate_every, train};
use args::FitArgs;
use falling::Fall;
use files::Files;
use outcome::Outcome;

/// Runs the subcommand.
pub(crate) fn run(args: &FitArgs) -> Result<(), Error> {
    let setup = Setup::check(args)?;
    let Input { rows, origin, standardize } = data::read(args)?;
    let parts = data::split(rows, args)?;
    let set = data::scale(origin, parts, standardize, args)?;
    let run = Run::train(&setup, &set, args)?;
    let outcome = run.score(&setup, &set, args)?;
    write(&setup, &outcome, args)
}

/// What can be checked before any row is read.
struct Setup {
    rule: ChosenRule,
    /// All settings except how often to sample the loss, which depends on the rows.
    training: Training,
    files: Files,
    device: Device,
}

impl Setup {
    fn check(args: &FitArgs) -> Result<Self, Error> {
        let rule = args.rule.rule(args.learning_rate, args.epsilon)?;
        let training = Training {
            loss: args.loss.into(),
            penalty: args.penalty.penalty()?,
            early_stop: args.validation.early_stop(),
            progressive: args.validation.is_progressive(),
            epochs: args.epochs,
            batch_size: args.training.batch_size,
            seed: args.training.seed,
            schedule: args.training.schedule.clone(),
            gpu_memory: args.gpu_memory,
            ..Training::default()
        };
        let files = Files::prepare(args)?;
        let device = Device::open(&args.device, args.quiet)?;
        Ok(Self { rule, training, files, device })
    }
}

/// A finished training run.
struct Run {
    training: Training,
    trained: Trained,
    /// The loss of the least-squares fit.
    best_loss: Option<f64>,
}

impl Run {
    fn train(setup: &Setup, set: &TrainingSet, args: &FitArgs) -> Result<Self, Error> {
        let rows = &set.parts.training;
        if args.gpu_memory.is_some() && rows.is_sparse() && !args.quiet {
            output::warning(
                "--gpu-memory has no effect on LIBSVM text, which is sent to a GPU batch by batch",
            );
        }
        let training = Training { evaluate_every: evaluate_every(rows), ..setup.training.clone() };
        memory::check(&set.parts, args)?;
        let display = Display::new(args.quiet);
        // Before training, so that a user who stops waiting for it loses no trained model.
        let best_loss = match (rows, training.loss) {
            (Rows::Dense(dataset), Loss::Squared) => least_squares::best_loss(dataset)?,
            _ => None,
        };
        let engine = setup.device.engine(args.training.precision.into());
        let observe = &mut |progress: &_| display.update(progress);
        let trained = train(setup.rule.rule, engine, &set.parts, &training, observe);
        display.finish();
        let trained = trained?;
        interrupt::check()?;
        Ok(Self { training, trained, best_loss })
    }

    fn score<'a>(
        &'a self,
        setup: &'a Setup,
        set: &'a TrainingSet,
        args: &FitArgs,
    ) -> Result<Outcome<'a>, Error> {
        let unit = set.scaling.target.deviation;
        let score = |rows| Score::new(&self.trained.model, rows, self.training.loss, unit);
        Ok(Outcome {
            set,
            trained: &self.trained,
            score: score(&set.parts.training)?,
            test: set.parts.test.as_ref().map(score).transpose()?,
            best_loss: self.best_loss,
            device: setup.device.description(),
            training: &self.training,
            rule: &setup.rule,
            precision: args.training.precision.into(),
        })
    }
}

/// Writes the files, and prints the result even if that fails: a full disk should not cost a training
/// run.
fn write(setup: &Setup, outcome: &Outcome<'_>, args: &FitArgs) -> Result<(), Error> {
    let written = setup.files.write(outcome);
    let printed = if args.json {
        output::print_json(&json::Report::new(outcome))
    } else {
        output::print(&report::tables(outcome))
    };
    written?;
    printed?;
    let stopped_early = outcome.trained.epochs < outcome.training.epochs;
    if let Some(fall) = Fall::new(&outcome.trained.history, outcome.best_loss)
        && !stopped_early
        && !args.quiet
    {
        output::note(&fall.to_string());
    }
    Ok(())
}
