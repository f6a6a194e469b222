//! How a step over the rows of a list becomes dispatches: a pure function of rows and parts.

use std::ops::Range;

use super::super::errors::StepError;
use super::super::plan::{Access, Dispatch, DispatchLimits, MOST_TURNS};
use super::kernel::Kernel;
use super::lists::List;

/// Invocations that find the mean square of one row together; `lanes` in shaders/rows/mean.wgsl.
pub(super) const MEAN_LANES: u32 = 8;

/// Invocations of a workgroup that finds means, at the most: `partials` in shaders/rows/mean.wgsl, of
/// 16 bytes each.
pub(super) const MEAN_WORKGROUP: u32 = 64;

/// The most terms of a sum that an invocation adds up: `most_terms` in shaders/rows/sum.wgsl.
const MOST_TERMS: u32 = 1 << 15;
const _: () = assert!(MOST_TERMS < MOST_TURNS);

/// How often a row may be named for its gradients to be summed where they are used. `shared` is the
/// length of a row if its parameters share accumulators, which [`check_row_length`] has seen.
pub(super) fn seldom(shared: Option<usize>) -> u32 {
    let Some(width) = shared else { return MOST_TERMS };
    // An invocation that finds means goes through every `8 * 4`th column, and has a turn for each of
    // them, for its terms and for finding that they are over; and some for the tree.
    let columns = width.div_ceil(4 * MEAN_LANES as usize).max(1);
    let turns = (MOST_TURNS - 8) as usize / columns;
    turns.saturating_sub(2).min(MOST_TERMS as usize) as u32
}

/// Checks that the squares of a row can be summed where its gradients are.
pub(in crate::gpu) fn check_row_length(width: usize) -> Result<(), StepError> {
    const MOST: usize = 4 * MEAN_LANES as usize * ((MOST_TURNS - 8) as usize / 3);
    if width > MOST { Err(StepError::RowTooLong { width, most: MOST }) } else { Ok(()) }
}

/// What the dispatches over a list are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// To sum the gradients of rows; the table is one of sums.
    Sum,
    /// To find mean squares, and step the state that rows share; the table is that state.
    Mean,
    /// To step rows; the table is parameters and all other state.
    Step,
}

/// One dispatch over a part of the table and a part of the gradients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowsDispatch {
    pub(super) kernel: Kernel,
    /// Which part of the table.
    pub(super) table: usize,
    /// Which part of the gradients.
    pub(super) grads: usize,
    pub(super) grid: [u32; 2],
    pub(super) job: Job,
}

/// The content of `struct Job` in the WGSL, less its starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Job {
    /// Rows times `quads`.
    pub(super) threads: u32,
    /// Quads of each row in this dispatch; for a mean, the invocations of each row.
    pub(super) quads: u32,
    /// The first of them.
    pub(super) first_quad: u32,
    /// Elements of a row.
    pub(super) width: u32,
    /// Where the first row is in the list.
    pub(super) first_record: u32,
    /// The part of the table: its first element modulo 2^32, and its length.
    pub(super) table: [u32; 2],
    /// The part of the gradients.
    pub(super) grads: [u32; 2],
    /// For a sum, how many occurrences of each row have been added up.
    pub(super) skip: u32,
}

/// Words of a job, less its starts; a mean's job has one more.
pub(super) const JOB_WORDS: usize = 10;

impl Job {
    /// The words, with the starts of parameters, gradients and state, in quads or elements.
    pub(super) fn words(&self, starts: &[u32]) -> Vec<u32> {
        let Self { threads, quads, first_quad, width, first_record, table, grads, skip } = *self;
        let head: [u32; JOB_WORDS] = [
            threads,
            quads,
            first_quad,
            width,
            first_record,
            table[0],
            table[1],
            grads[0],
            grads[1],
            skip,
        ];
        [&head[..], starts].concat()
    }
}

/// The dispatches that do `work` over the rows of `list`, of which each has `width` gradients. The
/// parts of their table are `table` and those of the gradients `grads`. Part after part of the
/// gradients, so that sums over several parts keep their order.
pub(super) fn dispatches(
    work: Work,
    list: &List,
    width: u32,
    (table, grads): (&[Dispatch], &[Dispatch]),
    limits: &DispatchLimits,
) -> Vec<RowsDispatch> {
    // Of a row in the table, and invocations of each row.
    let (table_width, per_row) = match work {
        Work::Mean => (1, MEAN_LANES),
        Work::Sum | Work::Step => (width, width.div_ceil(4)),
    };
    let mut all = Vec::new();
    for (grads_number, grads_part) in grads.iter().enumerate() {
        for (table_number, table_part) in table.iter().enumerate() {
            let mut rows = within(&list.starts, table_width, table_part);
            if let Some(starts) = &list.gradient_starts {
                let others = within(starts, width, grads_part);
                rows = rows.start.max(others.start)..rows.end.min(others.end);
            }
            let whole = grads.len() == 1 && width.is_multiple_of(4);
            let kernel = match work {
                Work::Sum => Kernel::Sum,
                Work::Mean => Kernel::Mean,
                Work::Step if whole && of_quads(table_part) && of_quads(grads_part) => {
                    Kernel::Step(Access::Vector)
                }
                Work::Step => Kernel::Step(Access::Scalar),
            };
            let part = |part: &Dispatch| [part.first as u32, part.len];
            let job = Job {
                width,
                first_record: 2 * rows.start as u32, // of a list, whose words a u32 counts
                table: part(table_part),
                grads: part(grads_part),
                ..Job::default()
            };
            let terms = if work == Work::Sum { list.longest } else { 1 };
            for skip in (0..terms).step_by(MOST_TERMS as usize) {
                for (job, grid) in shares(Job { skip, ..job }, per_row, rows.len(), limits) {
                    let (table, grads) = (table_number, grads_number);
                    all.push(RowsDispatch { kernel, table, grads, grid, job });
                }
            }
        }
    }
    all
}

/// Which of the rows that begin at the elements `starts`, ascending, reach into a part.
fn within(starts: &[u64], width: u32, part: &Dispatch) -> Range<usize> {
    let end = part.first + u64::from(part.len);
    let from = starts.partition_point(|start| start + u64::from(width) <= part.first);
    from..starts.partition_point(|&start| start < end)
}

/// Whether a part has only whole quads, counted from the vector's start.
fn of_quads(part: &Dispatch) -> bool {
    part.access == Access::Vector && part.first.is_multiple_of(4) && part.len.is_multiple_of(4)
}

/// Shares `rows` rows of `quads` invocations each out among as few dispatches as their threads allow:
/// several rows each, or a part of one.
fn shares(job: Job, quads: u32, rows: usize, limits: &DispatchLimits) -> Vec<(Job, [u32; 2])> {
    let most = limits.most_quads().min(u64::from(u32::MAX)) as u32;
    let (row_step, quad_step) = ((most / quads).max(1), quads.min(most));
    let mut shares = Vec::new();
    for row in (0..rows as u32).step_by(row_step as usize) {
        for first_quad in (0..quads).step_by(quad_step as usize) {
            let quads = quad_step.min(quads - first_quad);
            let threads = row_step.min(rows as u32 - row) * quads;
            let first_record = job.first_record + 2 * row;
            let share = Job { threads, quads, first_quad, first_record, ..job };
            shares.push((share, limits.grid(u64::from(threads))));
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::{Span, plan};
    use super::*;

    const LIMITS: DispatchLimits = DispatchLimits {
        binding: 256,
        alignment: 32,
        workgroups: 65535,
        workgroup_size: 64,
        quads_per_invocation: 1,
    };

    fn parts(offset: u64, len: u64) -> Vec<Dispatch> {
        plan(&[vec![Span { offset, len, padded: false }]], &LIMITS)
    }

    fn list(starts: &[u64]) -> List {
        List { starts: starts.to_vec(), longest: 1, ..List::default() }
    }

    /// A table of 100 elements in parts of 64 and 36: the row of 8 at 60 lies in both.
    #[test]
    fn a_row_is_in_every_part_that_it_reaches_into() {
        let (table, grads) = (parts(0, 100), parts(0, 24));
        let step = |list: &List| dispatches(Work::Step, list, 8, (&table, &grads), &LIMITS);
        let found = step(&list(&[0, 60, 64]));
        let part = |dispatch: &RowsDispatch| {
            (dispatch.kernel, dispatch.job.table, dispatch.job.first_record, dispatch.job.threads)
        };
        let vector = Kernel::Step(Access::Vector);
        let expected = [(vector, [0, 64], 0, 4), (vector, [64, 36], 2, 4)];
        assert_eq!(found.iter().map(part).collect::<Vec<_>>(), expected);
        assert!(step(&list(&[])).is_empty());
        // No row reaches into the second part.
        assert_eq!(step(&list(&[0, 56])).len(), 1);
    }

    /// Rows number 3, 63, 64 and 99 of 100, of 40 gradients each: state in parts of 64 and 36.
    #[test]
    fn means_go_by_the_parts_of_the_state() {
        let limits = DispatchLimits { binding: 256, ..LIMITS };
        let state = parts(0, 100);
        let grads = [Dispatch { len: 160, ..parts(0, 64)[0].clone() }];
        let found = dispatches(Work::Mean, &list(&[3, 63, 64, 99]), 40, (&state, &grads), &limits);
        let part = |d: &RowsDispatch| (d.kernel, d.job.table, d.job.first_record, d.job.threads);
        let expected = [(Kernel::Mean, [0, 64], 0, 16), (Kernel::Mean, [64, 36], 4, 16)];
        assert_eq!(found.iter().map(part).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_whole_quads_on_whole_groups_go_four_at_a_time() {
        let access = |width, table: &[Dispatch], grads: &[Dispatch]| {
            dispatches(Work::Step, &list(&[0]), width, (table, grads), &LIMITS)[0].kernel
        };
        let (vector, scalar) = (Kernel::Step(Access::Vector), Kernel::Step(Access::Scalar));
        assert_eq!(access(8, &parts(16, 32), &parts(16, 8)), vector);
        assert_eq!(access(6, &parts(16, 36), &parts(16, 36)), scalar);
        assert_eq!(access(8, &parts(4, 32), &parts(16, 8)), scalar);
        assert_eq!(access(8, &parts(16, 32), &parts(4, 8)), scalar);
        assert_eq!(access(8, &parts(16, 32), &parts(0, 80)), scalar, "several parts");
    }

    #[test]
    fn parts_of_the_gradients_come_one_after_the_other() {
        let (table, grads) = (parts(0, 100), parts(0, 80));
        let sum = |list: &List| dispatches(Work::Sum, list, 40, (&table, &grads), &LIMITS);
        let found = sum(&list(&[0, 60]));
        let order: Vec<_> = found.iter().map(|d| (d.grads, d.table)).collect();
        assert_eq!(order, [(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert_eq!(found[3].job.grads, [64, 16]);
        // With one row of gradients each, 0 to 40 and 40 to 80, only where both rows are.
        let sums = List { gradient_starts: Some(vec![0, 40]), ..list(&[0, 60]) };
        let found = sum(&sums);
        let order: Vec<_> =
            found.iter().map(|d| (d.grads, d.table, d.job.first_record, d.job.threads)).collect();
        assert_eq!(order, [(0, 0, 0, 20), (0, 1, 2, 10), (1, 0, 2, 10), (1, 1, 2, 10)]);
    }

    #[test]
    fn long_sums_are_added_up_in_several_dispatches() {
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
        assert!(text.contains(&format!("const most_terms = {MOST_TERMS}u;")));
    }

    /// Of rows of 1024 an invocation has 32 groups of four columns: 32 * (2044 + 2) = 65,472 turns.
    #[test]
    fn means_of_long_rows_have_fewer_terms() {
        assert_eq!(seldom(None), 32_768);
        assert_eq!(
            [1, 32, 33, 1024].map(|width| seldom(Some(width))),
            [32_768, 32_768, 32_744, 2044]
        );
        assert_eq!([698_560, 698_561].map(|width| seldom(Some(width))), [1, 0]);
        assert_eq!(check_row_length(698_560), Ok(()));
        assert!(check_row_length(698_561).is_err());
    }

    /// Two workgroups in a row and two rows of them, of 3 invocations: 12 quads a dispatch.
    #[test]
    fn more_threads_than_a_grid_has_are_shared_out() {
        let limits = DispatchLimits { workgroups: 2, workgroup_size: 3, ..LIMITS };
        let cut = |width, rows| {
            let shares = shares(Job { width, ..Job::default() }, width.div_ceil(4), rows, &limits);
            let share = |(job, grid): (Job, [u32; 2])| {
                (job.first_record / 2, job.first_quad, job.threads, grid)
            };
            shares.into_iter().map(share).collect::<Vec<_>>()
        };
        // Rows of 5 quads: two at once.
        assert_eq!(cut(20, 3), [(0, 0, 10, [2, 2]), (2, 0, 5, [2, 1])]);
        // Rows of 13 quads: each in two.
        let halves =
            [(0, 0, 12, [2, 2]), (0, 12, 1, [1, 1]), (1, 0, 12, [2, 2]), (1, 12, 1, [1, 1])];
        assert_eq!(cut(50, 2), halves);
    }
}
