//! The arguments of `compare`.

use std::path::PathBuf;

use clap::Args;
use wgpu_optim::Schedule;

use crate::args::device::{DeviceArgs, PrecisionArg};
use crate::args::rule;
use crate::args::values::{at_least_one, real, whole};
use crate::input::options::{LossArg, Standardize};
use crate::input::text_file::Format;

/// `compare`: the same problem by several rules.
#[derive(Debug, Args)]
#[command(
    about = "Train the same problem by several rules, from the same start and with the same batches, and
show which one does best.",
    after_help = after_help()
)]
pub(crate) struct CompareArgs {
    /// The table to train on; without it, a built-in problem of rare features
    pub(crate) data: Option<PathBuf>,
    /// The column to predict: its name in the header, or its index counted from 0 [default: the
    /// last column]
    #[arg(long, value_name = "NAME|INDEX", requires = "data", allow_negative_numbers = true)]
    pub(crate) target: Option<String>,
    /// The format of DATA
    #[arg(long, value_enum, default_value_t = Format::Auto, requires = "data")]
    pub(crate) format: Format,
    /// The rules, separated by commas, each with hyper-parameters if wanted:
    /// adagrad,sgd:momentum=0.9:nesterov=true
    #[arg(
        long,
        value_name = "NAME[:OPTION=VALUE]..",
        value_delimiter = ',',
        default_value = "adagrad,sgd,adam,rmsprop"
    )]
    pub(crate) optimizers: Vec<String>,
    /// Learning rates to try with every rule, separated by commas; or auto: rates around each rule's
    /// own, as below
    #[arg(long, value_name = "auto|RATE,..", default_value = "auto", value_parser = rates)]
    pub(crate) learning_rates: Rates,
    /// What is minimized [default: logistic for the built-in problem, else squared]
    #[arg(long, value_enum)]
    pub(crate) loss: Option<LossArg>,
    /// How many times to go through the rows
    #[arg(
        long,
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..),
        allow_negative_numbers = true
    )]
    pub(crate) epochs: u32,
    /// Rows per step; more than there are means all of them
    #[arg(long, default_value_t = 10, value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) batch_size: usize,
    /// Change every rule's learning rate from step to step, as in `fit`
    #[arg(long, value_name = "SCHEDULE", default_value = "constant")]
    pub(crate) schedule: Schedule,
    /// Decides which rows are held out, the weights to start from and the order of the rows
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Which columns of DATA to scale to mean 0 and standard deviation 1, by the rows that are learned
    /// from [default: all; features with --loss logistic; none for LIBSVM text]
    #[arg(long, value_enum, requires = "data")]
    pub(crate) standardize: Option<Standardize>,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    /// The device's own arithmetic, or the same bits on every device
    #[arg(long, value_enum, default_value_t = PrecisionArg::Native)]
    pub(crate) precision: PrecisionArg,
    /// Draw every rule's training loss against the epoch into FILE, an .svg or a .png
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Draw every rule's error of the weights against how often a feature occurs into FILE, an .svg
    /// or a .png; for the built-in problem, whose true weights are known
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) features_by_rarity: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// No progress bar, notes or warnings; errors stay
    #[arg(long)]
    pub(crate) quiet: bool,
}

fn after_help() -> String {
    format!(
        "\
The built-in problem has 1,000 rows of 100 features, 95% of which are 0: feature j occurs with a
probability proportional to 1/j, from almost every row down to one in a hundred. Labels are the
sign of a random linear function, and the loss is logistic. 10,000 more rows of the same kind are
the test. It does not depend on --seed. Of DATA, a fifth of the rows is the test.

Of the other rows a fifth is for validation, and the rest is learned from. A rule's learning rate
is the one with the least validation loss after the last epoch; test rows have no say in it. Rates
at which training diverges are left out, and told. With auto they are 0.1, 0.3, 1, 3 and 10 times
the rule's own, and, as long as the best is the first or the last, up to six more beyond it. Own
rates: {}.
A rate that is still the first or the last one tried is marked: the rule may do better beyond.

--features-by-rarity: labels fix the weights' direction, and not their length, so true and learned
weights are divided by their Euclidean norm. Shown are the errors over groups of features that
occur about as often, each from a count to its double: the mean absolute error over the mean
absolute true weight. 0 is a group that is known, 1 is no better than weights of 0.

Example: Adagrad among its relatives on features most of which are rare, with both pictures:

  wgpu-optim compare --plot loss.svg --features-by-rarity rarity.svg

Exit status: 0 done; 1 the run failed, or every rule diverged; 2 the input or the arguments are
wrong.",
        rule::learning_rates()
    )
}

/// Which learning rates to try.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rates {
    /// Around each rule's own.
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
