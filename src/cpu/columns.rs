//! Parameters and state as the columns of a table.

use crate::rules::MAX_STATE;

/// Rows of one vector: parameters or state.
#[derive(Debug, Default)]
pub(super) struct Column<'a> {
    pub(super) values: &'a mut [f32],
    /// Elements per row; 1 for state that a row shares.
    pub(super) width: usize,
}

impl<'a> Column<'a> {
    /// The first `rows` rows, and the others.
    fn split_at(self, rows: usize) -> (Self, Self) {
        let Self { values, width } = self;
        let middle = values.len().min(rows * width);
        let (values, rest) = values.split_at_mut(middle);
        (Self { values, width }, Self { values: rest, width })
    }

    /// Copies some rows to `to`. The first row of the column has number `first`.
    pub(super) fn gather(&self, to: &mut Vec<f32>, rows: &[u32], first: usize) {
        to.clear();
        if self.values.is_empty() {
            return;
        }
        to.reserve(rows.len() * self.width);
        if self.width == 1 {
            to.extend(rows.iter().map(|&row| self.values[row as usize - first]));
            return;
        }
        for &row in rows {
            let start = (row as usize - first) * self.width;
            to.extend_from_slice(&self.values[start..start + self.width]);
        }
    }

    /// Copies gathered rows back.
    pub(super) fn scatter(&mut self, from: &[f32], rows: &[u32], first: usize) {
        if self.width == 1 {
            for (&row, &value) in rows.iter().zip(from) {
                self.values[row as usize - first] = value;
            }
            return;
        }
        for (&row, values) in rows.iter().zip(from.chunks(self.width)) {
            let start = (row as usize - first) * self.width;
            self.values[start..start + self.width].copy_from_slice(values);
        }
    }
}

/// Columns with the same number of rows.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub(super) params: Column<'a>,
    /// State by its index in [`crate::Rule::STATE`]; empty if the rule does not use that vector.
    pub(super) state: [Column<'a>; MAX_STATE],
}

impl<'a> Columns<'a> {
    /// The parameters, then the state.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Column<'a>> {
        [&mut self.params].into_iter().chain(&mut self.state)
    }

    /// The first `rows` rows, and the others.
    pub(super) fn split_at(self, rows: usize) -> (Self, Self) {
        let (params, params_rest) = self.params.split_at(rows);
        let [a, b, c] = self.state.map(|column| column.split_at(rows));
        let rest = Self { params: params_rest, state: [a.1, b.1, c.1] };
        (Self { params, state: [a.0, b.0, c.0] }, rest)
    }
}
