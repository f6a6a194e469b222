//! A record: lines about the machine, then one table with a row for everything that was found.

use std::io::Write;
use std::path::Path;

use crate::{PARTS, Result};

/// The columns of the table; README.md says what they hold.
pub(crate) const COLUMNS: [&str; 13] = [
    "part",
    "case",
    "elements",
    "contestant",
    "mode",
    "status",
    "rounds",
    "seconds",
    "seconds_min",
    "seconds_max",
    "gigabytes_per_second",
    "check",
    "detail",
];
const PART: usize = 0;
const CASE: usize = 1;
const ELEMENTS: usize = 2;
const STATUS: usize = 5;
const SECONDS: usize = 7;
/// From `rounds` to `check`.
const NUMBERS: std::ops::Range<usize> = 6..12;

/// The case of the row that ends each part.
pub(crate) const WHOLE: &str = "whole part";

/// The outcome of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Status {
    /// It has a time, and nothing was found wrong.
    Measured,
    Passed,
    Failed,
    /// A check that does not apply to the device.
    Ignored,
    /// There was not enough time.
    Timeout,
    /// The machine or the bundle lacks what it needs.
    Absent,
}

impl Status {
    const ALL: [Self; 6] =
        [Self::Measured, Self::Passed, Self::Failed, Self::Ignored, Self::Timeout, Self::Absent];

    fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
            Self::Timeout => "timeout",
            Self::Absent => "absent",
        }
    }
}

/// Seconds over several rounds.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    rounds: usize,
    median: f64,
    min: f64,
    max: f64,
}

impl Times {
    /// None if there was no round.
    pub(crate) fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let (&min, &max) = (seconds.first()?, seconds.last()?);
        Some(Self { rounds: seconds.len(), median: seconds[seconds.len() / 2], min, max })
    }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) part: String,
    pub(crate) case: String,
    pub(crate) elements: Option<u64>,
    pub(crate) contestant: String,
    pub(crate) mode: String,
    pub(crate) status: Status,
    pub(crate) times: Option<Times>,
    /// The bytes that must be read or written in that time.
    pub(crate) bytes: Option<u64>,
    /// A number by which two implementations can be compared.
    pub(crate) check: Option<f64>,
    pub(crate) detail: String,
}

impl Row {
    pub(crate) fn new(part: impl Into<String>, case: impl Into<String>, status: Status) -> Self {
        Self {
            part: part.into(),
            case: case.into(),
            elements: None,
            contestant: String::new(),
            mode: String::new(),
            status,
            times: None,
            bytes: None,
            check: None,
            detail: String::new(),
        }
    }

    pub(crate) fn fields(&self) -> [String; COLUMNS.len()] {
        let seconds = |of: fn(&Times) -> f64| {
            self.times.as_ref().map_or_else(String::new, |times| format!("{:.4e}", of(times)))
        };
        let rate = self.bytes.zip(self.times.as_ref());
        let rate = rate.map(|(bytes, times)| bytes as f64 / times.median / 1e9);
        [
            self.part.clone(),
            self.case.clone(),
            self.elements.map_or_else(String::new, |elements| elements.to_string()),
            self.contestant.clone(),
            self.mode.clone(),
            self.status.name().to_owned(),
            self.times.as_ref().map_or_else(String::new, |times| times.rounds.to_string()),
            seconds(|times| times.median),
            seconds(|times| times.min),
            seconds(|times| times.max),
            rate.map_or_else(String::new, |rate| format!("{rate:.2}")),
            self.check.map_or_else(String::new, |check| check.to_string()),
            one_line(&self.detail),
        ]
    }
}

/// Text that fits into one line of a table.
fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 400;
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_CHARS).collect()
}

/// Writes rows one by one, each on a line of its own and at once.
pub(crate) struct Rows<W: Write>(csv::Writer<W>);

impl<W: Write> Rows<W> {
    pub(crate) fn new(to: W) -> Self {
        Self(csv::Writer::from_writer(to))
    }

    pub(crate) fn write(&mut self, row: &Row) -> Result<()> {
        self.write_fields(row.fields())
    }

    pub(crate) fn write_fields<T: AsRef<[u8]>>(
        &mut self,
        fields: impl IntoIterator<Item = T>,
    ) -> Result<()> {
        self.0.write_record(fields)?;
        Ok(self.0.flush()?)
    }
}

/// The fields of a line that another program wrote.
///
/// # Errors
/// If the line is not a row.
pub(crate) fn parse(line: &str) -> Result<csv::StringRecord> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
    let mut fields = csv::StringRecord::new();
    reader.read_record(&mut fields)?;
    check_row(&fields)?;
    Ok(fields)
}

/// Checks that every row of a record is complete and that no part is missing. Returns the number of rows
/// with each status.
pub(crate) fn verify(file: &Path) -> Result<String> {
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_path(file)?;
    if !reader.headers()?.iter().eq(COLUMNS) {
        return Err(format!("the columns are not {}", COLUMNS.join(",")).into());
    }
    let rows = reader.records().collect::<std::result::Result<Vec<_>, _>>()?;
    for row in &rows {
        let line = row.position().map_or(0, csv::Position::line);
        check_row(row).map_err(|error| format!("line {line}: {error}"))?;
    }
    for part in PARTS {
        if !rows.iter().any(|row| &row[PART] == part.name && &row[CASE] == WHOLE) {
            return Err(format!("part {} is missing or did not end", part.name).into());
        }
    }
    let count = |status: Status| rows.iter().filter(|row| &row[STATUS] == status.name()).count();
    let counts = Status::ALL.map(|status| format!("{} {}", count(status), status.name()));
    Ok(counts.join(", "))
}

fn check_row(fields: &csv::StringRecord) -> Result<()> {
    if fields.len() != COLUMNS.len() {
        return Err(format!("{} fields instead of {}", fields.len(), COLUMNS.len()).into());
    }
    if !PARTS.iter().any(|part| part.name == &fields[PART]) {
        return Err(format!("{:?} is not a part", &fields[PART]).into());
    }
    if !Status::ALL.iter().any(|status| status.name() == &fields[STATUS]) {
        return Err(format!("{:?} is not a status", &fields[STATUS]).into());
    }
    for column in NUMBERS.chain([ELEMENTS]) {
        let text = &fields[column];
        if !text.is_empty() && !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(format!("{text:?} is not a number in column {}", COLUMNS[column]).into());
        }
    }
    if &fields[STATUS] == Status::Measured.name() && fields[SECONDS].is_empty() {
        return Err("measured, but without seconds".into());
    }
    Ok(())
}
