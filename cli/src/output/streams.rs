//! Files that were open when the program started: standard output, standard error, `/dev/fd/N`.

use std::fmt;
use std::fs::File;
use std::path::Path;

/// An output that is already open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    /// The file descriptor of this number.
    Descriptor(i32),
}

impl fmt::Display for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("standard output"),
            Self::Stderr => formatter.write_str("standard error"),
            Self::Descriptor(number) => write!(formatter, "file descriptor {number}"),
        }
    }
}

/// Why a stream cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{stream} {reason}")]
pub(crate) struct StreamError {
    pub(crate) stream: Stream,
    reason: String,
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{OFlags, fcntl_getfl};
    use rustix::stdio;

    use super::*;

    static STDOUT_LOST: AtomicBool = AtomicBool::new(false);
    static STDERR_LOST: AtomicBool = AtomicBool::new(false);

    // Before `main`, Rust opens /dev/null in place of a closed standard stream, so output is lost
    // without an error. Only code that runs earlier sees that it was closed. This function makes
    // two system calls and stores their results, which does not need Rust's runtime.
    #[ctor::ctor(unsafe)]
    fn look_before_main() {
        STDOUT_LOST.store(!is_writable(stdio::stdout()), Ordering::Relaxed);
        STDERR_LOST.store(!is_writable(stdio::stderr()), Ordering::Relaxed);
    }

    fn is_writable(file: impl AsFd) -> bool {
        fcntl_getfl(file).is_ok_and(|flags| flags & OFlags::RWMODE != OFlags::RDONLY)
    }

    impl Stream {
        /// The standard stream that writes to the regular file at `path`.
        pub(crate) fn of_file(path: &Path) -> Option<Self> {
            let named = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
            [Self::Stdout, Self::Stderr].into_iter().find(|stream| {
                let open = stream.open().ok().and_then(|file| file.metadata().ok());
                open.is_some_and(|open| (open.dev(), open.ino()) == (named.dev(), named.ino()))
            })
        }

        /// The stream that `path` names: an entry in the directory of this process's open files, to
        /// which `/dev/stdout` and `/dev/fd` link.
        pub(crate) fn of_name(path: &Path) -> Option<Self> {
            let own = ["/proc/self/fd", "/proc/thread-self/fd", "/dev/fd"];
            let is_own =
                |own| std::fs::canonicalize(own).is_ok_and(|own| path.parent() == Some(&own));
            match path.file_name()?.to_str()?.parse().ok()? {
                _ if !own.into_iter().any(is_own) => None,
                1 => Some(Self::Stdout),
                2 => Some(Self::Stderr),
                number => Some(Self::Descriptor(number)),
            }
        }

        /// A handle that writes at the stream's position, and advances it.
        ///
        /// # Errors
        /// [`StreamError`] if it is not open for writing.
        pub(crate) fn open(self) -> Result<File, StreamError> {
            self.check()?;
            let file = match self {
                Self::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
                Self::Stderr => io::stderr().as_fd().try_clone_to_owned().map(File::from),
                Self::Descriptor(number) => duplicate(number),
            };
            match file {
                Ok(file) if is_writable(&file) => Ok(file),
                Ok(_) => Err(self.error("is open for reading only")),
                Err(error) => Err(self.error(&format!("cannot be written: {error}"))),
            }
        }

        /// Checks that it is not a standard stream that was unusable from the start.
        ///
        /// # Errors
        /// [`StreamError`] if it is.
        pub(crate) fn check(self) -> Result<(), StreamError> {
            let lost = match self {
                Self::Stdout => STDOUT_LOST.load(Ordering::Relaxed),
                Self::Stderr => STDERR_LOST.load(Ordering::Relaxed),
                Self::Descriptor(_) => false,
            };
            let closed = "is closed, or open for reading only";
            if lost { Err(self.error(closed)) } else { Ok(()) }
        }

        fn error(self, reason: &str) -> StreamError {
            StreamError { stream: self, reason: reason.to_owned() }
        }
    }

    /// Another handle of an open file. Opening its name in `/proc` would start at the beginning of
    /// the file.
    #[cfg(target_os = "linux")]
    fn duplicate(number: i32) -> io::Result<File> {
        use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
        let handle = pidfd_open(getpid(), PidfdFlags::empty())
            .and_then(|own| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()));
        match handle {
            Ok(handle) => Ok(File::from(handle)),
            Err(rustix::io::Errno::BADF) => Err(rustix::io::Errno::BADF.into()),
            Err(_) => reopen(number),
        }
    }

    /// The same where the kernel is older than 5.6, or a sandbox does not allow that. The new handle
    /// appends: the stream's position is the end of the file, unless another program writes to it.
    #[cfg(target_os = "linux")]
    fn reopen(number: i32) -> io::Result<File> {
        // To open the name again would make a stream that is only read writable.
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        let mode = flags.map(|flags| OFlags::from_bits_retain(flags) & OFlags::RWMODE);
        let mut options = File::options();
        match mode {
            Some(mode) if mode != OFlags::RDONLY => options.append(true),
            _ => options.read(true),
        };
        options.open(format!("/proc/self/fd/{number}"))
    }

    #[cfg(all(test, target_os = "linux"))]
    mod tests {
        use std::io::{Read, Write};
        use std::os::fd::AsRawFd;

        use super::*;

        #[test]
        fn a_stream_that_is_reopened_is_written_only_if_it_was_writable() {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(b"a").unwrap();
            let written = reopen(file.as_file().as_raw_fd()).unwrap();
            assert!(is_writable(&written));
            (&written).write_all(b"b").unwrap();
            let read = File::open(file.path()).unwrap();
            let reopened = reopen(read.as_raw_fd()).unwrap();
            assert!(!is_writable(&reopened));
            let mut content = String::new();
            (&read).read_to_string(&mut content).unwrap();
            assert_eq!(content, "ab");
        }
    }

    /// Another handle of an open file. On other systems, opening its name gives one.
    #[cfg(not(target_os = "linux"))]
    fn duplicate(number: i32) -> io::Result<File> {
        File::options().append(true).open(format!("/dev/fd/{number}"))
    }
}

/// On other systems, no path names a stream.
#[cfg(not(unix))]
impl Stream {
    pub(crate) fn of_file(_: &Path) -> Option<Self> {
        None
    }

    pub(crate) fn of_name(_: &Path) -> Option<Self> {
        None
    }

    pub(crate) fn open(self) -> Result<File, StreamError> {
        Err(StreamError { stream: self, reason: "has no name on this system".to_owned() })
    }

    pub(crate) fn check(self) -> Result<(), StreamError> {
        Ok(())
    }
}
