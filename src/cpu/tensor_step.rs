//! One tensor's part of a step: all its elements, or the rows that the step names.

use super::apply::{Update, apply_rule};
use super::columns::{Column, Columns};
use super::threads::{Divisible, run_parts};
use crate::rules::{MAX_STATE, Rule};

/// Elements that are gathered, stepped and scattered at a time. They stay in a core's cache.
const BLOCK: usize = 1 << 12;
/// The cost of an element of a named row, which is gathered and scattered, in elements of a dense
/// step.
const NAMED_COST: usize = 2;

/// The step of a tensor, or of a part of it.
#[derive(Debug)]
pub(super) struct TensorStep<'a, R: Rule> {
    pub(super) update: &'a Update<R>,
    pub(super) columns: Columns<'a>,
    /// The gradients of all elements, or of each named row.
    pub(super) grads: &'a [f32],
    /// The named rows, ascending and distinct; `None` if all rows are stepped.
    pub(super) rows: Option<&'a [u32]>,
    /// The number of the first row of `columns`.
    pub(super) first: usize,
}

/// The cost of a step with these gradients.
pub(super) fn cost(grads: &[f32], named: bool) -> usize {
    grads.len() * if named { NAMED_COST } else { 1 }
}

impl<R: Rule> TensorStep<'_, R> {
    /// Takes the step, in `parts` parts of about equal cost.
    #[inline]
    pub(super) fn run_parts(mut self, parts: usize) {
        if parts > 1 {
            run_parts(self, parts, &|mut step: Self| step.run(), &|(), ()| ());
        } else {
            self.run();
        }
    }

    /// Takes the step on this thread.
    #[inline]
    fn run(&mut self) {
        match self.rows {
            None => apply_rule(self.update, &mut self.columns, self.grads),
            Some([]) => {}
            Some(rows) => self.run_rows(rows),
        }
    }

    /// Gathers the rows block by block, steps them and scatters them.
    fn run_rows(&mut self, rows: &[u32]) {
        let width = self.columns.params.width;
        let block = (BLOCK / width).max(1);
        let mut copies = [const { Vec::new() }; 1 + MAX_STATE];
        for (rows, grads) in rows.chunks(block).zip(self.grads.chunks(block * width)) {
            for (copies, column) in copies.iter_mut().zip(self.columns.iter_mut()) {
                column.gather(copies, rows, self.first);
            }
            let [params, state @ ..] = copies.each_mut();
            let mut widths = self.columns.state.iter().map(|column| column.width);
            let state =
                state.map(|values| Column { values, width: widths.next().unwrap_or(width) });
            let mut columns = Columns { params: Column { values: params, width }, state };
            apply_rule(self.update, &mut columns, grads);
            for (copies, column) in copies.iter().zip(self.columns.iter_mut()) {
                column.scatter(copies, rows, self.first);
            }
        }
    }
}

impl<R: Rule> Divisible for TensorStep<'_, R> {
    fn cost(&self) -> usize {
        cost(self.grads, self.rows.is_some())
    }

    fn split_at(self, cost: usize) -> (Self, Self) {
        let Self { update, columns, grads, rows, first } = self;
        let width = columns.params.width.max(1);
        let (middle, border) = match rows {
            // Multiples of 16 elements keep both parts aligned to cache lines if the whole was.
            None if width == 1 => (cost & !15, cost & !15),
            None => (cost / width, cost / width),
            Some(rows) => {
                let middle = cost / NAMED_COST / width;
                // If no named row is right of the border, all rows are left of it.
                let end = || columns.params.values.len() / width;
                let border = rows.get(middle).map_or_else(end, |&row| row as usize - first);
                (middle, border)
            }
        };
        let (left, right) = columns.split_at(border);
        let (left_grads, right_grads) = grads.split_at(middle * width);
        let (left_rows, right_rows) = rows.map(|rows| rows.split_at(middle)).unzip();
        let left = Self { update, columns: left, grads: left_grads, rows: left_rows, first };
        let first = first + border;
        (left, Self { update, columns: right, grads: right_grads, rows: right_rows, first })
    }
}
