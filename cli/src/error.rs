//! Why a subcommand ends early, and with which exit status. The modules that subcommands use have
//! their own errors, which are gathered here.

use wgpu_optim::data::DataError;
use wgpu_optim::linear::TrainError;
use wgpu_optim::{CpuError, DownloadError, StepError, VectorError};

use crate::args::rule::RuleArgsError;
use crate::args::rule_list::RuleListError;
use crate::device::DeviceError;
use crate::input::columns::ColumnsError;
use crate::input::libsvm::LibsvmError;
use crate::input::options::OptionsError;
use crate::input::read::InputError;
use crate::input::table::TableError;
use crate::input::text_file::TextFileError;
use crate::interrupt::Interrupted;
use crate::memory::OutOfMemory;
use crate::model_file::ModelError;
use crate::output::OutputError;
use crate::plot::file::PlotError;
use crate::training::split::SplitError;

/// Why a subcommand ended early. The user reads its text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Arguments that do not fit each other or the data.
    #[error("{0}")]
    Argument(String),
    #[error(transparent)]
    Rule(#[from] RuleArgsError),
    #[error(transparent)]
    RuleList(#[from] RuleListError),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(transparent)]
    Input(InputError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Train(TrainError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The device failed outside of training, or the run had no result.
    #[error("{0}")]
    Run(String),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    /// The exit status: 0 if the reader of standard output closed it, 1 if the run failed, 2 if the
    /// input or the arguments are wrong.
    pub(crate) fn status(&self) -> u8 {
        let run_failed = match self {
            Self::Output(OutputError::ClosedPipe) => return 0,
            Self::Argument(_) | Self::Rule(_) | Self::RuleList(_) => false,
            Self::Split(error) => error.run_failed(),
            Self::Data(error) => matches!(error, DataError::OutOfMemory { .. }),
            Self::Input(error) => error.run_failed(),
            Self::Model(error) => error.run_failed(),
            Self::Device(error) => error.run_failed(),
            Self::Plot(error) => error.run_failed(),
            Self::Output(error) => !error.is_argument(),
            Self::Train(_) | Self::OutOfMemory(_) => true,
            Self::Run(_) | Self::Interrupted(_) => true,
        };
        if run_failed { 1 } else { 2 }
    }
}

impl From<TrainError> for Error {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Interrupted { .. } => Self::Interrupted(Interrupted),
            other => Self::Train(other),
        }
    }
}

/// Errors of reading, converted through [`InputError`].
macro_rules! from_input {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Input(error.into())
            }
        }
    )*};
}

from_input!(InputError, TextFileError, TableError, LibsvmError, ColumnsError, OptionsError);

/// Errors of a device outside of training.
macro_rules! from_device {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Run(error.to_string())
            }
        }
    )*};
}

from_device!(StepError, VectorError, DownloadError, CpuError);
