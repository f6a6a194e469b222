//! Temporary files, each written beside the file that it replaces. A run that ends by itself or by
//! a signal deletes its own. Those of a killed run are deleted by the next run that writes the same
//! file. A run locks its temporary files while they are open, so that other runs see that they are
//! in use.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of random characters at the end of the name of a temporary file.
const RANDOM_CHARACTERS: usize = 6;

/// How many characters of a file's name are in the name of its temporary file, so that this is not
/// too long.
const NAME_CHARACTERS: usize = 48;

/// The temporary files that this run created; some may have been renamed or deleted. Files are
/// created and renamed only under this lock.
static FILES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn files() -> MutexGuard<'static, Vec<PathBuf>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Deletes half-written files, for a program that is about to end. Afterwards, no other file can be
/// created.
pub(crate) fn abandon_files() {
    let files = files();
    for path in files.iter() {
        let _ = fs::remove_file(path); // most no longer exist
    }
    std::mem::forget(files);
}

/// An empty file beside `path`, deleted when dropped.
pub(super) fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let prefix = prefix(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).rand_bytes(RANDOM_CHARACTERS);
    // With the usual permissions, rather than readable by the owner only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut files = files();
    loop {
        let file = builder.tempfile_in(folder(path))?;
        if lock(file.as_file())? {
            files.push(file.path().to_owned());
            return Ok(file);
        }
    }
}

/// Gives a file its final name.
pub(super) fn persist(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    let _files = files();
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Deletes the temporary files of `path` that killed runs have left, where that is possible.
pub(super) fn remove_stale(path: &Path) {
    let prefix = prefix(path);
    let Ok(entries) = fs::read_dir(folder(path)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let is_temporary = |rest: &[u8]| {
            rest.len() == RANDOM_CHARACTERS && rest.iter().all(u8::is_ascii_alphanumeric)
        };
        if rest.is_some_and(is_temporary) {
            let _ = remove_unused(&entry.path());
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// The prefix of the names of temporary files for `path`.
fn prefix(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(NAME_CHARACTERS).collect();
    format!(".wgpu-optim-{name}-").into()
}

/// Locks a new file; false if another run has deleted it as a stale one.
#[cfg(unix)]
fn lock(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    // On a file system without locks, stale files are not deleted either.
    let _ = file.lock();
    Ok(file.metadata()?.nlink() > 0)
}

/// Deletes a file that no run has locked.
#[cfg(unix)]
fn remove_unused(path: &Path) -> io::Result<()> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    // Do not follow a link, and do not wait for the other end of a pipe.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).write(true).custom_flags(flags).open(path)?;
    let opened = file.metadata()?;
    if opened.is_file() && file.try_lock().is_ok() {
        // The lock was free because the file is stale, or because it now has its final name.
        let named = fs::symlink_metadata(path)?;
        if (named.dev(), named.ino()) == (opened.dev(), opened.ino()) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// On other systems, a lock would keep others from reading the file, so stale files are not
/// deleted.
#[cfg(not(unix))]
fn lock(_: &File) -> io::Result<bool> {
    Ok(true)
}

#[cfg(not(unix))]
fn remove_unused(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn stale_files_of_this_output_are_deleted_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let used = beside(&at("a.csv")).unwrap();
        let stale = at(".wgpu-optim-a.csv-AbCdEf");
        let others = [
            ".wgpu-optim-b.csv-AbCdEf",
            ".wgpu-optim-a.csv-b.csv-AbCdEf",
            ".wgpu-optim-a.csv-old",
            ".wgpu-optim-a.csv-a copy",
            "a.csv",
            ".wgpu-optim-a.csv",
        ]
        .map(at);
        for path in [&stale].into_iter().chain(&others) {
            fs::write(path, "1").unwrap();
        }
        std::os::unix::fs::symlink("a.csv", at(".wgpu-optim-a.csv-GhIjKl")).unwrap();
        remove_stale(&at("a.csv"));
        assert!(!stale.exists());
        assert!(others.iter().all(|path| path.exists()));
        assert!(used.path().exists() && at(".wgpu-optim-a.csv-GhIjKl").exists());
    }

    /// A name of 255 bytes, the maximum of many file systems, leaves no room for a prefix.
    #[test]
    fn long_names_have_short_temporary_files() {
        let directory = tempfile::tempdir().unwrap();
        beside(&directory.path().join("\u{20ac}".repeat(85))).unwrap();
    }
}
