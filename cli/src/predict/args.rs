//! The arguments of `predict`.

use std::path::PathBuf;

use clap::Args;

use crate::args::device::DeviceArgs;
use crate::input::text_file::Format;

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
