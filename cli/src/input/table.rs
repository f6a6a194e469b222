//! Tables of numbers in delimited text. The delimiter and the header are detected from the first
//! lines. Rows are parsed as they are read, so that memory holds only the numbers, not the text.

mod error;

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use ndarray::{Array1, Array2};

use crate::input::classes::{ClassCollector, Classes, Label, TooFewClasses};
use crate::input::delimiter::{Delimiter, SingleBlanks};
use crate::input::row_guard::{RowFault, RowGuard};
use crate::input::text_file::{TextFile, TextFileError};
use crate::interrupt;
use crate::memory::{grow, with_room};
use crate::output::text::printable;
pub(crate) use error::TableError;

/// Rows between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 4096;
/// The maximum length of the text that an error quotes.
const SHOWN_CHARACTERS: usize = 40;

/// An open table whose columns are known and whose rows are yet to be read.
pub(crate) struct Table {
    path: PathBuf,
    names: Vec<String>,
    has_header: bool,
    /// The line of the header or of the first row, counted from 1.
    first_line: u64,
    /// The first row, where there is no header: it has been read already.
    first_row: Option<ByteRecord>,
    reader: csv::Reader<Source>,
    /// Estimated from the size of the file and the length of its first lines.
    expected_rows: usize,
}

impl Table {
    /// Detects the columns of an open file.
    pub(crate) fn new(file: TextFile) -> Result<Self, TableError> {
        let expected_rows = expected_rows(&file.sample, file.bytes);
        let delimiter = Delimiter::detect(&file.sample, file.complete);
        let path = file.path.clone();
        Self::from_reader(&path, reader(delimiter, file.into_reader()), expected_rows)
    }

    fn from_reader(
        path: &Path,
        mut reader: csv::Reader<Source>,
        expected_rows: usize,
    ) -> Result<Self, TableError> {
        let path = path.to_owned();
        let mut first = ByteRecord::new();
        if !next_row(&path, &mut reader, &mut first)? {
            return Err(TableError::Empty { path });
        }
        let first_line = line_of(&reader, &first);
        let has_header = is_header(&first);
        let names: Vec<String> =
            first.iter().enumerate().map(|(index, field)| name(index, field, has_header)).collect();
        let first_row = (!has_header).then_some(first);
        Ok(Self { path, names, has_header, first_line, first_row, reader, expected_rows })
    }

    /// The name of each column: of the header, or `x` with its index, counted from 0.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Checks that no two of the columns whose names `matter` have the same name.
    ///
    /// # Errors
    /// [`TableError::SameName`] for the first such pair.
    pub(crate) fn refuse_same_names(
        &self,
        matters: impl Fn(&str) -> bool,
    ) -> Result<(), TableError> {
        let mut seen = HashMap::with_capacity(self.names.len());
        for (index, name) in self.names.iter().enumerate() {
            if let Some(first) = seen.insert(name, index)
                && matters(name)
            {
                return Err(TableError::SameName {
                    path: self.path.clone(),
                    line: self.first_line,
                    first: first + 1,
                    second: index + 1,
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whether the first line is a header.
    pub(crate) fn has_header(&self) -> bool {
        self.has_header
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all rows: the columns `features`, in this order, as a matrix of one row each, and
    /// the column `target`, which stays empty without one. Other columns may hold anything.
    pub(crate) fn read(
        self,
        features: &[usize],
        target: Option<usize>,
    ) -> Result<(Array2<f32>, Array1<f32>), TableError> {
        self.read_with(features, target, |table, record, column| table.number(record, column))
    }

    /// The same with a target of two classes, numbers or names: its values are 0 and 1.
    pub(crate) fn read_classes(
        self,
        features: &[usize],
        target: usize,
    ) -> Result<(Array2<f32>, Array1<f32>, Classes), TableError> {
        let path = self.path.clone();
        let mut collector = ClassCollector::default();
        let (features, mut target) =
            self.read_with(features, Some(target), |table, record, column| {
                let label = table.label(record, column)?;
                collector.number(label.clone()).map_err(|[first, second]| TableError::ThirdClass {
                    path: table.path.clone(),
                    line: line_of(&table.reader, record),
                    column: column + 1,
                    label,
                    first: first.clone(),
                    second: second.clone(),
                })
            })?;
        let targets = target.as_slice_mut().unwrap_or_default();
        let classes = collector.finish(targets).map_err(|only| TooFewClasses { path, only })?;
        Ok((features, target, classes))
    }

    /// Reads all rows; `answer` computes the target from a row and the target's column.
    fn read_with(
        mut self,
        features: &[usize],
        target: Option<usize>,
        mut answer: impl FnMut(&Self, &ByteRecord, usize) -> Result<f32, TableError>,
    ) -> Result<(Array2<f32>, Array1<f32>), TableError> {
        let mut rows = 0;
        let expected = self.expected_rows;
        let about = || format!("about {expected} rows of {}", self.path.display());
        let mut matrix: Vec<f32> = with_room(expected.saturating_mul(features.len()), about)?;
        let answers_per_row = usize::from(target.is_some());
        let mut answers: Vec<f32> = with_room(expected * answers_per_row, about)?;
        let mut record = self.first_row.take().unwrap_or_default();
        let mut ready = !self.has_header || next_row(&self.path, &mut self.reader, &mut record)?;
        while ready {
            self.check_width(&record)?;
            let more = || format!("more than {rows} rows of {}", self.path.display());
            grow(&mut matrix, features.len(), more)?;
            grow(&mut answers, answers_per_row, more)?;
            for &column in features {
                matrix.push(self.number(&record, column)?);
            }
            if let Some(column) = target {
                answers.push(answer(&self, &record, column)?);
            }
            rows += 1;
            if rows % ROWS_PER_CHECK == 0 {
                interrupt::check()?;
            }
            ready = next_row(&self.path, &mut self.reader, &mut record)?;
        }
        if rows == 0 {
            return Err(TableError::HeaderOnly { path: self.path, line: self.first_line });
        }
        let matrix = Array2::from_shape_vec((rows, features.len()), matrix)?;
        Ok((matrix, Array1::from_vec(answers)))
    }

    fn check_width(&self, record: &ByteRecord) -> Result<(), TableError> {
        let (found, expected) = (record.len(), self.names.len());
        if found == expected {
            return Ok(());
        }
        let hint = if record[0].starts_with(b"#") || self.names[0].starts_with('#') {
            "comments are not supported: delete lines that begin with #"
        } else if found == expected + 1 && record[found - 1].is_empty() {
            "delete the separator at the end of the line"
        } else {
            "add or remove values, or delete the line"
        };
        let (path, line) = (self.path.clone(), line_of(&self.reader, record));
        Err(TableError::Ragged { path, line, found, first: self.first_line, expected, hint })
    }

    #[inline]
    fn number(&self, record: &ByteRecord, column: usize) -> Result<f32, TableError> {
        let field = record[column].trim_ascii();
        match parse(field) {
            Some(value) if value.is_finite() => Ok(value),
            parsed => Err(self.not_a_number(record, column, parsed)),
        }
    }

    /// The class that a field names. A placeholder for a missing value is an error.
    fn label(&self, record: &ByteRecord, column: usize) -> Result<Label, TableError> {
        let field = record[column].trim_ascii();
        match parse(field) {
            None if !field.is_empty() => Ok(Label::parse(&String::from_utf8_lossy(field))),
            Some(value) if value.is_finite() => Ok(Label::number(value)),
            parsed => Err(self.not_a_number(record, column, parsed)),
        }
    }

    #[cold]
    fn not_a_number(&self, row: &ByteRecord, column: usize, parsed: Option<f32>) -> TableError {
        let field = row[column].trim_ascii();
        let text = String::from_utf8_lossy(field);
        let problem = if field.is_empty() {
            "is not a number: fill the value in, or delete the line"
        } else if parsed.is_some_and(f32::is_nan) {
            "stands for a missing value: fill it in, or delete the line"
        } else if parsed.is_some() && text.contains(|character: char| character.is_ascii_digit()) {
            "is beyond the largest number that fits (3.4e38): scale the column"
        } else if parsed.is_some() {
            "is infinite: give a finite number, or delete the line"
        } else if parse(text.replace(',', ".").as_bytes()).is_some() {
            "is not a number: write a decimal point instead of the comma"
        } else {
            "is not a number: correct it, or delete the line or the column"
        };
        let mut shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
        if shown.len() < text.len() {
            shown.push_str("...");
        }
        TableError::NotANumber {
            path: self.path.clone(),
            line: line_of(&self.reader, row),
            column: column + 1,
            name: printable(&self.names[column]),
            text: format!("{shown:?}"),
            problem,
        }
    }
}

/// A reader that records whether it has reached the end.
struct Source {
    text: Box<dyn Read>,
    ended: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        self.ended = count == 0;
        Ok(count)
    }
}

/// A csv reader that leaves row lengths, the header and trimming to this module.
fn reader(delimiter: Delimiter, text: impl Read + 'static) -> csv::Reader<Source> {
    // With a line end after the last row too, the reader's position is always after the row's line.
    let text = text.chain(io::Cursor::new(b"\n"));
    let text: Box<dyn Read> = match delimiter {
        Delimiter::Blanks => Box::new(SingleBlanks::new(text)),
        Delimiter::Tab | Delimiter::Semicolon | Delimiter::Comma => Box::new(text),
    };
    let text: Box<dyn Read> = Box::new(RowGuard::new(text, delimiter.byte()));
    csv::ReaderBuilder::new()
        .delimiter(delimiter.byte())
        // A carriage return before it is trimmed with the last field.
        .terminator(csv::Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 18)
        .from_reader(Source { text, ended: false })
}

/// Reads the next row that is not blank; false at the end.
fn next_row(
    path: &Path,
    reader: &mut csv::Reader<Source>,
    record: &mut ByteRecord,
) -> Result<bool, TableError> {
    loop {
        match reader.read_byte_record(record) {
            Ok(false) => return Ok(false),
            Ok(true) if record.len() == 1 && record[0].trim_ascii().is_empty() => {}
            Ok(true) if is_unclosed(reader, record) => {
                // No line end follows this row, so there is none to subtract.
                let line = reader.position().line() - line_ends(record);
                return Err(TableError::Unclosed { path: path.to_owned(), line });
            }
            Ok(true) => return Ok(true),
            Err(error) => return Err(fault(path, error)),
        }
    }
}

/// Why no row could be read.
fn fault(path: &Path, error: csv::Error) -> TableError {
    let reason = error.to_string();
    let unreadable = TextFileError::Unreadable { path: path.to_owned(), reason }.into();
    let csv::ErrorKind::Io(error) = error.into_kind() else { return unreadable };
    match error.into_inner().map(|fault| fault.downcast()) {
        Some(Ok(fault)) => match *fault {
            RowFault::StrayQuote { line, column, text } => {
                TableError::StrayQuote { path: path.to_owned(), line, column, text }
            }
            RowFault::Memory(error) => error.into(),
        },
        _ => unreadable,
    }
}

/// The line on which the row that was just read begins. The csv crate counts a row's line from the
/// blank lines before it, so this counts back from the line after it.
fn line_of(reader: &csv::Reader<Source>, row: &ByteRecord) -> u64 {
    reader.position().line() - 1 - line_ends(row)
}

/// How many line ends are within quotation marks.
fn line_ends(row: &ByteRecord) -> u64 {
    row.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Whether a quotation mark is open at the end of the file: then the line end that [`reader`]
/// appends is within quotation marks.
fn is_unclosed(reader: &csv::Reader<Source>, row: &ByteRecord) -> bool {
    reader.get_ref().ended && row.as_slice().ends_with(b"\n")
}

/// A first row without any number is a header. A row with numbers and text is read as data, so that
/// a wrong value in the first row is an error rather than a column's name.
fn is_header(first: &ByteRecord) -> bool {
    first.iter().all(|field| parse(field.trim_ascii()).is_none())
}

fn name(index: usize, field: &[u8], has_header: bool) -> String {
    let field = String::from_utf8_lossy(field.trim_ascii()).into_owned();
    if has_header && !field.is_empty() { field } else { format!("x{index}") }
}

fn parse(field: &[u8]) -> Option<f32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn expected_rows(sample: &[u8], bytes: u64) -> usize {
    let lines = sample.iter().filter(|&&byte| byte == b'\n').count().max(1);
    // A little more than proportional: growing the vector later would double it.
    let rows = bytes as f64 / sample.len().max(1) as f64 * lines as f64 * 1.02;
    rows as usize + 1
}

#[cfg(test)]
mod tests;
