//! The arguments of `trace`.

use std::path::PathBuf;

use clap::Args;

use crate::args::rule::RuleArgs;
use crate::args::values::real;

/// `trace`: the textbook's experiment in two dimensions.
#[derive(Debug, Args)]
#[command(
    about = "Follow an optimizer over f(x1, x2) = 0.1 x1^2 + 2 x2^2 from (-5, -2), in double precision.",
    after_help = "This is the textbook's experiment (Dive into Deep Learning, chapter on Adagrad). The rules'
hyper-parameters are listed by `fit -h`; Adagrad's epsilon is 1e-6.
--rotate turns the function: f is then 0.1 u1^2 + 2 u2^2 with u1 = x1 cos t + x2 sin t and
u2 = x2 cos t - x1 sin t. This is a true rotation. The textbook's 0.1 (x1 + x2)^2 + 2 (x1 - x2)^2
is twice what 45 degrees gives here, as it leaves out the division by the root of 2.

Example: a larger learning rate gets there in the same 20 steps, and a picture shows how:

  $ wgpu-optim trace --learning-rate 2 --plot trace.svg
  epoch 20, x1: -0.002295, x2: -0.000000

Two rules at two rates each, in four panels:

  wgpu-optim trace --optimizers adagrad,sgd:momentum=0.5 --learning-rate 0.4,0.6 --plot four.svg"
)]
pub(crate) struct TraceArgs {
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
    /// Several rules instead of one, separated by commas, as in `compare`:
    /// adagrad,sgd:momentum=0.5
    #[arg(
        long,
        value_name = "NAME[:OPTION=VALUE]..",
        value_delimiter = ',',
        conflicts_with_all = ["optimizer", "options"]
    )]
    pub(crate) optimizers: Vec<String>,
    /// The step size; several, separated by commas, are followed one by one
    #[arg(
        long,
        value_name = "RATE[,RATE..]",
        default_value = "0.4",
        value_delimiter = ',',
        value_parser = real,
        allow_hyphen_values = true
    )]
    pub(crate) learning_rate: Vec<f32>,
    /// How many steps to take, at most a million
    #[arg(
        long,
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(..=1_000_000),
        allow_negative_numbers = true
    )]
    pub(crate) steps: u32,
    /// Turn the function by this angle, counter-clockwise
    #[arg(long, value_name = "DEGREES", default_value_t = 0.0, allow_hyphen_values = true)]
    pub(crate) rotate: f64,
    /// Draw the path over the function's contours into FILE, an .svg or a .png; several in panels
    /// side by side
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Print one JSON object, with every point of the path
    #[arg(long)]
    pub(crate) json: bool,
}
