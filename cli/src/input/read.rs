//! What `fit` trains on: rows from a file, or the built-in problem, split, scaled and cut.

use ndarray::{Array1, Array2};
use wgpu_optim::data::{Dataset, SparseDataset, synthetic};
use wgpu_optim::linear::Data;

use crate::args::learning::LossArg;
use crate::args::{FitArgs, Standardize};
use crate::error::Error;
use crate::input::classes::Classes;
use crate::input::libsvm::SparseText;
use crate::input::table::Table;
use crate::input::text_file::TextFile;
use crate::output;
use crate::training::scaling::Scaling;
use crate::training::split::{Split, take_rows};

/// The built-in problem: large enough to show progress, small enough to be over at once.
const SYNTHETIC_ROWS: u32 = 10_000;
const SYNTHETIC_FEATURES: usize = 5;
/// Of the data, not of the training: `--seed` varies the run and not the problem.
const SYNTHETIC_SEED: u64 = 0;
/// How many names an error lists.
const LISTED_NAMES: usize = 30;

/// A problem, ready to be trained.
pub(crate) struct Problem {
    /// Where it comes from, for tables.
    pub(crate) source: String,
    pub(crate) columns: Columns,
    /// The rows to train on.
    pub(crate) dataset: Rows,
    /// The rows held out.
    pub(crate) test: Option<Rows>,
    pub(crate) validation: Option<Rows>,
    pub(crate) scaling: Scaling,
    /// What the targets 0 and 1 stand for, for a logistic loss.
    pub(crate) classes: Option<Classes>,
    /// The weights and the bias that made the data, where they are known.
    pub(crate) truth: Option<(Vec<f32>, f32)>,
}

/// Rows of either kind.
pub(crate) enum Rows {
    Dense(Dataset),
    Sparse(SparseDataset),
}

impl Rows {
    /// The rows as the library takes them.
    pub(crate) fn data(&self) -> Data<'_> {
        match self {
            Self::Dense(data) => Data::Dense(data),
            Self::Sparse(data) => Data::Sparse(data),
        }
    }

    /// How many numbers there are.
    pub(crate) fn values(&self) -> usize {
        match self {
            Self::Dense(data) => data.rows().saturating_mul(data.feature_count()),
            Self::Sparse(data) => data.entry_count(),
        }
    }
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
    /// Reads, splits, scales and cuts what the arguments ask for.
    pub(crate) fn load(args: &FitArgs) -> Result<Self, Error> {
        let problem = match &args.data {
            Some(path) => {
                let file = TextFile::open(path)?;
                if file.is_libsvm(args.learning.format) {
                    return Self::sparse(file, args);
                }
                Self::from_table(file, args)?
            }
            None => Self::built_in(args)?,
        };
        if !args.quiet {
            problem.warn_of_constants();
        }
        Ok(problem)
    }

    fn from_table(file: TextFile, args: &FitArgs) -> Result<Self, Error> {
        let table = Table::of(file)?;
        table.refuse_same_names(|_| true)?;
        let columns = Columns::of(&table, args.target.as_deref())?;
        let source = table.path().display().to_string();
        let target = columns.target_index;
        let features: Vec<usize> = (0..table.names().len()).filter(|&i| i != target).collect();
        let (features, target, classes) = match args.learning.loss {
            LossArg::Squared => {
                let (features, target) = table.read(&features, Some(target))?;
                (features, target, None)
            }
            LossArg::Logistic => {
                let (features, target, classes) = table.read_classes(&features, target)?;
                (features, target, Some(classes))
            }
        };
        Self::dense(source, columns, (features, target), classes, args)
    }

    fn built_in(args: &FitArgs) -> Result<Self, Error> {
        if args.learning.loss == LossArg::Logistic {
            return Err(Error::Argument(
                "--loss logistic: the target of the built-in problem is a number: give DATA whose \
                 target is one of two classes"
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
        let rows = (made.dataset.features().to_owned(), made.dataset.target().to_owned());
        let source = format!("built-in problem, noise {}", made.noise);
        let problem = Self::dense(source, columns, rows, None, args)?;
        Ok(Self { truth: Some((made.weights, made.bias)), ..problem })
    }

    /// Rows held out have no part in the scaling; rows that `--rows` cuts off have.
    fn dense(
        source: String,
        columns: Columns,
        (mut features, mut target): (Array2<f32>, Array1<f32>),
        classes: Option<Classes>,
        args: &FitArgs,
    ) -> Result<Self, Error> {
        let which = standardization(args.learning.loss, args.standardize)?;
        let rows = wanted_rows(args, target.len())?;
        let split = Split::choose(rows, &args.learning, args.seed)?;
        let take = |features: &mut _, target: &mut _, rows: &[u32]| {
            (!rows.is_empty()).then(|| take_rows(features, target, rows))
        };
        let test = take(&mut features, &mut target, &split.test);
        let validation = take(&mut features, &mut target, &split.validation_behind_test());
        let scaling = Scaling::standardize(which, &mut features, &mut target);
        let scaled = |(mut features, mut target): (Array2<f32>, Array1<f32>)| {
            scaling.apply_to_rows(&mut features, &mut target);
            Dataset::new(features, target).map(Rows::Dense)
        };
        let test = test.map(scaled).transpose()?;
        let validation = validation.map(scaled).transpose()?;
        let mut dataset = Dataset::new(features, target)?;
        dataset.truncate(rows - split.held_out());
        let dataset = Rows::Dense(dataset);
        Ok(Self { source, columns, dataset, test, validation, scaling, classes, truth: None })
    }

    fn sparse(file: TextFile, args: &FitArgs) -> Result<Self, Error> {
        refuse_for_libsvm(args.target.as_deref(), args.standardize)?;
        let source = file.path.display().to_string();
        let mut text = SparseText::read(file)?;
        let classes = match args.learning.loss {
            LossArg::Squared => None,
            LossArg::Logistic => Some(text.classify()?),
        };
        let (mut dataset, _) = text.into_dataset(None)?;
        let rows = wanted_rows(args, dataset.rows())?;
        dataset.truncate(rows);
        let split = Split::choose(rows, &args.learning, args.seed)?;
        let mut take = |rows: &[u32]| match rows {
            [] => Ok(None),
            rows => dataset.split_off_rows(rows).map(|rows| Some(Rows::Sparse(rows))),
        };
        let test = take(&split.test)?;
        let validation = take(&split.validation_behind_test())?;
        Ok(Self {
            source,
            columns: Columns::of_libsvm(),
            dataset: Rows::Sparse(dataset),
            test,
            validation,
            scaling: Scaling::none(),
            classes,
            truth: None,
        })
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

/// Which columns to scale, if `wanted` is what the user said of it.
///
/// # Errors
/// [`Error::Argument`] if that is a target which is a class.
pub(crate) fn standardization(
    loss: LossArg,
    wanted: Option<Standardize>,
) -> Result<Standardize, Error> {
    match (loss, wanted) {
        (LossArg::Squared, which) => Ok(which.unwrap_or(Standardize::All)),
        (LossArg::Logistic, Some(Standardize::All)) => Err(Error::Argument(
            "--standardize all: the target is a class, which has no scale: give features or none"
                .to_owned(),
        )),
        (LossArg::Logistic, which) => Ok(which.unwrap_or(Standardize::Features)),
    }
}

/// Refuses options that have no meaning for LIBSVM text.
///
/// # Errors
/// [`Error::Argument`] says why.
pub(crate) fn refuse_for_libsvm(
    target: Option<&str>,
    standardize: Option<Standardize>,
) -> Result<(), Error> {
    if let Some(target) = target {
        return Err(Error::Argument(format!(
            "--target {target}: the target of LIBSVM text is the label before the features: leave \
             --target out"
        )));
    }
    match standardize {
        None | Some(Standardize::None) => Ok(()),
        Some(_) => Err(Error::Argument(
            "--standardize: LIBSVM text is not standardized, since the features that a row leaves \
             out would no longer be 0: scale the values in the file, or leave --standardize out"
                .to_owned(),
        )),
    }
}

impl Columns {
    /// LIBSVM text names nothing; a model of millions of features keeps no made-up names.
    fn of_libsvm() -> Self {
        let target = "label".to_owned();
        Self { features: Vec::new(), target, target_index: 0, named: false }
    }

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
