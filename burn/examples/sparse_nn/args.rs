//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use wgpu_optim_burn::wgpu_optim::Precision;

/// The arguments.
#[derive(Debug, Parser)]
#[command(
    name = "sparse_nn",
    about = "Train the tutorial's classifier of sparse data by four optimizers: a Burn module, stepped by
wgpu-optim's kernels.",
    max_term_width = 100,
    after_help = "The data has 1,000 rows of 100 features, 95% of which are 0. A label says whether a random linear
function of the features is above 0. 800 rows are trained on, and 200 are held out. The network
is 100-50-1 with ReLU and a sigmoid; the loss is the binary cross-entropy. Adagrad, SGD with
momentum 0.9, Adam and RMSprop with alpha 0.99 start from the same weights and see the rows in
the same order; their other settings are PyTorch's defaults. The training loss is the mean over
the last epoch's batches, each before its step. Seconds are without compilation.

Without --at-once each parameter is stepped in Burn's own stream, by WgpuOptim. Both give the
same losses.

Examples (each after `cargo run --release --manifest-path burn/Cargo.toml --example sparse_nn --`):
  --plot loss.png           the table, and the loss curves as a PNG
  --runs 20                 mean and spread of the accuracies over 20 seeds
  --export DIR              what compare.py needs to train the same in PyTorch

Exit status: 0 done; 1 the run failed; 2 the arguments are wrong."
)]
pub struct Args {
    /// Decides the data, the initial weights and the order of the rows
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        help_heading = "Problem"
    )]
    pub seed: u64,
    /// Train from N seeds, --seed and those after it; show mean and spread
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        allow_negative_numbers = true,
        help_heading = "Problem"
    )]
    pub runs: u32,
    /// How many times to go through the rows
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=100_000),
        allow_negative_numbers = true,
        help_heading = "Training"
    )]
    pub epochs: u32,
    /// Rows per step, 800 at most; an epoch's last batch may have fewer
    #[arg(
        long,
        value_name = "ROWS",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..=800),
        allow_negative_numbers = true,
        help_heading = "Training"
    )]
    pub batch_size: u32,
    /// The learning rate of all four
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 0.01,
        value_parser = rate,
        allow_negative_numbers = true,
        help_heading = "Training"
    )]
    pub learning_rate: f64,
    /// How steps are computed: as the device does, or the same on all
    #[arg(
        long,
        value_name = "native|exact",
        value_enum,
        default_value_t = PrecisionArg::Native,
        hide_possible_values = true,
        help_heading = "Training"
    )]
    pub precision: PrecisionArg,
    /// Step all parameters in one submission, by WgpuModuleOptim
    #[arg(long, help_heading = "Training")]
    pub at_once: bool,
    /// Draw the first seed's loss curves, as .svg or .png
    #[arg(long, value_name = "FILE", default_value = "sparse_nn.svg", help_heading = "Output")]
    pub plot: PathBuf,
    /// Write data, weights, order of rows and every loss, for compare.py
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub export: Option<PathBuf>,
}

/// A precision by its name.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrecisionArg {
    Native,
    Exact,
}

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::Native => Self::Native,
            PrecisionArg::Exact => Self::Exact,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    // Kernels have it as f32.
    if !(rate as f32).is_normal() || rate < 0.0 {
        return Err("give a number above 0 and within the range of f32".to_owned());
    }
    Ok(rate)
}
