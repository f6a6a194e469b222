//! `wgpu-optim trace`: the textbook's experiment. It applies the same update as the engines, in double
//! precision, to a function of two variables.

pub(crate) mod args;
mod valley;

use serde::Serialize;
use serde_json::{Map, Value};
use wgpu_optim::rules::{OwnSquare, StateElement};
use wgpu_optim::{Rule, with_rule};

use crate::args::rule::ChosenRule;
use crate::args::rule_list;
use crate::error::Error;
use crate::interrupt;
use crate::output::{self, OutputError};
use crate::plot::file::PlotFile;
use crate::plot::paths::{Panel, Paths};
use args::TraceArgs;
use valley::Valley;

const START: [f64; 2] = [-5.0, -2.0];
/// The values of the contours that are drawn.
const LEVELS: [f64; 8] = [0.05, 0.25, 0.75, 1.5, 3.0, 5.0, 8.0, 12.0];
/// More panels would be too small.
const MAX_RUNS: usize = 24;
/// Steps between two checks for an interrupt.
const STEPS_PER_CHECK: u64 = 4096;

/// The object that `--json` prints for one path.
#[derive(Serialize)]
struct JsonReport<'a> {
    optimizer: &'a str,
    learning_rate: f32,
    epsilon: Option<f32>,
    options: Map<String, Value>,
    steps: u32,
    rotate: f64,
    path: &'a [[f64; 2]],
    x1: f64,
    x2: f64,
}

/// The object that `--json` prints for several.
#[derive(Serialize)]
struct JsonReports<'a> {
    runs: Vec<JsonReport<'a>>,
}

/// A rule at one learning rate, and its path.
struct Run {
    /// The rule, as the user wrote it.
    label: String,
    rule: ChosenRule,
    path: Vec<[f64; 2]>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &TraceArgs) -> Result<(), Error> {
    let rules = rules(args)?;
    if !args.rotate.is_finite() {
        return Err(Error::Argument(format!("--rotate {}: give a finite angle", args.rotate)));
    }
    let plot = args.plot.as_deref();
    let plot = plot.map(|path| PlotFile::prepare("--plot", path, &[])).transpose()?;

    let function = Valley::rotated(args.rotate);
    let mut runs = Vec::new();
    for (label, rule) in rules {
        let path = with_rule!(rule.rule, |rule| follow(&rule, &function, args.steps))?;
        runs.push(Run { label, rule, path });
    }
    if let Some(plot) = plot {
        let panel = |run| Panel { title: title(run), path: &run.path };
        let contours = LEVELS.map(|level| function.contour(level));
        plot.write(&Paths { panels: runs.iter().map(panel).collect(), contours: &contours })?;
    }
    Ok(print(args, &runs)?)
}

/// Every rule at every learning rate, with the name that the user gave it.
fn rules(args: &TraceArgs) -> Result<Vec<(String, ChosenRule)>, Error> {
    let chosen = match args.optimizers.as_slice() {
        [] => vec![(args.rule.optimizer.clone(), args.rule.clone())],
        several => {
            let rules = rule_list::parse(several)?;
            rules.into_iter().map(|rule| (rule.label, rule.rule)).collect()
        }
    };
    if chosen.len().saturating_mul(args.learning_rate.len()) > MAX_RUNS {
        return Err(Error::Argument(format!(
            "--learning-rate: {} optimizers at {} learning rates are too many: give at most {MAX_RUNS} \
             runs in all",
            chosen.len(),
            args.learning_rate.len()
        )));
    }
    let mut rules = Vec::new();
    for (label, rule) in chosen {
        for &learning_rate in &args.learning_rate {
            rules.push((label.clone(), rule.rule(Some(learning_rate), None)?));
        }
    }
    Ok(rules)
}

fn title(Run { label, rule, .. }: &Run) -> String {
    format!("{label}, learning rate {}", rule.learning_rate())
}

/// Prints the textbook's line for each run, or JSON.
fn print(args: &TraceArgs, runs: &[Run]) -> Result<(), OutputError> {
    if args.json {
        let mut reports: Vec<_> = runs.iter().map(|run| report(args, run)).collect();
        return match reports.pop() {
            Some(only) if reports.is_empty() => output::print_json(&only),
            last => {
                output::print_json(&JsonReports { runs: reports.into_iter().chain(last).collect() })
            }
        };
    }
    let mut text = String::new();
    for run in runs {
        let [x1, x2] = end(run);
        if runs.len() > 1 {
            text.push_str(&format!("{}: ", title(run)));
        }
        text.push_str(&format!("epoch {}, x1: {x1:.6}, x2: {x2:.6}\n", args.steps));
    }
    output::print(&text)
}

fn end(run: &Run) -> [f64; 2] {
    run.path.last().copied().unwrap_or(START)
}

fn report<'a>(args: &TraceArgs, run: &'a Run) -> JsonReport<'a> {
    let [x1, x2] = end(run);
    JsonReport {
        optimizer: run.rule.name(),
        learning_rate: run.rule.learning_rate(),
        epsilon: run.rule.epsilon(),
        options: run.rule.options(),
        steps: args.steps,
        rotate: args.rotate,
        path: &run.path,
        x1,
        x2,
    }
}

/// All points from the start to the last step.
fn follow<R: Rule>(rule: &R, function: &Valley, steps: u32) -> Result<Vec<[f64; 2]>, Error> {
    let initial = rule.initial_state();
    let mut states: [R::State<f64>; 2] = std::array::from_fn(|_| widened::<R>(&initial));
    let mut x = START;
    let mut path = vec![x];
    for step in 1..=u64::from(steps) {
        let gradient = function.gradient(x);
        let uniforms = rule.uniforms(step);
        for ((x, gradient), state) in x.iter_mut().zip(gradient).zip(&mut states) {
            *x = rule.update(&uniforms, *x, gradient, OwnSquare, state);
        }
        if !x.iter().all(|value| value.is_finite()) {
            return Err(Error::Run(format!(
                "step {step} overflows: give a lower --learning-rate than {}, or fewer --steps",
                rule.learning_rate()
            )));
        }
        path.push(x);
        if step % STEPS_PER_CHECK == 0 {
            interrupt::check()?;
        }
    }
    Ok(path)
}

/// The initial state of one parameter in double precision.
fn widened<R: Rule>(initial: &R::State<f32>) -> R::State<f64> {
    R::State::<f64>::from_fn(|index| f64::from(initial.as_ref()[index]))
}
