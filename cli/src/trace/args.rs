//! The arguments of `trace`.

use std::path::PathBuf;

use clap::Args;

use crate::args::headings::{OPTIMIZER, OUTPUT};
use crate::args::rule::RuleArgs;
use crate::args::values::real;

/// `trace`: the textbook's experiment in two dimensions.
#[derive(Debug, Args)]
#[command(
    about = "Follow an optimizer over a function of two variables, as in Dive into Deep Learning",
    after_help = "The function is f(x1, x2) = 0.1 x1^2 + 2 x2^2, and the path starts at (-5, -2). This is the
experiment of Dive into Deep Learning, chapter on Adagrad, in double precision. The optimizers are
those of `fit`, and `fit -h` lists their hyper-parameters. Adagrad's epsilon is 1e-6.

--rotate DEGREES rotates the function by an angle t: f is then 0.1 u1^2 + 2 u2^2 with
u1 = x1 cos t + x2 sin t and u2 = x2 cos t - x1 sin t. The textbook's rotated function,
0.1 (x1 + x2)^2 + 2 (x1 - x2)^2, is twice the function at 45 degrees here, since it leaves out the
division by the square root of 2.

Examples:
  A higher learning rate gets closer in the same 20 steps:

    $ wgpu-optim trace --learning-rate 2 --plot trace.svg
    epoch 20, x1: -0.002295, x2: -0.000000

  Two optimizers at two learning rates each, in four panels:

    wgpu-optim trace --optimizers adagrad,sgd:momentum=0.5 --learning-rate 0.4,0.6 --plot four.svg"
)]
pub(crate) struct TraceArgs {
    /// How many steps to take, at most a million
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(..=1_000_000),
        allow_negative_numbers = true
    )]
    pub(crate) steps: u32,
    /// Rotate the function by this angle, counter-clockwise
    #[arg(long, value_name = "DEGREES", default_value_t = 0.0, allow_hyphen_values = true)]
    pub(crate) rotate: f64,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
    /// Follow several optimizers instead of one, separated by commas, as in `compare`:
    /// adagrad,sgd:momentum=0.5
    #[arg(
        long,
        value_name = "NAME[:OPTION=VALUE]..",
        value_delimiter = ',',
        conflicts_with_all = ["optimizer", "options"],
        help_heading = OPTIMIZER
    )]
    pub(crate) optimizers: Vec<String>,
    /// The learning rate, or several separated by commas: each gets a path
    #[arg(
        long,
        value_name = "RATE[,RATE..]",
        default_value = "0.4",
        value_delimiter = ',',
        value_parser = real,
        allow_hyphen_values = true,
        help_heading = OPTIMIZER
    )]
    pub(crate) learning_rate: Vec<f32>,
    /// Plot the path over the function's contours to FILE, an .svg or a .png; each of several paths
    /// gets a panel
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) plot: Option<PathBuf>,
    /// Print one JSON object, with every point of the path
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}
