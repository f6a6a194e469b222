//! Many minibatches in one dispatch, for models so small that a dispatch for each part of a step
//! would cost more than the step.

use std::ops::Range;

use super::super::errors::TrainError;
use super::super::loss::Loss;
use super::super::order::RUNS;
use super::super::training::Training;
use super::commands::Operation;
use super::gradient::GpuGradient;
use super::job::Job;
use super::kernels::{JOB, PENALTY, PREDICT, RESIDUAL, WORKGROUP_SIZE, bind_parts};
use super::uniforms::StepUniforms;
use crate::gpu::{
    self, Bound, Compiled, Element, Formula, Gpu, GpuOptimizer, MAX_LOOP_ITERATIONS, SquareOf,
    StepError, Text, whole,
};
use crate::numerics::Precision;
use crate::rules::Rule;

/// `max_groups` and `max_rows` of `shaders/linear/descend.wgsl`.
const MAX_GROUPS: u32 = 256;
const MAX_ROWS: usize = 1024;
/// Bytes of workgroup memory that the kernel takes: weights, residuals and partial gradients.
const WORKGROUP_BYTES: u32 = 16 * MAX_GROUPS + 4 * MAX_ROWS as u32 + 16 * 32 * 8;
/// Storage buffers beside those of the state.
const FIXED_BUFFERS: u32 = 5;
/// The maximum number of multiplications of a batch for which one workgroup is faster than several
/// dispatches.
const BATCH_WORK: usize = 1 << 14;
/// The maximum numbers of multiplications and batches of a dispatch: one workgroup does tens of millions
/// and some thousands a second on the slowest device, and no watchdog may take it for hung. Wide models
/// reach the limit of loop iterations with fewer batches: see [`max_batches`].
const DISPATCH_WORK: usize = 1 << 22;
const DISPATCH_BATCHES: u32 = 512;

/// The kernel with its bind group, and the batches collected for the next dispatch.
pub(super) struct Descent<R: Rule> {
    kernel: Compiled,
    bind_group: wgpu::BindGroup,
    /// What all dispatches have in common.
    job: Job,
    steps: StepUniforms<R>,
    /// The dispatch that batches are being added to.
    open: Option<Job>,
}

/// The kernel for a rule and a loss. Bindings: table, target, order, hyper-parameters, parameters, state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct DescendKernel {
    formula: Formula,
    precision: Precision,
    loss: Loss,
}

impl gpu::Kernel for DescendKernel {
    fn entry(&self) -> &'static str {
        "descend"
    }

    fn text(&self) -> String {
        let Self { formula, precision, loss } = self;
        let mut text = Text::new(&[include_str!("../../../shaders/linear/descend.wgsl")]);
        text.rule(formula, *precision, SquareOf::Own);
        text.files(&[JOB, loss.shader(), RESIDUAL, PREDICT, PENALTY, Element::Quads.file()]);
        text.state(formula, Bound::All, Element::Quads);
        text.finish()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.formula.constants()
    }
}

/// How many batches of so many rows one dispatch may have: the loops of `descend.wgsl` take no more
/// than [`MAX_LOOP_ITERATIONS`] for them.
fn max_batches(batch_rows: u32, column_groups: u32) -> u32 {
    // A loop of n iterations takes one more to find that it is over.
    let looped = |iterations: u32, inside: u32| iterations * (1 + inside) + 1;
    // Of a tree over so many partial sums: an iteration for each half, and those within.
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

impl<R: Rule> Descent<R> {
    /// The kernel for batches of up to `batch_size` rows, if they are small enough for it, lie in
    /// one table or window, and the device's limits allow it.
    pub(super) fn new(
        gpu: &Gpu,
        gradient: &GpuGradient,
        optimizer: &GpuOptimizer<R>,
        training: &Training,
        batch_size: usize,
    ) -> Result<Option<Self>, TrainError> {
        let (table, shape) = (&gradient.place().tables()[0], gradient.shape());
        let state: Vec<_> =
            (0..optimizer.state_count()).map(|index| optimizer.state(index)).collect();
        let in_one_piece = gradient.place().pieces().is_empty()
            && state.iter().all(|vector| vector.segments().len() == 1);
        let limits = gpu.device().limits();
        if !in_one_piece
            || training.progressive
            || batch_size > MAX_ROWS
            || shape.column_groups > MAX_GROUPS
            || batch_size * gradient.columns() > BATCH_WORK
            || limits.max_compute_workgroup_storage_size < WORKGROUP_BYTES
            || limits.max_storage_buffers_per_shader_stage < FIXED_BUFFERS + state.len() as u32
        {
            return Ok(None);
        }
        let (precision, loss) = (optimizer.precision(), training.loss);
        let formula = Formula::of(optimizer.rule());
        let kernel = gpu.kernel(&DescendKernel { formula, precision, loss });
        let kernel = kernel.map_err(StepError::from)?;
        let steps = StepUniforms::new(gpu)?;
        let fixed =
            [&table.rows, &table.target, &gradient.order, &steps.buffer, &gradient.parameters];
        let buffers = fixed.map(whole).into_iter().chain(state.iter().map(|v| v.binding()));
        Ok(Some(Self {
            bind_group: bind_parts(gpu, &kernel, buffers)?,
            kernel,
            job: Job { ordered: u32::from(gradient.place().ordered()), ..gradient.job(0) },
            steps,
            open: None,
        }))
    }

    /// Whether a submission has as many batches as there is room for.
    pub(super) fn is_full(&self) -> bool {
        self.steps.is_full()
    }

    /// Adds a batch, at `rows` of the epoch's order or the window. Gives back the dispatch before
    /// it, if that cannot take it.
    pub(super) fn add(&mut self, rows: &Range<usize>, uniforms: R::Uniforms) -> Option<Operation> {
        let (row_first, batch_rows) = (rows.start as u32, rows.len() as u32); // below 2^32 rows
        let first_step = self.steps.push(uniforms);
        if let Some(job) = &mut self.open {
            let work = (job.batches + 1) as usize * rows.len() * self.job.columns as usize;
            let next = job.row_first + job.batches * job.batch_rows;
            let max_batches = max_batches(batch_rows, self.job.column_groups);
            let small = work <= DISPATCH_WORK && job.batches < max_batches;
            if job.batch_rows == batch_rows && next == row_first && small {
                job.batches += 1;
                return None;
            }
        }
        let before = self.close();
        self.open = Some(Job {
            rows: batch_rows,
            row_first,
            batch_rows,
            batches: 1,
            first_step,
            divisor: batch_rows as f32,
            ..self.job
        });
        before
    }

    /// The dispatch of the batches added since the last one.
    pub(super) fn close(&mut self) -> Option<Operation> {
        self.open.take().map(|job| Operation {
            pipeline: self.kernel.pipeline.clone(),
            bind_group: self.bind_group.clone(),
            grid: [1, 1],
            job,
        })
    }

    /// Queues the uniforms of a submission's steps, ahead of it.
    pub(super) fn write(&mut self, gpu: &Gpu) -> Result<(), TrainError> {
        self.steps.write(gpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Adagrad;
    use crate::gpu::{Kernel, shader_check};
    use crate::rules::{AnyRule, with_rule};

    fn kernel<R: Rule>(rule: &R, precision: Precision, loss: Loss) -> DescendKernel {
        DescendKernel { formula: Formula::of(rule), precision, loss }
    }

    #[test]
    fn constants_are_those_of_the_shipped_wgsl() {
        let text = kernel(&Adagrad::default(), Precision::Native, Loss::Squared).text();
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

    /// By hand, of one row and one group: 2 iterations for the group and 4 + 3 + 7 for the tree of 8, in 1 + 1
    /// for the row; a block of 4 sums of 2 iterations each, 4 * 3 + 1, and 6 + 5 + 31 for the tree of 32, in
    /// 1 + 1; 70 and 1 for the batch; and 2 * 2 + 1 for weights that come and go.
    #[test]
    fn wide_models_have_fewer_batches_a_dispatch() {
        let iterations = 1 + (1 + 2 + 14) + 1 + (1 + 13 + 42) + 1;
        assert_eq!(max_batches(1, 1), DISPATCH_BATCHES.min((MAX_LOOP_ITERATIONS - 5) / iterations));
        assert_eq!(max_batches(10, 2), DISPATCH_BATCHES);
        assert!((20..60).contains(&max_batches(16, MAX_GROUPS)));
        assert!((1..DISPATCH_BATCHES).contains(&max_batches(MAX_ROWS as u32, 4)));
    }

    #[test]
    fn it_can_be_translated_for_every_device_and_rule() {
        for rule in AnyRule::examples() {
            for precision in [Precision::Native, Precision::Exact] {
                for loss in [Loss::Squared, Loss::Logistic] {
                    with_rule!(rule, |rule| shader_check::check(&kernel(&rule, precision, loss)));
                }
            }
        }
    }
}
