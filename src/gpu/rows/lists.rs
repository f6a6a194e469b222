//! What a kernel reads of the rows: the words of its list, and where one list has to end and
//! another begin. Pure, and tested without a GPU.

use std::ops::Range;

use crate::step::NamedRows;

/// Words of a list for `rows` rows with `occurrences` occurrences.
fn words(rows: usize, occurrences: usize) -> usize {
    2 * (rows + 1) + occurrences
}

/// Splits the named rows into runs of at most `max_rows` rows, whose lists have at most `max` words. Rows
/// with more than `max_inline` occurrences never share a run with other rows.
///
/// # Errors
/// The words of a row that is named too often for a list of its own.
pub(super) fn runs(
    named: &NamedRows,
    max: usize,
    max_rows: usize,
    max_inline: u32,
) -> Result<Vec<Range<usize>>, usize> {
    let count = |run: &Range<usize>| {
        let occurrences = named.begins[run.end] - named.begins[run.start];
        words(run.len(), occurrences as usize)
    };
    let mut runs = Vec::new();
    let mut run = 0..0;
    for row in 0..named.rows.len() {
        let often = |row: usize| max_occurrences(named, &(row..row + 1)) > max_inline;
        let full = count(&(run.start..row + 1)) > max
            || run.len() >= max_rows.max(1)
            || often(row) != often(run.start);
        if full && !run.is_empty() {
            runs.push(std::mem::replace(&mut run, row..row));
        }
        run.end = row + 1;
        if count(&run) > max {
            return Err(count(&run));
        }
    }
    runs.push(run);
    Ok(runs)
}

/// How often the row of a run is named that is named most.
pub(super) fn max_occurrences(named: &NamedRows, run: &Range<usize>) -> u32 {
    max_difference(begins(named, run))
}

fn max_difference(begins: &[u32]) -> u32 {
    begins.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

/// Where the rows of a run begin in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Starts {
    /// The first element of each; ascending.
    Listed(Vec<u64>),
    /// All rows of these numbers, one behind the other.
    All(Range<u64>),
}

impl Default for Starts {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Starts {
    /// The number of the first row, where all are stepped.
    pub(super) fn run_first(&self) -> u32 {
        match self {
            Self::Listed(_) => 0,
            Self::All(rows) => rows.start as u32, // a table of all rows has fewer than 2^32
        }
    }
}

/// The rows of a run, and where their gradients are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    pub(super) starts: Starts,
    /// The first element of each row of gradients, if every row has one and they ascend.
    pub(super) gradient_starts: Option<Starts>,
    /// The most occurrences of a row.
    pub(super) longest: u32,
    /// Two words for each row: its start, and where its occurrences begin in the list; behind the
    /// last row, where those end. Then each occurrence: the first element of a row of gradients.
    /// Elements are counted modulo 2^32.
    pub(super) words: Vec<u32>,
}

impl List {
    /// All rows of these numbers, each with its row of gradients; no words are needed.
    pub(super) fn all(rows: Range<u64>) -> Self {
        Self { starts: Starts::All(rows), longest: 1, ..Self::default() }
    }

    /// `begins` says of each row which of the occurrences are its own, as in [`NamedRows`].
    fn new(starts: Vec<u64>, begins: &[u32], occurrences: impl Iterator<Item = u64>) -> Self {
        let zero = words(starts.len(), 0) as u32; // a list fits a binding, whose words a u32 counts
        let first = begins[0];
        let row = |(start, &begin): (u64, &u32)| [start as u32, zero + begin - first];
        let ends = starts.iter().copied().chain([0]);
        let mut words: Vec<u32> = ends.zip(begins).flat_map(row).collect();
        words.extend(occurrences.map(|start| start as u32));
        let starts = Starts::Listed(starts);
        Self { starts, gradient_starts: None, longest: max_difference(begins), words }
    }

    /// For rows of a table with all their occurrences; rows of the table have `width` elements, as
    /// those of parameters have, or 1, as those of shared state.
    pub(super) fn direct(named: &NamedRows, run: Range<usize>, width: usize) -> Self {
        let starts = named.rows[run.clone()].iter().map(|&row| element(row, width));
        Self::new(starts.collect(), begins(named, &run), occurrences(named, &run))
    }

    /// For sums, which lie side by side, with all occurrences of their rows.
    pub(super) fn to_sums(named: &NamedRows, run: Range<usize>) -> Self {
        let starts = (0..run.len() as u32).map(|sum| element(sum, named.width));
        Self::new(starts.collect(), begins(named, &run), occurrences(named, &run))
    }

    /// For rows of a table of `width` elements a row, each with its sum for its one occurrence.
    pub(super) fn from_sums(named: &NamedRows, run: Range<usize>, width: usize) -> Self {
        let starts = named.rows[run.clone()].iter().map(|&row| element(row, width));
        let begins: Vec<u32> = (0..=run.len() as u32).collect();
        let sums: Vec<_> = (0..run.len() as u32).map(|sum| element(sum, named.width)).collect();
        let list = Self::new(starts.collect(), &begins, sums.iter().copied());
        Self { gradient_starts: Some(Starts::Listed(sums)), ..list }
    }
}

/// The first element of row number `row`.
fn element(row: u32, width: usize) -> u64 {
    u64::from(row) * width as u64
}

fn begins<'a>(named: &'a NamedRows, run: &Range<usize>) -> &'a [u32] {
    &named.begins[run.start..=run.end]
}

/// The first element of each row of gradients.
fn occurrences(named: &NamedRows, run: &Range<usize>) -> impl Iterator<Item = u64> {
    let own = named.begins[run.start] as usize..named.begins[run.end] as usize;
    named.occurrences[own].iter().map(|&at| element(at, named.width))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 0, 1 and 4 of three elements, of which row 4 comes three times.
    fn named() -> NamedRows {
        let mut named = NamedRows::default();
        named.name(15, 15, &[4, 0, 4, 4, 1]).unwrap();
        named
    }

    #[test]
    fn a_list_leads_from_rows_to_their_gradients() {
        let list = List::direct(&named(), 0..3, 3);
        assert_eq!(list.starts, Starts::Listed(vec![0, 3, 12]));
        // Three rows, the end, and from word 8 on the occurrences 1; 4; 0, 2, 3.
        assert_eq!(list.words, [0, 8, 3, 9, 12, 10, 0, 13, 3, 12, 0, 6, 9]);
        assert_eq!(List::direct(&named(), 2..3, 3).words, [12, 4, 0, 7, 0, 6, 9]);
        // State that rows share has one element a row; the gradients are the same.
        let shared = List::direct(&named(), 0..3, 1);
        assert_eq!(shared.starts, Starts::Listed(vec![0, 1, 4]));
        assert_eq!(shared.words, [0, 8, 1, 9, 4, 10, 0, 13, 3, 12, 0, 6, 9]);
    }

    #[test]
    fn sums_stand_between_rows_and_gradients() {
        let to = List::to_sums(&named(), 1..3);
        assert_eq!(
            (to.starts, to.words),
            (Starts::Listed(vec![0, 3]), vec![0, 6, 3, 7, 0, 10, 12, 0, 6, 9])
        );
        let from = List::from_sums(&named(), 1..3, 3);
        assert_eq!(from.gradient_starts, Some(Starts::Listed(vec![0, 3])));
        assert_eq!(
            (from.starts, from.words),
            (Starts::Listed(vec![3, 12]), vec![3, 6, 12, 7, 0, 8, 0, 3])
        );
    }

    #[test]
    fn a_start_past_four_gibi_elements_wraps() {
        let mut named = NamedRows::default();
        named.name(3 << 31, 1 << 31, &[2]).unwrap();
        let list = List::direct(&named, 0..1, 1 << 31);
        assert_eq!((list.starts, list.words), (Starts::Listed(vec![1 << 32]), vec![0, 4, 0, 5, 0]));
    }

    #[test]
    fn a_list_ends_where_the_next_row_would_be_too_much() {
        // Words of one row: 5, 5, 7; of the first two 8, of all three 13.
        let ends =
            |most| runs(&named(), most, 3, 9).map(|runs| runs.iter().map(|run| run.end).collect());
        assert_eq!(ends(13), Ok(vec![3]));
        assert_eq!(ends(12), Ok(vec![2, 3]));
        assert_eq!(ends(7), Ok(vec![1, 2, 3]));
        assert_eq!(ends(6), Err(7));
        let few = |rows| runs(&named(), 100, rows, 9).map(|runs| runs.len());
        assert_eq!([few(0), few(1), few(2), few(3)], [Ok(3), Ok(3), Ok(2), Ok(1)]);
    }

    #[test]
    fn rows_named_often_are_apart_from_others() {
        let ends = |max_inline| {
            let runs = runs(&named(), 100, 3, max_inline).unwrap();
            runs.iter().map(|run| (run.end, max_occurrences(&named(), run))).collect::<Vec<_>>()
        };
        assert_eq!(ends(3), [(3, 3)]);
        assert_eq!(ends(2), [(2, 1), (3, 3)]);
        assert_eq!(ends(0), [(3, 3)], "all are");
    }
}
