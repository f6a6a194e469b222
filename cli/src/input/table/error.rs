//! Why a table could not be read.

use std::path::PathBuf;

use ndarray::ShapeError;

use crate::input::classes::{Label, TooFewClasses};
use crate::input::text_file::TextFileError;
use crate::interrupt::Interrupted;
use crate::memory::OutOfMemory;

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error(transparent)]
    Text(#[from] TextFileError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error(transparent)]
    TooFewClasses(#[from] TooFewClasses),
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("{}: the file is empty: give one with at least one row of numbers", path.display())]
    Empty { path: PathBuf },
    #[error(
        "{}: there is a header (line {line}) but no row of numbers below it: add rows",
        path.display()
    )]
    HeaderOnly { path: PathBuf, line: u64 },
    #[error(
        "{}, line {line}: {found} columns, but line {first} has {expected}: {hint}",
        path.display()
    )]
    Ragged {
        path: PathBuf,
        line: u64,
        found: usize,
        first: u64,
        expected: usize,
        hint: &'static str,
    },
    #[error(
        "{}, line {line}, column {column} ({name}): {text} {problem}",
        path.display()
    )]
    NotANumber {
        path: PathBuf,
        line: u64,
        column: usize,
        name: String,
        text: String,
        problem: &'static str,
    },
    #[error(
        "{}, line {line}: columns {first} and {second} are both called {name:?}: rename one",
        path.display()
    )]
    SameName { path: PathBuf, line: u64, first: usize, second: usize, name: String },
    #[error(
        "{}: the row on line {line} has a quotation mark that is not closed: close it, or delete \
         it",
        path.display()
    )]
    Unclosed { path: PathBuf, line: u64 },
    #[error(
        "{}, line {line}, column {column}: {label} is a third class, besides {first} and {second}: \
         the logistic loss takes two; delete the rows of other classes, or use --loss squared",
        path.display()
    )]
    ThirdClass {
        path: PathBuf,
        line: u64,
        column: usize,
        label: Label,
        first: Label,
        second: Label,
    },
    #[error(
        "{}, line {line}, column {column}: {text:?} continues after its closing quotation mark: \
         delete the marks, or double those inside the text",
        path.display()
    )]
    StrayQuote { path: PathBuf, line: u64, column: usize, text: String },
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl TableError {
    /// Whether the run failed, rather than the input being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        match self {
            Self::Interrupted(_) | Self::Shape(_) | Self::OutOfMemory(_) => true,
            Self::Text(error) => error.run_failed(),
            _ => false,
        }
    }
}
