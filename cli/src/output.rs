//! Everything that leaves the program: standard output, whose reader may go away, messages on
//! standard error, and files, which appear complete or not at all.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Why output could not be delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The reader of standard output is gone, as with `| head`: no failure.
    #[error("standard output was closed")]
    ClosedPipe,
    #[error("standard output: {0}")]
    Stdout(io::Error),
    /// Found before any work was done.
    #[error("{}: {reason}: nothing was done; give a path that can be written", path.display())]
    NotWritable { path: PathBuf, reason: String },
    /// Happened when the work was done.
    #[error("{}: {reason}: the file was not written", path.display())]
    NotWritten { path: PathBuf, reason: String },
}

impl OutputError {
    /// Whether the argument is to blame, rather than the run.
    pub(crate) fn is_argument(&self) -> bool {
        matches!(self, Self::NotWritable { .. })
    }

    /// An error of writing to standard output.
    pub(crate) fn stdout(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Stdout(error),
        }
    }
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

/// Writes a line to standard error. Nobody can be told if that fails.
fn message(kind: &str, text: &str) {
    let _ = writeln!(io::stderr(), "{kind}: {text}");
}

/// Tells why the command ends.
pub(crate) fn error(text: &str) {
    message("error", text);
}

/// Tells of something that the user may not have intended.
pub(crate) fn warning(text: &str) {
    message("warning", text);
}

/// Tells of a decision that was made for the user.
pub(crate) fn note(text: &str) {
    message("note", text);
}

/// A file to be written at the end of a run, known from its beginning to be writable.
#[derive(Debug)]
pub(crate) struct OutputFile {
    /// What the user called it.
    name: PathBuf,
    /// Where it is, behind any symbolic links.
    path: PathBuf,
    /// A pipe or a device, which is written to and not replaced.
    special: bool,
}

impl OutputFile {
    /// Checks that `name` can be written, and that it is none of `inputs`. Leaves nothing behind.
    pub(crate) fn prepare(name: &Path, inputs: &[&Path]) -> Result<Self, OutputError> {
        let refuse = |reason: String| OutputError::NotWritable { path: name.to_owned(), reason };
        // What is there already is looked at behind its links, so that they stay links.
        let path = fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
        let is_input = |input: &&Path| fs::canonicalize(input).is_ok_and(|input| input == path);
        if inputs.iter().any(is_input) {
            return Err(refuse("this is the input, which would be lost".to_owned()));
        }
        let file = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(refuse("this is a directory".to_owned())),
            Ok(found) if found.is_file() && found.permissions().readonly() => {
                return Err(refuse("the file is read-only".to_owned()));
            }
            Ok(found) => Self { name: name.to_owned(), path, special: !found.is_file() },
            Err(_) if path.file_name().is_none() => {
                return Err(refuse("this is not the name of a file".to_owned()));
            }
            Err(_) => Self { name: name.to_owned(), path, special: false },
        };
        if !file.special {
            // The only honest test; the file is gone again when this line is over.
            file.temporary().map_err(|error| refuse(describe(&error)))?;
        }
        Ok(file)
    }

    /// Lets `write` fill a file beside the final one, which it then becomes.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&Path) -> Result<(), Box<dyn std::error::Error>>,
    ) -> Result<(), OutputError> {
        let fail = |reason| OutputError::NotWritten { path: self.name.clone(), reason };
        if self.special {
            return write(&self.path).map_err(|error| fail(error.to_string()));
        }
        let temporary = self.temporary().map_err(|error| fail(describe(&error)))?;
        write(temporary.path()).map_err(|error| fail(error.to_string()))?;
        temporary.as_file().sync_all().map_err(|error| fail(describe(&error)))?;
        temporary.persist(&self.path).map_err(|error| fail(describe(&error.error)))?;
        Ok(())
    }

    /// An empty file beside the final one, deleted when dropped. It keeps the extension, which
    /// tells the plotting library the format.
    fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let extension = self.path.extension().unwrap_or_default();
        let suffix = format!(".{}", extension.to_string_lossy());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wgpu-optim-").suffix(&suffix);
        // As any other program would create it, rather than for the owner's eyes only.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(directory)
    }
}

/// An error's words without the temporary file's name, which would only confuse.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "its directory does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "no space left on the disk".to_owned(),
        ErrorKind::NotADirectory => "its directory is a file".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparing_leaves_nothing_behind_and_writing_leaves_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("result.txt");
        let count = || fs::read_dir(directory.path()).unwrap().count();
        let file = OutputFile::prepare(&name, &[]).unwrap();
        assert_eq!(count(), 0);
        file.write(|path| Ok(fs::write(path, "done")?)).unwrap();
        assert_eq!((fs::read_to_string(&name).unwrap().as_str(), count()), ("done", 1));
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("result.txt");
        fs::write(&name, "old").unwrap();
        let file = OutputFile::prepare(&name, &[]).unwrap();
        file.write(|path| {
            fs::write(path, "ne")?;
            Err("the disk is full".into())
        })
        .unwrap_err();
        assert_eq!(fs::read_to_string(&name).unwrap(), "old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn directories_missing_parents_and_inputs_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("data.csv");
        fs::write(&input, "1,2\n").unwrap();
        let refused = |name: &Path| {
            let error = OutputFile::prepare(name, &[&input]).unwrap_err();
            assert!(error.is_argument());
            error.to_string()
        };
        assert!(refused(directory.path()).contains("is a directory"));
        assert!(refused(&directory.path().join("no/such.svg")).contains("does not exist"));
        assert!(refused(&input).contains("is the input"));
    }
}
