//! The table of results.

use std::fmt;

use crate::compare::Tally;

/// The expected result of a check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    /// No mismatch.
    Agreement,
    /// At least one mismatch, which shows that the harness can detect errors.
    Mismatches,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) operation: String,
    pub(crate) driver: String,
    pub(crate) oracle: &'static str,
    pub(crate) tally: Tally,
    pub(crate) expected: Expected,
}

impl Row {
    fn holds(&self) -> bool {
        let agrees = self.tally.mismatches == 0;
        self.tally.cases > 0 && agrees == (self.expected == Expected::Agreement)
    }

    fn cells(&self) -> [String; 5] {
        let mut mismatches = self.tally.mismatches.to_string();
        if self.expected == Expected::Mismatches {
            mismatches.push_str(" (expected)");
        }
        if !self.holds() {
            mismatches = format!("! {}", self.tally.mismatches);
        }
        let cases = self.tally.cases.to_string();
        [self.operation.clone(), self.driver.clone(), self.oracle.to_owned(), cases, mismatches]
    }

    /// The line below the table, if the check fails.
    fn complaint(&self) -> Option<String> {
        if self.holds() {
            return None;
        }
        let what = format!("{} on {} against {}", self.operation, self.driver, self.oracle);
        Some(match &self.tally.first {
            Some(first) => format!("{what}: first mismatch: {first}"),
            None => format!("{what}: the harness detected no error, so its results prove nothing"),
        })
    }
}

/// All rows, in the order of the checks.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Adds rows, and prints them to stderr, so that an interrupted run has shown its results.
    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        for row in &rows {
            eprintln!("  {}", row.cells().join(" | "));
        }
        self.0.extend(rows);
    }

    /// Whether all checks gave the expected result.
    pub(crate) fn holds(&self) -> bool {
        self.0.iter().all(Row::holds)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["operation", "driver", "oracle", "cases", "mismatches"].map(str::to_owned);
        let mut lines = vec![header];
        lines.extend(self.0.iter().map(Row::cells));
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3, 4].map(width);
        lines.insert(1, widths.map(|width| "-".repeat(width)));
        let [w0, w1, w2, w3, w4] = widths;
        for [operation, driver, oracle, cases, mismatches] in &lines {
            writeln!(
                formatter,
                "| {operation:w0$} | {driver:w1$} | {oracle:w2$} | {cases:>w3$} | {mismatches:w4$} |"
            )?;
        }
        for complaint in self.0.iter().filter_map(Row::complaint) {
            writeln!(formatter, "\n{complaint}")?;
        }
        Ok(())
    }
}
