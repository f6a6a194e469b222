//! Steps over some rows of a table: embeddings, and features that are rarely there.

use super::optimizer::{CpuError, CpuOptimizer};
use super::sweep::{Slices, Treatment, sweep};
use crate::rules::{NamedRows, RowsError, Rule};

/// Elements that are gathered, stepped and put back at once: they stay in a core's cache.
const BLOCK: usize = 1 << 12;
/// Elements that one thread must have before waking another pays.
const ELEMENTS_PER_THREAD: usize = 1 << 15;

impl<R: Rule> CpuOptimizer<R> {
    /// One step over the rows of `params` that `row_indices` names, and over no others: neither
    /// their parameters nor their state are read. `params` has the optimizer's length and is a
    /// table of rows; `row_gradients` has one row of gradients for each index, and its length says
    /// how long a row is. The gradients of an index that comes several times are summed first, in
    /// the order in which they come. Without indices nothing happens, but the step counts.
    ///
    /// A rule that would move a parameter whose gradient is 0, by momentum or weight decay, does so
    /// only for the rows named, and only once however many steps have passed.
    ///
    /// # Errors
    /// [`CpuError::Length`], [`CpuError::RowWidth`], [`CpuError::RowIndex`] or
    /// [`CpuError::RowCount`]; [`CpuError::GuardedRows`] with a guard. Nothing has changed then.
    pub fn step_rows(
        &mut self,
        params: &mut [f32],
        row_gradients: &[f32],
        row_indices: &[u32],
    ) -> Result<(), CpuError> {
        let (expected, found) = (self.len, params.len());
        if found != expected {
            return Err(CpuError::Length { slice: "params", found, expected });
        }
        if self.guard.scans() {
            return Err(CpuError::GuardedRows);
        }
        let mut scratch = std::mem::take(&mut self.rows);
        let named = scratch.named.name(expected, row_gradients.len(), row_indices);
        if named.is_ok() {
            scratch.sum(row_gradients);
            let NamedRows { rows, width, .. } = &scratch.named;
            self.step_ascending(params, &scratch.sums, rows, *width);
        }
        self.rows = scratch;
        Ok(named?)
    }

    /// A step over rows in ascending order, each once; threads where they pay.
    fn step_ascending(&mut self, params: &mut [f32], grads: &[f32], rows: &[u32], width: usize) {
        self.steps += 1;
        let uniforms = self.uniforms(self.steps);
        let state = self.state.iter_mut().map(Vec::as_mut_slice).collect();
        let table = Table { params, state, first: 0, width };
        let threads = (grads.len() / ELEMENTS_PER_THREAD).max(1);
        let threads = if threads > 1 { threads.min(rayon::current_num_threads()) } else { 1 };
        split(&self.rule, &uniforms, table, grads, rows, threads);
    }
}

/// Scratch memory of a step over rows.
#[derive(Clone, Debug, Default)]
pub(super) struct RowsScratch {
    named: NamedRows,
    /// The gradient of each row named.
    sums: Vec<f32>,
}

impl RowsScratch {
    /// Sums the gradients of each row named, in the order in which they come.
    fn sum(&mut self, row_gradients: &[f32]) {
        let NamedRows { width, begins, occurrences, .. } = &self.named;
        let gradient = |at: u32| &row_gradients[at as usize * width..(at as usize + 1) * width];
        self.sums.clear();
        for (&begin, &end) in begins.iter().zip(&begins[1..]) {
            let begin_of_sum = self.sums.len();
            self.sums.extend_from_slice(gradient(occurrences[begin as usize]));
            for &at in &occurrences[begin as usize + 1..end as usize] {
                for (sum, &term) in self.sums[begin_of_sum..].iter_mut().zip(gradient(at)) {
                    *sum += term;
                }
            }
        }
    }
}

impl From<RowsError> for CpuError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Width { gradients, indices, len } => {
                Self::RowWidth { gradients, indices, len }
            }
            RowsError::Index { at, row, rows } => Self::RowIndex { at, row, rows },
            RowsError::Count { indices } => Self::RowCount { indices },
        }
    }
}

/// Rows of parameters and state, from row number `first` on.
struct Table<'a> {
    params: &'a mut [f32],
    state: Vec<&'a mut [f32]>,
    first: usize,
    width: usize,
}

impl<'a> Table<'a> {
    /// The rows before number `row`, and the others.
    fn split_at(self, row: usize) -> (Self, Self) {
        let (width, first) = (self.width, self.first);
        let middle = (row - first) * width;
        let (params, params_rest) = self.params.split_at_mut(middle);
        let (state, state_rest) = self.state.into_iter().map(|s| s.split_at_mut(middle)).unzip();
        (
            Self { params, state, first, width },
            Self { params: params_rest, state: state_rest, first: row, width },
        )
    }

    /// Gathers the rows block by block, steps them and puts them back.
    fn step<R: Rule>(&mut self, rule: &R, uniforms: &R::Uniforms, grads: &[f32], rows: &[u32]) {
        if rows.is_empty() {
            return;
        }
        let width = self.width;
        let block = (BLOCK / width).max(1);
        let mut params = Vec::with_capacity(block.min(rows.len()) * width);
        let mut state = vec![params.clone(); self.state.len()];
        for (rows, grads) in rows.chunks(block).zip(grads.chunks(block * width)) {
            gather(&mut params, self.params, rows, self.first, width);
            for (gathered, vector) in state.iter_mut().zip(&self.state) {
                gather(gathered, vector, rows, self.first, width);
            }
            let slices = Slices {
                params: &mut params,
                grads,
                state: state.iter_mut().map(Vec::as_mut_slice).collect(),
            };
            sweep(rule, uniforms, slices, Treatment::default());
            scatter(&params, self.params, rows, self.first, width);
            for (gathered, vector) in state.iter().zip(&mut self.state) {
                scatter(gathered, vector, rows, self.first, width);
            }
        }
    }
}

fn gather(to: &mut Vec<f32>, from: &[f32], rows: &[u32], first: usize, width: usize) {
    to.clear();
    if width == 1 {
        to.extend(rows.iter().map(|&row| from[row as usize - first]));
        return;
    }
    for &row in rows {
        let start = (row as usize - first) * width;
        to.extend_from_slice(&from[start..start + width]);
    }
}

fn scatter(from: &[f32], to: &mut [f32], rows: &[u32], first: usize, width: usize) {
    if width == 1 {
        for (&row, &value) in rows.iter().zip(from) {
            to[row as usize - first] = value;
        }
        return;
    }
    for (&row, values) in rows.iter().zip(from.chunks(width)) {
        let start = (row as usize - first) * width;
        to[start..start + width].copy_from_slice(values);
    }
}

/// Shares rows in ascending order among `threads` threads.
fn split<R: Rule>(
    rule: &R,
    uniforms: &R::Uniforms,
    mut table: Table<'_>,
    grads: &[f32],
    rows: &[u32],
    threads: usize,
) {
    let middle = rows.len() / threads * (threads / 2);
    if threads <= 1 || middle == 0 {
        table.step(rule, uniforms, grads, rows);
        return;
    }
    let width = table.width;
    let (left, right) = table.split_at(rows[middle] as usize);
    let (left_rows, right_rows) = rows.split_at(middle);
    let (left_grads, right_grads) = grads.split_at(middle * width);
    rayon::join(
        || split(rule, uniforms, left, left_grads, left_rows, threads / 2),
        || split(rule, uniforms, right, right_grads, right_rows, threads - threads / 2),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Adagrad, GradientGuard};

    fn rule() -> Adagrad {
        Adagrad { learning_rate: 0.1, ..Adagrad::default() }
    }

    /// Against a step over the whole table, whose rule leaves alone what has no gradient.
    fn agrees(rows: usize, width: usize, indices: &[u32]) {
        let value = |index: usize| (index.wrapping_mul(2_654_435_761) >> 7 & 0xffff) as f32 / 7e3;
        let start: Vec<f32> = (0..rows * width).map(value).collect();
        let gradients: Vec<f32> = (0..indices.len() * width).map(|i| value(i + 99) - 4.0).collect();
        let (mut sparse, mut dense) = (start.clone(), start);
        let mut by_rows = CpuOptimizer::new(rule(), sparse.len()).unwrap();
        let mut whole = CpuOptimizer::new(rule(), sparse.len()).unwrap();
        for _ in 0..2 {
            let mut full = vec![0.0; rows * width];
            for (row, gradient) in indices.iter().zip(gradients.chunks(width)) {
                let row = &mut full[*row as usize * width..][..width];
                row.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
            }
            by_rows.step_rows(&mut sparse, &gradients, indices).unwrap();
            whole.step(&mut dense, &full).unwrap();
        }
        assert!(sparse == dense && by_rows.state(0) == whole.state(0), "{rows} x {width}");
        assert_eq!(by_rows.steps(), 2);
    }

    #[test]
    fn rows_named_are_stepped_as_in_the_whole_table() {
        agrees(5, 3, &[4, 0, 4, 4, 1]);
        agrees(1, 1, &[0]);
        agrees(7000, 1, &(0..7000).rev().collect::<Vec<_>>());
        agrees(100, 5000, &[99, 3, 50]);
        // Enough for several threads.
        let many: Vec<u32> = (0..3000).map(|index| index * 7919 % 4000).collect();
        agrees(4000, 64, &many);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut params = vec![1.0; 12];
        let mut optimizer = CpuOptimizer::new(rule(), 12).unwrap();
        let mut refused = |gradients: &[f32], indices: &[u32]| {
            optimizer.step_rows(&mut params, gradients, indices).unwrap_err().to_string()
        };
        let index = refused(&[1.0; 6], &[0, 4]);
        assert_eq!(index, "row index 4 at position 1: the table has 4 rows, counted from 0");
        for (gradients, indices) in [(5, 2), (10, 2), (3, 0), (0, 1)] {
            let error = refused(&vec![1.0; gradients], &vec![0; indices]);
            let start = format!("{gradients} gradients for {indices} rows");
            assert!(error.starts_with(&start), "{error}");
        }
        assert_eq!((params, optimizer.steps()), (vec![1.0; 12], 0));
        let guard = GradientGuard { max_norm: Some(1.0), ..GradientGuard::default() };
        let mut guarded = CpuOptimizer::new(rule(), 2).unwrap().with_guard(guard).unwrap();
        let error = guarded.step_rows(&mut [1.0; 2], &[1.0], &[0]);
        assert_eq!(error, Err(CpuError::GuardedRows));
    }

    #[test]
    fn no_rows_are_no_change() {
        let mut params = vec![1.0; 4];
        let mut optimizer = CpuOptimizer::new(rule(), 4).unwrap();
        optimizer.step_rows(&mut params, &[], &[]).unwrap();
        assert_eq!((params, optimizer.steps()), (vec![1.0; 4], 1));
    }
}
