//! The arguments of `bench`.

use std::path::PathBuf;

use clap::Args;

use crate::args::device::{DeviceArgs, PrecisionArg};

/// `bench`: how fast a step is.
#[derive(Debug, Args)]
#[command(
    about = "Measure how long an optimizer step takes, beside a plain copy",
    after_help = "The columns, for each vector length and device:
  time per step  what the caller waits for. On a GPU, steps are submitted one by one and waited for
                 in groups; this is the mean over a group
  kernel         the time on the device's own clock, without submission; - if it has none
  GB/s           at 20 bytes per element: a step reads parameter, gradient and accumulator, and
                 writes parameter and accumulator
  copy GB/s      a plain copy: from buffer to buffer on a GPU, with as many threads as a step on the
                 CPU engine. Bytes read and bytes written both count. Copies take as much memory as
                 steps, so that caches help both equally, and alternate with them
  share          GB/s as a share of copy GB/s: how close a step is to the memory's limit. It can
                 exceed 100 % where writing to memory just read, as a step does, is cheaper than
                 writing elsewhere
Times are medians. The machine should be otherwise idle.

Examples:
  Two lengths, on the CPU engine only:

    wgpu-optim bench --device cpu --sizes 65536,16777216

  Plot each device's throughput below the limit that its copies set:

    wgpu-optim bench --device gpu --sizes 4096,65536,1048576,16777216 --plot roofline.svg

Exit status: 0 success; 1 the run failed; 2 the arguments are wrong."
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
    /// The arithmetic of a GPU; the CPU engine is always exact
    #[arg(long, value_enum, default_value_t = PrecisionArg::Native)]
    pub(crate) precision: PrecisionArg,
    /// Plot throughput by vector length, of steps and of copies, to FILE, an .svg or a .png
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}
