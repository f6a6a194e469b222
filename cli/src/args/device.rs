//! The device to run on.

use clap::{Args, ValueEnum};
use wgpu_optim::Precision;

/// The device to run on.
#[derive(Clone, Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Where to run: `auto` is a hardware GPU or else the CPU engine, `cpu` the CPU engine, `gpu`
    /// any adapter, including software drivers, and NAME a part of an adapter's name (see
    /// `devices`)
    #[arg(long, value_name = "auto|cpu|gpu|NAME", default_value = "auto")]
    pub(crate) device: String,
}

/// [`Precision`] as an argument.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// The GPU's own arithmetic: the fastest
    Native,
    /// Every operation rounded to nearest: the same bits on every device, and on the CPU engine
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
