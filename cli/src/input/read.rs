//! The entry point for training rows: opens the file, detects its format, and reads it.

use std::path::Path;

use wgpu_optim::data::DataError;

use crate::input::classes::Classes;
use crate::input::columns::{Columns, ColumnsError};
use crate::input::libsvm::{LibsvmError, SparseText};
use crate::input::options::{LossArg, OptionsError, Standardize};
use crate::input::rows::RawRows;
use crate::input::table::{Table, TableError};
use crate::input::text_file::{Format, TextFile, TextFileError};

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error(transparent)]
    Text(#[from] TextFileError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Libsvm(#[from] LibsvmError),
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(transparent)]
    Data(#[from] DataError),
}

impl InputError {
    /// Whether the run failed, rather than the input being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        match self {
            Self::Text(error) => error.run_failed(),
            Self::Table(error) => error.run_failed(),
            Self::Libsvm(error) => error.run_failed(),
            Self::Data(error) => matches!(error, DataError::OutOfMemory { .. }),
            Self::Columns(_) | Self::Options(_) => false,
        }
    }
}

/// What to read, and how.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a Path,
    pub(crate) format: Format,
    /// The name or the index of the target; by default the last column.
    pub(crate) target: Option<&'a str>,
    /// A logistic loss makes the target one of two classes.
    pub(crate) loss: LossArg,
    pub(crate) standardize: Option<Standardize>,
}

/// Rows, where they come from, and how to prepare them.
pub(crate) struct Input {
    pub(crate) rows: RawRows,
    pub(crate) origin: Origin,
    /// Which columns to scale once rows have been held out.
    pub(crate) standardize: Standardize,
}

/// Where rows come from, and what their columns are.
pub(crate) struct Origin {
    /// For tables.
    pub(crate) source: String,
    pub(crate) columns: Columns,
    /// What the targets 0 and 1 stand for, for a logistic loss.
    pub(crate) classes: Option<Classes>,
    /// The weights and the bias that made the data, if known.
    pub(crate) truth: Option<(Vec<f32>, f32)>,
}

impl Input {
    /// Reads the whole file.
    ///
    /// # Errors
    /// [`InputError`], also for options that do not apply to the detected format.
    pub(crate) fn read(request: &Request<'_>) -> Result<Self, InputError> {
        let file = TextFile::open(request.path)?;
        if file.is_libsvm(request.format) {
            Self::from_libsvm(file, request)
        } else {
            Self::from_table(file, request)
        }
    }

    fn from_table(file: TextFile, request: &Request<'_>) -> Result<Self, InputError> {
        let standardize = Standardize::of_table(request.loss, request.standardize)?;
        let table = Table::new(file)?;
        table.refuse_same_names(|_| true)?;
        let columns = Columns::new(&table, request.target)?;
        let (features, target) = (columns.feature_indices(), columns.target_index);
        let (features, target, classes) = match request.loss {
            LossArg::Squared => {
                let (features, target) = table.read(&features, Some(target))?;
                (features, target, None)
            }
            LossArg::Logistic => {
                let (features, target, classes) = table.read_classes(&features, target)?;
                (features, target, Some(classes))
            }
        };
        let origin = Origin::new(request, columns, classes);
        Ok(Self { rows: RawRows::Dense { features, target }, origin, standardize })
    }

    fn from_libsvm(file: TextFile, request: &Request<'_>) -> Result<Self, InputError> {
        let standardize = Standardize::of_libsvm(request.target, request.standardize)?;
        let mut text = SparseText::read(file)?;
        let classes = match request.loss {
            LossArg::Squared => None,
            LossArg::Logistic => Some(text.classify()?),
        };
        let (rows, _) = text.into_dataset(None)?;
        let origin = Origin::new(request, Columns::unnamed(), classes);
        Ok(Self { rows: RawRows::Sparse(rows), origin, standardize })
    }
}

impl Origin {
    fn new(request: &Request<'_>, columns: Columns, classes: Option<Classes>) -> Self {
        let source = request.path.display().to_string();
        Self { source, columns, classes, truth: None }
    }
}
