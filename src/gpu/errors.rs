//! What can go wrong on a GPU, one narrow enum for each kind of call.

use crate::rules::{GradientError, RuleError, ScheduleError};

/// Why no GPU could be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No adapter at all, or none of the kind asked for.
    #[error(
        "no {wanted} adapter: install a driver for Vulkan, Metal or DirectX 12 \
         (on Debian: mesa-vulkan-drivers), or use the CPU engine; found: {}",
        list(found)
    )]
    NoAdapter {
        /// The kind or name that was asked for.
        wanted: String,
        /// The names of the adapters there are.
        found: Vec<String>,
    },
    /// The adapter has less than the limits asked for.
    #[error("{adapter} allows {limit} of at most {allowed}, but {asked} was asked for")]
    Limit {
        /// The adapter's name.
        adapter: String,
        /// The limit's name.
        limit: &'static str,
        /// What was asked for.
        asked: u64,
        /// What the adapter has.
        allowed: u64,
    },
    /// The driver refused to open the device.
    #[error("{adapter} could not be opened: {message}")]
    Refused {
        /// The adapter's name.
        adapter: String,
        /// The driver's words.
        message: String,
    },
}

/// Names in a row, or a word for their absence.
fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Why a vector could not be made, viewed or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// A vector of no elements.
    #[error("a vector needs at least one element")]
    Empty,
    /// A byte offset that is no multiple of 4.
    #[error("byte offset {offset} is not a multiple of 4, the size of an f32")]
    Misaligned {
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
        /// How many elements there are.
        available: u64,
    },
    /// The buffer was not created for this use.
    #[error("the buffer lacks usage {missing:?}: create it with that flag")]
    MissingUsage {
        /// The flags to add.
        missing: wgpu::BufferUsages,
    },
    /// Host data of another length than the vector.
    #[error("{found} values do not fit a vector of {expected} elements")]
    Length {
        /// How many values were given.
        found: usize,
        /// The vector's length.
        expected: usize,
    },
    /// The vector lies on another device.
    #[error("the vector lies on another device: use it with the device that it was made on")]
    ForeignDevice,
    /// The device has too little memory. Nothing was allocated.
    #[error("the device has no room for {bytes} bytes: free vectors or use a shorter one")]
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: u64,
    },
    /// The device is gone.
    #[error("the device was lost: make a new one")]
    DeviceLost,
    /// wgpu refused for another reason.
    #[error("the device refused: {message}")]
    Rejected {
        /// wgpu's words.
        message: String,
    },
}

/// Why a step was refused. Nothing has changed then: no parameter, no state, no step count.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A hyper-parameter is outside its domain.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A number of a schedule is outside its domain.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The state could not be allocated.
    #[error("optimizer state: {0}")]
    State(#[source] VectorError),
    /// A vector has another length than the optimizer was made for.
    #[error("{vector} has {found} elements, but the optimizer was made for {expected}")]
    Length {
        /// Which vector.
        vector: &'static str,
        /// Its length, in elements.
        found: usize,
        /// The optimizer's length, in elements.
        expected: usize,
    },
    /// Row gradients are not as many whole rows as there are indices, or the optimizer's length is
    /// not a number of such rows.
    #[error(
        "{gradients} gradients for {indices} rows of a table of {len} elements: \
         give one row of gradients for each index"
    )]
    RowWidth {
        /// Elements of the row gradients.
        gradients: usize,
        /// Row indices.
        indices: usize,
        /// The optimizer's length, in elements.
        len: usize,
    },
    /// A row index past the end of the table.
    #[error("row index {row} at position {at}: the table has {rows} rows, counted from 0")]
    RowIndex {
        /// Where among the indices.
        at: usize,
        /// The index.
        row: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// More rows or row gradients than a kernel can count.
    #[error("{gradients} gradients for {indices} rows in one step: give at most {most} gradients")]
    RowCount {
        /// Elements of the row gradients.
        gradients: usize,
        /// Row indices.
        indices: usize,
        /// The most gradients, and so the most rows.
        most: usize,
    },
    /// An optimizer made by [`crate::GpuOptimizer::row_wise`] was not given rows of its length.
    #[error(
        "this optimizer keeps one accumulator for each row of {width}: call step_rows, with row \
         gradients of {width} for each index"
    )]
    RowWise {
        /// The optimizer's length of a row, in elements.
        width: usize,
    },
    /// A row-wise optimizer was to have rows without parameters.
    #[error("rows of 0 parameters have nothing to share: give a width of at least 1")]
    EmptyRow,
    /// The rows of a row-wise optimizer are too long for the sum of their squares.
    #[error(
        "rows of {width} that share an accumulator are too long: a GPU sums the squares of at most \
         {most}; use shorter rows, or the CPU engine"
    )]
    RowTooLong {
        /// Parameters of a row.
        width: usize,
        /// The most that there may be.
        most: usize,
    },
    /// A step over rows does not look at a guard.
    #[error("a step over rows takes no guard: use an optimizer without one")]
    GuardedRows,
    /// Two vectors share bytes of one buffer.
    #[error(
        "{first} and {second} overlap in one buffer, at byte {byte}: give them ranges of their own"
    )]
    Overlap {
        /// One vector.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// The first byte that both claim.
        byte: u64,
    },
    /// The device's limits are too low for this rule, or for its guard over a vector so long.
    #[error("the device allows {limit} of {allowed}, but this optimizer needs {needed}")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// What the optimizer needs.
        needed: u64,
        /// What the device was opened with.
        allowed: u64,
    },
    /// A vector lies on another device.
    #[error("{vector} lies on another device: upload it to the optimizer's")]
    ForeignDevice {
        /// Which vector.
        vector: &'static str,
    },
    /// A buffer of the caller's belongs to another device, or was destroyed.
    #[error("a buffer is not usable on this device: {message}")]
    ForeignBuffer {
        /// wgpu's words.
        message: String,
    },
    /// The device has too little memory for the bookkeeping of a step.
    #[error("the device ran out of memory: {message}")]
    OutOfMemory {
        /// wgpu's words.
        message: String,
    },
    /// The device is gone.
    #[error("the device was lost: make a new one")]
    DeviceLost,
    /// wgpu refused for another reason.
    #[error("the device refused: {message}")]
    Rejected {
        /// wgpu's words.
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
    /// The vector lies on another device.
    #[error("the vector lies on another device: download it from the one that it was made on")]
    ForeignDevice,
    /// The device has too little memory for the staging buffer.
    #[error("the device has no room for a staging buffer of {bytes} bytes")]
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: u64,
    },
    /// The device is gone, and the data with it.
    #[error("the device was lost: make a new one")]
    DeviceLost,
    /// wgpu refused for another reason.
    #[error("the device refused: {message}")]
    Rejected {
        /// wgpu's words.
        message: String,
    },
}

/// Why [`super::GpuOptimizer::check_gradients`] did not find all well.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Gradients were not finite, or their norm was not.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// The report could not be read back.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

/// What an error scope caught, before it is told as the error of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Caught {
    Lost,
    OutOfMemory(String),
    Foreign(String),
    Other(String),
}

impl From<wgpu::Error> for Caught {
    fn from(error: wgpu::Error) -> Self {
        let message = full_message(&error);
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory(message),
            // A lost device makes new buffers without a word that are invalid when first used.
            _ if message.contains("'wgpu-optim") && message.contains("is invalid") => Self::Lost,
            // wgpu has no other way to tell whose buffer it is.
            _ if message.contains("doesn't match") || message.contains("destroyed") => {
                Self::Foreign(message)
            }
            _ => Self::Other(message),
        }
    }
}

/// An error and its causes, on one line.
fn full_message(error: &dyn std::error::Error) -> String {
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

impl From<Caught> for StepError {
    fn from(caught: Caught) -> Self {
        match caught {
            Caught::Lost => Self::DeviceLost,
            Caught::OutOfMemory(message) => Self::OutOfMemory { message },
            Caught::Foreign(message) => Self::ForeignBuffer { message },
            Caught::Other(message) => Self::Rejected { message },
        }
    }
}

impl Caught {
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
