//! How a model is trained, whatever the optimizer.

use clap::Args;
use wgpu_optim::Schedule;

use super::device::PrecisionArg;
use super::headings::{DEVICE, OPTIMIZER, TRAINING};
use super::values::{at_least_one, whole};

/// Arguments of `fit` and `compare`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrainingArgs {
    /// Change the learning rate from step to step, such as cosine:300 or
    /// warmup:30,exponential:0.99. The message about a wrong value lists all schedules
    #[arg(
        long,
        value_name = "SCHEDULE",
        default_value = "constant",
        help_heading = OPTIMIZER
    )]
    pub(crate) schedule: Schedule,
    /// Rows per step; at most all rows
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = at_least_one,
        allow_negative_numbers = true,
        help_heading = TRAINING
    )]
    pub(crate) batch_size: usize,
    /// Seed of the held-out rows, the initial weights and the order of the rows
    #[arg(
        long,
        default_value_t = 0,
        value_parser = whole::<u64>,
        allow_negative_numbers = true,
        help_heading = TRAINING
    )]
    pub(crate) seed: u64,
    /// The arithmetic of a GPU
    #[arg(long, value_enum, default_value_t = PrecisionArg::Native, help_heading = DEVICE)]
    pub(crate) precision: PrecisionArg,
}
