//! The arguments of `predict`.

use std::path::PathBuf;

use clap::Args;

use crate::args::device::DeviceArgs;
use crate::input::text_file::Format;

/// `predict`: apply a saved model.
#[derive(Debug, Args)]
#[command(
    about = "Apply a model that `fit --save` wrote: one prediction for each row",
    after_help = "Predictions are in the units of the file that the model was trained on. A logistic model predicts
two columns: the probability of the second class, and the class.

If both files have a header, columns are matched by name: they may be in any order, and other
columns are ignored. Otherwise they are matched by position. The target column may be missing, and
is ignored if present. A model trained on LIBSVM text takes LIBSVM text, and ignores features that
it was not trained on.

Example: write the predictions of the model from the example of `fit -h` to a CSV file, with the
target's name as the header:

  wgpu-optim predict airfoil.safetensors airfoil_self_noise.dat -o predictions.csv

Exit status: 0 success; 1 the run failed; 2 the input or the arguments are wrong."
)]
pub(crate) struct PredictArgs {
    /// The model, as `fit --save` wrote it
    pub(crate) model: PathBuf,
    /// The table to predict for
    pub(crate) data: PathBuf,
    /// Write the predictions to this file [default: standard output]
    #[arg(short, long, value_name = "FILE.csv")]
    pub(crate) output: Option<PathBuf>,
    /// The format of DATA
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// Print errors only: no notes or warnings
    #[arg(long)]
    pub(crate) quiet: bool,
}
