//! The command line and its subcommands, each with its arguments in its own module. The help is the
//! manual: it says what a user has to know, and shows an example of each subcommand.

use clap::{CommandFactory, Parser, Subcommand};

use crate::bench;
use crate::bench::args::BenchArgs;
use crate::compare;
use crate::compare::args::CompareArgs;
use crate::completions::{self, CompletionsArgs};
use crate::devices::{self, DevicesArgs};
use crate::error::Error;
use crate::fit;
use crate::fit::args::FitArgs;
use crate::man::{self, ManArgs};
use crate::output;
use crate::predict;
use crate::predict::args::PredictArgs;
use crate::trace;
use crate::trace::args::TraceArgs;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "wgpu-optim",
    version,
    about = "Train linear models by minibatches, on any GPU that wgpu supports or on the CPU",
    after_help = "Examples:
  wgpu-optim fit                            train on a built-in problem whose solution is known
  wgpu-optim fit data.csv --plot loss.svg   train on a table, and plot the loss
  wgpu-optim fit -h                         list all options of a subcommand

Exit status: 0 success; 1 the run failed (a lost device, a full disk, training that diverged); 2 the
input or the arguments are wrong.",
    max_term_width = 100
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Fit(Box<FitArgs>),
    Predict(PredictArgs),
    Compare(CompareArgs),
    Trace(TraceArgs),
    Devices(DevicesArgs),
    Bench(BenchArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<(), Error> {
        match self {
            Self::Predict(args) if args.output.is_some() => {}
            _ => output::check_stdout()?,
        }
        match self {
            Self::Fit(args) => fit::run(args),
            Self::Predict(args) => predict::run(args),
            Self::Compare(args) => compare::run(args),
            Self::Trace(args) => trace::run(args),
            Self::Devices(args) => devices::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Completions(args) => completions::run(args, CommandLine::command()),
            Self::Man(args) => man::run(args, CommandLine::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_do_not_contradict_each_other() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_an_example() {
        for subcommand in CommandLine::command().get_subcommands() {
            let help = subcommand.clone().render_help().to_string();
            assert!(help.contains("Example"), "{help}");
        }
    }

    /// clap would wrap a longer line, and leave the rest of it on a line of its own.
    #[test]
    fn no_line_of_help_is_too_long() {
        for subcommand in CommandLine::command().get_subcommands() {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }
}
