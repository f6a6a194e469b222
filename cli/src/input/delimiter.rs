//! The separator of a text file's columns, detected from its first lines.

use std::io::{self, Read};

/// How many lines are examined.
const LINES: usize = 50;

/// A column separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Tab,
    Semicolon,
    Comma,
    /// A run of spaces and tabs counts as one.
    Blanks,
}

impl Delimiter {
    /// In order of preference: names in a file of tabs may contain commas, and names in a file of
    /// commas may contain blanks, but rarely the other way round.
    const ALL: [Self; 4] = [Self::Tab, Self::Semicolon, Self::Comma, Self::Blanks];

    /// The delimiter that splits the most lines of `sample` into as many pieces as the first line.
    /// If the sample is the whole file (`complete`), its last line is whole.
    pub(crate) fn detect(sample: &[u8], complete: bool) -> Self {
        let mut lines: Vec<&[u8]> = sample.split(|&byte| byte == b'\n').collect();
        if !complete && lines.len() > 1 {
            lines.pop();
        }
        lines.retain(|line| !line.trim_ascii().is_empty());
        lines.truncate(LINES);
        let agreement = |delimiter: Self| {
            let counts: Vec<usize> = lines.iter().map(|line| delimiter.count(line)).collect();
            let first = counts.first().copied().unwrap_or(0);
            counts.iter().filter(|&&count| count == first && count > 0).count()
        };
        let mut best = (0, Self::Comma);
        for delimiter in Self::ALL {
            let score = agreement(delimiter);
            if score > best.0 {
                best = (score, delimiter);
            }
        }
        best.1
    }

    /// How often it occurs in `line`, outside quotation marks.
    fn count(self, line: &[u8]) -> usize {
        let mut quoted = false;
        let mut count = 0;
        let mut previous_blank = false;
        for &byte in line.trim_ascii() {
            quoted ^= byte == b'"';
            let blank = byte == b' ' || byte == b'\t';
            let separates = match self {
                Self::Blanks => blank && !previous_blank,
                Self::Tab | Self::Semicolon | Self::Comma => byte == self.byte(),
            };
            count += usize::from(separates && !quoted);
            previous_blank = blank;
        }
        count
    }

    /// The byte between two columns; for blanks, after [`SingleBlanks`].
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Tab => b'\t',
            Self::Semicolon => b';',
            Self::Comma => b',',
            Self::Blanks => b' ',
        }
    }
}

/// Reads text with every run of blanks replaced by one space, and without blanks at the ends of a
/// line.
pub(crate) struct SingleBlanks<R> {
    inner: R,
    input: Vec<u8>,
    /// Squeezed text; the first `served` bytes have been read.
    output: Vec<u8>,
    served: usize,
    /// A blank is due before the next byte of this line.
    pending: bool,
    at_line_start: bool,
    quoted: bool,
}

impl<R: Read> SingleBlanks<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            input: vec![0; 1 << 16],
            output: Vec::new(),
            served: 0,
            pending: false,
            at_line_start: true,
            quoted: false,
        }
    }

    /// Squeezes the next part of the text into `output`, which stays empty only at the end.
    fn refill(&mut self) -> io::Result<()> {
        self.output.clear();
        self.served = 0;
        while self.output.is_empty() {
            let count = self.inner.read(&mut self.input)?;
            if count == 0 {
                break;
            }
            for &byte in &self.input[..count] {
                if (byte == b' ' || byte == b'\t') && !self.quoted {
                    self.pending = true;
                    continue;
                }
                let line_end = byte == b'\n' || byte == b'\r';
                if self.pending && !line_end && !self.at_line_start {
                    self.output.push(b' ');
                }
                self.pending = false;
                self.at_line_start = line_end;
                self.quoted ^= byte == b'"';
                self.output.push(byte);
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for SingleBlanks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.served == self.output.len() {
            self.refill()?;
        }
        let count = (&self.output[self.served..]).read(buffer)?;
        self.served += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delimiter_is_found() {
        let cases: [(&[u8], Delimiter); 9] = [
            (b"1,2,3\n4,5,6\n", Delimiter::Comma),
            (b"1, 2, 3\n4, 5, 6\n", Delimiter::Comma),
            (b"1\t2\t3\r\n4\t5\t6\r\n", Delimiter::Tab),
            (b"1;2;3\n4;5;6\n", Delimiter::Semicolon),
            (b"1,5;2,5\n1,5;3,5\n", Delimiter::Semicolon),
            (b"  1   2  3\n 10  20 30\n", Delimiter::Blanks),
            (b"span [m]\tchord, mean [m]\n1\t2\n", Delimiter::Tab),
            (b"wing span,chord\n1,2\n3,4\n", Delimiter::Comma),
            (b"7\n8\n", Delimiter::Comma),
        ];
        for (sample, expected) in cases {
            let text = String::from_utf8_lossy(sample);
            assert_eq!(Delimiter::detect(sample, true), expected, "{text}");
        }
    }

    #[test]
    fn quotation_marks_hide_delimiters() {
        assert_eq!(Delimiter::detect(b"\"a;b\",\"c;d\"\n1,2\n", true), Delimiter::Comma);
    }

    /// The sample ends in the middle of a line, which would count one comma too few.
    #[test]
    fn a_cut_line_does_not_count() {
        assert_eq!(Delimiter::detect(b"1 2,3\n4", false), Delimiter::Comma);
    }

    #[test]
    fn blanks_are_squeezed_across_reads() {
        // The hardest case: one byte at a time.
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.0.len().min(1);
                (&self.0[..count]).read(&mut buffer[..count]).inspect(|_| self.0 = &self.0[count..])
            }
        }
        let text = b"  1 \t 2   \r\n\n \"a  b\"  3";
        let mut squeezed = String::new();
        SingleBlanks::new(Drip(text)).read_to_string(&mut squeezed).unwrap();
        assert_eq!(squeezed, "1 2\r\n\n\"a  b\" 3");
    }
}
