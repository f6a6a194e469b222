//! The command line: names, defaults and help. The help is the manual, so it says what a user
//! has to know and shows one worked example for each subcommand.

pub(crate) mod learning;
pub(crate) mod rule;

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use wgpu_optim::{Precision, Schedule};

use crate::compare::CompareArgs;
use crate::input::text_file::Format;
use learning::LearningArgs;
use rule::RuleArgs;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "wgpu-optim",
    version,
    about = "Train linear models by minibatches, on any GPU that wgpu reaches or on the CPU.",
    after_help = "Examples:
  wgpu-optim fit                       train on a built-in problem whose answer is known
  wgpu-optim fit data.csv --plot loss.svg
  wgpu-optim fit -h                    all options of one subcommand

Exit status: 0 done; 1 the run failed (a lost device, a full disk, a training that diverged);
2 the input or the arguments are wrong.",
    max_term_width = 100
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Fit(Box<FitArgs>),
    Predict(PredictArgs),
    Compare(CompareArgs),
    Trace(TraceArgs),
    Devices(DevicesArgs),
    Bench(BenchArgs),
}

/// What `fit -h` ends with.
fn fit_help() -> String {
    format!(
        "DATA is delimited text: comma, tab, semicolon or blanks, found by itself. A first line without
any number is taken as a header; columns without a name are called x0, x1, and so on. The loss is
half the mean squared error, if --loss says nothing else. Without DATA, a built-in problem with
known weights is trained, and the true and the learned weights are shown side by side.

DATA may also be LIBSVM (SVMlight) text, `label index:value index:value ...` with ascending indices
from 1: then only the features that a row names are kept, and only those that occur in a batch are
updated. With --loss logistic the target is one of two classes, numbers or names. Held-out rows are
chosen before training, and take no part in the scaling either.

Learning rates to begin with: {}.

{}
Example: the first 1500 rows, the last column predicted from the others, a picture of the
loss, and the model kept for `predict`:

  wgpu-optim fit airfoil_self_noise.dat --rows 1500 --plot loss.svg --save airfoil.safetensors

A classifier of sparse rows, scored on a fifth of them, that stops once it gets no better:

  wgpu-optim fit clicks.svm --loss logistic --test 0.2 --early-stop --epochs 50

Exit status: 0 done; 1 the run failed; 2 the input or the arguments are wrong.",
        rule::learning_rates(),
        rule::help()
    )
}

/// `fit`: train.
#[derive(Debug, Args)]
#[command(
    about = "Train a linear model y = Xw + b on a table of numbers, by minibatches.",
    after_help = fit_help()
)]
pub(crate) struct FitArgs {
    /// The table to train on; without it, a built-in problem
    pub(crate) data: Option<PathBuf>,
    /// The column to predict: its name in the header, or its index counted from 0 (a name goes
    /// before an index) [default: the last column]
    #[arg(long, value_name = "NAME|INDEX", requires = "data", allow_negative_numbers = true)]
    pub(crate) target: Option<String>,
    /// Train on the first N rows only; columns are still standardized over all rows
    #[arg(long, value_name = "N", value_parser = whole::<usize>, allow_negative_numbers = true)]
    pub(crate) rows: Option<usize>,
    /// How many times to go through the rows
    #[arg(
        long,
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..),
        allow_negative_numbers = true
    )]
    pub(crate) epochs: u32,
    /// Rows per step; more than there are means all of them
    #[arg(long, default_value_t = 10, value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) batch_size: usize,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
    /// The step size, before the rule divides or adds to it [default: by the rule, see below]
    #[arg(long, value_parser = real, allow_hyphen_values = true)]
    pub(crate) learning_rate: Option<f32>,
    /// What keeps the rule's quotient finite [default: by the rule, 1e-6 for adagrad]
    #[arg(long, value_parser = real, allow_hyphen_values = true)]
    pub(crate) epsilon: Option<f32>,
    /// Change the learning rate from step to step, such as cosine:300, or
    /// warmup:30,exponential:0.99; a wrong one lists them all
    #[arg(long, value_name = "SCHEDULE", default_value = "constant")]
    pub(crate) schedule: Schedule,
    /// Decides which rows are held out, the weights to start from and the order of the rows
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Which columns to scale to mean 0 and standard deviation 1 before training [default: all;
    /// features with --loss logistic; none for LIBSVM text]
    #[arg(long, value_enum)]
    pub(crate) standardize: Option<Standardize>,
    #[command(flatten)]
    pub(crate) learning: LearningArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// The device's own arithmetic, or the same bits on every device
    #[arg(long, value_enum, default_value_t = PrecisionArg::Native)]
    pub(crate) precision: PrecisionArg,
    /// Keep at most SIZE of the table on a GPU, such as 500MB or 2GiB, and stream a larger one from
    /// the host [default: stream only a table that the device has no room for]
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    pub(crate) gpu_memory: Option<u64>,
    /// Draw the loss against the epoch into FILE, an .svg or a .png
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Write the model, with its column names and scaling, to FILE
    #[arg(long, value_name = "MODEL.safetensors")]
    pub(crate) save: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress bar, notes or warnings; errors stay
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// `predict`: apply a saved model.
#[derive(Debug, Args)]
#[command(
    about = "Apply a model that `fit --save` wrote to a table, and write one prediction per row.",
    after_help = "The answers are in the units of the file that the model was trained on; for a logistic model they
are the probability of the second class and the class. Columns are matched by name where both files have a header, so that their order does not matter and others may stand
between; otherwise by position. The target's column may be there or not; it is not looked at. A
model of LIBSVM text takes such text, and leaves out features that it was not trained on.

Example: a CSV file of one column, headed by the target's name, from the model that the example
of `fit -h` keeps:

  wgpu-optim predict airfoil.safetensors airfoil_self_noise.dat -o answers.csv

Exit status: 0 done; 1 the run failed; 2 the input or the arguments are wrong."
)]
pub(crate) struct PredictArgs {
    /// The model file
    pub(crate) model: PathBuf,
    /// The table to predict for
    pub(crate) data: PathBuf,
    /// The format of DATA
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    /// Where to write the answers [default: standard output]
    #[arg(short, long, value_name = "FILE.csv")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// No notes or warnings; errors stay
    #[arg(long)]
    pub(crate) quiet: bool,
}

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

/// `devices`: what there is to run on.
#[derive(Debug, Args)]
#[command(
    about = "List the devices that --device can choose: every adapter that wgpu finds, and the CPU engine.",
    after_help = "`auto` takes the first adapter that is hardware, or else the CPU engine; `gpu` takes the first
adapter, software drivers included.

Example: see the names, then train on one of them; a part of the name is enough:

  wgpu-optim devices
  wgpu-optim fit --device llvmpipe"
)]
pub(crate) struct DevicesArgs {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bench`: how fast a step is.
#[derive(Debug, Args)]
#[command(
    about = "Time one optimizer step at several vector lengths, on the CPU engine and on a device, beside a
plain copy.",
    after_help = "What is shown for each length and device:
  time per step  what the caller waits for; on a GPU steps are submitted one by one, in groups, and
                 the wait for a group is divided among its steps
  kernel         the same by the device's own clock, submission left out; - where it has none
  GB/s           20 bytes per element: a step reads parameter, gradient and accumulator, and writes
                 parameter and accumulator
  copy GB/s      a plain copy, from buffer to buffer on a GPU, with as many threads as a step on the
                 CPU engine. It lies in as much memory as the step, so that caches serve both alike.
                 Bytes read and bytes written count. Copies and steps take turns
  share          GB/s as a share of copy GB/s: how near a step is to what memory allows. It can pass
                 100 % where writing to memory that was just read, as a step does, is cheaper than
                 writing elsewhere
Times are medians. The machine should have nothing else to do.

Examples: two lengths on the CPU engine alone; a picture of every device's throughput beneath the
roof that its copies set:

  wgpu-optim bench --device cpu --sizes 65536,16777216
  wgpu-optim bench --device gpu --sizes 4096,65536,1048576,16777216 --plot roofline.svg

Exit status: 0 done; 1 the run failed; 2 the arguments are wrong."
)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Vector lengths, in elements, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "4096,1048576,16777216",
        value_parser = clap::value_parser!(u64).range(1..=1 << 32),
        allow_negative_numbers = true
    )]
    pub(crate) sizes: Vec<u64>,
    /// The arithmetic of the device; the CPU engine has only one, whose bits are those of `exact`
    #[arg(long, value_enum, default_value_t = PrecisionArg::Native)]
    pub(crate) precision: PrecisionArg,
    /// Draw throughput against length, beneath that of the copies, into FILE, an .svg or a .png
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to run on.
#[derive(Clone, Debug, Args)]
pub(crate) struct DeviceArgs {
    /// `auto`: a hardware GPU, or else the CPU engine; `cpu`: the CPU engine; `gpu`: any wgpu
    /// adapter, software drivers included; or a part of an adapter's name, whatever the case
    #[arg(long, value_name = "auto|cpu|gpu|NAME", default_value = "auto")]
    pub(crate) device: String,
}

/// Which columns are standardized.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Standardize {
    /// Every column, the target too
    All,
    /// Every column but the target
    Features,
    /// No column
    None,
}

/// [`Precision`] as an argument.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// The device's own arithmetic, the fastest
    Native,
    /// Every operation rounded once, to nearest: the same bits on every device
    Exact,
}

impl From<PrecisionArg> for Precision {
    fn from(argument: PrecisionArg) -> Self {
        match argument {
            PrecisionArg::Native => Self::Native,
            PrecisionArg::Exact => Self::Exact,
        }
    }
}

/// A number of at least 0 that has no fraction.
pub(crate) fn whole<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}: give a whole number of at least 0"))
}

/// Any f32. Whether it is finite is for the rule to say; but a number too large is not infinity.
pub(crate) fn real(text: &str) -> Result<f32, String> {
    let nonzero = |digit: char| ('1'..='9').contains(&digit);
    match text.parse::<f32>() {
        Ok(value) if value.is_infinite() && text.contains(|digit: char| digit.is_ascii_digit()) => {
            Err("beyond the largest number that fits, 3.4e38: give a finite number".to_owned())
        }
        Ok(0.0) if text.split(['e', 'E']).next().is_some_and(|digits| digits.contains(nonzero)) => {
            Err("nearer to 0 than any number that fits, the first being 1.4e-45: give 0 or more"
                .to_owned())
        }
        Ok(value) => Ok(value),
        Err(error) => Err(format!("{error}: give a number")),
    }
}

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("give at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}: give a whole number of at least 1")),
    }
}

/// A number of bytes, with or without a unit.
fn size(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(size) => Ok(size.as_u64()),
        Err(_) => {
            Err("give a number of bytes, or one with a unit such as 500MB or 2GiB".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definitions_do_not_contradict_each_other() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_an_example() {
        for subcommand in CommandLine::command().get_subcommands() {
            let help = subcommand.clone().render_help().to_string();
            assert!(help.contains("Example"), "{help}");
        }
    }
}
