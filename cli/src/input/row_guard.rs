//! Checks delimited text before it is parsed: text after a closing quotation mark is an error, and
//! so is a row that does not fit in memory.

use std::io::{self, Read};

use crate::memory::{self, OutOfMemory};

/// Rows up to this length are assumed to fit in memory.
const SHORT_ROW: usize = 1 << 20;
/// The maximum length of the text that an error quotes.
const SHOWN_BYTES: usize = 40;

/// Why the text ends before the file does. It is inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowFault {
    #[error("text after a closing quotation mark")]
    StrayQuote {
        /// The line and the column, counted from 1.
        line: u64,
        column: usize,
        /// The field with its quotation marks, if it is not too long.
        text: String,
    },
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Where a field may begin with a quotation mark.
    Start,
    Plain,
    Quoted,
    /// After a quotation mark that closes, or is the first of two.
    Closed,
    /// After that and blanks.
    Blanks,
}

/// Passes text through until a fault.
pub(super) struct RowGuard<R> {
    inner: R,
    delimiter: u8,
    state: State,
    /// The place, counted from 0.
    line: u64,
    column: usize,
    /// How long the row is so far, and up to which length there is memory for it.
    row: usize,
    allowed: usize,
    /// The beginning of the field, if that is quoted.
    field: Vec<u8>,
    fault: Option<RowFault>,
}

impl<R: Read> RowGuard<R> {
    pub(super) fn new(inner: R, delimiter: u8) -> Self {
        let (line, column, row, allowed) = (0, 0, 0, SHORT_ROW);
        let (state, field, fault) = (State::Start, Vec::new(), None);
        Self { inner, delimiter, state, line, column, row, allowed, field, fault }
    }

    /// Takes the next part of the text; returns how much of it comes before a fault.
    fn take(&mut self, part: &[u8]) -> usize {
        let is_quoted = matches!(self.state, State::Quoted | State::Closed | State::Blanks);
        if !is_quoted && !part.contains(&b'"') {
            self.take_plain(part);
            return part.len();
        }
        for (index, &byte) in part.iter().enumerate() {
            if !self.take_byte(byte) {
                let rest = &part[index..];
                let end = rest.iter().position(|&byte| self.ends_field(byte));
                let end = end.unwrap_or(rest.len()).min(SHOWN_BYTES);
                self.field.extend_from_slice(&rest[..end]);
                let text = String::from_utf8_lossy(&self.field).into_owned();
                let (line, column) = (self.line + 1, self.column + 1);
                self.fault = Some(RowFault::StrayQuote { line, column, text });
                return index;
            }
        }
        part.len()
    }

    /// Takes text that has no quotation marks and is not within any.
    fn take_plain(&mut self, part: &[u8]) {
        let Some(&last) = part.last() else { return };
        let count = |part: &[u8], byte| part.iter().filter(|&&found| found == byte).count();
        let behind = match part.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => {
                self.line += count(part, b'\n') as u64;
                (self.column, self.row) = (0, 0);
                &part[end + 1..]
            }
            None => part,
        };
        self.column += count(behind, self.delimiter);
        self.row += behind.len();
        self.state = if self.ends_field(last) { State::Start } else { State::Plain };
    }

    /// Takes one byte; false if it is not allowed there.
    fn take_byte(&mut self, byte: u8) -> bool {
        self.row += 1;
        match self.state {
            State::Quoted => {
                if byte == b'"' {
                    self.state = State::Closed;
                } else if byte == b'\n' {
                    self.line += 1;
                }
            }
            State::Closed if byte == b'"' => self.state = State::Quoted,
            State::Start if byte == b'"' => {
                self.state = State::Quoted;
                self.field.clear();
            }
            _ if byte == b'\n' => {
                (self.line, self.column, self.row) = (self.line + 1, 0, 0);
                self.state = State::Start;
                return true;
            }
            _ if byte == self.delimiter => {
                self.column += 1;
                self.state = State::Start;
                return true;
            }
            State::Closed | State::Blanks => {
                if !byte.is_ascii_whitespace() {
                    return false;
                }
                self.state = State::Blanks;
            }
            State::Start | State::Plain => self.state = State::Plain,
        }
        if self.state != State::Plain && self.field.len() < SHOWN_BYTES {
            self.field.push(byte);
        }
        true
    }

    fn ends_field(&self, byte: u8) -> bool {
        byte == b'\n' || byte == self.delimiter
    }

    /// Whether there is memory for the row so far: for the parser, whose vectors double, and for the
    /// names of the columns.
    fn check_memory(&mut self) -> Result<(), OutOfMemory> {
        if self.row <= self.allowed {
            return Ok(());
        }
        let bytes = self.row.saturating_mul(6).saturating_add(self.column.saturating_mul(160));
        memory::check::<u8>(bytes, || format!("the columns of line {}", self.line + 1))?;
        self.allowed = self.row.saturating_mul(2);
        Ok(())
    }
}

impl<R: Read> Read for RowGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(fault) = self.fault.take() {
            return Err(io::Error::other(fault));
        }
        let count = self.inner.read(buffer)?;
        let sound = self.take(&buffer[..count]);
        self.check_memory().map_err(|error| io::Error::other(RowFault::from(error)))?;
        match self.fault.take() {
            Some(fault) if sound == 0 => Err(io::Error::other(fault)),
            // Pass on the rows before the fault first, since they may have errors of their own.
            fault => {
                self.fault = fault;
                Ok(sound)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in parts of `size` bytes; returns what was passed through and the fault.
    fn read(text: &str, size: usize) -> (String, Option<(u64, usize, String)>) {
        let mut guard = RowGuard::new(text.as_bytes(), b',');
        let (mut passed, mut part) = (Vec::new(), vec![0; size]);
        loop {
            match guard.read(&mut part) {
                Ok(0) => return (String::from_utf8(passed).unwrap(), None),
                Ok(count) => passed.extend_from_slice(&part[..count]),
                Err(error) => match *error.into_inner().unwrap().downcast().unwrap() {
                    RowFault::StrayQuote { line, column, text } => {
                        return (String::from_utf8(passed).unwrap(), Some((line, column, text)));
                    }
                    RowFault::Memory(error) => panic!("{error}"),
                },
            }
        }
    }

    #[test]
    fn text_behind_a_closing_mark_is_found_wherever_the_parts_end() {
        let cases = [
            ("1,\"2\"3,4\n", 5, (1, 2, "\"2\"3")),
            ("a,b\n\n\"x\ny\",\"\"\"2\"\"\" \"\n", 19, (4, 2, "\"\"\"2\"\"\" \"")),
            ("5\",6\n7,8\n9,1,\"2\"\t3\n", 17, (3, 3, "\"2\"\t3")),
        ];
        for (text, end, (line, column, field)) in cases {
            for size in [1, 3, 64] {
                let (passed, fault) = read(text, size);
                let (found_line, found_column, found) = fault.unwrap();
                assert_eq!((found_line, found_column), (line, column), "{text}");
                // Small parts cut the text that is shown.
                assert!(field.starts_with(&found) && (size < 64 || field == found), "{found}");
                assert_eq!(passed, text[..end], "{text}");
            }
        }
    }

    #[test]
    fn sound_rows_pass() {
        let texts = [
            "",
            "1,2\n",
            "\"a\"\"b\",\"c,d\ne\" ,f\r\n\"g\"\r\n\"\",\"\"",
            "5\" pipe,6\" pipe\n x \"y\" z,1\n",
            "\"open, and\n\"\"never closed\n",
        ];
        for text in texts {
            for size in [1, 3, 64] {
                assert_eq!(read(text, size), (text.to_owned(), None));
            }
        }
    }
}
