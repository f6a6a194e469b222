//! Files that appear complete or not at all.

use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::OutputError;

/// Joins the results of writing several files: on failure, every error and then the files that were
/// written.
pub(crate) fn all_written<'a, E: Display>(
    results: impl IntoIterator<Item = (&'a Path, Result<(), E>)>,
) -> Result<(), OutputError> {
    let (mut written, mut failed) = (Vec::new(), Vec::new());
    for (name, result) in results {
        match result {
            Ok(()) => written.push(format!("{} was written", name.display())),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    failed.append(&mut written);
    Err(OutputError::SomeNotWritten(failed.join("; ")))
}

/// Temporary files of this run; those that are put in place or deleted no longer exist. Whoever
/// holds the lock may create and rename files.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn temporary_files() -> MutexGuard<'static, Vec<PathBuf>> {
    TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Deletes the files that are half-written, for a program that ends at once. From here on, no
/// other file can appear.
pub(crate) fn abandon_files() {
    let files = temporary_files();
    for path in files.iter() {
        let _ = fs::remove_file(path); // most are not there any more
    }
    std::mem::forget(files);
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
        if name.to_string_lossy().ends_with(std::path::is_separator) {
            return Err(refuse("this is the name of a directory".to_owned()));
        }
        let path = behind_links(name).map_err(|error| refuse(describe(&error)))?;
        let is_input = |input: &&Path| fs::canonicalize(input).is_ok_and(|input| input == path);
        if inputs.iter().any(is_input) {
            return Err(refuse("this is the input, which would be lost".to_owned()));
        }
        let special = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(refuse("this is a directory".to_owned())),
            Ok(found) if found.is_file() && found.permissions().readonly() => {
                return Err(refuse("the file is read-only".to_owned()));
            }
            Ok(found) => !found.is_file(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(refuse(describe(&error))),
        };
        let file = Self { name: name.to_owned(), path, special };
        if !file.special {
            // The only honest test; the file is gone again when this line is over.
            file.temporary().map_err(|error| refuse(describe(&error)))?;
        }
        Ok(file)
    }

    /// What the user called it.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Whether both are one file, whatever they are called.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.path == other.path
    }

    /// Lets `fill` write a file beside the final one, which it then becomes.
    pub(crate) fn write(
        &self,
        fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
    ) -> Result<(), OutputError> {
        let written = if self.special {
            fs::OpenOptions::new().write(true).open(&self.path).and_then(|mut file| fill(&mut file))
        } else {
            self.replace(fill)
        };
        written.map_err(|error| OutputError::NotWritten {
            path: self.name.clone(),
            reason: describe(&error),
        })
    }

    fn replace(&self, fill: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
        let mut temporary = self.temporary()?;
        fill(temporary.as_file_mut())?;
        if let Ok(replaced) = fs::metadata(&self.path) {
            // Who could read the old file can read the new one, where the file system knows that.
            let _ = temporary.as_file().set_permissions(replaced.permissions());
        }
        temporary.as_file().sync_all()?;
        let _lock = temporary_files();
        temporary.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// An empty file beside the final one, deleted when dropped.
    fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wgpu-optim-");
        // As any other program would create it, rather than for the owner's eyes only.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut files = temporary_files();
        let file = builder.tempfile_in(directory)?;
        files.push(file.path().to_owned());
        Ok(file)
    }
}

/// Where `name` leads, so that links stay links: also those to a file that is yet to be made.
fn behind_links(name: &Path) -> io::Result<PathBuf> {
    const MAX_LINKS: usize = 40; // as on Linux
    let mut path = name.to_owned();
    for _ in 0..MAX_LINKS {
        if let Ok(found) = fs::canonicalize(&path) {
            return Ok(found);
        }
        if fs::metadata(&path).is_ok() {
            return Ok(path); // a pipe, for one, has a link that says what it is and leads nowhere
        }
        let Some(file) = path.file_name() else {
            return Err(io::Error::other("this is not the name of a file"));
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => fs::canonicalize(parent)?,
            _ => fs::canonicalize(".")?,
        };
        let place = directory.join(file);
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => path = directory.join(fs::read_link(&place)?),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => return Ok(place),
        }
    }
    Err(io::Error::other("its symbolic links lead in a circle"))
}

/// An error's words without the temporary file's name, which would only confuse.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "its directory does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "no space left on the disk".to_owned(),
        ErrorKind::NotADirectory => "its directory is a file".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        ErrorKind::InvalidFilename => "the file system refuses this name, or its length".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn preparing_leaves_nothing_behind_and_writing_leaves_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("result.txt");
        let count = || fs::read_dir(directory.path()).unwrap().count();
        let file = OutputFile::prepare(&name, &[]).unwrap();
        assert_eq!(count(), 0);
        file.write(|file| file.write_all(b"done")).unwrap();
        assert_eq!((fs::read_to_string(&name).unwrap().as_str(), count()), ("done", 1));
    }

    #[test]
    fn every_file_that_fails_is_told_and_so_are_the_others() {
        let results = [("a", Err("a: full")), ("b", Ok(())), ("c", Err("c: full"))];
        let all = all_written(results.map(|(name, result)| (Path::new(name), result)));
        assert_eq!(all.unwrap_err().to_string(), "a: full; c: full; b was written");
        assert!(all_written([(Path::new("b"), Ok::<_, String>(()))]).is_ok());
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("result.txt");
        fs::write(&name, "old").unwrap();
        let file = OutputFile::prepare(&name, &[]).unwrap();
        file.write(|file| {
            file.write_all(b"ne")?;
            Err(ErrorKind::StorageFull.into())
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
        assert!(refused(&directory.path().join("x.svg/")).contains("name of a directory"));
        assert!(refused(&directory.path().join("x".repeat(300))).contains("length"));
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink("real", at("link")).unwrap();
        symlink("circle", at("circle")).unwrap();
        let link = OutputFile::prepare(&at("link"), &[]).unwrap();
        assert!(link.is_same(&OutputFile::prepare(&at("real"), &[]).unwrap()));
        link.write(|file| file.write_all(b"one")).unwrap();
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        fs::set_permissions(at("real"), PermissionsExt::from_mode(0o640)).unwrap();
        link.write(|file| file.write_all(b"two")).unwrap();
        assert_eq!(fs::read_to_string(at("real")).unwrap(), "two");
        assert_eq!(fs::metadata(at("real")).unwrap().permissions().mode() & 0o777, 0o640);
        let message = OutputFile::prepare(&at("circle"), &[]).unwrap_err().to_string();
        assert!(message.contains("circle"), "{message}");
    }
}
