//! The lists of rows that kernels read: their words, and where one list must end and another begin.
//! These functions are pure, and tested without a GPU.

use std::borrow::Cow;
use std::ops::Range;

use crate::step::NamedRows;

/// Rows of one list, in ascending order, with their occurrences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run<'a> {
    /// The length of a row of gradients, in elements.
    pub(super) width: usize,
    pub(super) rows: Cow<'a, [u32]>,
    /// Where the occurrences of each row begin among all occurrences, and where those of the last
    /// row end.
    begins: Cow<'a, [u32]>,
    /// The numbers of the rows of gradients: for row after row, its occurrences in order.
    occurrences: Cow<'a, [u32]>,
}

impl<'a> Run<'a> {
    /// A range of the named rows.
    pub(super) fn of(named: &'a NamedRows, rows: Range<usize>) -> Self {
        let own = named.begins[rows.start] as usize..named.begins[rows.end] as usize;
        Self {
            width: named.width,
            begins: named.begins[rows.start..=rows.end].into(),
            rows: named.rows[rows].into(),
            occurrences: named.occurrences[own].into(),
        }
    }

    /// The sums of these rows as rows of their own, side by side, each with the occurrences of its
    /// row.
    pub(super) fn sums(&self) -> Self {
        Self { rows: (0..self.rows.len() as u32).collect(), ..self.clone() }
    }

    /// These rows, each with its sum as its only occurrence.
    pub(super) fn summed(&self) -> Self {
        let count = self.rows.len() as u32;
        let (begins, occurrences) = ((0..=count).collect(), (0..count).collect());
        Self { begins, occurrences, ..self.clone() }
    }

    /// The maximum number of occurrences of a row.
    pub(super) fn longest(&self) -> u32 {
        self.begins.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

/// The number of words in a list of `rows` rows with `occurrences` occurrences.
fn words(rows: usize, occurrences: u32) -> usize {
    2 * (rows + 1) + occurrences as usize
}

/// Splits the named rows into runs of at most `max_rows` rows, whose lists have at most `max`
/// words. Rows with more than `max_inline` occurrences and other rows are never in the same run.
///
/// # Errors
/// The number of words of a row whose occurrences do not fit one list.
pub(super) fn runs(
    named: &NamedRows,
    max: usize,
    max_rows: usize,
    max_inline: u32,
) -> Result<Vec<Run<'_>>, usize> {
    let begins = &named.begins;
    let count = |start: usize, end: usize| words(end - start, begins[end] - begins[start]);
    let exceeds = |row: usize| begins[row + 1] - begins[row] > max_inline;
    let (mut runs, mut start) = (Vec::new(), 0);
    for row in 0..named.rows.len() {
        let full = count(start, row + 1) > max || row - start >= max_rows.max(1);
        if row > start && (full || exceeds(row) != exceeds(start)) {
            runs.push(Run::of(named, start..row));
            start = row;
        }
        if count(start, row + 1) > max {
            return Err(count(start, row + 1));
        }
    }
    runs.push(Run::of(named, start..named.rows.len()));
    Ok(runs)
}

/// Where the rows of a run begin in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Starts {
    /// The first element of each row, ascending.
    Listed(Vec<u64>),
    /// All rows with these numbers, in sequence.
    All(Range<u64>),
}

/// The rows of a run, and where their gradients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) starts: Starts,
    /// The maximum number of occurrences of a row.
    pub(super) longest: u32,
    /// Two words for each row: its start, and where its occurrences begin in the list. After the
    /// last row, two words of which the second says where its occurrences end. Then one word for
    /// each occurrence: the first element of its row of gradients. Elements are counted modulo
    /// 2^32.
    pub(super) words: Vec<u32>,
}

impl List {
    /// All rows with these numbers, each with one row of gradients. No words are needed.
    pub(super) fn all(rows: Range<u64>) -> Self {
        Self { starts: Starts::All(rows), longest: 1, words: Vec::new() }
    }

    /// The list for a table with rows of `width` elements: the length of a row of parameters, or 1
    /// for shared state.
    pub(super) fn new(run: &Run<'_>, width: usize) -> Self {
        let zero = words(run.rows.len(), 0) as u32; // a list fits a binding, which a u32 counts
        let starts: Vec<_> = run.rows.iter().map(|&row| element(row, width)).collect();
        let row = |(start, &begin): (u64, &u32)| [start as u32, zero + begin - run.begins[0]];
        let ends = starts.iter().copied().chain([0]);
        let mut words: Vec<u32> = ends.zip(&*run.begins).flat_map(row).collect();
        words.extend(run.occurrences.iter().map(|&at| element(at, run.width) as u32));
        Self { starts: Starts::Listed(starts), longest: run.longest(), words }
    }
}

/// The first element of row number `row`.
fn element(row: u32, width: usize) -> u64 {
    u64::from(row) * width as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 0, 1 and 4 of three elements. Row 4 occurs three times.
    fn named() -> NamedRows {
        let mut named = NamedRows::default();
        named.name(15, 15, &[4, 0, 4, 4, 1]).unwrap();
        named
    }

    #[test]
    fn a_list_leads_from_rows_to_their_gradients() {
        let named = named();
        let list = List::new(&Run::of(&named, 0..3), 3);
        assert_eq!(list.starts, Starts::Listed(vec![0, 3, 12]));
        // Three rows, the end, and from word 8 on the occurrences 1; 4; 0, 2, 3.
        assert_eq!(list.words, [0, 8, 3, 9, 12, 10, 0, 13, 3, 12, 0, 6, 9]);
        assert_eq!(List::new(&Run::of(&named, 2..3), 3).words, [12, 4, 0, 7, 0, 6, 9]);
        // Shared state has one element per row; the gradients are the same.
        let shared = List::new(&Run::of(&named, 0..3), 1);
        assert_eq!(shared.starts, Starts::Listed(vec![0, 1, 4]));
        assert_eq!(shared.words, [0, 8, 1, 9, 4, 10, 0, 13, 3, 12, 0, 6, 9]);
    }

    #[test]
    fn sums_come_between_gradients_and_rows() {
        let named = named();
        let run = Run::of(&named, 1..3);
        let to = List::new(&run.sums(), 3);
        assert_eq!(
            (to.starts, to.words),
            (Starts::Listed(vec![0, 3]), vec![0, 6, 3, 7, 0, 10, 12, 0, 6, 9])
        );
        let from = List::new(&run.summed(), 3);
        assert_eq!(
            (from.starts, from.words),
            (Starts::Listed(vec![3, 12]), vec![3, 6, 12, 7, 0, 8, 0, 3])
        );
    }

    #[test]
    fn a_start_past_four_gibi_elements_wraps() {
        let mut named = NamedRows::default();
        named.name(3 << 31, 1 << 31, &[2]).unwrap();
        let list = List::new(&Run::of(&named, 0..1), 1 << 31);
        assert_eq!((list.starts, list.words), (Starts::Listed(vec![1 << 32]), vec![0, 4, 0, 5, 0]));
    }

    /// The last row of each run, and its maximum number of occurrences of a row.
    fn ends(max: usize, max_rows: usize, max_inline: u32) -> Result<Vec<(u32, u32)>, usize> {
        let named = named();
        let runs = runs(&named, max, max_rows, max_inline)?;
        Ok(runs.iter().map(|run| (run.rows[run.rows.len() - 1], run.longest())).collect())
    }

    #[test]
    fn a_list_ends_where_the_next_row_would_not_fit() {
        // Words of one row: 5, 5, 7; of the first two 8, of all three 13.
        assert_eq!(ends(13, 3, 9), Ok(vec![(4, 3)]));
        assert_eq!(ends(12, 3, 9), Ok(vec![(1, 1), (4, 3)]));
        assert_eq!(ends(7, 3, 9), Ok(vec![(0, 1), (1, 1), (4, 3)]));
        assert_eq!(ends(6, 3, 9), Err(7));
        let few = |rows| ends(100, rows, 9).map(|runs| runs.len());
        assert_eq!([few(0), few(1), few(2), few(3)], [Ok(3), Ok(3), Ok(2), Ok(1)]);
    }

    #[test]
    fn rows_with_many_occurrences_are_in_separate_runs() {
        assert_eq!(ends(100, 3, 3), Ok(vec![(4, 3)]));
        assert_eq!(ends(100, 3, 2), Ok(vec![(1, 1), (4, 3)]));
        assert_eq!(ends(100, 3, 0), Ok(vec![(4, 3)]), "all are");
    }
}
