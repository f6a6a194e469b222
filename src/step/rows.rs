//! The rows of a table that a step names: checked, sorted, each once, with its occurrences in their
//! order. Both engines use this list, so that they sum duplicates in the same order.

/// Why a step refuses the rows that it was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The row gradients are not one whole row for each index, or the table's length is not a
    /// multiple of the row's.
    #[error(
        "{gradients} gradients for {indices} rows of a table of {len} elements: \
         give one row of gradients for each index"
    )]
    Width {
        /// Elements of the row gradients.
        gradients: usize,
        /// How many row indices.
        indices: usize,
        /// The table's length, in elements.
        len: usize,
    },
    /// A row index past the end of the table.
    #[error("row index {row} at position {at}: the table has {rows} rows, counted from 0")]
    Index {
        /// The position in the list of indices.
        at: usize,
        /// The index.
        row: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// More rows or row gradients than one step can take.
    #[error("{gradients} gradients for {indices} rows in one step: give at most {max} gradients")]
    Count {
        /// Elements of the row gradients.
        gradients: usize,
        /// How many row indices.
        indices: usize,
        /// The maximum of either.
        max: usize,
    },
    /// The rows given to a row-wise optimizer have a length that is not the optimizer's.
    #[error("rows of {found} elements, but the optimizer was made for rows of {width} elements")]
    OtherWidth {
        /// Elements of a row of gradients.
        found: usize,
        /// The optimizer's row length, in elements.
        width: usize,
    },
    /// The rows of a row-wise optimizer have no parameters.
    #[error("rows of 0 parameters have nothing to share: give a width of at least 1")]
    Empty,
    /// The rows of a row-wise optimizer are longer than a GPU kernel can sum.
    #[error(
        "rows of {width} parameters with a shared accumulator: a GPU sums at most {max} squares; \
         use shorter rows, or the CPU engine"
    )]
    TooLong {
        /// Parameters of a row.
        width: usize,
        /// The maximum.
        max: usize,
    },
}

/// Rows in ascending order, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamedRows {
    /// Elements of a row.
    pub(crate) width: usize,
    pub(crate) rows: Vec<u32>,
    /// Where each row's part of `occurrences` begins, then the end of the last part.
    pub(crate) begins: Vec<u32>,
    /// Positions in the list of indices, grouped by row and ascending within a row.
    pub(crate) occurrences: Vec<u32>,
    /// Scratch memory: row and position of each index.
    keys: Vec<u64>,
}

impl NamedRows {
    /// Replaces the list by the rows of `indices`, in a table of `len` elements with `gradients`
    /// row gradients. The old list may be lost even if this fails.
    pub(crate) fn name(
        &mut self,
        len: usize,
        gradients: usize,
        indices: &[u32],
    ) -> Result<(), RowsError> {
        let count = indices.len();
        self.width = row_width(len, gradients, count)?;
        if u32::try_from(count).is_err() {
            let max = u32::MAX as usize;
            return Err(RowsError::Count { gradients, indices: count, max });
        }
        let rows = len.checked_div(self.width).unwrap_or(0);
        if let Some(at) = indices.iter().position(|&row| row as usize >= rows) {
            return Err(RowsError::Index { at, row: indices[at], rows });
        }
        self.keys.clear();
        self.keys.extend((0..).zip(indices).map(|(at, &row)| u64::from(row) << 32 | at));
        // All keys differ, so the unstable sort gives the same order as a stable one.
        self.keys.sort_unstable();
        self.rows.clear();
        self.begins.clear();
        self.occurrences.clear();
        for (number, &key) in (0..).zip(&self.keys) {
            let (row, at) = ((key >> 32) as u32, key as u32);
            if self.rows.last() != Some(&row) {
                self.rows.push(row);
                self.begins.push(number);
            }
            self.occurrences.push(at);
        }
        self.begins.push(count as u32);
        Ok(())
    }

    /// Checks that the named rows, if any, have the row length of a row-wise optimizer.
    pub(crate) fn check_width(&self, width: usize) -> Result<(), RowsError> {
        match self.rows.is_empty() || self.width == width {
            true => Ok(()),
            false => Err(RowsError::OtherWidth { found: self.width, width }),
        }
    }
}

/// The length of a row; 0 if there are neither rows nor gradients.
fn row_width(len: usize, gradients: usize, indices: usize) -> Result<usize, RowsError> {
    let refused = RowsError::Width { gradients, indices, len };
    match (gradients.checked_div(indices), gradients.checked_rem(indices)) {
        (None, _) if gradients == 0 => Ok(0),
        (Some(width), Some(0)) if width > 0 && len.is_multiple_of(width) => Ok(width),
        _ => Err(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(len: usize, gradients: usize, indices: &[u32]) -> Result<NamedRows, RowsError> {
        let mut rows = NamedRows::default();
        rows.name(len, gradients, indices)?;
        Ok(rows)
    }

    #[test]
    fn rows_are_ascending_and_their_occurrences_keep_their_order() -> Result<(), RowsError> {
        let mut found = named(15, 15, &[4, 0, 4, 4, 1])?;
        assert_eq!((found.width, &*found.rows), (3, &[0, 1, 4][..]));
        assert_eq!(
            (&*found.begins, &*found.occurrences),
            (&[0, 1, 2, 5][..], &[1, 4, 0, 2, 3][..])
        );
        // A second list leaves nothing of the first.
        found.name(15, 10, &[2, 2])?;
        assert_eq!((found.width, &*found.rows), (5, &[2][..]));
        assert_eq!((&*found.begins, &*found.occurrences), (&[0, 2][..], &[0, 1][..]));
        found.name(15, 0, &[])?;
        assert_eq!((found.width, found.rows.len(), found.occurrences.len()), (0, 0, 0));
        Ok(())
    }

    #[test]
    fn rows_that_do_not_fit_the_table_are_refused() {
        let index = RowsError::Index { at: 1, row: 4, rows: 4 };
        assert_eq!(named(12, 9, &[3, 4, u32::MAX]).err(), Some(index));
        for (gradients, count) in [(5, 2), (10, 2), (3, 0), (0, 1), (13, 1)] {
            let width = RowsError::Width { gradients, indices: count, len: 12 };
            assert_eq!(named(12, gradients, &vec![0; count]).err(), Some(width));
        }
        let empty = RowsError::Index { at: 0, row: 0, rows: 0 };
        assert_eq!(named(0, 1, &[0]).err(), Some(empty));
    }
}
