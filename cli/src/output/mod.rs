//! Output: results on standard output, whose reader may go away, and messages on standard error.
//! [`file`] writes files; [`text`] formats numbers and names.

pub(crate) mod file;
pub(crate) mod progress;
mod streams;
mod temporary;
pub(crate) mod text;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use streams::{Stream, StreamError};
pub(crate) use temporary::abandon_files;

/// Why output could not be delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The reader of standard output is gone, as with `| head`: not a failure.
    #[error("standard output was closed")]
    ClosedPipe,
    #[error("standard output: {0}")]
    Stdout(io::Error),
    /// Found before any work was done.
    #[error("{0}: nothing was done; redirect it to a file, or to /dev/null")]
    Stream(#[from] StreamError),
    /// Found before any work was done.
    #[error("{}: {reason}: nothing was done; give a path that can be written", path.display())]
    NotWritable { path: PathBuf, reason: String },
    /// Found after the work was done.
    #[error("{}: {reason}: the file was not written", path.display())]
    NotWritten { path: PathBuf, reason: String },
    /// Several files were to be written, and at least one was not.
    #[error("{0}")]
    SomeNotWritten(String),
}

impl OutputError {
    /// Whether an argument is wrong, rather than the run having failed.
    pub(crate) fn is_argument(&self) -> bool {
        match self {
            Self::NotWritable { .. } => true,
            Self::Stream(error) => matches!(error.stream, Stream::Descriptor(_)),
            _ => false,
        }
    }

    /// An error of writing to standard output.
    pub(crate) fn stdout(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Stdout(error),
        }
    }
}

/// Whether a result can be written to standard output.
///
/// # Errors
/// [`OutputError::Stream`], for example after `>&-`.
pub(crate) fn check_stdout() -> Result<(), OutputError> {
    Ok(Stream::Stdout.check()?)
}

/// Writes a result to standard output.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(OutputError::stdout)
}

/// Writes one JSON object to standard output, on one line.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), OutputError> {
    let text = serde_json::to_string(value)
        .map_err(|error| OutputError::Stdout(io::Error::other(error)))?;
    print(&(text + "\n"))
}

/// Writes a line to standard error. If that fails, there is nowhere left to report it.
fn message(kind: &str, text: &str) {
    let _ = writeln!(io::stderr(), "{kind}: {text}");
}

/// Reports why the command failed.
pub(crate) fn error(text: &str) {
    message("error", text);
}

/// Reports something that the user may not have intended.
pub(crate) fn warning(text: &str) {
    message("warning", text);
}

/// Reports a decision that was made for the user.
pub(crate) fn note(text: &str) {
    message("note", text);
}

/// Writes a line of progress to standard error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
