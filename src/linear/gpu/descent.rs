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
use super::kernels::{Compiled, JOB, PENALTY, PREDICT, RESIDUAL, WORKGROUP_SIZE};
use super::uniforms::StepUniforms;
use crate::gpu::{Gpu, GpuOptimizer, MOST_TURNS, OWN_SQUARE, StateNames, arithmetic, expand_state};
use crate::numerics::Precision;
use crate::rules::Rule;

/// `most_groups` and `most_rows` of `shaders/linear/descend.wgsl`.
const MOST_GROUPS: u32 = 256;
const MOST_ROWS: usize = 1024;
/// Bytes of workgroup memory that the kernel takes: weights, residuals and partial gradients.
const WORKGROUP_BYTES: u32 = 16 * MOST_GROUPS + 4 * MOST_ROWS as u32 + 16 * 32 * 8;
/// The binding of the first state vector.
const FIRST_STATE_BINDING: u32 = 5;
/// The most multiplications of a batch for which one workgroup is faster than several dispatches.
const BATCH_WORK: usize = 1 << 14;
/// The most multiplications and batches of a dispatch: one workgroup does tens of millions and some
/// thousands a second on the slowest device, and no watchdog may take it for hung. Of wide models
/// fewer batches have all the turns of loops that there may be: see [`most_batches`].
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

/// The whole WGSL.
fn source<R: Rule>(rule: &R, precision: Precision, loss: Loss) -> String {
    let harness = include_str!("../../../shaders/linear/descend.wgsl");
    let state = StateNames { members: R::STATE, vectors: &rule.state_names() };
    let harness = expand_state(harness, state, FIRST_STATE_BINDING);
    let parts = [
        arithmetic(precision),
        JOB,
        loss.shader(),
        RESIDUAL,
        PREDICT,
        PENALTY,
        OWN_SQUARE,
        R::SHADER,
        &harness,
    ];
    parts.join("\n")
}

/// How many batches of so many rows one dispatch may have: the loops of `descend.wgsl` take no more
/// than [`MOST_TURNS`] for them.
fn most_batches(batch_rows: u32, column_groups: u32) -> u32 {
    // A loop of n turns takes one more to find that it is over.
    let looped = |turns: u32, inside: u32| turns * (1 + inside) + 1;
    // Of a tree over so many partial sums: a turn for each half, and those within.
    let tree = |sums: u32| looped(sums.ilog2(), 1) + sums - 1;
    let predict = looped(column_groups, 0) + tree(8);
    let run_length = batch_rows.div_ceil(RUNS as u32);
    let sums = (8 * RUNS as u32).div_ceil(WORKGROUP_SIZE); // of a block of eight groups
    let block = looped(sums, looped(run_length, 0)) + tree(RUNS as u32);
    let batch = looped(batch_rows.div_ceil(WORKGROUP_SIZE), predict)
        + looped(column_groups.div_ceil(8), block);
    let parameters = looped(column_groups.div_ceil(WORKGROUP_SIZE), 0);
    ((MOST_TURNS - 2 * parameters - 1) / (1 + batch)).clamp(1, DISPATCH_BATCHES)
}

/// For each binding, whether the kernel of a rule with so many state vectors writes it.
fn writes(state: usize) -> Vec<bool> {
    [false, false, false, false, true].into_iter().chain((0..state).map(|_| true)).collect()
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
        let writes = writes(state.len());
        if !in_one_piece
            || training.progressive
            || batch_size > MOST_ROWS
            || shape.column_groups > MOST_GROUPS
            || batch_size * gradient.columns() > BATCH_WORK
            || limits.max_compute_workgroup_storage_size < WORKGROUP_BYTES
            || limits.max_storage_buffers_per_shader_stage < writes.len() as u32
        {
            return Ok(None);
        }
        let (precision, loss) = (optimizer.precision(), training.loss);
        let rule = optimizer.rule();
        let (constants, names) = (rule.constants(), rule.state_names());
        // With the text of the rule: two rules may have one name.
        let key = format!("descend {precision} {loss} {constants:?} {names:?} {}", R::SHADER);
        let source = || source(rule, precision, loss);
        let kernel = Compiled::new(gpu, &key, "descend", source, &writes, &constants)?;
        let steps = StepUniforms::new(gpu)?;
        let mut buffers =
            vec![&table.rows, &table.target, &gradient.order, &steps.buffer, &gradient.parameters];
        buffers.extend(state.iter().map(|vector| &vector.segments()[0].buffer));
        Ok(Some(Self {
            bind_group: kernel.bind(gpu, &buffers)?,
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
            let most = most_batches(batch_rows, self.job.column_groups);
            let small = work <= DISPATCH_WORK && job.batches < most;
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
    use crate::rules::{AnyRule, RuleVisitor};

    #[test]
    fn bindings_and_constants_are_those_of_the_shipped_wgsl() {
        let text = source(&Adagrad::default(), Precision::Native, Loss::Squared);
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        let mut found = Vec::new();
        for (_, global) in module.global_variables.iter() {
            if let (Some(place), naga::AddressSpace::Storage { access }) =
                (global.binding, global.space)
            {
                found.push((place.binding, access.contains(naga::StorageAccess::STORE)));
            }
        }
        found.sort_unstable();
        assert_eq!(found, (0..).zip(writes(1)).collect::<Vec<_>>());
        for line in [
            format!("const most_groups: u32 = {MOST_GROUPS}u;"),
            format!("const most_rows: u32 = {MOST_ROWS}u;"),
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

    /// By hand, of one row and one group: 2 turns for the group and 4 + 3 + 7 for the tree of 8, in 1 + 1
    /// for the row; a block of 4 sums of 2 turns each, 4 * 3 + 1, and 6 + 5 + 31 for the tree of 32, in
    /// 1 + 1; 70 and 1 for the batch; and 2 * 2 + 1 for weights that come and go.
    #[test]
    fn wide_models_have_fewer_batches_a_dispatch() {
        let turns = 1 + (1 + 2 + 14) + 1 + (1 + 13 + 42) + 1;
        assert_eq!(most_batches(1, 1), DISPATCH_BATCHES.min((MOST_TURNS - 5) / turns));
        assert_eq!(most_batches(10, 2), DISPATCH_BATCHES);
        assert!((20..60).contains(&most_batches(16, MOST_GROUPS)));
        assert!((1..DISPATCH_BATCHES).contains(&most_batches(MOST_ROWS as u32, 4)));
    }

    /// The kernel of any rule.
    struct Translate(Precision, Loss);

    impl RuleVisitor for Translate {
        type Output = ();

        fn visit<R: Rule>(self, rule: R) {
            let what = format!("descend {} {} {rule:?}", self.0, self.1);
            let text = source(&rule, self.0, self.1);
            crate::gpu::shader_check::translate(&what, &text, &rule.constants());
        }
    }

    #[test]
    fn it_can_be_translated_for_every_device_and_rule() {
        for rule in AnyRule::examples() {
            for precision in [Precision::Native, Precision::Exact] {
                for loss in [Loss::Squared, Loss::Logistic] {
                    rule.visit(Translate(precision, loss));
                }
            }
        }
    }
}
