//! The arguments of `fit`.

use std::path::PathBuf;

use clap::Args;
use wgpu_optim::Schedule;

use super::learning::LearningArgs;
use crate::args::device::{DeviceArgs, PrecisionArg};
use crate::args::rule::{self, RuleArgs};
use crate::args::values::{at_least_one, real, size, whole};
use crate::input::options::Standardize;

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
