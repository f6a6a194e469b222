//! What `fit` trains on: rows of a file or the built-in problem, and which of them are held out.

use wgpu_optim::data::synthetic;

use super::args::FitArgs;
use crate::error::Error;
use crate::input::columns::Columns;
use crate::input::options::{LossArg, Standardize};
use crate::input::read::{Input, Origin, Request};
use crate::input::rows::RawRows;
use crate::output;
use crate::output::text::list;
use crate::training::parts::{Parts, TrainingSet};
use crate::training::split::Split;

/// The built-in problem: large enough to show progress, small enough to train quickly.
const SYNTHETIC_ROWS: u32 = 10_000;
const SYNTHETIC_FEATURES: usize = 5;
/// The seed of the data: `--seed` varies the run, not the problem.
const SYNTHETIC_SEED: u64 = 0;

/// Reads the file, or makes the built-in problem.
pub(super) fn read(args: &FitArgs) -> Result<Input, Error> {
    match &args.data {
        Some(path) => Ok(Input::read(&Request {
            path,
            format: args.format,
            target: args.target.as_deref(),
            loss: args.loss,
            standardize: args.standardize,
        })?),
        None => built_in(args),
    }
}

fn built_in(args: &FitArgs) -> Result<Input, Error> {
    if args.loss == LossArg::Logistic {
        return Err(Error::Argument(
            "--loss logistic: the target of the built-in problem is a number: give DATA with a \
             target of two classes"
                .to_owned(),
        ));
    }
    let made = synthetic(SYNTHETIC_ROWS, SYNTHETIC_FEATURES, SYNTHETIC_SEED);
    let columns = Columns {
        features: (0..SYNTHETIC_FEATURES).map(|index| format!("x{index}")).collect(),
        target: "y".to_owned(),
        target_index: SYNTHETIC_FEATURES,
        named: true,
    };
    let source = format!("built-in problem, noise {}", made.noise);
    let truth = Some((made.weights, made.bias));
    let target = made.dataset.target().to_owned();
    Ok(Input {
        rows: RawRows::Dense { features: made.dataset.features().to_owned(), target },
        origin: Origin { source, columns, classes: None, truth },
        standardize: Standardize::of_table(LossArg::Squared, args.standardize)?,
    })
}

/// Holds out the rows that the arguments ask for.
pub(super) fn split(rows: RawRows, args: &FitArgs) -> Result<Parts<RawRows>, Error> {
    let (test, validation) = (args.test, args.validation.share());
    let split =
        Split::choose(wanted_rows(args, rows.len())?, test, validation, args.training.seed)?;
    Ok(split.cut(rows)?)
}

/// How many rows to use of `available` ones.
fn wanted_rows(args: &FitArgs, available: usize) -> Result<usize, Error> {
    match args.rows {
        Some(0) => Err(Error::Argument(format!(
            "--rows 0: there is nothing to train on; give from 1 to {available}"
        ))),
        Some(rows) if rows > available => Err(Error::Argument(format!(
            "--rows {rows}: there are only {available} rows; give from 1 to {available}"
        ))),
        Some(rows) => Ok(rows),
        None => Ok(available),
    }
}

/// Scales the columns by all rows that are not held out, then drops the rows beyond `--rows`.
pub(super) fn scale(
    origin: Origin,
    parts: Parts<RawRows>,
    which: Standardize,
    args: &FitArgs,
) -> Result<TrainingSet, Error> {
    let mut set = TrainingSet::scale(origin, parts, which)?;
    if let Some(rows) = args.rows {
        set.parts.truncate(rows);
    }
    if !args.quiet && !set.parts.training.is_sparse() {
        warn_of_constants(&set);
    }
    Ok(set)
}

fn warn_of_constants(set: &TrainingSet) {
    let columns = set.origin.columns.features.iter().zip(&set.scaling.features);
    let constant = columns.filter(|(_, scale)| scale.deviation == 0.0);
    let constant: Vec<String> = constant.map(|(name, _)| name.clone()).collect();
    match constant.as_slice() {
        [] => {}
        [name] => output::warning(&format!(
            "column {name:?} is constant: it is scaled to 0 and has no effect"
        )),
        names => output::warning(&format!(
            "{} columns are constant: they are scaled to 0 and have no effect: {}",
            names.len(),
            list(names)
        )),
    }
    if set.scaling.target.deviation == 0.0 {
        let name = &set.origin.columns.target;
        output::warning(&format!(
            "the target {name:?} is constant: it is scaled to 0, and there is nothing to learn"
        ));
    }
}
