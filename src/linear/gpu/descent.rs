//! Many minibatches in one dispatch, for models so small that a dispatch for each part of a step
//! would cost more than the step.

use std::ops::Range;

use super::super::errors::Result;
use super::super::order::RUNS;
use super::super::training::Training;
use super::commands::Commands;
use super::core::Core;
use super::gradient::GpuGradient;
use super::job::Job;
use super::kernels::{BoundKernel, Kernel, WORKGROUP_SIZE};
use crate::gpu::{Formula, GpuOptimizer, MAX_LOOP_ITERATIONS};
use crate::rules::Rule;

/// `max_groups` and `max_rows` of `shaders/linear/descend.wgsl`.
const MAX_GROUPS: u32 = 256;
const MAX_ROWS: usize = 1024;
/// The kernel's workgroup memory, in bytes: weights, residuals and partial gradients.
const WORKGROUP_BYTES: u32 = 16 * MAX_GROUPS + 4 * MAX_ROWS as u32 + 16 * 32 * 8;
/// The number of storage buffers besides those of the state.
const FIXED_BUFFERS: u32 = 5;
/// The maximum number of multiplications of a batch for which one workgroup is faster than several
/// dispatches.
const BATCH_WORK: usize = 1 << 14;
/// The maximum numbers of multiplications and of batches in a dispatch, so that no watchdog
/// considers it hung. On the slowest device, one workgroup does tens of millions of multiplications
/// and some thousands of batches per second. Wide models reach the limit of loop iterations with
/// fewer batches: see [`max_batches`].
const DISPATCH_WORK: usize = 1 << 22;
const DISPATCH_BATCHES: u32 = 512;

/// The kernel, and the batches collected for the next dispatch.
pub(super) struct Descent {
    kernel: BoundKernel,
    /// The fields that the jobs of all dispatches share.
    job: Job,
    /// The dispatch to which batches are being added.
    open: Option<Job>,
}

/// The maximum number of batches of `batch_rows` rows in one dispatch, so that the loops of
/// `descend.wgsl` take at most [`MAX_LOOP_ITERATIONS`] iterations.
fn max_batches(batch_rows: u32, column_groups: u32) -> u32 {
    // A loop of n iterations counts one more, for the check that ends it.
    let looped = |iterations: u32, inside: u32| iterations * (1 + inside) + 1;
    // A tree over `sums` partial sums: an iteration for each half, and the iterations inside.
    let tree = |sums: u32| looped(sums.ilog2(), 1) + sums - 1;
    let predict = looped(column_groups, 0) + tree(8);
    let run_length = batch_rows.div_ceil(RUNS as u32);
    let sums = (8 * RUNS as u32).div_ceil(WORKGROUP_SIZE); // of a block of eight groups
    let block = looped(sums, looped(run_length, 0)) + tree(RUNS as u32);
    let batch = looped(batch_rows.div_ceil(WORKGROUP_SIZE), predict)
        + looped(column_groups.div_ceil(8), block);
    let parameters = looped(column_groups.div_ceil(WORKGROUP_SIZE), 0);
    ((MAX_LOOP_ITERATIONS - 2 * parameters - 1) / (1 + batch)).clamp(1, DISPATCH_BATCHES)
}

impl Descent {
    /// The kernel for a run's batches, if they are small enough and lie in one table or window, and
    /// the device's limits allow it.
    pub(super) fn new<R: Rule>(
        core: &mut Core,
        gradient: &GpuGradient,
        optimizer: &GpuOptimizer<R>,
        training: &Training,
    ) -> Result<Option<Self>> {
        let limits = core.gpu.device().limits();
        let states = optimizer.state_count();
        let in_one_piece = gradient.place.pieces.is_empty()
            && (0..states).all(|index| optimizer.state(index).segments().len() == 1);
        if !in_one_piece
            || training.progressive
            || training.batch_size > MAX_ROWS
            || core.job.column_groups > MAX_GROUPS
            || training.batch_size * core.job.columns as usize > BATCH_WORK
            || limits.max_compute_workgroup_storage_size < WORKGROUP_BYTES
            || limits.max_storage_buffers_per_shader_stage < FIXED_BUFFERS + states as u32
        {
            return Ok(None);
        }
        let table = &gradient.place.tables[0];
        let kernel = Kernel::Descend(training.loss, Formula::of(optimizer.rule()));
        let buffers = [&table.rows, &table.target, &gradient.order];
        Ok(Some(Self {
            kernel: core.bind_step(kernel, &buffers, optimizer)?,
            job: Job { ordered: u32::from(!gradient.place.is_window), ..core.job },
            open: None,
        }))
    }

    /// Adds a batch to a dispatch, for which there must be room. `rows` are the batch's positions
    /// in the epoch's order or in the window, and `step` is the number of its hyper-parameters.
    pub(super) fn add(&mut self, commands: &mut Commands, rows: &Range<usize>, step: u32) {
        let (row_first, batch_rows) = (rows.start as u32, rows.len() as u32); // below 2^32 rows
        if let Some(job) = &mut self.open {
            let work = (job.batches + 1) as usize * rows.len() * self.job.columns as usize;
            let next = job.row_first + job.batches * job.batch_rows;
            let max_batches = max_batches(batch_rows, self.job.column_groups);
            let small = work <= DISPATCH_WORK && job.batches < max_batches;
            if job.batch_rows == batch_rows && next == row_first && small {
                job.batches += 1;
                return;
            }
        }
        self.close(commands);
        self.open = Some(Job {
            rows: batch_rows,
            row_first,
            batch_rows,
            batches: 1,
            first_step: step,
            divisor: batch_rows as f32,
            ..self.job
        });
    }

    /// Dispatches the batches added since the last dispatch.
    pub(super) fn close(&mut self, commands: &mut Commands) {
        if let Some(job) = self.open.take() {
            commands.push(&self.kernel, 1, job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::loss::Loss;
    use super::super::kernels::LinearKernel;
    use super::*;
    use crate::gpu::Kernel as _;
    use crate::{Adagrad, Precision};

    #[test]
    fn constants_match_the_wgsl() {
        let kernel = Kernel::Descend(Loss::Squared, Formula::of(&Adagrad::default()));
        let text = LinearKernel { kernel, precision: Precision::Native }.text();
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        for line in [
            format!("const max_groups: u32 = {MAX_GROUPS}u;"),
            format!("const max_rows: u32 = {MAX_ROWS}u;"),
        ] {
            assert!(text.contains(&line), "{line}");
        }
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let workgroup = module
            .global_variables
            .iter()
            .filter(|(_, global)| global.space == naga::AddressSpace::WorkGroup)
            .map(|(_, global)| layouter[global.ty].size)
            .sum::<u32>();
        assert_eq!(workgroup, WORKGROUP_BYTES);
    }

    /// The iterations for one row and one group, counted by hand. The row has 1 + 1 around 2 for
    /// the group and 4 + 3 + 7 for the tree of 8: 18. The block has 1 + 1 around 4 * 3 + 1 for 4
    /// sums of 2 iterations each and 6 + 5 + 31 for the tree of 32: 57. The batch has 1 more.
    /// Loading and storing the weights take 2 * 2 + 1.
    #[test]
    fn wide_models_have_fewer_batches_per_dispatch() {
        let iterations = 1 + (1 + 2 + 14) + 1 + (1 + 13 + 42) + 1;
        assert_eq!(max_batches(1, 1), DISPATCH_BATCHES.min((MAX_LOOP_ITERATIONS - 5) / iterations));
        assert_eq!(max_batches(10, 2), DISPATCH_BATCHES);
        assert!((20..60).contains(&max_batches(16, MAX_GROUPS)));
        assert!((1..DISPATCH_BATCHES).contains(&max_batches(MAX_ROWS as u32, 4)));
    }
}
