//! What `fit` trains on: a table from a file, or the built-in problem, scaled and cut.

use std::path::Path;

use ndarray::{Array1, Array2};
use wgpu_optim::data::{Dataset, synthetic};

use crate::args::FitArgs;
use crate::error::Error;
use crate::output;
use crate::scaling::Scaling;
use crate::table::Table;

/// The built-in problem: large enough to show progress, small enough to be over at once.
const SYNTHETIC_ROWS: u32 = 10_000;
const SYNTHETIC_FEATURES: usize = 5;
/// Of the data, not of the training: `--seed` varies the run and not the problem.
const SYNTHETIC_SEED: u64 = 0;
/// How many names an error lists.
const LISTED_NAMES: usize = 30;

/// A regression problem, ready to be trained.
pub(crate) struct Problem {
    /// Where it comes from, for tables.
    pub(crate) source: String,
    pub(crate) columns: Columns,
    pub(crate) dataset: Dataset,
    pub(crate) scaling: Scaling,
    /// The weights and the bias that made the data, where they are known.
    pub(crate) truth: Option<(Vec<f32>, f32)>,
}

/// What the columns are called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns {
    pub(crate) features: Vec<String>,
    pub(crate) target: String,
    /// Where the target stands in the file, counted from 0.
    pub(crate) target_index: usize,
    /// Whether the names are the file's own.
    pub(crate) named: bool,
}

impl Problem {
    /// Reads, scales and cuts what the arguments ask for.
    pub(crate) fn load(args: &FitArgs) -> Result<Self, Error> {
        let mut problem = match &args.data {
            Some(path) => Self::from_file(path, args)?,
            None => Self::built_in(args)?,
        };
        if !args.quiet {
            problem.warn_of_constants();
        }
        let available = problem.dataset.rows();
        match args.rows {
            Some(0) => Err(Error::Argument(format!(
                "--rows 0: there is nothing to train on; give from 1 to {available}"
            ))),
            Some(rows) if rows > available => Err(Error::Argument(format!(
                "--rows {rows}: there are only {available} rows; give from 1 to {available}"
            ))),
            Some(rows) => {
                problem.dataset.truncate(rows);
                Ok(problem)
            }
            None => Ok(problem),
        }
    }

    fn from_file(path: &Path, args: &FitArgs) -> Result<Self, Error> {
        let table = Table::open(path)?;
        table.refuse_same_names(|_| true)?;
        let columns = Columns::of(&table, args.target.as_deref())?;
        let target = columns.target_index;
        let features: Vec<usize> = (0..table.names().len()).filter(|&i| i != target).collect();
        let (features, target) = table.read(&features, Some(target))?;
        Self::scaled(path.display().to_string(), columns, features, target, args)
    }

    fn built_in(args: &FitArgs) -> Result<Self, Error> {
        let made = synthetic(SYNTHETIC_ROWS, SYNTHETIC_FEATURES, SYNTHETIC_SEED);
        let columns = Columns {
            features: (0..SYNTHETIC_FEATURES).map(|index| format!("x{index}")).collect(),
            target: "y".to_owned(),
            target_index: SYNTHETIC_FEATURES,
            named: true,
        };
        let features = made.dataset.features().to_owned();
        let target = made.dataset.target().to_owned();
        let source = format!("built-in problem, noise {}", made.noise);
        let problem = Self::scaled(source, columns, features, target, args)?;
        Ok(Self { truth: Some((made.weights, made.bias)), ..problem })
    }

    fn scaled(
        source: String,
        columns: Columns,
        mut features: Array2<f32>,
        mut target: Array1<f32>,
        args: &FitArgs,
    ) -> Result<Self, Error> {
        let scaling = Scaling::standardize(args.standardize, &mut features, &mut target);
        let dataset = Dataset::new(features, target)?;
        Ok(Self { source, columns, dataset, scaling, truth: None })
    }

    fn warn_of_constants(&self) {
        let columns = self.columns.features.iter().zip(&self.scaling.features);
        let constant = columns.filter(|(_, scale)| scale.deviation == 0.0);
        let constant: Vec<String> = constant.map(|(name, _)| name.clone()).collect();
        match constant.as_slice() {
            [] => {}
            [name] => output::warning(&format!(
                "column {name:?} is constant: it is standardized to 0 and explains nothing"
            )),
            names => output::warning(&format!(
                "{} columns are constant: they are standardized to 0 and explain nothing: {}",
                names.len(),
                list(names)
            )),
        }
        if self.scaling.target.deviation == 0.0 {
            let name = &self.columns.target;
            output::warning(&format!(
                "the target {name:?} is constant: it is standardized to 0, and nothing is to be \
                 explained"
            ));
        }
    }
}

impl Columns {
    pub(crate) fn of(table: &Table, wanted: Option<&str>) -> Result<Self, Error> {
        let names = table.names();
        let file = table.path().display();
        if names.len() < 2 {
            return Err(Error::Argument(format!(
                "{file}: there is only one column, {:?}: training needs a target and at least one \
                 other; if they are there, separate them by commas, tabs, semicolons or blanks",
                names[0]
            )));
        }
        let target_index = match wanted {
            None => names.len() - 1,
            Some(wanted) => position(names, wanted).ok_or_else(|| {
                let last = names.len() - 1;
                Error::Argument(format!(
                    "--target {wanted}: {file} has no such column; there are: {} (or an index \
                     from 0 to {last})",
                    list(names)
                ))
            })?,
        };
        let mut features = names.to_vec();
        let target = features.remove(target_index);
        Ok(Self { features, target, target_index, named: table.has_header() })
    }
}

/// The column called `wanted`, or else the one with this index.
fn position(names: &[String], wanted: &str) -> Option<usize> {
    let by_name = names.iter().position(|name| name == wanted);
    by_name.or_else(|| wanted.parse().ok().filter(|&index: &usize| index < names.len()))
}

/// Names in a row, the first ones if there are many.
pub(crate) fn list(names: &[String]) -> String {
    let shown: Vec<String> =
        names.iter().take(LISTED_NAMES).map(|name| output::printable(name)).collect();
    let shown = shown.join(", ");
    match names.len().checked_sub(LISTED_NAMES) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_an_index() {
        let names = ["1", "a", "b"].map(str::to_owned);
        let positions = ["1", "2", "b", "0", "3", "-1", "c"].map(|wanted| position(&names, wanted));
        assert_eq!(positions, [Some(0), Some(2), Some(2), Some(0), None, None, None]);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..32).map(|index| format!("c{index}")).collect();
        assert!(list(&names).ends_with("c29 and 2 more"));
        assert!(list(&names[..30]).ends_with("c29"));
    }
}
