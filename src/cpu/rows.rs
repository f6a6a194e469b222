//! Steps over some rows of a table: embeddings, and features that are rarely there.

use super::error::CpuError;
use super::optimizer::CpuOptimizer;
use super::sweep::{RowSlices, Slices, Treatment, sweep, sweep_rows};
use crate::rules::{NamedRows, RowsError, Rule, state_vectors};

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
    /// [`CpuError::Length`], [`CpuError::RowWidth`], [`CpuError::RowIndex`],
    /// [`CpuError::RowCount`] or [`CpuError::RowWise`]; [`CpuError::GuardedRows`] with a guard. Nothing
    /// has changed then.
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
        let named = named.map_err(CpuError::from).and_then(|()| match self.row_wise {
            Some(width) if scratch.named.is_wider_or_narrower(width) => {
                Err(CpuError::RowWise { width })
            }
            _ => Ok(()),
        });
        if named.is_ok() {
            scratch.sum(row_gradients);
            let NamedRows { rows, width, .. } = &scratch.named;
            self.step_ascending(params, &scratch.sums, rows, *width);
        }
        self.rows = scratch;
        named
    }

    /// A step over rows in ascending order, each once; threads where they pay.
    fn step_ascending(&mut self, params: &mut [f32], grads: &[f32], rows: &[u32], width: usize) {
        self.steps += 1;
        let uniforms = self.uniforms(self.steps);
        let shared =
            state_vectors(&self.rule).into_iter().map(|v| v.shared && self.row_wise.is_some());
        let columns = [params].into_iter().chain(self.state.iter_mut().map(Vec::as_mut_slice));
        let widths = [width].into_iter().chain(shared.map(|shared| if shared { 1 } else { width }));
        let columns = columns.zip(widths).map(|(values, width)| Column { values, width }).collect();
        let table = Table { columns, first: 0, row_wise: self.row_wise.is_some() };
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

/// Rows of one vector: parameters or state.
struct Column<'a> {
    values: &'a mut [f32],
    /// Elements of a row; 1 for state that a row shares.
    width: usize,
}

impl<'a> Column<'a> {
    /// The first `rows` rows, and the others.
    fn split_at(self, rows: usize) -> (Self, Self) {
        let (values, rest) = self.values.split_at_mut(rows * self.width);
        (Self { values, ..self }, Self { values: rest, width: self.width })
    }

    /// Copies of some rows, the first of the table's being number `first`.
    fn gather(&self, to: &mut Vec<f32>, rows: &[u32], first: usize) {
        to.clear();
        if self.width == 1 {
            to.extend(rows.iter().map(|&row| self.values[row as usize - first]));
            return;
        }
        for &row in rows {
            let start = (row as usize - first) * self.width;
            to.extend_from_slice(&self.values[start..start + self.width]);
        }
    }

    /// Puts them back.
    fn scatter(&mut self, from: &[f32], rows: &[u32], first: usize) {
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

/// Rows of parameters and of every state vector, in this order, from row number `first` on.
struct Table<'a> {
    columns: Vec<Column<'a>>,
    first: usize,
    row_wise: bool,
}

impl Table<'_> {
    /// Elements of a row of parameters.
    fn width(&self) -> usize {
        self.columns[0].width
    }

    /// The rows before number `row`, and the others.
    fn split_at(self, row: usize) -> (Self, Self) {
        let rows = row - self.first;
        let (columns, rest) = self.columns.into_iter().map(|column| column.split_at(rows)).unzip();
        (Self { columns, ..self }, Self { columns: rest, first: row, row_wise: self.row_wise })
    }

    /// Gathers the rows block by block, steps them and puts them back.
    fn step<R: Rule>(&mut self, rule: &R, uniforms: &R::Uniforms, grads: &[f32], rows: &[u32]) {
        if rows.is_empty() {
            return;
        }
        let width = self.width();
        let block = (BLOCK / width).max(1);
        let mut copies =
            vec![Vec::with_capacity(block.min(rows.len()) * width); self.columns.len()];
        for (rows, grads) in rows.chunks(block).zip(grads.chunks(block * width)) {
            for (copies, column) in copies.iter_mut().zip(&self.columns) {
                column.gather(copies, rows, self.first);
            }
            if let [params, state @ ..] = copies.as_mut_slice() {
                let state = state.iter_mut().map(Vec::as_mut_slice).collect();
                let slices = Slices { params, grads, state };
                match self.row_wise {
                    true => sweep_rows(rule, uniforms, RowSlices { slices, width }),
                    false => sweep(rule, uniforms, slices, Treatment::default()),
                }
            }
            for (copies, column) in copies.iter().zip(&mut self.columns) {
                column.scatter(copies, rows, self.first);
            }
        }
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
    let width = table.width();
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
    use crate::{Adagrad, Adam, AnyRule, GradientGuard, RuleVisitor};

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

    /// Where all gradients of a row are alike their mean square is each one's own, without rounding:
    /// a row-wise step is then the step of every parameter by itself.
    struct AlikeIsOwn(usize);

    impl RuleVisitor for AlikeIsOwn {
        type Output = bool;

        fn visit<R: Rule>(self, rule: R) -> bool {
            let (rows, width) = (70, self.0);
            let Ok(mut by_row) = CpuOptimizer::row_wise(rule, rows, width) else { return false };
            let mut own = CpuOptimizer::new(rule, rows * width).unwrap();
            let start: Vec<f32> = (0..rows * width).map(|i| (i % 97) as f32 / 32.0 - 1.5).collect();
            let (mut shared, mut expected) = (start.clone(), start);
            for indices in [[7, 60, 1], [60, 0, 69], [1, 60, 7]] {
                let gradients = [0.5, -1.25, 3.0].map(|gradient| vec![gradient; width]).concat();
                by_row.step_rows(&mut shared, &gradients, &indices).unwrap();
                own.step_rows(&mut expected, &gradients, &indices).unwrap();
            }
            assert_eq!(shared, expected, "{rule:?}");
            for k in 0..own.state_count() {
                let stride = own.state(k).len() / by_row.state(k).len();
                let of_rows: Vec<_> = own.state(k).iter().step_by(stride).copied().collect();
                assert_eq!(by_row.state(k), of_rows, "{rule:?}");
            }
            true
        }
    }

    #[test]
    fn rows_of_like_gradients_are_stepped_as_their_parameters_are() {
        for width in [1, 2, 64, 128] {
            let rules = AnyRule::examples().into_iter();
            let tried = rules.filter(|rule| rule.visit(AlikeIsOwn(width))).count();
            assert!(tried > 10, "{tried} rules");
        }
    }

    /// Squares 1 and 49, 25 on average; then 9 and 9: s = 25 and 34. Adam's own average of gradients
    /// is each parameter's, (1, 7) / 2, and its square average 25 / 4.
    #[test]
    fn a_row_has_the_mean_of_its_squares() {
        let rule = Adagrad { learning_rate: 0.5, epsilon: 2.0, ..Adagrad::default() };
        let mut optimizer = CpuOptimizer::row_wise(rule, 2, 2).unwrap();
        let mut x = [1.0; 4];
        optimizer.step_rows(&mut x, &[1.0, 7.0], &[1]).unwrap();
        let root = 27.0_f32.sqrt();
        assert_eq!(x, [1.0, 1.0, 1.0 - 0.5 / root, 1.0 - 3.5 / root]);
        optimizer.step_rows(&mut x, &[1.0, -3.0, 2.0, 0.0], &[1, 1]).unwrap();
        assert_eq!(optimizer.state(0), [0.0, 34.0]);

        let rule = Adam { beta1: 0.5, beta2: 0.75, ..Adam::default() };
        let mut optimizer = CpuOptimizer::row_wise(rule, 2, 2).unwrap();
        optimizer.step_rows(&mut x, &[1.0, 7.0], &[0]).unwrap();
        assert_eq!(optimizer.state(0), [0.5, 3.5, 0.0, 0.0]);
        assert_eq!(optimizer.state(1), [6.25, 0.0]);
    }

    #[test]
    fn no_rows_are_no_change() {
        let mut params = vec![1.0; 4];
        let mut optimizer = CpuOptimizer::new(rule(), 4).unwrap();
        optimizer.step_rows(&mut params, &[], &[]).unwrap();
        assert_eq!((params, optimizer.steps()), (vec![1.0; 4], 1));
    }
}
