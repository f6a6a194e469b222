//! An open text file, whose format is detected from its first bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// How much of a file is examined to detect its format.
const SAMPLE_BYTES: u64 = 1 << 16;

/// Why a text file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TextFileError {
    #[error("{}: {reason}: give the path of a text file", path.display())]
    Unopened { path: PathBuf, reason: String },
    #[error("{}: reading failed: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error(
        "{}: this is not plain text: save the table as CSV in UTF-8",
        path.display()
    )]
    NotText { path: PathBuf },
}

impl TextFileError {
    /// Reading failed after the file was opened.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), reason: describe(error) }
    }

    /// Whether the run failed, rather than the input being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }
}

/// What `--format` can force.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// Detect the format from the first lines
    Auto,
    /// Columns of numbers, with or without a header
    Delimited,
    /// Lines of `label index:value index:value ...`, as in LIBSVM and SVMlight
    Libsvm,
}

/// A file to be read from its beginning; it may be a pipe, so it is opened only once.
pub(crate) struct TextFile {
    pub(crate) path: PathBuf,
    /// The first bytes, without a byte order mark.
    pub(crate) sample: Vec<u8>,
    /// Whether the sample is the whole file.
    pub(crate) complete: bool,
    /// The file's length as the operating system reports it; 0 for a pipe.
    pub(crate) bytes: u64,
    /// The text after the sample.
    pub(crate) rest: File,
}

impl TextFile {
    /// Opens the file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, TextFileError> {
        let unopened = |reason: String| TextFileError::Unopened { path: path.to_owned(), reason };
        let mut rest = File::open(path).map_err(|error| unopened(describe(&error)))?;
        let metadata = rest.metadata().map_err(|error| unopened(describe(&error)))?;
        if metadata.is_dir() {
            return Err(unopened("this is a directory".to_owned()));
        }
        let mut sample = Vec::new();
        rest.by_ref()
            .take(SAMPLE_BYTES)
            .read_to_end(&mut sample)
            .map_err(|error| TextFileError::unreadable(path, &error))?;
        let complete = (sample.len() as u64) < SAMPLE_BYTES;
        if sample.starts_with(b"\xEF\xBB\xBF") {
            sample.drain(..3); // the byte order mark that spreadsheets write
        }
        if sample.contains(&0) {
            return Err(TextFileError::NotText { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), sample, complete, bytes: metadata.len(), rest })
    }

    /// Whether this is to be read as LIBSVM text.
    pub(crate) fn is_libsvm(&self, format: Format) -> bool {
        match format {
            Format::Auto => looks_like_libsvm(self.lines()),
            Format::Delimited => false,
            Format::Libsvm => true,
        }
    }

    /// The sample without its last line, which may be incomplete, unless it has only that.
    fn lines(&self) -> &[u8] {
        match self.sample.iter().rposition(|&byte| byte == b'\n') {
            Some(end) if !self.complete => &self.sample[..end],
            _ => &self.sample,
        }
    }

    /// The whole text.
    pub(crate) fn into_reader(self) -> impl Read + 'static {
        io::Cursor::new(self.sample).chain(self.rest)
    }
}

/// Whether the first line with more than a label begins with `number something:something`. A second
/// token with two colons may be a time of day or a mistake, so the next lines decide. A table that
/// begins with a column of numbers and one like `something:something` needs `--format`.
fn looks_like_libsvm(sample: &[u8]) -> bool {
    for line in sample.split(|&byte| byte == b'\n') {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let mut tokens = line.split(u8::is_ascii_whitespace).filter(|token| !token.is_empty());
        let label = tokens.next();
        if let (Some(label), Some(second)) = (label, tokens.next()) {
            let colons = second.iter().filter(|&&byte| byte == b':').count();
            let number = std::str::from_utf8(label).is_ok_and(|text| text.parse::<f64>().is_ok());
            if !(number && colons == 2) {
                return number && colons == 1;
            }
        }
    }
    false
}

/// Describes a read error; the usual ones without the operating system's error number.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_a_feature_tells_the_format() {
        let libsvm = [
            "1 1:2",
            "-1\t7:0.5 9:1\n",
            "# made by hand\n\n+1\n0 3:1 # ok",
            "2 a:1",
            "1 qid:3 1:1",
            "+1 1:2:3\n-1 2:1\n",
        ];
        for text in libsvm {
            assert!(looks_like_libsvm(text.as_bytes()), "{text}");
        }
        let delimited =
            ["1 2 3", "a b\n1 1:2", "1,1:2", "1 12:30:00\n2 12:31:00\n", "1\n2\n", "", "1;2:3 4:5"];
        for text in delimited {
            assert!(!looks_like_libsvm(text.as_bytes()), "{text}");
        }
    }
}
