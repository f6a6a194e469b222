//! From rows in device memory to a gradient or a loss: the buffers, the bind groups, and the
//! dispatches.

use std::ops::Range;

use super::super::errors::TrainError;
use super::super::order::{BLOCK, RUNS, run_length};
use super::super::penalty::Penalty;
use super::super::training::Training;
use super::commands::Operation;
use super::job::Job;
use super::kernels::{Kernel, Kernels, ROW_WIDTH};
use super::memory::storage;
use super::table::{Rows, Shape, Table};
use crate::gpu::{Gpu, MAX_LOOP_ITERATIONS};
use crate::numerics::Precision;

/// The maximum number of rows of a run that one dispatch adds up: an invocation goes through them one by one, so
/// that no driver takes it for hung, or ends its loop ([`MAX_LOOP_ITERATIONS`]). `max_rows` of
/// `shaders/linear/accumulate.wgsl`.
const RUN_ROWS: u32 = 1 << 15;
const _: () = assert!(RUN_ROWS < MAX_LOOP_ITERATIONS);

/// All that the gradients and losses of one dataset need on a device.
#[derive(Debug)]
pub(super) struct GpuGradient {
    kernels: Kernels,
    shape: Shape,
    rows: u64,
    /// Groups of columns whose partial sums fit one binding.
    block_groups: u32,
    place: Rows,
    penalty: Penalty,
    pub(super) parameters: wgpu::Buffer,
    pub(super) gradient: wgpu::Buffer,
    pub(super) order: wgpu::Buffer,
    pub(super) residuals: wgpu::Buffer,
    /// Terms of an epoch's rows before they are learned from, if somebody asks.
    pub(super) before: Option<wgpu::Buffer>,
    groups: Groups,
}

/// What is kept of a prediction: `job.terms` of the WGSL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kept {
    /// The loss.
    Terms = 1,
    /// The prediction itself.
    Predictions = 2,
}

/// Bind groups, made once.
#[derive(Debug)]
struct Groups {
    /// From each table to each piece that a batch is gathered in.
    gather: Vec<Vec<wgpu::BindGroup>>,
    /// For each table, or for the window.
    residual: Vec<wgpu::BindGroup>,
    /// For each table or piece that a batch is read from.
    accumulate: Vec<wgpu::BindGroup>,
    /// For each table, or for the window, with `before` instead of the residuals.
    before: Vec<wgpu::BindGroup>,
    finish: wgpu::BindGroup,
}

impl GpuGradient {
    /// Prepares for the rows in `place`; of `training`, loss and penalty matter.
    pub(super) fn new(
        gpu: &Gpu,
        precision: Precision,
        training: &Training,
        shape: Shape,
        rows: u64,
        place: Rows,
    ) -> Result<Self, TrainError> {
        let kernels = Kernels::new(gpu, precision, training.loss)?;
        check_grid(&kernels, &shape, rows)?;
        let binding = shape.binding();
        let row_bytes = shape.row_bytes();
        let block_groups = (binding / (16 * RUNS as u64)).min(u64::from(shape.column_groups));
        if matches!(place, Rows::Window(_)) && block_groups < u64::from(shape.column_groups) {
            // The partial sums of all columns go on from window to window.
            let needed = row_bytes * RUNS as u64;
            return Err(binding_limit(needed, binding));
        }
        let parameters = storage(gpu, "parameters", row_bytes)?;
        let gradient = storage(gpu, "gradient", row_bytes)?;
        let partials = storage(gpu, "partial gradients", 16 * RUNS as u64 * block_groups)?;
        let order = storage(gpu, "order", if place.ordered() { 4 * rows } else { 4 })?;
        let residuals = storage(gpu, "residuals", 4 * rows)?;
        let nothing = storage(gpu, "nothing", 16)?;
        let bind = |kernel, buffers: &[&wgpu::Buffer]| {
            super::kernels::bind(gpu, kernels.get(kernel), buffers)
        };
        let (kernel, _) = Kernel::residual(shape.column_groups);
        let before = training.progressive.then(|| storage(gpu, "losses before", 4 * rows));
        let before = before.transpose()?;
        let residual = |table: &Table, batch: &wgpu::Buffer, result: &wgpu::Buffer| {
            let Table { rows, target, .. } = table;
            bind(kernel, &[rows, target, &order, &parameters, result, batch])
        };
        let gather = |table: &Table| {
            let to = |piece: &Table| residual(table, &piece.rows, &residuals);
            place.pieces().iter().map(to).collect::<Result<Vec<_>, _>>()
        };
        let accumulate =
            |part: &Table| bind(Kernel::Accumulate, &[&part.rows, &order, &residuals, &partials]);
        let tables = place.tables().iter();
        let groups = Groups {
            gather: tables.clone().map(gather).collect::<Result<_, _>>()?,
            residual: tables
                .clone()
                .map(|table| residual(table, &nothing, &residuals))
                .collect::<Result<_, _>>()?,
            before: before
                .iter()
                .flat_map(|result| tables.clone().map(|table| residual(table, &nothing, result)))
                .collect::<Result<_, _>>()?,
            accumulate: place.parts().iter().map(accumulate).collect::<Result<_, _>>()?,
            finish: bind(Kernel::Finish, &[&partials, &parameters, &gradient])?,
        };
        Ok(Self {
            kernels,
            shape,
            rows,
            block_groups: block_groups as u32, // at most `column_groups`
            place,
            penalty: training.penalty,
            parameters,
            gradient,
            order,
            residuals,
            before,
            groups,
        })
    }

    pub(super) fn job(&self, rows: u32) -> Job {
        Job {
            rows,
            columns: self.shape.columns,
            column_groups: self.shape.column_groups,
            l1: self.penalty.l1,
            l2: self.penalty.l2,
            ..Job::default()
        }
    }

    fn operation(
        &self,
        kernel: Kernel,
        bind_group: &wgpu::BindGroup,
        threads: u64,
        job: Job,
    ) -> Operation {
        Operation {
            pipeline: self.kernels.get(kernel).pipeline.clone(),
            bind_group: bind_group.clone(),
            grid: self.kernels.limits.grid(threads),
            job,
        }
    }

    /// The dispatches from a batch to the gradient; `rows` is where the batch is in the epoch's
    /// order, or in the window.
    pub(super) fn batch(&self, rows: &Range<usize>) -> Vec<Operation> {
        let row_first = rows.start as u32; // at most the number of rows, a u32
        let batch_rows = rows.len() as u32;
        let ordered = u32::from(self.place.ordered());
        let whole = Job { ordered, row_first, batch_rows, ..self.job(batch_rows) };
        let mut operations = Vec::new();
        let parts = match &self.place {
            Rows::Gathered { tables, pieces } => {
                let used = pieces.iter().filter(|piece| piece.first < batch_rows);
                let mut parts = Vec::new();
                for (index, piece) in used.enumerate() {
                    let rows = piece.count.min(batch_rows - piece.first);
                    let job = Job { first: piece.first, rows, ..whole };
                    for (table, groups) in tables.iter().zip(&self.groups.gather) {
                        let job = Job { table_first: table.first, gathered: 1, ..job };
                        operations.push(self.residual(&groups[index], job));
                    }
                    parts.push((index, Job { ordered: 0, row_first: 0, ..job }));
                }
                parts
            }
            Rows::Table(_) | Rows::Window(_) => {
                operations.push(self.residual(&self.groups.residual[0], whole));
                vec![(0, whole)]
            }
        };
        for group_first in (0..self.shape.column_groups).step_by(self.block_groups as usize) {
            for (number, (index, job)) in parts.iter().enumerate() {
                for share in shares(*job) {
                    let fresh = u32::from(number == 0 && share.skip == 0);
                    let job = Job { group_first, fresh, ..share };
                    operations.push(self.accumulate(&self.groups.accumulate[*index], job));
                }
            }
            operations.push(self.finish(batch_rows, group_first));
        }
        operations
    }

    /// The dispatches to the terms of rows before they are learned from: those at `rows` of the
    /// epoch's order, of which the window holds the first at its row `window_first`.
    pub(super) fn terms_before(&self, rows: &Range<usize>, window_first: usize) -> Vec<Operation> {
        let ordered = self.place.ordered();
        let job = Job {
            first: rows.start as u32, // all at most the number of rows, a u32
            ordered: u32::from(ordered),
            row_first: if ordered { 0 } else { window_first as u32 },
            terms: Kept::Terms as u32,
            ..self.job(rows.len() as u32)
        };
        let tables = self.place.tables().iter().zip(&self.groups.before);
        let of = |(table, bind_group): (&Table, _)| {
            let table_first = if ordered { table.first } else { 0 };
            self.residual(bind_group, Job { table_first, ..job })
        };
        tables.map(of).collect()
    }

    /// The dispatches from the window's first rows, which are those at `rows` of a batch of
    /// `batch_rows`, to what they add to the gradient.
    pub(super) fn batch_part(&self, rows: &Range<usize>, batch_rows: u32) -> Vec<Operation> {
        let first = rows.start as u32; // both at most the number of rows, a u32
        let job = Job { first, batch_rows, ..self.job(rows.len() as u32) };
        let accumulate = |share: Job| {
            let fresh = u32::from(first == 0 && share.skip == 0);
            self.accumulate(&self.groups.accumulate[0], Job { fresh, ..share })
        };
        let residual = self.residual(&self.groups.residual[0], job);
        [residual].into_iter().chain(shares(job).map(accumulate)).collect()
    }

    fn residual(&self, bind_group: &wgpu::BindGroup, job: Job) -> Operation {
        let (kernel, invocations) = Kernel::residual(self.shape.column_groups);
        self.operation(kernel, bind_group, invocations * u64::from(job.rows), job)
    }

    /// For the block of columns from `job.group_first` on.
    fn accumulate(&self, bind_group: &wgpu::BindGroup, job: Job) -> Operation {
        let groups = self.block_groups.min(self.shape.column_groups - job.group_first);
        let threads = RUNS as u64 * u64::from(groups);
        self.operation(Kernel::Accumulate, bind_group, threads, Job { groups, ..job })
    }

    /// The dispatch from partial sums to the gradient, for the block of columns from `group_first`
    /// on.
    pub(super) fn finish(&self, batch_rows: u32, group_first: u32) -> Operation {
        let groups = self.block_groups.min(self.shape.column_groups - group_first);
        let job = Job { group_first, groups, divisor: batch_rows as f32, ..self.job(batch_rows) };
        self.operation(Kernel::Finish, &self.groups.finish, u64::from(groups), job)
    }

    /// The dispatches to what is `kept` of all rows in tables, as they lie.
    pub(super) fn all_rows(&self, kept: Kept) -> Vec<Operation> {
        let residual = |(table, bind_group): (&Table, _)| {
            let terms = kept as u32;
            self.residual(bind_group, Job { first: table.first, terms, ..self.job(table.count) })
        };
        self.place.tables().iter().zip(&self.groups.residual).map(residual).collect()
    }

    /// The same for the window's rows, which are those numbered `rows`.
    pub(super) fn window_rows(&self, rows: &Range<usize>, kept: Kept) -> Operation {
        let (first, terms) = (rows.start as u32, kept as u32);
        let job = Job { first, terms, ..self.job(rows.len() as u32) };
        self.residual(&self.groups.residual[0], job)
    }

    /// Where the rows lie.
    pub(super) fn place(&self) -> &Rows {
        &self.place
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many rows the dataset has.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Features and the bias.
    pub(super) fn columns(&self) -> usize {
        self.shape.columns as usize
    }
}

/// A job of adding up rows as several over at most [`RUN_ROWS`] of each run, in their order; those
/// without rows left out.
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

/// Whether the largest dispatch fits in the device's grid, and what is bound whole in a binding.
fn check_grid(kernels: &Kernels, shape: &Shape, rows: u64) -> Result<(), TrainError> {
    if 4 * rows > shape.binding() {
        // Row numbers and residuals are bound whole.
        return Err(binding_limit(4 * rows, shape.binding()));
    }
    let limits = kernels.limits;
    let sums = rows.div_ceil(BLOCK as u64) * u64::from(limits.workgroup_size);
    let threads = (ROW_WIDTH * rows).max(RUNS as u64 * u64::from(shape.column_groups)).max(sums);
    let [_, needed] = limits.grid(threads);
    let allowed = limits.workgroups;
    if needed <= allowed {
        return Ok(());
    }
    Err(TrainError::Limit {
        limit: "max_compute_workgroups_per_dimension",
        needed: u64::from(needed),
        allowed: u64::from(allowed),
    })
}

fn binding_limit(needed: u64, allowed: u64) -> TrainError {
    TrainError::Limit { limit: "max_storage_buffer_binding_size", needed, allowed }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of 70,000 rows, cut at 32,768 and 65,536. Run 1 ends at 140,000, and its first cut is at
    /// 102,768: one part begins before it, the other behind it.
    #[test]
    fn every_row_of_a_run_is_added_up_once() {
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
