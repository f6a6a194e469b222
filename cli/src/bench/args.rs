//! The arguments of `bench`.

use std::path::PathBuf;

use clap::Args;

use crate::args::device::{DeviceArgs, PrecisionArg};

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
