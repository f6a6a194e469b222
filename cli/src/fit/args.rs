//! The arguments of `fit`.

use std::path::PathBuf;

use clap::Args;

use super::penalty::PenaltyArgs;
use super::validation::{ValidationArgs, share};
use crate::args::device::DeviceArgs;
use crate::args::headings::{DATA, DEVICE, OPTIMIZER, OUTPUT};
use crate::args::rule::{self, RuleArgs};
use crate::args::training::TrainingArgs;
use crate::args::values::{real, size, whole};
use crate::input::options::{LossArg, Standardize};
use crate::input::text_file::Format;

/// What `fit -h` ends with.
fn after_help() -> String {
    format!(
        "DATA is delimited text or LIBSVM (SVMlight) text. The format is detected; --format overrides it.
- Delimited text has columns of numbers, separated by commas, tabs, semicolons or blanks. A first
  line without any number is the header. Columns without a name are called x0, x1, and so on.
- LIBSVM text has lines of `label index:value index:value ...`, with ascending indices from 1. Only
  the values in the file are stored, and a step updates only the features that occur in its batch.
With --loss logistic, the target has two classes, which may be numbers or names.

Without DATA, a built-in problem with known weights is trained. Its true weights are shown beside
the learned ones.

Rows are held out before columns are scaled, so they have no influence on the scaling. A note
suggests more --epochs if the last epoch lowered the training loss by more than 1 %, unless it is
within 1 % of the best possible.

Default learning rates (--learning-rate):
  {}

Hyper-parameters (-O NAME=VALUE) and their defaults:
{}
Examples:
  Predict the last column from the others in the first 1500 rows; plot the loss, save the model:

    wgpu-optim fit airfoil_self_noise.dat --rows 1500 --plot loss.svg --save airfoil.safetensors

  Train a classifier on sparse rows, stop when it no longer improves, and score it on a fifth of
  the rows:

    wgpu-optim fit clicks.svm --loss logistic --test 0.2 --early-stop --epochs 50

Exit status: 0 success; 1 the run failed; 2 the input or the arguments are wrong.",
        rule::learning_rates(),
        rule::hyper_parameters()
    )
}

/// `fit`: train.
#[derive(Debug, Args)]
#[command(
    about = "Train a linear model y = Xw + b on a table of numbers",
    after_help = after_help()
)]
pub(crate) struct FitArgs {
    /// The table to train on [default: a built-in problem]
    pub(crate) data: Option<PathBuf>,
    /// The column to predict: a name in the header, or else an index counted from 0 [default: the
    /// last column]
    #[arg(long, value_name = "NAME|INDEX", requires = "data", allow_negative_numbers = true)]
    pub(crate) target: Option<String>,
    /// What to minimize: half the mean squared error, or the mean log loss of two classes
    #[arg(long, value_enum, default_value_t = LossArg::Squared)]
    pub(crate) loss: LossArg,
    /// How many times to go through the rows
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..),
        allow_negative_numbers = true
    )]
    pub(crate) epochs: u32,
    /// Hold out this share of the rows, such as 0.2, and score the trained model on them
    #[arg(long, value_name = "SHARE", value_parser = share, allow_hyphen_values = true)]
    pub(crate) test: Option<f64>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Save the model, with its column names and scaling, for `predict`
    #[arg(long, value_name = "MODEL.safetensors")]
    pub(crate) save: Option<PathBuf>,
    /// The format of DATA
    #[arg(
        long,
        value_enum,
        default_value_t = Format::Auto,
        requires = "data",
        help_heading = DATA
    )]
    pub(crate) format: Format,
    /// Train on the first N rows only; columns are still scaled by all rows
    #[arg(
        long,
        value_name = "N",
        value_parser = whole::<usize>,
        allow_negative_numbers = true,
        help_heading = DATA
    )]
    pub(crate) rows: Option<usize>,
    /// Which columns to scale to mean 0 and standard deviation 1 [default: all; features with
    /// --loss logistic; none for LIBSVM text]
    #[arg(long, value_enum, value_name = "COLUMNS", help_heading = DATA)]
    pub(crate) standardize: Option<Standardize>,
    #[command(flatten)]
    pub(crate) penalty: PenaltyArgs,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
    /// The learning rate [default: depends on the optimizer, see below]
    #[arg(
        long,
        value_name = "RATE",
        value_parser = real,
        allow_hyphen_values = true,
        help_heading = OPTIMIZER
    )]
    pub(crate) learning_rate: Option<f32>,
    /// The term that keeps the optimizer from dividing by 0 [default: depends on the optimizer,
    /// 1e-6 for adagrad]
    #[arg(long, value_parser = real, allow_hyphen_values = true, help_heading = OPTIMIZER)]
    pub(crate) epsilon: Option<f32>,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    #[command(flatten)]
    pub(crate) validation: ValidationArgs,
    /// Keep at most SIZE of the table in GPU memory, such as 500MB or 2GiB, and stream a larger table
    /// from the host [default: stream only tables that do not fit]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = size,
        allow_negative_numbers = true,
        help_heading = DEVICE
    )]
    pub(crate) gpu_memory: Option<u64>,
    /// Plot the loss by epoch to FILE, an .svg or a .png
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) plot: Option<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Print errors only: no progress, notes or warnings
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
}
