//! What `compare` trains and tests on.

use wgpu_optim::data::{epoch_order, rare_features};

use super::args::CompareArgs;
use crate::error::Error;
use crate::input::columns::Columns;
use crate::input::options::{LossArg, Standardize};
use crate::input::read::{Input, Origin, Request};
use crate::input::rows::RawRows;
use crate::memory;
use crate::training::parts::Parts;

/// The tutorial's problem.
const ROWS: u32 = 1000;
const FEATURES: usize = 100;
/// The seed of the data: `--seed` varies the run, not the problem.
const DATA_SEED: u64 = 0;
/// Enough to measure the accuracy to half a percent.
const TEST_ROWS: u32 = 10_000;

/// One row in five is held out.
const HELD_OUT: usize = 5;
/// With fewer rows, no test row would be left.
const MIN_ROWS: usize = 5;

/// The loss that was asked for, or else the one that suits the data.
pub(super) fn loss(args: &CompareArgs) -> LossArg {
    let default = if args.data.is_some() { LossArg::Squared } else { LossArg::Logistic };
    args.loss.unwrap_or(default)
}

/// Reads the file, or makes the built-in problem.
pub(super) fn read(args: &CompareArgs) -> Result<Input, Error> {
    match &args.data {
        Some(path) => Ok(Input::read(&Request {
            path,
            format: args.format,
            target: args.target.as_deref(),
            loss: loss(args),
            standardize: args.standardize,
        })?),
        None => Ok(built_in()),
    }
}

fn built_in() -> Input {
    let made = rare_features(ROWS + TEST_ROWS, FEATURES, DATA_SEED);
    Input {
        rows: RawRows::Sparse(made.dataset),
        origin: Origin {
            source: "built-in problem of rare features".to_owned(),
            columns: Columns::unnamed(),
            classes: None,
            truth: Some((made.weights, 0.0)),
        },
        standardize: Standardize::None,
    }
}

/// Splits the rows into their three parts; `source` is for the error.
pub(super) fn split(
    rows: RawRows,
    source: &str,
    args: &CompareArgs,
) -> Result<Parts<RawRows>, Error> {
    match args.data {
        Some(_) => split_file(rows, source, args.training.seed),
        None => split_built_in(rows, args.training.seed),
    }
}

fn split_built_in(rows: RawRows, seed: u64) -> Result<Parts<RawRows>, Error> {
    let order = epoch_order(ROWS, seed, u32::MAX);
    let (validation, training) = order.split_at(order.len() / HELD_OUT);
    let test: Vec<u32> = (ROWS..ROWS + TEST_ROWS).collect();
    select(&rows, training, validation, &test)
}

fn split_file(rows: RawRows, source: &str, seed: u64) -> Result<Parts<RawRows>, Error> {
    let count = rows.len();
    if count < MIN_ROWS {
        return Err(Error::Argument(format!(
            "{source}: {count} rows are too few to hold some out: give at least {MIN_ROWS}"
        )));
    }
    memory::check::<u32>(count, || format!("an order of {count} rows"))?;
    let order = epoch_order(count as u32, seed, u32::MAX); // not the number of any epoch
    let (test, rest) = order.split_at(count / HELD_OUT);
    let (validation, training) = rest.split_at(rest.len().div_ceil(HELD_OUT));
    select(&rows, training, validation, test)
}

fn select(
    rows: &RawRows,
    training: &[u32],
    validation: &[u32],
    test: &[u32],
) -> Result<Parts<RawRows>, Error> {
    Ok(Parts {
        training: rows.select(training)?,
        validation: Some(rows.select(validation)?),
        test: Some(rows.select(test)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    #[test]
    fn every_row_is_in_one_part() {
        let features = Array2::from_shape_fn((23, 2), |(row, column)| (row + 100 * column) as f32);
        let target = Array1::from_shape_fn(23, |row| row as f32);
        let parts = split_file(RawRows::Dense { features, target }, "x", 1).unwrap();
        let parts = [parts.training, parts.validation.unwrap(), parts.test.unwrap()];
        assert_eq!(parts.each_ref().map(RawRows::len), [15, 4, 4]);
        let mut rows: Vec<f32> = parts.iter().flat_map(|part| part.target().to_vec()).collect();
        rows.sort_by(f32::total_cmp);
        assert!(rows.into_iter().eq((0_u8..23).map(f32::from)));
    }
}
