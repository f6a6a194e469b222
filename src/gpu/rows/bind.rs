//! From the rows named to bound dispatches, whose lists and jobs are uploaded.

use std::ops::Range;

use super::super::context::Gpu;
use super::super::errors::{DeviceError, StepError};
use super::super::kernel::{Compiled, range};
use super::super::kernels::{RowsKernel, StepChoice, SumKernel, WhichRows};
use super::super::limits::{LimitError, Needs};
use super::super::pass::{BoundDispatch, Pass};
use super::super::plan::{Binding, Dispatch, DispatchLimits, Element, Span, plan};
use super::super::state::StateMemory;
use super::super::upload::Upload;
use super::super::vector::GpuVec;
use super::dispatches::{
    Job, MEAN_LANES, MEAN_WORKGROUP, RowsDispatch, Work, dispatches, max_inline_occurrences,
};
use super::lists::{List, max_occurrences, runs};
use super::memory::{RowsMemory, RowsScratch};
use crate::step::{NamedRows, RowsError};

/// The maximum number of row gradients of a step: kernels count their elements, and those of a part of
/// the table beside them, in a u32.
const MAX_GRADIENTS: usize = 1 << 31;

/// A table of rows with its state, and how it is stepped.
pub(in crate::gpu) struct RowsContext<'a> {
    pub(in crate::gpu) gpu: &'a Gpu,
    /// Elements are for each dispatch to choose.
    pub(in crate::gpu) step: StepChoice,
    /// Of hyper-parameters.
    pub(in crate::gpu) group: u32,
    /// The length of a row, if its parameters share what they can of the state.
    pub(in crate::gpu) row_width: Option<usize>,
    pub(in crate::gpu) params: &'a GpuVec,
    /// State vectors that every parameter has.
    pub(in crate::gpu) own: Vec<&'a GpuVec>,
    /// State vectors that rows share.
    pub(in crate::gpu) shared: Vec<&'a GpuVec>,
}

impl<'a> RowsContext<'a> {
    /// Of one tensor: its parameters, and its part of all state.
    pub(in crate::gpu) fn new(
        gpu: &'a Gpu,
        step: StepChoice,
        row_width: Option<usize>,
        (tensor, group): (usize, u32),
        params: &'a GpuVec,
        state: &'a StateMemory,
    ) -> Self {
        let own = state.of_tensor(tensor, false).collect();
        let shared = state.of_tensor(tensor, true).collect();
        Self { gpu, step, group, row_width, params, own, shared }
    }
}

/// The dispatches of a step over the rows of one table.
#[derive(Debug, Default)]
pub(in crate::gpu) struct BoundRows {
    /// Sums of gradients, ahead of a guard.
    pub(in crate::gpu) sums: Pass,
    pub(in crate::gpu) steps: Pass,
    /// The gradients that are stepped with, row after row, if all have been summed.
    pub(in crate::gpu) summed: Vec<GpuVec>,
}

/// Whether the device can step rows at all.
fn check_row_limits(context: &RowsContext<'_>, limits: &wgpu::Limits) -> Result<(), LimitError> {
    // The list, parameters, gradients, state; what rows share counts as one.
    let row_wise = context.row_width.is_some();
    let vectors = context.own.len() + usize::from(row_wise);
    let decided = u64::from(context.step.treatment != Default::default());
    let buffers = 3 + vectors.max(context.shared.len()) as u64 + decided;
    // The kernel that finds means: whole rows in a workgroup, and its partial sums.
    let (lanes, bytes) =
        if row_wise { (MEAN_LANES, u64::from(16 * MEAN_WORKGROUP)) } else { (1, 0) };
    Needs::of(limits).buffers(buffers, 2).workgroup(lanes, bytes).check()
}

/// Binds the step of the rows that `indices` names. Their gradients are all summed first if `sum_all`.
pub(in crate::gpu) fn bind_named_rows(
    context: &RowsContext<'_>,
    memory: &mut RowsMemory,
    gradients: &GpuVec,
    indices: &[u32],
    sum_all: bool,
) -> Result<BoundRows, StepError> {
    let (table, found, count) = (context.params.len(), gradients.len(), indices.len());
    if found > MAX_GRADIENTS {
        let max = MAX_GRADIENTS;
        return Err(RowsError::Count { gradients: found, indices: count, max }.into());
    }
    check_row_limits(context, &context.gpu.device().limits())?;
    memory.named.name(table, found, indices)?;
    if let Some(width) = context.row_width {
        memory.named.check_width(width)?;
    }
    Binder::new(context).named(memory, gradients, sum_all)
}

/// Binds the step of all rows of a row-wise optimizer, each with one row of gradients.
pub(in crate::gpu) fn bind_all_rows(
    context: &RowsContext<'_>,
    memory: &mut RowsMemory,
    gradients: &GpuVec,
) -> Result<Pass, StepError> {
    check_row_limits(context, &context.gpu.device().limits())?;
    let binder = Binder::new(context);
    let width = context.row_width.unwrap_or(1);
    let rows = context.params.len() / width;
    let in_one_part = binder.parts(&[gradients]).len() == 1;
    if !in_one_part || gradients.len() > MAX_GRADIENTS {
        // Rows that cross from part to part have to be summed into one, as if they were named.
        let max = MAX_GRADIENTS;
        let count = RowsError::Count { gradients: gradients.len(), indices: rows, max };
        let last = u32::try_from(rows).map_err(|_| StepError::Rows(count))?;
        let indices: Vec<u32> = (0..last).collect();
        let mut bound = bind_named_rows(context, memory, gradients, &indices, false)?;
        bound.sums.append(bound.steps);
        return Ok(bound.sums);
    }
    let words = context.step.formula.shared_words();
    let per_run = (binder.max_words / words).max(1).min(rows);
    let mut pass = Pass::default();
    for first in (0..rows).step_by(per_run) {
        let run = first as u64..rows.min(first + per_run) as u64;
        let list = |_| List::all(run.clone());
        binder.bind_run(
            &mut memory.scratch,
            width,
            (gradients, (run.end - run.start) as usize),
            list,
            &mut pass,
        )?;
    }
    Ok(pass)
}

/// The dispatches over one list, from gradients to a table.
struct Stage<'a> {
    work: Work,
    list: List,
    /// Elements of a row of gradients.
    width: usize,
    table: &'a [&'a GpuVec],
    grads: &'a GpuVec,
    /// What the parameters of a row share, if they do: written by the means, read by the steps.
    shared: Option<&'a GpuVec>,
}

/// What is the same for all stages of a step.
struct Binder<'a> {
    context: &'a RowsContext<'a>,
    gpu: &'a Gpu,
    limits: DispatchLimits,
    /// The same for means.
    mean_limits: DispatchLimits,
    /// The maximum number of words in a binding, and in bytes.
    max_words: usize,
    allowed: u64,
}

impl<'a> Binder<'a> {
    fn new(context: &'a RowsContext<'a>) -> Self {
        let limits = context.gpu.device().limits();
        let mean_limits = DispatchLimits::of(&limits, MEAN_WORKGROUP);
        let whole_rows = mean_limits.workgroup_size / MEAN_LANES * MEAN_LANES;
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        Self {
            context,
            gpu: context.gpu,
            // A kernel over rows has one quad an invocation.
            limits: DispatchLimits::of(&limits, context.step.workgroup_size),
            mean_limits: DispatchLimits { workgroup_size: whole_rows, ..mean_limits },
            max_words: (allowed / 4).min(u64::from(u32::MAX)) as usize,
            allowed,
        }
    }

    fn too_long(&self, words: usize) -> StepError {
        let (limit, needed) = ("max_storage_buffer_binding_size", 4 * words as u64);
        StepError::Limit { limit, needed, allowed: self.allowed }
    }

    /// Binds the step of the rows that have been named.
    fn named(
        &self,
        RowsMemory { named, scratch }: &mut RowsMemory,
        gradients: &GpuVec,
        sum_all: bool,
    ) -> Result<BoundRows, StepError> {
        let mut bound = BoundRows::default();
        for (number, run) in self.runs(named, gradients, sum_all)?.into_iter().enumerate() {
            self.named_run(scratch, named, (number, run), gradients, sum_all, &mut bound)?;
        }
        Ok(bound)
    }

    /// The runs that the rows named come in.
    fn runs(
        &self,
        named: &NamedRows,
        gradients: &GpuVec,
        sum_all: bool,
    ) -> Result<Vec<Range<usize>>, StepError> {
        let sum_all = sum_all || self.parts(&[gradients]).len() > 1;
        let max_inline = max_inline_occurrences(self.context.row_width);
        // Rows named often are apart from others, unless all are summed first.
        let apart = if sum_all { u32::MAX } else { max_inline };
        let sums = sum_all || max_occurrences(named, &(0..named.rows.len())) > max_inline;
        // What rows share lies in one buffer and one binding, and so do the sums that means are of.
        let words = self.context.step.formula.shared_words();
        let per_row = match (self.context.row_width, sums) {
            (Some(_), true) => words.max(named.width),
            (Some(_), false) => words,
            (None, _) => 0,
        };
        let max_rows = (self.max_words / 4 * 4).checked_div(per_row).unwrap_or(usize::MAX);
        if max_rows == 0 {
            return Err(self.too_long(per_row));
        }
        runs(named, self.max_words, max_rows, apart).map_err(|words| self.too_long(words))
    }

    fn named_run(
        &self,
        scratch: &mut RowsScratch,
        named: &NamedRows,
        (number, run): (usize, Range<usize>),
        gradients: &GpuVec,
        sum_all: bool,
        bound: &mut BoundRows,
    ) -> Result<(), StepError> {
        let (rows, width) = (run.len(), named.width);
        let max_inline = max_inline_occurrences(self.context.row_width);
        let in_parts = self.parts(&[gradients]).len() > 1;
        if !sum_all && !in_parts && max_occurrences(named, &run) <= max_inline {
            let list = |table_width| List::direct(named, run.clone(), table_width);
            return self.bind_run(scratch, width, (gradients, rows), list, &mut bound.steps);
        }
        let sums = scratch.sums(self.gpu, number, rows * width)?;
        let list = List::to_sums(named, run.clone());
        let (table, shared) = ([&sums], None);
        let stage = Stage { work: Work::Sum, list, width, table: &table, grads: gradients, shared };
        self.bind(&stage, &mut bound.sums)?;
        let list = |table_width| List::from_sums(named, run.clone(), table_width);
        self.bind_run(scratch, width, (&sums, rows), list, &mut bound.steps)?;
        bound.summed.push(sums);
        Ok(())
    }

    /// Binds the step of so many rows whose gradients `grads` has, after their means if they share state;
    /// `list` makes their list for a table whose rows have a certain length.
    fn bind_run(
        &self,
        scratch: &mut RowsScratch,
        width: usize,
        (grads, rows): (&GpuVec, usize),
        list: impl Fn(usize) -> List,
        pass: &mut Pass,
    ) -> Result<(), StepError> {
        let shared = match self.context.row_width {
            Some(_) => {
                let words = self.context.step.formula.shared_words();
                let shared = scratch.shared.room(self.gpu, rows * words)?;
                let (work, table) = (Work::Mean, &self.context.shared[..]);
                let (list, shared_by_row) = (list(1), Some(&shared));
                self.bind(&Stage { work, list, width, table, grads, shared: shared_by_row }, pass)?;
                Some(shared)
            }
            None => None,
        };
        let table: Vec<_> =
            [self.context.params].into_iter().chain(self.context.own.clone()).collect();
        let (work, list, shared) = (Work::Step, list(width), shared.as_ref());
        self.bind(&Stage { work, list, width, table: &table, grads, shared }, pass)
    }

    /// The parts of vectors that one dispatch can bind.
    fn parts(&self, vectors: &[&GpuVec]) -> Vec<Dispatch> {
        let spans: Vec<_> = vectors.iter().map(|vector| vector.spans()).collect();
        plan(&spans, &self.limits)
    }

    /// A vector in one binding, which it is known to fit.
    fn whole(&self, vector: &GpuVec) -> Dispatch {
        let Span { offset, len, .. } = vector.segments()[0].span;
        let shift = offset % self.limits.alignment;
        let binding = Binding {
            span: 0,
            offset: offset - shift,
            size: shift + 4 * len,
            shift: (shift / 4) as u32,
        };
        // No binding has as many elements as a u32 counts.
        let (element, len) = (Element::Scalars, len as u32);
        Dispatch { element, first: 0, len, grid: [1, 1], bindings: vec![binding] }
    }

    /// Binds the dispatches of one stage.
    fn bind(&self, stage: &Stage<'_>, pass: &mut Pass) -> Result<(), StepError> {
        let (table, grads) = match stage.work {
            Work::Mean => (self.parts(stage.table), vec![self.whole(stage.grads)]),
            Work::Sum | Work::Step => (self.parts(stage.table), self.parts(&[stage.grads])),
        };
        let limits = match stage.work {
            Work::Mean => &self.mean_limits,
            Work::Sum | Work::Step => &self.limits,
        };
        let width = stage.width as u32; // at most as many as there are row gradients
        let found = dispatches(stage.work, &stage.list, width, (&table, &grads), limits);
        let mut upload = Upload::both(self.gpu);
        let is_listed = !stage.list.words.is_empty();
        let list = is_listed.then(|| upload.push(&stage.list.words));
        let jobs: Vec<_> = found
            .iter()
            .map(|dispatch| upload.push(&[self.job(stage.work, dispatch, &table, &grads)]))
            .collect();
        let uploaded = upload.send(self.gpu)?;
        let in_parts = grads.len() > 1;
        let grads_written = stage.table.iter().any(|vector| vector.shares_buffer(stage.grads));
        for (dispatch, job) in found.iter().zip(&jobs) {
            let kernel =
                self.kernel(stage, dispatch.element, (is_listed, grads_written, in_parts))?;
            let head = [uploaded.binding(job)].into_iter();
            let head = head.chain(list.as_ref().map(|list| uploaded.binding(list)));
            let parts = (&table[dispatch.table], &grads[dispatch.grads]);
            let buffers = head.chain(self.vectors(stage, parts));
            let bind_group = kernel.bind(self.gpu, buffers)?;
            pass.dispatches.push(BoundDispatch::new(&kernel, bind_group, dispatch.grid));
        }
        pass.hold(uploaded);
        Ok(())
    }

    /// The kernel of a dispatch.
    fn kernel(
        &self,
        stage: &Stage<'_>,
        element: Element,
        (is_listed, grads_written, grads_in_parts): (bool, bool, bool),
    ) -> Result<Compiled, DeviceError> {
        let choice = &self.context.step;
        if stage.work == Work::Sum {
            let (precision, workgroup_size) = (choice.precision, self.limits.workgroup_size);
            return self.gpu.kernel(&SumKernel { precision, grads_written, workgroup_size });
        }
        let means = stage.work == Work::Mean;
        let limits = if means { &self.mean_limits } else { &self.limits };
        self.gpu.kernel(&RowsKernel {
            step: StepChoice { element, workgroup_size: limits.workgroup_size, ..choice.clone() },
            rows: if is_listed { WhichRows::Named } else { WhichRows::All },
            row_wise: stage.shared.is_some(),
            means,
            grads_written,
            grads_in_parts,
        })
    }

    /// What a dispatch binds behind job and list: parameters or sums, gradients, state, and what rows
    /// share; for means, gradients, state and what rows share.
    fn vectors<'b>(
        &self,
        stage: &'b Stage<'_>,
        (table, grads): (&Dispatch, &Dispatch),
    ) -> Vec<wgpu::BufferBinding<'b>> {
        let bound = |(vector, bound): (&&'b GpuVec, &Binding)| {
            range(&vector.segments()[bound.span].buffer, bound.offset, bound.size)
        };
        let mut vectors: Vec<_> = stage.table.iter().zip(&table.bindings).map(bound).collect();
        let place = if stage.work == Work::Mean { 0 } else { 1 };
        vectors.insert(place, bound((&stage.grads, &grads.bindings[0])));
        // It lies in one piece: `runs` has made it so.
        let shared = stage.shared.map(|vector| &vector.segments()[0]);
        vectors.extend(shared.map(|s| range(&s.buffer, s.span.offset, 4 * s.span.len)));
        vectors
    }

    /// A job with its starts.
    fn job(
        &self,
        work: Work,
        dispatch: &RowsDispatch,
        table: &[Dispatch],
        grads: &[Dispatch],
    ) -> Job {
        let shift =
            |part: &Dispatch, vector: usize| part.bindings.get(vector).map_or(0, |b| b.shift);
        let table = &table[dispatch.table];
        // All state vectors begin alike.
        let state = if work == Work::Mean { 0 } else { 1 };
        Job {
            group: self.context.group,
            params_start: shift(table, 0),
            grads_start: shift(&grads[dispatch.grads], 0),
            state_start: shift(table, state),
            ..dispatch.job
        }
    }
}
