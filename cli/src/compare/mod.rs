//! `wgpu-optim compare`: the same problem by several rules.

mod args;
mod data;
mod rarity;
mod report;
mod search;

use std::path::Path;

use wgpu_optim::AnyRule;
use wgpu_optim::linear::{Engine, Examples, TrainError, Trained, Training};

pub(crate) use args::CompareArgs;

use crate::args::rule::RuleArgs;
use crate::device::Device;
use crate::error::Error;
use crate::output;
use crate::output::progress::Trying;
use crate::plot::{Curve, Curves, PlotFile, Scale};
use crate::training::metrics::Metrics;
use crate::training::train::{evaluate_every, train};
use args::Rates;
use data::Problem;
use report::{Comparison, scored};
use search::Trials;

/// A rule that takes part, as the user wrote it.
struct Entrant {
    label: String,
    rule: RuleArgs,
    own_rate: f32,
}

/// A rule and all runs by it.
pub(crate) struct Entry {
    pub(crate) label: String,
    /// Where it is among the rules of `--optimizers`: it keeps its colour, however it does.
    number: usize,
    trials: Trials<Trained>,
    /// Which of them is the best, with its score on the test rows; none if all diverged.
    best: Option<(usize, Metrics)>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &CompareArgs) -> Result<(), Error> {
    let entrants = entrants(&args.optimizers)?;
    let files = Files::prepare(args)?;
    let device = Device::open(&args.device, args.quiet)?;
    let problem = Problem::load(args)?;
    let training = Training {
        loss: problem.loss,
        epochs: args.epochs,
        batch_size: args.batch_size,
        schedule: args.schedule.clone(),
        seed: args.seed,
        evaluate_every: evaluate_every(problem.training.values()),
        ..Training::default()
    };
    let bench = Bench {
        problem: &problem,
        training: &training,
        engine: device.engine(args.precision.into()),
        display: Trying::new(args.quiet),
    };
    let mut entries = Vec::new();
    for (number, entrant) in entrants.iter().enumerate() {
        entries.push(bench.entry(number, entrant, &args.learning_rates)?);
    }
    bench.display.finish();
    if entries.iter().all(|entry| entry.best.is_none()) {
        return Err(Error::Run(
            "every rule diverged at every learning rate: give lower --learning-rates, or \
             standardize the columns"
                .to_owned(),
        ));
    }
    rank(&mut entries);

    let comparison = Comparison {
        problem: &problem,
        training: &training,
        device: device.description(),
        precision: args.precision.into(),
        entries: &entries,
    };
    if !args.quiet {
        comparison.notes();
    }
    let written = files.write(&comparison);
    // The result is printed in any case: a full disk should not cost the runs.
    let printed = if args.json {
        output::print_json(&comparison.json())
    } else {
        output::print(&comparison.table())
    };
    written?;
    Ok(printed?)
}

/// The rules of `--optimizers`, none of them twice.
fn entrants(texts: &[String]) -> Result<Vec<Entrant>, Error> {
    let mut all: Vec<Entrant> = Vec::new();
    for text in texts {
        let entrant = entrant(text.trim())?;
        if all.iter().any(|other| other.label == entrant.label) {
            let label = &entrant.label;
            return Err(Error::Argument(format!(
                "--optimizers: {label} is there twice: once will do"
            )));
        }
        all.push(entrant);
    }
    Ok(all)
}

/// The rules of an argument `--optimizers`, under the names given.
pub(crate) fn rules(texts: &[String]) -> Result<Vec<(String, RuleArgs)>, Error> {
    Ok(entrants(texts)?.into_iter().map(|entrant| (entrant.label, entrant.rule)).collect())
}

/// `NAME[:OPTION=VALUE]..`
fn entrant(text: &str) -> Result<Entrant, Error> {
    let mut parts = text.split(':').map(str::trim);
    let optimizer = parts.next().unwrap_or_default().to_owned();
    let wrong =
        |reason: &dyn std::fmt::Display| Error::Argument(format!("--optimizers {text}: {reason}"));
    AnyRule::named(&optimizer).map_err(|error| wrong(&error))?;
    let options: Vec<String> = parts.map(str::to_owned).collect();
    let name = |option: &String| option.split('=').next().map(|name| name.trim().replace('-', "_"));
    if options.iter().any(|option| name(option).is_some_and(|name| name == "learning_rate")) {
        return Err(wrong(&"learning rates have an argument of their own"));
    }
    let rule = RuleArgs { optimizer, options };
    let own_rate = rule.rule(None, None).map_err(|error| wrong(&error))?.learning_rate();
    Ok(Entrant { label: text.to_owned(), rule, own_rate })
}

/// All that the runs have in common.
struct Bench<'a> {
    problem: &'a Problem,
    training: &'a Training,
    engine: Engine<'a>,
    display: Trying,
}

impl Bench<'_> {
    /// Finds the best learning rate of a rule, and how well it does on the test rows.
    fn entry(&self, number: usize, entrant: &Entrant, rates: &Rates) -> Result<Entry, Error> {
        let run = |learning_rate| self.run(entrant, learning_rate);
        let trials = match rates {
            Rates::Auto => Trials::around(entrant.own_rate, run)?,
            Rates::Given(rates) => Trials::of_rates(rates, run)?,
        };
        let best = trials.best().and_then(|best| {
            let (_, trained) = trials.all[best].result.as_ref()?;
            Some((best, trained))
        });
        let best = match best {
            Some((best, trained)) => Some((best, scored(&trained.model, self.problem)?)),
            None => None,
        };
        Ok(Entry { label: entrant.label.clone(), number, trials, best })
    }

    /// Trains; none if the run diverges.
    fn run(&self, entrant: &Entrant, learning_rate: f32) -> Result<Option<(f64, Trained)>, Error> {
        let rule = entrant.rule.rule(Some(learning_rate), None)?.rule;
        let examples = Examples {
            training: self.problem.training.data(),
            validation: Some(self.problem.validation.data()),
        };
        self.display.begin(&format!("{} at {learning_rate}", entrant.label));
        let observe = &mut |progress: &_| self.display.update(progress);
        match train(rule, self.engine, examples, self.training, observe) {
            Ok(trained) => {
                let loss = trained.validation.last().map_or(f64::NAN, |point| point.loss);
                Ok(loss.is_finite().then_some((loss, trained)))
            }
            Err(TrainError::Diverged { .. }) => Ok(None),
            Err(TrainError::Interrupted { .. }) => Err(Error::Interrupted),
            Err(other) => Err(other.into()),
        }
    }
}

/// The least validation loss first; those that diverged last.
fn rank(entries: &mut [Entry]) {
    let loss = |entry: &Entry| entry.validation_loss().unwrap_or(f64::INFINITY);
    entries.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
}

impl Entry {
    /// The best run, its learning rate and its validation loss.
    fn run(&self) -> Option<(f32, f64, &Trained)> {
        let trial = &self.trials.all[self.best.as_ref()?.0];
        let (loss, trained) = trial.result.as_ref()?;
        Some((trial.learning_rate, *loss, trained))
    }

    fn validation_loss(&self) -> Option<f64> {
        self.run().map(|(_, loss, _)| loss)
    }

    /// Name and learning rate, for legends.
    fn title(&self) -> String {
        self.run().map_or_else(String::new, |(rate, ..)| format!("{} at {rate}", self.label))
    }
}

/// The pictures that were asked for, found to be writable before anything else is done.
struct Files {
    losses: Option<PlotFile>,
    rarity: Option<PlotFile>,
}

impl Files {
    fn prepare(args: &CompareArgs) -> Result<Self, Error> {
        let inputs: Vec<&Path> = args.data.as_deref().into_iter().collect();
        let prepare = |path: &Option<_>, option| {
            let path: Option<&std::path::PathBuf> = path.as_ref();
            path.map(|path| PlotFile::prepare_for(option, path, &inputs)).transpose()
        };
        let losses = prepare(&args.plot, "--plot")?;
        let rarity = prepare(&args.features_by_rarity, "--features-by-rarity")?;
        if let (Some(a), Some(b)) = (&losses, &rarity)
            && a.file().is_same(b.file())
        {
            return Err(Error::Argument(
                "--plot and --features-by-rarity name the same file: give each its own".to_owned(),
            ));
        }
        Ok(Self { losses, rarity })
    }

    /// Writes each file, whether or not the other one can be written.
    fn write(&self, comparison: &Comparison<'_>) -> Result<(), Error> {
        let losses =
            self.losses.as_ref().map(|file| (file.file().name(), draw_losses(file, comparison)));
        let rarity =
            self.rarity.as_ref().map(|file| (file.file().name(), draw_rarity(file, comparison)));
        output::all_written(losses.into_iter().chain(rarity))
    }
}

fn draw_losses(file: &PlotFile, comparison: &Comparison<'_>) -> Result<(), Error> {
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

fn draw_rarity(file: &PlotFile, comparison: &Comparison<'_>) -> Result<(), Error> {
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
