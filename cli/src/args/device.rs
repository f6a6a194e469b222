//! What to run on.

use clap::{Args, ValueEnum};
use wgpu_optim::Precision;

/// What to run on.
#[derive(Clone, Debug, Args)]
pub(crate) struct DeviceArgs {
    /// `auto`: a hardware GPU, or else the CPU engine; `cpu`: the CPU engine; `gpu`: any wgpu
    /// adapter, software drivers included; or a part of an adapter's name, whatever the case
    #[arg(long, value_name = "auto|cpu|gpu|NAME", default_value = "auto")]
    pub(crate) device: String,
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
