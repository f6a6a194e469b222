//! The arguments of `compare`.

use std::path::PathBuf;

use clap::Args;

use crate::args::device::DeviceArgs;
use crate::args::headings::{DATA, OUTPUT};
use crate::args::rule;
use crate::args::training::TrainingArgs;
use crate::args::values::real;
use crate::input::options::{LossArg, Standardize};
use crate::input::text_file::Format;

/// `compare`: the same problem by several optimizers.
#[derive(Debug, Args)]
#[command(
    about = "Train on the same problem with several optimizers, and rank them",
    after_help = after_help()
)]
pub(crate) struct CompareArgs {
    /// The table to train on [default: a built-in problem of rare features]
    pub(crate) data: Option<PathBuf>,
    /// The column to predict: a name in the header, or else an index counted from 0 [default: the
    /// last column]
    #[arg(long, value_name = "NAME|INDEX", requires = "data", allow_negative_numbers = true)]
    pub(crate) target: Option<String>,
    /// What to minimize [default: logistic for the built-in problem, else squared]
    #[arg(long, value_enum)]
    pub(crate) loss: Option<LossArg>,
    /// The optimizers, separated by commas, each with optional hyper-parameters:
    /// adagrad,sgd:momentum=0.9:nesterov=true
    #[arg(
        long,
        value_name = "NAME[:OPTION=VALUE]..",
        value_delimiter = ',',
        default_value = "adagrad,sgd,adam,rmsprop"
    )]
    pub(crate) optimizers: Vec<String>,
    /// Learning rates to try with every optimizer, separated by commas; auto: rates around each
    /// optimizer's default, see below
    #[arg(long, value_name = "auto|RATE,..", default_value = "auto", value_parser = rates)]
    pub(crate) learning_rates: Rates,
    /// How many times to go through the rows
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..),
        allow_negative_numbers = true
    )]
    pub(crate) epochs: u32,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// The format of DATA
    #[arg(
        long,
        value_enum,
        default_value_t = Format::Auto,
        requires = "data",
        help_heading = DATA
    )]
    pub(crate) format: Format,
    /// Which columns of DATA to scale to mean 0 and standard deviation 1 over the training rows
    /// [default: all; features with --loss logistic; none for LIBSVM text]
    #[arg(
        long,
        value_enum,
        value_name = "COLUMNS",
        requires = "data",
        help_heading = DATA
    )]
    pub(crate) standardize: Option<Standardize>,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
    /// Plot every optimizer's training loss by epoch to FILE, an .svg or a .png
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) plot: Option<PathBuf>,
    /// Plot the error of every optimizer's weights by feature frequency to FILE, an .svg or a .png.
    /// Only for the built-in problem, whose true weights are known
    #[arg(long, value_name = "FILE", conflicts_with = "data", help_heading = OUTPUT)]
    pub(crate) features_by_rarity: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Print errors only: no progress, notes or warnings
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
}

fn after_help() -> String {
    format!(
        "\
All optimizers start from the same weights and see the same batches.

The built-in problem has 1,000 rows of 100 features, 95% of which are 0: feature j occurs with a
probability proportional to 1/j, from almost every row down to one row in a hundred. Labels are the
sign of a random linear function, and the loss is logistic. 10,000 more rows of the same kind are
the test rows. --seed does not change the problem.

A fifth of the rows of DATA are test rows. A fifth of the remaining rows are validation rows, and
the others are trained on. Each optimizer uses the learning rate with the lowest validation loss
after the last epoch; the test rows are not used to choose. Learning rates at which training
diverges are reported and left out.

--learning-rates auto tries 0.1, 0.3, 1, 3 and 10 times the optimizer's default. While the best is
the lowest or the highest rate tried, it tries up to six more beyond it. Defaults:
  {}
If the best rate is still the lowest or the highest tried, it is marked with *: other rates may do
better.

--features-by-rarity: the labels determine the direction of the weights, but not their length, so
true and learned weights are divided by their Euclidean norm. Features are grouped by how often they
occur, from each power of two to the next. The error of a group is the mean absolute error of its
weights over their mean absolute true value: 0 is perfect, 1 is no better than weights of 0.

Example: compare Adagrad with its relatives on rare features, and plot both pictures:

  wgpu-optim compare --plot loss.svg --features-by-rarity rarity.svg

Exit status: 0 success; 1 the run failed, or every optimizer diverged; 2 the input or the arguments
are wrong.",
        rule::learning_rates()
    )
}

/// Which learning rates to try.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rates {
    /// Around each optimizer's default.
    Auto,
    /// These, ascending.
    Given(Vec<f32>),
}

fn rates(text: &str) -> Result<Rates, String> {
    if text == "auto" {
        return Ok(Rates::Auto);
    }
    let mut rates = Vec::new();
    for part in text.split(',') {
        let rate = real(part.trim()).map_err(|error| format!("{part:?}: {error}"))?;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(format!("{part:?}: give a finite number above 0"));
        }
        rates.push(rate);
    }
    rates.sort_by(f32::total_cmp);
    rates.dedup();
    Ok(Rates::Given(rates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_list_or_auto() {
        assert_eq!(rates("auto"), Ok(Rates::Auto));
        assert_eq!(rates("0.1, 0.01,0.1"), Ok(Rates::Given(vec![0.01, 0.1])));
        for (text, part) in [("0.1,", "\"\""), ("0.1,-1", "\"-1\""), ("inf", "finite"), ("x", "x")]
        {
            let error = rates(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
