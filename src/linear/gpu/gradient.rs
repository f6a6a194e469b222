//! From dense rows in device memory to a gradient or a loss: the buffers, the bind groups, and the
//! dispatches.

use std::ops::Range;

use super::super::errors::Result;
use super::super::loss::Loss;
use super::super::order::{BLOCK, RUNS, run_length};
use super::core::{Core, Kept};
use super::job::Job;
use super::kernels::{
    BoundKernel, Kernel, ROW_WIDTH, WORKGROUP_SIZE, check_binding, check_limit, largest_binding,
    storage,
};
use super::table::{Place, Table};
use crate::gpu::{MAX_LOOP_ITERATIONS, Needs};

/// The maximum number of rows of a run that one dispatch sums: `max_rows` of
/// `shaders/linear/accumulate.wgsl`. An invocation visits them one by one. With this limit no
/// driver considers it hung or ends its loop ([`MAX_LOOP_ITERATIONS`]).
const RUN_ROWS: u32 = 1 << 15;
const _: () = assert!(RUN_ROWS < MAX_LOOP_ITERATIONS);

/// Everything that the gradients and losses of one dataset need on a device. Bind groups are
/// created once.
#[derive(Debug)]
pub(super) struct GpuGradient {
    /// Where the rows lie.
    pub(super) place: Place,
    pub(super) gradient: wgpu::Buffer,
    pub(super) order: wgpu::Buffer,
    /// The number of groups of columns whose partial sums fit one binding.
    block_groups: u32,
    /// The number of invocations that share a row.
    row_width: u64,
    /// For each table, one kernel for each piece in which a batch is gathered.
    gather: Vec<Vec<BoundKernel>>,
    /// For each table, or for the window.
    residual: Vec<BoundKernel>,
    /// The same with losses before learning, if requested, in place of residuals.
    before: Vec<BoundKernel>,
    /// For each table or piece that a batch is read from.
    accumulate: Vec<BoundKernel>,
    finish: BoundKernel,
}

impl GpuGradient {
    /// Prepares for the `rows` rows in `place`.
    pub(super) fn new(core: &Core, loss: Loss, rows: usize, place: Place) -> Result<Self> {
        let gpu = &core.gpu;
        let limits = gpu.device().limits();
        let all_groups = u64::from(core.job.column_groups);
        // The size of the partial sums of one group of columns.
        let group_bytes = 16 * RUNS as u64;
        Needs::of(&limits)
            .workgroup(WORKGROUP_SIZE, 16 * u64::from(WORKGROUP_SIZE))
            .buffers(6, 1)
            .binding(group_bytes)
            .check()?;
        check_grid(core, rows as u64)?;
        if place.is_window {
            // The partial sums of all columns continue from window to window.
            check_binding(&limits, group_bytes * all_groups)?;
        }
        let block_groups = (largest_binding(&limits) / group_bytes).min(all_groups);
        let gradient = storage(gpu, "gradient", 16 * all_groups)?;
        let partials = storage(gpu, "partial gradients", group_bytes * block_groups)?;
        let order = storage(gpu, "order", if place.is_window { 4 } else { 4 * rows as u64 })?;
        let nothing = storage(gpu, "nothing", 16)?;
        let (kernel, row_width) = match all_groups <= ROW_WIDTH {
            true => (Kernel::ResidualNarrow(loss), 1),
            false => (Kernel::Residual(loss), ROW_WIDTH),
        };
        let residual = |table: &Table, result: &wgpu::Buffer, batch: &wgpu::Buffer| {
            let Table { rows, target, .. } = table;
            core.bind(kernel.clone(), &[rows, target, &order, &core.parameters, result, batch])
        };
        let gather = |table: &Table| {
            let to = |piece: &Table| residual(table, &core.residuals, &piece.rows);
            place.pieces.iter().map(to).collect()
        };
        let tables = || place.tables.iter();
        let before = core.before.iter().flat_map(|result| tables().map(move |t| (t, result)));
        let accumulate = |part: &Table| {
            core.bind(Kernel::Accumulate, &[&part.rows, &order, &core.residuals, &partials])
        };
        Ok(Self {
            block_groups: block_groups as u32, // at most `column_groups`
            row_width,
            gather: tables().map(gather).collect::<Result<_, _>>()?,
            residual: tables()
                .map(|table| residual(table, &core.residuals, &nothing))
                .collect::<Result<_, _>>()?,
            before: before
                .map(|(table, result)| residual(table, result, &nothing))
                .collect::<Result<_, _>>()?,
            accumulate: place.parts().iter().map(accumulate).collect::<Result<_, _>>()?,
            finish: core.bind(Kernel::Finish, &[&partials, &core.parameters, &gradient])?,
            place,
            gradient,
            order,
        })
    }

    /// Dispatches the kernels that compute the gradient of a batch. `rows` are its positions in the
    /// epoch's order, or in the window.
    pub(super) fn batch(&self, core: &mut Core, rows: &Range<usize>) -> Result<()> {
        let row_first = rows.start as u32; // at most the number of rows, a u32
        let batch_rows = rows.len() as u32;
        let ordered = u32::from(!self.place.is_window);
        let whole = Job { rows: batch_rows, ordered, row_first, batch_rows, ..core.job };
        let mut parts = Vec::new();
        for (index, piece) in self.place.pieces.iter().enumerate() {
            let rows = piece.count.min(batch_rows.saturating_sub(piece.first));
            if rows == 0 {
                break;
            }
            let job = Job { first: piece.first, rows, ..whole };
            for (table, kernels) in self.place.tables.iter().zip(&self.gather) {
                let job = Job { table_first: table.first, gathered: 1, ..job };
                self.residual(core, &kernels[index], job)?;
            }
            parts.push(Job { ordered: 0, row_first: 0, ..job });
        }
        if parts.is_empty() {
            self.residual(core, &self.residual[0], whole)?;
            parts.push(whole);
        }
        for group_first in (0..core.job.column_groups).step_by(self.block_groups as usize) {
            for (kernel, job) in self.accumulate.iter().zip(&parts) {
                self.accumulate(core, kernel, Job { group_first, ..*job })?;
            }
            self.finish(core, batch_rows, group_first)?;
        }
        Ok(())
    }

    /// Dispatches the kernels that add the window's first rows to the gradient. They are the rows
    /// at positions `rows` of a batch of `batch_rows` rows.
    pub(super) fn batch_part(
        &self,
        core: &mut Core,
        rows: &Range<usize>,
        batch_rows: u32,
    ) -> Result<()> {
        // Both at most the number of rows, a u32.
        let (first, rows) = (rows.start as u32, rows.len() as u32);
        let job = Job { first, rows, batch_rows, ..core.job };
        self.residual(core, &self.residual[0], job)?;
        self.accumulate(core, &self.accumulate[0], job)
    }

    /// Dispatches the kernels that compute the loss terms of rows before they are learned from, if
    /// requested. The rows are at positions `rows` of the epoch's order, and the window holds the
    /// first of them at its row `window_first`.
    pub(super) fn terms_before(
        &self,
        core: &mut Core,
        rows: &Range<usize>,
        window_first: usize,
    ) -> Result<()> {
        let ordered = !self.place.is_window;
        let job = Job {
            rows: rows.len() as u32,
            first: rows.start as u32, // all at most the number of rows, a u32
            ordered: u32::from(ordered),
            row_first: if ordered { 0 } else { window_first as u32 },
            terms: Kept::Terms as u32,
            ..core.job
        };
        for (table, kernel) in self.place.tables.iter().zip(&self.before) {
            self.residual(core, kernel, Job { table_first: table.first, ..job })?;
        }
        Ok(())
    }

    /// Dispatches the kernel that stores what is `kept` of the rows of a table or the window, in
    /// their order there. `rows` are the numbers of the rows.
    pub(super) fn table_rows(
        &self,
        core: &mut Core,
        table: usize,
        rows: &Range<usize>,
        kept: Kept,
    ) -> Result<()> {
        let (first, rows) = (rows.start as u32, rows.len() as u32);
        let job = Job { first, rows, terms: kept as u32, ..core.job };
        self.residual(core, &self.residual[table], job)
    }

    fn residual(&self, core: &mut Core, kernel: &BoundKernel, job: Job) -> Result<()> {
        core.commands.dispatch(kernel, self.row_width * u64::from(job.rows), job)
    }

    /// Dispatches the accumulation of the block of columns from `job.group_first` on.
    fn accumulate(&self, core: &mut Core, kernel: &BoundKernel, job: Job) -> Result<()> {
        let groups = self.block_groups.min(job.column_groups - job.group_first);
        for share in shares(job) {
            let fresh = u32::from(job.first == 0 && share.skip == 0);
            let threads = RUNS as u64 * u64::from(groups);
            core.commands.dispatch(kernel, threads, Job { groups, fresh, ..share })?;
        }
        Ok(())
    }

    /// Dispatches the kernel that turns partial sums into the gradient, for the block of columns
    /// from `group_first` on.
    pub(super) fn finish(&self, core: &mut Core, batch_rows: u32, group_first: u32) -> Result<()> {
        let groups = self.block_groups.min(core.job.column_groups - group_first);
        let job = Job { group_first, groups, divisor: batch_rows as f32, ..core.job };
        core.commands.dispatch(&self.finish, u64::from(groups), job)
    }
}

/// Splits a job that sums rows into jobs over at most [`RUN_ROWS`] rows of each run, in their
/// order. Leaves out jobs without rows.
fn shares(job: Job) -> impl Iterator<Item = Job> {
    let length = run_length(job.batch_rows as usize) as u32;
    let has_rows = move |job: &Job| {
        let begin = |run: u32| (run * length + job.skip).max(job.first);
        let end =
            |run: u32| (run * length + length.min(job.skip + RUN_ROWS)).min(job.first + job.rows);
        (0..RUNS as u32).any(|run| begin(run) < end(run))
    };
    let skips = (0..length).step_by(RUN_ROWS as usize);
    skips.map(move |skip| Job { skip, ..job }).filter(has_rows)
}

/// Checks that the largest dispatch over `rows` rows fits the device's grid.
fn check_grid(core: &Core, rows: u64) -> Result<()> {
    let sums = rows.div_ceil(BLOCK as u64) * u64::from(WORKGROUP_SIZE);
    let partials = RUNS as u64 * u64::from(core.job.column_groups);
    let limits = &core.commands.limits;
    let [_, needed] = limits.grid((ROW_WIDTH * rows).max(partials).max(sums));
    let limit = "max_compute_workgroups_per_dimension";
    check_limit(limit, needed.into(), limits.workgroups.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of 70,000 rows, cut at 32,768 and 65,536. Run 1 ends at 140,000, and its first cut is
    /// at 102,768: one part begins before it, the other after it.
    #[test]
    fn every_row_of_a_run_is_summed_once() {
        let batch = Job { rows: 32 * 70_000, batch_rows: 32 * 70_000, ..Job::default() };
        let skips = |job| shares(job).map(|share| share.skip).collect::<Vec<_>>();
        assert_eq!(skips(batch), [0, 32_768, 65_536]);
        assert_eq!(skips(Job { first: 100_000, rows: 40_000, ..batch }), [0, 32_768, 65_536]);
        assert_eq!(skips(Job { first: 110_000, rows: 30_000, ..batch }), [32_768, 65_536]);
        assert_eq!(skips(Job { rows: 5, batch_rows: 5, ..Job::default() }), [0]);
        let text = include_str!("../../../shaders/linear/accumulate.wgsl");
        assert!(text.contains(&format!("const max_rows: u32 = {RUN_ROWS}u;")));
    }
}
