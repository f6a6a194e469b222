//! Errors of GPU calls: one narrow enum for each kind of call.

use super::limits::LimitError;
use crate::rules::RuleError;
use crate::step::{GradientError, RowsError, ScheduleError};

/// Why no GPU could be opened.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No adapter at all, or none of the requested kind.
    #[error(
        "no {wanted} adapter: install a driver for Vulkan, Metal or DirectX 12 \
         (on Debian: mesa-vulkan-drivers), or use the CPU engine; found: {}",
        list(found)
    )]
    NoAdapter {
        /// The requested kind or name.
        wanted: String,
        /// The names of all adapters found.
        found: Vec<String>,
    },
    /// The adapter cannot provide a requested limit.
    #[error("{limit} of {asked} was requested, but {adapter} allows {allowed}: adapt the request")]
    Limit {
        /// The adapter's name.
        adapter: String,
        /// The limit's name.
        limit: &'static str,
        /// The requested value.
        asked: u64,
        /// The adapter's value.
        allowed: u64,
    },
    /// The driver refused to open the device.
    #[error("{adapter} could not be opened: {message}")]
    Refused {
        /// The adapter's name.
        adapter: String,
        /// The driver's message.
        message: String,
    },
}

/// The names, or "none".
fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Why a vector could not be created, viewed or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// A vector without elements.
    #[error("a vector needs at least one element")]
    Empty,
    /// A byte offset that is not a multiple of 4.
    #[error("byte offset {offset} is not a multiple of 4, the size of an f32")]
    Misaligned {
        /// The offset, in bytes.
        offset: u64,
    },
    /// A padded view that starts at a byte offset that is not a multiple of 16.
    #[error("byte offset {offset} is not a multiple of 16, as a padded view needs")]
    MisalignedPadding {
        /// The offset, in bytes.
        offset: u64,
    },
    /// The view reaches past its buffer, or the slice past its vector.
    #[error("elements {start}..{end} reach past the end: there are {available}")]
    OutOfRange {
        /// The first element.
        start: u64,
        /// One past the last element.
        end: u64,
        /// The number of elements.
        available: u64,
    },
    /// The buffer was not created for this use.
    #[error("the buffer lacks usage {missing:?}: create it with that flag")]
    MissingUsage {
        /// The flags to add.
        missing: wgpu::BufferUsages,
    },
    /// Host data and vector differ in length.
    #[error("{found} values do not fit a vector of {expected} elements")]
    Length {
        /// The number of values given.
        found: usize,
        /// The vector's length.
        expected: usize,
    },
    /// The vector is on another device.
    #[error("the vector is on another device: use it with the device that created it")]
    ForeignDevice,
    /// The device has too little memory. Nothing was allocated.
    #[error(
        "the device has too little memory for {bytes} bytes: free vectors or use a shorter one"
    )]
    OutOfMemory {
        /// The number of bytes requested.
        bytes: u64,
    },
    /// The device was lost.
    #[error("the device was lost: make a new one")]
    DeviceLost,
    /// wgpu reported another error.
    #[error("the device refused: {message}")]
    Rejected {
        /// wgpu's message.
        message: String,
    },
}

/// Why a step was refused. A refused step changes nothing: no parameter, no state, no step count.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A hyper-parameter is outside its domain.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A value of the schedule is outside its domain.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The state could not be allocated.
    #[error("optimizer state: {0}")]
    State(#[source] VectorError),
    /// A vector's length differs from the optimizer's.
    #[error("{vector} has {found} elements, but the optimizer was made for {expected}")]
    Length {
        /// The vector's name.
        vector: &'static str,
        /// Its length, in elements.
        found: usize,
        /// The optimizer's length, in elements.
        expected: usize,
    },
    /// The rows that a step names do not fit the table.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Two vectors share bytes of one buffer.
    #[error("{first} and {second} overlap in one buffer, at byte {byte}: give each its own range")]
    Overlap {
        /// The first vector.
        first: &'static str,
        /// The second vector.
        second: &'static str,
        /// The first byte that both use.
        byte: u64,
    },
    /// The device's limits are too low for this rule, or for its guard over a vector of this
    /// length.
    #[error("this optimizer needs {limit} of {needed}, but the device was opened with {allowed}")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// What the optimizer needs.
        needed: u64,
        /// What the device was opened with.
        allowed: u64,
    },
    /// A vector is on another device.
    #[error("{vector} is on another device: upload it to the optimizer's device")]
    ForeignDevice {
        /// The vector's name.
        vector: &'static str,
    },
    /// A buffer of the caller belongs to another device, was destroyed, or could not be created.
    #[error("a buffer is not usable on this device: {message}")]
    ForeignBuffer {
        /// wgpu's message.
        message: String,
    },
    /// The device has too little memory for the small buffers that a step needs.
    #[error("the device ran out of memory: {message}")]
    OutOfMemory {
        /// wgpu's message.
        message: String,
    },
    /// The device was lost.
    #[error("the device was lost: make a new one")]
    DeviceLost,
    /// wgpu reported another error.
    #[error("the device refused: {message}")]
    Rejected {
        /// wgpu's message.
        message: String,
    },
}

/// Why a vector could not be read back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The buffer was not created for this use.
    #[error("the buffer lacks usage {missing:?}: create it with that flag")]
    MissingUsage {
        /// The flags to add.
        missing: wgpu::BufferUsages,
    },
    /// The vector is on another device.
    #[error("the vector is on another device: download it from the device that created it")]
    ForeignDevice,
    /// The device has too little memory for the staging buffer.
    #[error("the device has too little memory for a staging buffer of {bytes} bytes")]
    OutOfMemory {
        /// The number of bytes requested.
        bytes: u64,
    },
    /// The device was lost, and the data with it.
    #[error("the device was lost: make a new one")]
    DeviceLost,
    /// wgpu reported another error.
    #[error("the device refused: {message}")]
    Rejected {
        /// wgpu's message.
        message: String,
    },
}

/// Why [`super::GpuOptimizer::check_gradients`] failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Gradients or their norm were not finite.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The report could not be read back.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// A wgpu error, before a call turns it into its own error type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DeviceError {
    /// The device was lost.
    Lost,
    /// wgpu's message.
    OutOfMemory(String),
    /// A buffer of the caller is not usable here; wgpu's message.
    Foreign(String),
    /// Another error; wgpu's message.
    Other(String),
}

impl From<wgpu::Error> for DeviceError {
    /// The error of a device that is not lost.
    fn from(error: wgpu::Error) -> Self {
        let message = full_message(&error);
        // Only the message says that a buffer is invalid. Our own buffers are checked when they are
        // created, so an invalid one is the caller's.
        let invalid = message.contains("Buffer with") && message.contains("is invalid");
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory(message),
            _ if invalid || message.contains("doesn't match") || message.contains("destroyed") => {
                Self::Foreign(message)
            }
            _ => Self::Other(message),
        }
    }
}

/// An error and its causes, on one line.
pub(crate) fn full_message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(text.trim()) {
            message = format!("{message}: {}", text.trim());
        }
        source = cause.source();
    }
    message
}

impl From<LimitError> for StepError {
    fn from(LimitError { limit, needed, allowed }: LimitError) -> Self {
        Self::Limit { limit, needed, allowed }
    }
}

impl From<DeviceError> for StepError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Lost => Self::DeviceLost,
            DeviceError::OutOfMemory(message) => Self::OutOfMemory { message },
            DeviceError::Foreign(message) => Self::ForeignBuffer { message },
            DeviceError::Other(message) => Self::Rejected { message },
        }
    }
}

impl DeviceError {
    pub(crate) fn for_vector(self, bytes: u64) -> VectorError {
        match self {
            Self::Lost => VectorError::DeviceLost,
            Self::OutOfMemory(_) => VectorError::OutOfMemory { bytes },
            Self::Foreign(message) | Self::Other(message) => VectorError::Rejected { message },
        }
    }

    pub(crate) fn for_download(self, bytes: u64) -> DownloadError {
        match self {
            Self::Lost => DownloadError::DeviceLost,
            Self::OutOfMemory(_) => DownloadError::OutOfMemory { bytes },
            Self::Foreign(message) | Self::Other(message) => DownloadError::Rejected { message },
        }
    }
}
