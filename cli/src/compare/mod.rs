//! `wgpu-optim compare`: read, split, scale, train and score every rule, write.

pub(crate) mod args;
mod data;
mod entry;
mod files;
mod json;
mod memory;
mod rarity;
mod report;
mod search;

use wgpu_optim::linear::{Engine, TrainError, Trained, Training};

use crate::args::rule_list::{self, ListedRule};
use crate::device::Device;
use crate::error::Error;
use crate::input::read::Input;
use crate::output;
use crate::output::progress::Trying;
use crate::training::metrics::Metrics;
use crate::training::parts::{Rows, TrainingSet};
use crate::training::score::Score;
use crate::training::train::{evaluate_every, train};
use args::{CompareArgs, Rates};
use entry::{Entry, rank};
use files::Files;
use report::Comparison;
use search::Trials;

/// Runs the subcommand.
pub(crate) fn run(args: &CompareArgs) -> Result<(), Error> {
    let rules = rule_list::parse(&args.optimizers)?;
    let files = Files::prepare(args)?;
    let device = Device::open(&args.device, args.quiet)?;

    let Input { rows, origin, standardize } = data::read(args)?;
    let parts = data::split(rows, &origin.source, args)?;
    let set = TrainingSet::scale(origin, parts, standardize)?;
    memory::check(&set, rules.len(), args)?;
    let training = Training {
        loss: data::loss(args).into(),
        epochs: args.epochs,
        batch_size: args.training.batch_size,
        schedule: args.training.schedule.clone(),
        seed: args.training.seed,
        evaluate_every: evaluate_every(&set.parts.training),
        ..Training::default()
    };
    let contest = Contest {
        set: &set,
        training: &training,
        engine: device.engine(args.training.precision.into()),
        display: Trying::new(args.quiet),
    };
    let entries = contest.entries(&rules, &args.learning_rates)?;
    let comparison = Comparison {
        set: &set,
        training: &training,
        device: device.description(),
        precision: args.training.precision.into(),
        entries: &entries,
    };
    write(&files, &comparison, args)
}

/// Writes the pictures, and prints the result even if that fails: a full disk should not cost the
/// runs.
fn write(files: &Files, comparison: &Comparison<'_>, args: &CompareArgs) -> Result<(), Error> {
    if !args.quiet {
        comparison.notes();
    }
    let written = files.write(comparison);
    let printed = if args.json {
        output::print_json(&json::Report::new(comparison))
    } else {
        output::print(&comparison.table())
    };
    written?;
    Ok(printed?)
}

/// What all runs share.
struct Contest<'a> {
    set: &'a TrainingSet,
    training: &'a Training,
    engine: Engine<'a>,
    display: Trying,
}

impl Contest<'_> {
    /// Trains with every rule; the best comes first.
    fn entries(&self, rules: &[ListedRule], rates: &Rates) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            entries.push(self.entry(number, rule, rates)?);
        }
        self.display.finish();
        if entries.iter().all(|entry| entry.best.is_none()) {
            return Err(Error::Run(
                "every optimizer diverged at every learning rate: give lower --learning-rates, or \
                 standardize the columns"
                    .to_owned(),
            ));
        }
        rank(&mut entries);
        Ok(entries)
    }

    /// Finds a rule's best learning rate, and scores that run on the test rows.
    fn entry(&self, number: usize, rule: &ListedRule, rates: &Rates) -> Result<Entry, Error> {
        let run = |learning_rate| self.train(rule, learning_rate);
        let trials = match rates {
            Rates::Auto => Trials::around(rule.own_rate, run)?,
            Rates::Given(rates) => Trials::at(rates, run)?,
        };
        let test = match (&trials.best, &self.set.parts.test) {
            (Some(best), Some(test)) => Some(self.score(&best.run, test)?),
            _ => None,
        };
        Ok(Entry { label: rule.label.clone(), number, trials, test })
    }

    /// Trains; none if the run diverges.
    fn train(&self, rule: &ListedRule, rate: f32) -> Result<Option<(f64, Trained)>, Error> {
        let chosen = rule.rule.rule(Some(rate), None)?.rule;
        self.display.begin(&format!("{} at {rate}", rule.label));
        let observe = &mut |progress: &_| self.display.update(progress);
        match train(chosen, self.engine, &self.set.parts, self.training, observe) {
            Ok(trained) => {
                let loss = trained.validation.last().map_or(f64::NAN, |point| point.loss);
                Ok(loss.is_finite().then_some((loss, trained)))
            }
            Err(TrainError::Diverged { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    fn score(&self, trained: &Trained, rows: &Rows) -> Result<Metrics, Error> {
        let unit = self.set.scaling.target.deviation;
        Ok(Score::new(&trained.model, rows, self.training.loss, unit)?.metrics)
    }
}
