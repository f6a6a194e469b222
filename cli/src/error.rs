//! What can end the command early, and with which exit status.

use wgpu_optim::data::DataError;
use wgpu_optim::linear::TrainError;
use wgpu_optim::{CpuError, DownloadError, RequestError, StepError, VectorError};

use crate::input::libsvm::LibsvmError;
use crate::input::table::TableError;
use crate::model_file::ModelError;
use crate::output::OutputError;

/// The reason for an early end. Its text is what the user reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Arguments that do not fit each other or the data.
    #[error("{0}")]
    Argument(String),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Libsvm(#[from] LibsvmError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Train(#[from] TrainError),
    /// No adapter of any kind.
    #[error(
        "--device gpu: wgpu finds no adapter: install a driver for Vulkan, Metal or DirectX 12 \
         (on Debian: mesa-vulkan-drivers), or use the CPU engine: --device cpu"
    )]
    NoDevice,
    /// No adapter of this name.
    #[error("--device {wanted}: no adapter's name contains that; there are: {found}")]
    NoSuchDevice { wanted: String, found: String },
    /// An adapter that cannot be opened.
    #[error("{0}")]
    Device(RequestError),
    /// The device failed outside of training.
    #[error("{0}")]
    Run(String),
    #[error("interrupted: no file was written")]
    Interrupted,
}

impl Error {
    /// The exit status: 0 where the reader of standard output has had enough, 1 where the run
    /// failed, 2 where the input or the arguments are wrong.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Output(OutputError::ClosedPipe) => 0,
            Self::Train(_) | Self::NoDevice | Self::Device(_) | Self::Run(_) => 1,
            Self::Interrupted => 1,
            Self::Output(error) if !error.is_argument() => 1,
            Self::Table(TableError::Unreadable { .. }) => 1,
            _ => 2,
        }
    }
}

impl From<StepError> for Error {
    fn from(error: StepError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<VectorError> for Error {
    fn from(error: VectorError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<DownloadError> for Error {
    fn from(error: DownloadError) -> Self {
        Self::Run(error.to_string())
    }
}

impl From<CpuError> for Error {
    fn from(error: CpuError) -> Self {
        Self::Run(error.to_string())
    }
}
