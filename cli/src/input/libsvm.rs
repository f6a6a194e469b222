//! Reading LIBSVM (SVMlight) text: rows of `label index:value index:value ... # comment`. Indices
//! start at 1 and ascend; features of value 0 may be left out, and a row may have none. `qid:N`
//! after a label, which groups rows for ranking, is skipped, and so are blank lines and comments.
//!
//! The text is read in pieces of a few megabytes, cut between lines, which threads parse in
//! parallel. Memory holds only the numbers, not the text.

mod parse;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ndarray::Array1;
use rayon::prelude::*;
use wgpu_optim::data::{DataError, SparseDataset};

pub(crate) use self::parse::MAX_FEATURES;
use self::parse::{ParseFault, Piece, parse};
use crate::input::classes::{ClassCollector, Classes, Label, TooFewClasses};
use crate::input::text_file::{TextFile, TextFileError};
use crate::interrupt::{self, Interrupted};
use crate::memory::{OutOfMemory, grow};

/// Text that one thread parses at a time.
const PIECE_BYTES: usize = 1 << 22;

/// Why LIBSVM text could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibsvmError {
    #[error(transparent)]
    Text(#[from] TextFileError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error(transparent)]
    TooFewClasses(#[from] TooFewClasses),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{}, line {line}, byte {byte}: {text:?} {fault}", path.display())]
    Token { path: PathBuf, line: u64, byte: usize, text: String, fault: ParseFault },
    #[error("{}: there is no row: give lines of `label index:value ...`", path.display())]
    NoRows { path: PathBuf },
    #[error("{}: no row has a feature: there is nothing to learn from", path.display())]
    NoFeatures { path: PathBuf },
    #[error(
        "{}, line {line}: {label} is a third class, besides {first} and {second}: the logistic \
         loss takes two; delete the rows of other classes, or use --loss squared",
        path.display()
    )]
    ThirdClass { path: PathBuf, line: u64, label: Label, first: Label, second: Label },
}

impl LibsvmError {
    /// Whether the run failed, rather than the input being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        match self {
            Self::Interrupted(_) | Self::OutOfMemory(_) => true,
            Self::Text(error) => error.run_failed(),
            _ => false,
        }
    }
}

/// The content of a file.
pub(crate) struct SparseText {
    path: PathBuf,
    /// The largest index, which is the number of features.
    features: u32,
    starts: Vec<usize>,
    entries: Vec<u32>,
    values: Vec<f32>,
    /// Labels as in the file; class numbers after [`SparseText::classify`].
    labels: Vec<f32>,
    /// The first labels that differ, at most three, with their lines.
    classes: Vec<(f32, u64)>,
}

impl SparseText {
    /// Reads the whole file.
    pub(crate) fn read(file: TextFile) -> Result<Self, LibsvmError> {
        let path = file.path.clone();
        let bytes = file.bytes;
        let mut pieces = Pieces::new(file.into_reader())?;
        let mut text = Self {
            path: path.clone(),
            features: 0,
            starts: vec![0],
            entries: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
            classes: Vec::new(),
        };
        let mut lines = 0;
        while pieces.fill(&path)? {
            interrupt::check()?;
            let parts = pieces.parts();
            let parsed: Vec<Piece> = parts.into_par_iter().map(parse).collect();
            if text.labels.is_empty() {
                text.reserve(&parsed, pieces.whole, bytes)?;
            }
            for piece in parsed {
                text.add(piece, &mut lines)?;
            }
        }
        if text.labels.is_empty() {
            return Err(LibsvmError::NoRows { path });
        }
        Ok(text)
    }

    /// Reserves memory for a file of `bytes` bytes, of which the first `whole` are `parsed`.
    fn reserve(&mut self, parsed: &[Piece], whole: usize, bytes: u64) -> Result<(), LibsvmError> {
        // A little more than proportional: growing a vector later would double it.
        let share = bytes as f64 / whole.max(1) as f64 * 1.02;
        let expected = |count: usize| (count as f64 * share) as usize;
        let entries = expected(parsed.iter().map(|piece| piece.entries.len()).sum());
        let rows = expected(parsed.iter().map(|piece| piece.ends.len()).sum());
        let path = self.path.clone();
        Ok(self.grow(entries, rows, || format!("about {rows} rows of {}", path.display()))?)
    }

    /// Reserves memory for more entries and rows.
    fn grow(
        &mut self,
        entries: usize,
        rows: usize,
        what: impl Fn() -> String,
    ) -> Result<(), OutOfMemory> {
        grow(&mut self.entries, entries, &what)?;
        grow(&mut self.values, entries, &what)?;
        grow(&mut self.starts, rows, &what)?;
        grow(&mut self.labels, rows, &what)
    }

    /// Appends the rows of the next piece; `lines` counts the lines before it.
    fn add(&mut self, piece: Piece, lines: &mut u64) -> Result<(), LibsvmError> {
        let (path, rows) = (self.path.clone(), self.labels.len() + piece.labels.len());
        let more = || format!("more than {rows} rows of {}", path.display());
        if let Some(fault) = piece.fault {
            if fault.kind == ParseFault::OutOfMemory {
                let words = 2 * (self.entries.len() + piece.entries.len()) + 3 * rows;
                return Err(OutOfMemory::of::<u32>(words, more()).into());
            }
            let line = *lines + fault.line;
            let (path, byte, text) = (self.path.clone(), fault.byte, fault.text);
            return Err(LibsvmError::Token { path, line, byte, text, fault: fault.kind });
        }
        for (label, line) in piece.classes {
            if self.classes.len() < 3 && self.classes.iter().all(|&(known, _)| known != label) {
                self.classes.push((label, *lines + line));
            }
        }
        *lines += piece.lines;
        self.grow(piece.entries.len(), piece.ends.len(), more)?;
        let before = self.entries.len();
        self.features = self.features.max(piece.features);
        self.starts.extend(piece.ends.iter().map(|end| before + end));
        self.entries.extend_from_slice(&piece.entries);
        self.values.extend_from_slice(&piece.values);
        self.labels.extend_from_slice(&piece.labels);
        Ok(())
    }

    /// Numbers the labels as classes.
    ///
    /// # Errors
    /// [`LibsvmError::ThirdClass`]; with fewer than two classes, [`LibsvmError::TooFewClasses`].
    pub(crate) fn classify(&mut self) -> Result<Classes, LibsvmError> {
        let mut collector = ClassCollector::default();
        for &(label, line) in &self.classes {
            let label = Label::number(label);
            if let Err([first, second]) = collector.number(label.clone()) {
                let (path, first, second) = (self.path.clone(), first.clone(), second.clone());
                return Err(LibsvmError::ThirdClass { path, line, label, first, second });
            }
        }
        let first = self.classes.first().map_or(0.0, |&(label, _)| label);
        let number = |label: &mut f32| *label = f32::from(u8::from(*label != first));
        self.labels.iter_mut().for_each(number);
        let path = self.path.clone();
        Ok(collector.finish(&mut self.labels).map_err(|only| TooFewClasses { path, only })?)
    }

    /// The rows as a dataset of `features` columns, by default of as many as occur. Values of
    /// features beyond these are left out; their number is returned.
    pub(crate) fn into_dataset(
        mut self,
        features: Option<usize>,
    ) -> Result<(SparseDataset, usize), LibsvmError> {
        let columns = features.unwrap_or(self.features as usize);
        if columns == 0 {
            return Err(LibsvmError::NoFeatures { path: self.path });
        }
        let dropped = if self.features as usize > columns { self.keep(columns) } else { 0 };
        let target = Array1::from_vec(self.labels);
        let dataset = SparseDataset::new(columns, self.starts, self.entries, self.values, target)?;
        Ok((dataset, dropped))
    }

    /// Removes the features from index `columns` on, counted from 0, which are the ends of rows.
    /// Returns how many values were removed.
    fn keep(&mut self, columns: usize) -> usize {
        let (mut kept, mut start) = (0, 0);
        for end in &mut self.starts[1..] {
            let row = start..*end;
            let known =
                self.entries[row.clone()].partition_point(|&entry| (entry as usize) < columns);
            self.entries.copy_within(row.start..row.start + known, kept);
            self.values.copy_within(row.start..row.start + known, kept);
            kept += known;
            start = row.end;
            *end = kept;
        }
        let dropped = self.entries.len() - kept;
        self.entries.truncate(kept);
        self.values.truncate(kept);
        dropped
    }
}

/// Text from a reader, in portions of whole lines.
struct Pieces<R> {
    reader: R,
    buffer: Vec<u8>,
    /// How much of the buffer is filled, and how much of that is whole lines.
    filled: usize,
    whole: usize,
    ended: bool,
}

impl<R: Read> Pieces<R> {
    fn new(reader: R) -> Result<Self, OutOfMemory> {
        let mut pieces = Self { reader, buffer: Vec::new(), filled: 0, whole: 0, ended: false };
        pieces.enlarge(PIECE_BYTES * rayon::current_num_threads())?;
        Ok(pieces)
    }

    /// Enlarges the buffer to `len` bytes.
    fn enlarge(&mut self, len: usize) -> Result<(), OutOfMemory> {
        let additional = len - self.buffer.len();
        grow(&mut self.buffer, additional, || format!("lines of more than {} bytes", self.filled))?;
        self.buffer.resize(len, 0);
        Ok(())
    }

    /// Reads the next portion of the file at `path`; false if there is none.
    fn fill(&mut self, path: &Path) -> Result<bool, LibsvmError> {
        self.buffer.copy_within(self.whole..self.filled, 0);
        self.filled -= self.whole;
        self.whole = 0;
        while !self.ended && self.whole == 0 {
            if self.filled == self.buffer.len() {
                self.enlarge(2 * self.filled)?; // a line longer than the buffer
            }
            let fresh = self.filled;
            while !self.ended && self.filled < self.buffer.len() {
                match self.reader.read(&mut self.buffer[self.filled..]) {
                    Ok(count) => {
                        self.ended = count == 0;
                        self.filled += count;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(TextFileError::unreadable(path, &error).into()),
                }
            }
            let line_end = self.buffer[fresh..self.filled].iter().rposition(|&byte| byte == b'\n');
            self.whole = line_end.map_or(0, |end| fresh + end + 1);
        }
        if self.ended {
            self.whole = self.filled;
        }
        Ok(self.whole > 0)
    }

    /// The portion, cut between lines into a part for each thread.
    fn parts(&self) -> Vec<&[u8]> {
        let mut rest = &self.buffer[..self.whole];
        let mut parts = Vec::new();
        let size = self.whole.div_ceil(rayon::current_num_threads());
        while rest.len() > size {
            let Some(end) = rest[size..].iter().position(|&byte| byte == b'\n') else { break };
            let (part, behind) = rest.split_at(size + end + 1);
            parts.push(part);
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        parts
    }
}

#[cfg(test)]
mod tests;
