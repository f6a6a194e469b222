//! Output files, which are written completely or not at all.

use std::fmt::Display;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::streams::Stream;
use super::{OutputError, temporary};

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

/// An output to be written at the end of a run, known from its beginning to be writable.
#[derive(Debug)]
pub(crate) struct OutputFile {
    /// The path as the user gave it.
    name: PathBuf,
    /// Its path, with symbolic links resolved.
    path: PathBuf,
    kind: Kind,
}

/// How an output is written.
#[derive(Debug)]
enum Kind {
    /// A file, which is replaced as a whole.
    File,
    /// A pipe or a device, which is opened and written to.
    Special,
    /// A file that was open when the program started, such as standard output. It is written at its
    /// current position, since other programs may write to it before and after.
    Open(Stream, fs::File),
}

impl OutputFile {
    /// Checks that `name` can be written, and that it is none of `inputs`. Leaves nothing behind.
    pub(crate) fn prepare(name: &Path, inputs: &[&Path]) -> Result<Self, OutputError> {
        let refuse = |reason: String| OutputError::NotWritable { path: name.to_owned(), reason };
        if name.to_string_lossy().ends_with(std::path::is_separator) {
            return Err(refuse("this is the name of a directory".to_owned()));
        }
        let path = behind_links(name).map_err(|error| refuse(describe(&error)))?;
        let kind = match Stream::of_name(&path).or_else(|| Stream::of_file(&path)) {
            Some(stream) => Kind::Open(stream, stream.open()?),
            None => Self::kind(&path).map_err(refuse)?,
        };
        let file = Self { name: name.to_owned(), path, kind };
        if inputs.iter().any(|input| file.is_at(input)) {
            return Err(refuse("this is the input, which would be overwritten".to_owned()));
        }
        if let Kind::File = file.kind {
            temporary::remove_stale(&file.path);
            // Only creating a file shows that it can be created. It is deleted at once.
            temporary::beside(&file.path).map_err(|error| refuse(describe(&error)))?;
        }
        Ok(file)
    }

    /// How to write a file that was not open when the program started, or why that is impossible.
    fn kind(path: &Path) -> Result<Kind, String> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Err("this is a directory".to_owned()),
            Ok(found) if found.is_file() && found.permissions().readonly() => {
                Err("the file is read-only".to_owned())
            }
            Ok(found) if !found.is_file() => Ok(Kind::Special),
            Ok(_) => Ok(Kind::File),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Kind::File),
            Err(error) => Err(describe(&error)),
        }
    }

    /// Refuses standard output, for a command that prints its result there.
    pub(crate) fn beside_result(self) -> Result<Self, OutputError> {
        match self.kind {
            Kind::Open(Stream::Stdout, _) => Err(OutputError::NotWritable {
                path: self.name,
                reason: "the result is printed to standard output, which this is".to_owned(),
            }),
            _ => Ok(self),
        }
    }

    /// The path as the user gave it.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Whether both are the same file, even under different names.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.is_at(&other.path) || other.is_at(&self.path)
    }

    /// Whether what is written here changes the file at `path`.
    fn is_at(&self, path: &Path) -> bool {
        #[cfg(unix)]
        if let (Kind::Open(_, file), Ok(named)) = (&self.kind, fs::metadata(path)) {
            use std::os::unix::fs::MetadataExt;
            let same = |open: fs::Metadata| (open.dev(), open.ino()) == (named.dev(), named.ino());
            return named.is_file() && file.metadata().is_ok_and(same);
        }
        path == self.path || fs::canonicalize(path).is_ok_and(|path| path == self.path)
    }

    /// Lets `fill` write a temporary file, which then replaces the final one. Pipes, devices and
    /// open streams are written directly.
    pub(crate) fn write(
        &self,
        fill: impl FnOnce(&mut fs::File) -> io::Result<()>,
    ) -> Result<(), OutputError> {
        let written = match &self.kind {
            Kind::File => self.replace(fill),
            Kind::Special => fs::File::options()
                .write(true)
                .open(&self.path)
                .and_then(|mut file| fill(&mut file)),
            Kind::Open(_, file) => file.try_clone().and_then(|mut file| fill(&mut file)),
        };
        written.map_err(|error| match (&self.kind, error.kind()) {
            (Kind::Open(Stream::Stdout, _), ErrorKind::BrokenPipe) => OutputError::ClosedPipe,
            _ => OutputError::NotWritten { path: self.name.clone(), reason: describe(&error) },
        })
    }

    fn replace(&self, fill: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
        let mut file = temporary::beside(&self.path)?;
        fill(file.as_file_mut())?;
        if let Ok(replaced) = fs::metadata(&self.path) {
            // Keep the permissions of the old file, where the file system has them.
            let _ = file.as_file().set_permissions(replaced.permissions());
        }
        file.as_file().sync_all()?;
        temporary::persist(file, &self.path)
    }
}

/// Resolves symbolic links, even to a file that does not exist yet, so that links stay links. The
/// operating system's links to open files are not followed: they name streams.
fn behind_links(name: &Path) -> io::Result<PathBuf> {
    const MAX_LINKS: usize = 40; // as on Linux
    let mut path = name.to_owned();
    for _ in 0..MAX_LINKS {
        let Some(file) = path.file_name() else {
            return fs::canonicalize(&path); // `/`, an empty path, or one that ends with `..`
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => fs::canonicalize(parent)?,
            _ => fs::canonicalize(".")?,
        };
        let place = directory.join(file);
        if Stream::of_name(&place).is_some() {
            return Ok(place);
        }
        match fs::symlink_metadata(&place) {
            // The link to another process's open pipe does not resolve to a path.
            Ok(_) if fs::metadata(&place).is_ok() && fs::canonicalize(&place).is_err() => {
                return Ok(place);
            }
            Ok(found) if found.is_symlink() => path = directory.join(fs::read_link(&place)?),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => return Ok(place),
        }
    }
    Err(io::Error::other("its symbolic links form a loop"))
}

/// Describes an error without the temporary file's name, which would confuse the user.
fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "its directory does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "no space left on the disk".to_owned(),
        ErrorKind::NotADirectory => "its directory is a file".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        ErrorKind::FileTooLarge => "the file is larger than is allowed (ulimit -f)".to_owned(),
        ErrorKind::InvalidFilename => "the file system does not allow this name".to_owned(),
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
    fn every_file_that_fails_is_reported_and_the_others_are_written() {
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
