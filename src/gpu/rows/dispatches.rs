//! How a step over the rows of a list becomes dispatches: a pure function of rows and parts.

use std::ops::Range;

use super::super::plan::{DispatchLimits, Element, MAX_LOOP_ITERATIONS, Piece};
use super::lists::{List, Starts};
use crate::step::RowsError;

/// The number of invocations that compute the mean square of one row together: `lanes` in
/// shaders/rows/mean.wgsl.
pub(super) const MEAN_LANES: u32 = 8;

/// The maximum number of invocations in a workgroup that computes means: the length of `partials`
/// in shaders/rows/mean.wgsl, with 16 bytes for each.
pub(super) const MEAN_WORKGROUP: u32 = 64;

/// The maximum number of terms that an invocation sums: `max_terms` in shaders/rows/sum.wgsl.
const MAX_TERMS: u32 = 1 << 15;
const _: () = assert!(MAX_TERMS < MAX_LOOP_ITERATIONS);

/// The maximum number of occurrences of a row whose gradients are summed where they are used.
/// `shared` is the length of a row if its parameters share accumulators; [`check_row_length`] has
/// checked it.
pub(super) fn max_inline_occurrences(shared: Option<usize>) -> u32 {
    let Some(width) = shared else { return MAX_TERMS };
    // An invocation that computes means visits four of every `8 * 4` columns. For each four it has
    // one iteration, one for each term, and one that ends the terms; the tree has a few more.
    let columns = width.div_ceil(4 * MEAN_LANES as usize).max(1);
    let iterations = (MAX_LOOP_ITERATIONS - 8) as usize / columns;
    iterations.saturating_sub(2).min(MAX_TERMS as usize) as u32
}

/// Checks that a row is short enough for a kernel to sum its squares.
pub(in crate::gpu) fn check_row_length(width: usize) -> Result<(), RowsError> {
    const MAX: usize = 4 * MEAN_LANES as usize * ((MAX_LOOP_ITERATIONS - 8) as usize / 3);
    if width > MAX { Err(RowsError::TooLong { width, max: MAX }) } else { Ok(()) }
}

/// What the dispatches over a list are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Sums the gradients of rows. The table holds the sums.
    Sum,
    /// Computes mean squares, and steps the shared state. The table is that state.
    Mean,
    /// Steps rows. The table is parameters and all other state.
    Step,
}

/// One dispatch over a part of the table and a part of the gradients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowsDispatch {
    pub(super) element: Element,
    /// Which part of the table.
    pub(super) table: usize,
    /// Which part of the gradients.
    pub(super) grads: usize,
    pub(super) grid: [u32; 2],
    pub(super) job: Job,
}

/// `struct Job` of `shaders/rows/job.wgsl`, which documents the fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(in crate::gpu) struct Job {
    pub(in crate::gpu) threads: u32,
    pub(in crate::gpu) quads: u32,
    pub(in crate::gpu) first_quad: u32,
    pub(in crate::gpu) width: u32,
    pub(in crate::gpu) table_width: u32,
    pub(in crate::gpu) first_row: u32,
    pub(in crate::gpu) run_first: u32,
    pub(in crate::gpu) table_first: u32,
    pub(in crate::gpu) table_len: u32,
    pub(in crate::gpu) grads_first: u32,
    pub(in crate::gpu) grads_len: u32,
    pub(in crate::gpu) skip: u32,
    pub(in crate::gpu) group: u32,
    pub(in crate::gpu) params_start: u32,
    pub(in crate::gpu) grads_start: u32,
    pub(in crate::gpu) state_start: u32,
    pub(in crate::gpu) width_as_real: f32,
}

/// The dispatches that do `work` over the rows of `list`, each with `width` gradients. `table` and
/// `grads` are the parts of the table and of the gradients. The parts of the gradients come one
/// after another, so that sums over several parts keep their order.
pub(super) fn dispatches(
    work: Work,
    list: &List,
    width: u32,
    (table, grads): (&[Piece], &[Piece]),
    limits: &DispatchLimits,
) -> Vec<RowsDispatch> {
    // The length of a row in the table, and the invocations for each row.
    let (table_width, per_row) = match work {
        Work::Mean => (1, MEAN_LANES),
        Work::Sum | Work::Step => (width, width.div_ceil(4)),
    };
    let mut all = Vec::new();
    for (grads_number, grads_part) in grads.iter().enumerate() {
        for (table_number, table_part) in table.iter().enumerate() {
            let rows = within(&list.starts, table_width, table_part);
            let shift =
                |part: &Piece, vector: usize| part.bindings.get(vector).map_or(0, |b| b.shift);
            let whole = grads.len() == 1 && width.is_multiple_of(4);
            let in_quads = whole && of_quads(table_part) && of_quads(grads_part);
            let element = match work {
                Work::Step if in_quads => Element::Quads,
                _ => Element::Scalars,
            };
            let job = Job {
                width,
                table_width,
                first_row: rows.start as u32, // of a list, whose words a u32 counts
                run_first: match &list.starts {
                    Starts::Listed(_) => 0,
                    Starts::All(rows) => rows.start as u32, // all rows are fewer than 2^32
                },
                table_first: table_part.first as u32,
                table_len: table_part.len,
                grads_first: grads_part.first as u32,
                grads_len: grads_part.len,
                params_start: shift(table_part, 0),
                grads_start: shift(grads_part, 0),
                // All state vectors have the same shift.
                state_start: shift(table_part, usize::from(work != Work::Mean)),
                width_as_real: width as f32,
                ..Job::default()
            };
            let terms = if work == Work::Sum { list.longest } else { 1 };
            for skip in (0..terms).step_by(MAX_TERMS as usize) {
                for (job, grid) in shares(Job { skip, ..job }, per_row, rows.len(), limits) {
                    let (table, grads) = (table_number, grads_number);
                    all.push(RowsDispatch { element, table, grads, grid, job });
                }
            }
        }
    }
    all
}

/// The rows, numbered as in `starts`, that reach into a part.
fn within(starts: &Starts, width: u32, part: &Piece) -> Range<usize> {
    let (width, end) = (u64::from(width), part.first + u64::from(part.len));
    match starts {
        Starts::Listed(starts) => {
            let from = starts.partition_point(|start| start + width <= part.first);
            from..starts.partition_point(|&start| start < end)
        }
        Starts::All(rows) => {
            let bounds = [part.first / width, end.div_ceil(width)];
            let [from, to] = bounds.map(|row| row.clamp(rows.start, rows.end) - rows.start);
            from as usize..to as usize // within a run
        }
    }
}

/// Whether a part has only whole quads, counted from the vector's start.
fn of_quads(part: &Piece) -> bool {
    part.element == Element::Quads && part.first.is_multiple_of(4) && part.len.is_multiple_of(4)
}

/// Divides `rows` rows of `quads` invocations each among as few dispatches as their threads allow.
/// A dispatch has several rows, or a part of one.
fn shares(job: Job, quads: u32, rows: usize, limits: &DispatchLimits) -> Vec<(Job, [u32; 2])> {
    let max = limits.max_invocations();
    let (row_step, quad_step) = ((max / quads).max(1), quads.min(max));
    let mut shares = Vec::new();
    for row in (0..rows as u32).step_by(row_step as usize) {
        for first_quad in (0..quads).step_by(quad_step as usize) {
            let quads = quad_step.min(quads - first_quad);
            let threads = row_step.min(rows as u32 - row) * quads;
            let first_row = job.first_row + row;
            let share = Job { threads, quads, first_quad, first_row, ..job };
            shares.push((share, limits.grid(u64::from(threads))));
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::{Span, plan};
    use super::*;

    const LIMITS: DispatchLimits =
        DispatchLimits { binding: 256, alignment: 32, workgroups: 65535, workgroup_size: 64 };

    fn parts(offset: u64, len: u64) -> Vec<Piece> {
        plan(&[vec![Span { offset, len, padded: false }]], &LIMITS)
    }

    fn list(starts: &[u64]) -> List {
        List { starts: Starts::Listed(starts.to_vec()), longest: 1, words: Vec::new() }
    }

    /// A table of 100 elements in parts of 64 and 36: the row of 8 at 60 lies in both.
    #[test]
    fn a_row_is_in_every_part_that_it_reaches_into() {
        let (table, grads) = (parts(0, 100), parts(0, 24));
        let step = |list: &List| dispatches(Work::Step, list, 8, (&table, &grads), &LIMITS);
        let found = step(&list(&[0, 60, 64]));
        let part = |dispatch: &RowsDispatch| {
            let job = dispatch.job;
            (dispatch.element, [job.table_first, job.table_len], job.first_row, job.threads)
        };
        let quads = Element::Quads;
        let expected = [(quads, [0, 64], 0, 4), (quads, [64, 36], 1, 4)];
        assert_eq!(found.iter().map(part).collect::<Vec<_>>(), expected);
        assert!(step(&list(&[])).is_empty());
        // No row reaches into the second part.
        assert_eq!(step(&list(&[0, 56])).len(), 1);
    }

    /// Rows 3, 63, 64 and 99 of 100, with 40 gradients each. The state is in parts of 64 and 36.
    #[test]
    fn means_are_split_by_the_parts_of_the_state() {
        let limits = DispatchLimits { binding: 256, ..LIMITS };
        let state = parts(0, 100);
        let grads = [Piece { len: 160, ..parts(0, 64)[0].clone() }];
        let found = dispatches(Work::Mean, &list(&[3, 63, 64, 99]), 40, (&state, &grads), &limits);
        let part = |d: &RowsDispatch| {
            ([d.job.table_first, d.job.table_len], d.job.first_row, d.job.threads)
        };
        let expected = [([0, 64], 0, 16), ([64, 36], 2, 16)];
        assert_eq!(found.iter().map(part).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_aligned_whole_quads_are_loaded_at_once() {
        let access = |width, table: &[Piece], grads: &[Piece]| {
            dispatches(Work::Step, &list(&[0]), width, (table, grads), &LIMITS)[0].element
        };
        let (vector, scalar) = (Element::Quads, Element::Scalars);
        assert_eq!(access(8, &parts(16, 32), &parts(16, 8)), vector);
        assert_eq!(access(6, &parts(16, 36), &parts(16, 36)), scalar);
        assert_eq!(access(8, &parts(4, 32), &parts(16, 8)), scalar);
        assert_eq!(access(8, &parts(16, 32), &parts(4, 8)), scalar);
        assert_eq!(access(8, &parts(16, 32), &parts(0, 80)), scalar, "several parts");
    }

    #[test]
    fn parts_of_the_gradients_come_one_after_another() {
        let (table, grads) = (parts(0, 100), parts(0, 80));
        let sum = |list: &List| dispatches(Work::Sum, list, 40, (&table, &grads), &LIMITS);
        let found = sum(&list(&[0, 60]));
        let order: Vec<_> = found.iter().map(|d| (d.grads, d.table)).collect();
        assert_eq!(order, [(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert_eq!((found[3].job.grads_first, found[3].job.grads_len), (64, 16));
    }

    #[test]
    fn long_sums_take_several_dispatches() {
        let (table, grads) = (parts(0, 64), parts(0, 64));
        let skips = |work, longest| {
            let list = List { longest, ..list(&[0, 8]) };
            let found = dispatches(work, &list, 8, (&table, &grads), &LIMITS);
            found.iter().map(|dispatch| dispatch.job.skip).collect::<Vec<_>>()
        };
        assert_eq!(skips(Work::Sum, 32_768), [0]);
        assert_eq!(skips(Work::Sum, 65_537), [0, 32_768, 65_536]);
        assert_eq!(skips(Work::Step, 1), [0]);
        let text = include_str!("../../../shaders/rows/sum.wgsl");
        assert!(text.contains(&format!("const max_terms = {MAX_TERMS}u;")));
    }

    /// In rows of 1024 columns, an invocation has 32 groups of four columns: 32 * (2044 + 2) =
    /// 65,472 iterations.
    #[test]
    fn means_of_long_rows_have_fewer_terms() {
        assert_eq!(max_inline_occurrences(None), 32_768);
        assert_eq!(
            [1, 32, 33, 1024].map(|width| max_inline_occurrences(Some(width))),
            [32_768, 32_768, 32_744, 2044]
        );
        assert_eq!([698_560, 698_561].map(|width| max_inline_occurrences(Some(width))), [1, 0]);
        assert_eq!(check_row_length(698_560), Ok(()));
        assert!(check_row_length(698_561).is_err());
    }

    /// Grids of at most 2 by 2 workgroups of 3 invocations: 12 quads per dispatch.
    #[test]
    fn threads_beyond_a_grid_are_divided_among_dispatches() {
        let limits = DispatchLimits { workgroups: 2, workgroup_size: 3, ..LIMITS };
        let cut = |width, rows| {
            let shares = shares(Job { width, ..Job::default() }, width.div_ceil(4), rows, &limits);
            let share =
                |(job, grid): (Job, [u32; 2])| (job.first_row, job.first_quad, job.threads, grid);
            shares.into_iter().map(share).collect::<Vec<_>>()
        };
        // Rows of 5 quads: two in a dispatch.
        assert_eq!(cut(20, 3), [(0, 0, 10, [2, 2]), (2, 0, 5, [2, 1])]);
        // Rows of 13 quads: each in two dispatches.
        let halves =
            [(0, 0, 12, [2, 2]), (0, 12, 1, [1, 1]), (1, 0, 12, [2, 2]), (1, 12, 1, [1, 1])];
        assert_eq!(cut(50, 2), halves);
    }
}
