//! `wgpu-optim trace`: the textbook's experiment. The very update that the engines run, in
//! double precision, on a function of two variables.

use serde::Serialize;
use serde_json::{Map, Value};
use wgpu_optim::rules::OwnSquare;
use wgpu_optim::{Rule, with_rule};

use crate::args::TraceArgs;
use crate::args::rule::ChosenRule;
use crate::compare;
use crate::error::Error;
use crate::interrupt;
use crate::output::{self, OutputError};
use crate::plot::{Panel, Paths, PlotFile};

const START: [f64; 2] = [-5.0, -2.0];
/// Of u1^2 and u2^2.
const CURVATURE: [f64; 2] = [0.1, 2.0];
/// The values of the contours that are drawn.
const LEVELS: [f64; 8] = [0.05, 0.25, 0.75, 1.5, 3.0, 5.0, 8.0, 12.0];
/// More panels could not be told apart.
const MAX_RUNS: usize = 24;
const POINTS_PER_CONTOUR: u32 = 1000;
/// Steps between two looks at whether the user wants to stop.
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

/// A rule at one learning rate, and where it went.
struct Run {
    /// As the user calls the rule.
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
    let plot = args.plot.as_deref().map(|path| PlotFile::prepare(path, &[])).transpose()?;

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

/// Every rule at every learning rate, under the name that the user has for it.
fn rules(args: &TraceArgs) -> Result<Vec<(String, ChosenRule)>, Error> {
    let chosen = match args.optimizers.as_slice() {
        [] => vec![(args.rule.optimizer.clone(), args.rule.clone())],
        several => compare::rules(several)?,
    };
    if chosen.len().saturating_mul(args.learning_rate.len()) > MAX_RUNS {
        return Err(Error::Argument(format!(
            "--learning-rate: {} rules at {} rates are too many to look at: give at most \
             {MAX_RUNS} in all",
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

/// The textbook's line, or JSON; of several runs, one for each.
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
                "step {step} leaves the range of numbers: give a lower --learning-rate than {}, or \
                 fewer --steps",
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
    use wgpu_optim::rules::StateElement;
    R::State::<f64>::from_fn(|index| f64::from(initial.as_ref()[index]))
}

/// `0.1 u1^2 + 2 u2^2`, where u is x in axes that are turned by an angle.
struct Valley {
    sine: f64,
    cosine: f64,
}

impl Valley {
    fn rotated(degrees: f64) -> Self {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        Self { sine, cosine }
    }

    /// u of x.
    fn in_axes(&self, [x1, x2]: [f64; 2]) -> [f64; 2] {
        [self.cosine * x1 + self.sine * x2, self.cosine * x2 - self.sine * x1]
    }

    /// x of u.
    fn at_axes(&self, [u1, u2]: [f64; 2]) -> [f64; 2] {
        [self.cosine * u1 - self.sine * u2, self.sine * u1 + self.cosine * u2]
    }

    fn gradient(&self, x: [f64; 2]) -> [f64; 2] {
        let [u1, u2] = self.in_axes(x);
        self.at_axes([2.0 * CURVATURE[0] * u1, 2.0 * CURVATURE[1] * u2])
    }

    /// The ellipse on which the function has the value `level`.
    fn contour(&self, level: f64) -> Vec<[f64; 2]> {
        let [a, b] = CURVATURE.map(|curvature| (level / curvature).sqrt());
        let point = |index: u32| {
            let turn = f64::from(index) / f64::from(POINTS_PER_CONTOUR);
            let (sine, cosine) = (std::f64::consts::TAU * turn).sin_cos();
            self.at_axes([a * cosine, b * sine])
        };
        (0..=POINTS_PER_CONTOUR).map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 0 degrees by hand: (0.2 x1, 4 x2). At 90 degrees the axes change places.
    #[test]
    fn gradients_by_hand() {
        assert_eq!(Valley::rotated(0.0).gradient([-5.0, -2.0]), [-1.0, -8.0]);
        let [g1, g2] = Valley::rotated(90.0).gradient([-5.0, -2.0]);
        assert!((g1 + 20.0).abs() < 1e-12 && (g2 + 0.4).abs() < 1e-12, "{g1} {g2}");
    }

    /// 0.05 (x1 + x2)^2 + (x1 - x2)^2 at (-5, -2): 0.1 (-7) + 2 (-3) = -6.7, and -0.7 + 6 = 5.3.
    #[test]
    fn at_45_degrees_it_is_half_the_textbooks_function() {
        let [g1, g2] = Valley::rotated(45.0).gradient([-5.0, -2.0]);
        assert!((g1 + 6.7).abs() < 1e-12 && (g2 - 5.3).abs() < 1e-12, "{g1} {g2}");
    }

    #[test]
    fn contours_have_their_level() {
        let valley = Valley::rotated(30.0);
        for point in valley.contour(3.0) {
            let [u1, u2] = valley.in_axes(point);
            assert!((0.1 * u1 * u1 + 2.0 * u2 * u2 - 3.0).abs() < 1e-12);
        }
    }
}
