//! Binds the dispatches of a step over rows, and uploads their lists and jobs.

use super::super::context::Gpu;
use super::super::errors::StepError;
use super::super::kernels::{RowsKernel, StepChoice, SumKernel, WhichRows};
use super::super::limits::{LimitError, Needs};
use super::super::memory::range;
use super::super::pass::Pass;
use super::super::plan::{Binding, DispatchLimits, Element, Piece, plan};
use super::super::state::StateMemory;
use super::super::upload::Upload;
use super::super::vector::GpuVec;
use super::dispatches::{
    Job, MEAN_LANES, MEAN_WORKGROUP, Work, dispatches, max_inline_occurrences,
};
use super::lists::{List, Run, runs};
use super::memory::{RowsMemory, Scratch};
use crate::step::{NamedRows, RowsError};

/// The maximum number of elements in the row gradients of a step: kernels count them, together with
/// the elements of a part of the table, in a u32.
const MAX_GRADIENTS: usize = 1 << 31;

/// A table of rows with its state, and how it is stepped.
pub(in crate::gpu) struct RowsBinder<'a> {
    gpu: &'a Gpu,
    /// The options of the kernels. Each dispatch chooses its own `element`.
    step: StepChoice,
    /// The group of hyper-parameters.
    group: u32,
    /// The length of a row, if its parameters share state.
    row_width: Option<usize>,
    /// Parameters, and the state vectors that are not shared.
    table: Vec<&'a GpuVec>,
    /// The shared state vectors.
    shared: Vec<&'a GpuVec>,
    limits: DispatchLimits,
    /// The limits of the kernels that compute means.
    mean_limits: DispatchLimits,
    /// The maximum number of bytes in a binding.
    allowed: u64,
}

/// The dispatches of a step over the rows of one table.
#[derive(Debug, Default)]
pub(in crate::gpu) struct BoundRows {
    /// Sums of gradients, before a guard.
    pub(in crate::gpu) sums: Pass,
    pub(in crate::gpu) steps: Pass,
    /// The summed gradients, row after row, if all have been summed.
    pub(in crate::gpu) summed: Vec<GpuVec>,
}

/// The dispatches over one list, from gradients to a table.
struct Stage<'a> {
    work: Work,
    list: List,
    /// The length of a row of gradients, in elements.
    width: usize,
    table: &'a [&'a GpuVec],
    grads: &'a GpuVec,
    /// The values that the parameters of a row share, if they do: means write them, steps read
    /// them.
    shared: Option<&'a GpuVec>,
}

impl<'a> RowsBinder<'a> {
    /// For one tensor: its parameters, and its part of all state.
    pub(in crate::gpu) fn new(
        gpu: &'a Gpu,
        step: StepChoice,
        row_width: Option<usize>,
        (tensor, group): (usize, u32),
        params: &'a GpuVec,
        state: &'a StateMemory,
    ) -> Result<Self, LimitError> {
        let limits = gpu.device().limits();
        let means = DispatchLimits::of(&limits, MEAN_WORKGROUP);
        let whole_rows = means.workgroup_size / MEAN_LANES * MEAN_LANES;
        let binder = Self {
            gpu,
            group,
            row_width,
            table: [params].into_iter().chain(state.of_tensor(tensor, false)).collect(),
            shared: state.of_tensor(tensor, true).collect(),
            limits: DispatchLimits::of(&limits, step.workgroup_size),
            mean_limits: DispatchLimits { workgroup_size: whole_rows, ..means },
            allowed: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            step,
        };
        // List, gradients, parameters and state; shared values count as one vector.
        let row_wise = row_width.is_some();
        let vectors = (binder.table.len() + usize::from(row_wise)).max(1 + binder.shared.len());
        let decided = u64::from(binder.step.treatment != Default::default());
        // The kernel that computes means has whole rows in a workgroup, and memory for partial
        // sums.
        let (lanes, bytes) =
            if row_wise { (MEAN_LANES, u64::from(16 * MEAN_WORKGROUP)) } else { (1, 0) };
        Needs::of(&limits)
            .buffers(2 + vectors as u64 + decided, 2)
            .workgroup(lanes, bytes)
            .check()?;
        Ok(binder)
    }

    /// Binds the step of the rows named in `indices`. With `sum_all`, all their gradients are
    /// summed first.
    pub(in crate::gpu) fn named(
        &self,
        RowsMemory { named, scratch }: &mut RowsMemory,
        gradients: &GpuVec,
        indices: &[u32],
        sum_all: bool,
    ) -> Result<BoundRows, StepError> {
        let found = gradients.len();
        if found > MAX_GRADIENTS {
            return Err(too_many(found, indices.len()));
        }
        named.name(self.table[0].len(), found, indices)?;
        if let Some(width) = self.row_width {
            named.check_width(width)?;
        }
        let sum_all = sum_all || !self.can_be_read(gradients);
        let max_inline = max_inline_occurrences(self.row_width);
        let mut bound = BoundRows::default();
        for (number, run) in (1..).zip(self.runs(named, sum_all, max_inline)?) {
            let (rows, width) = (run.rows.len(), named.width);
            if !sum_all && run.longest() <= max_inline {
                let list = |table_width| List::new(&run, table_width);
                self.bind_run(scratch, width, (gradients, rows), list, &mut bound.steps)?;
                continue;
            }
            let sums = scratch.room(self.gpu, number, rows * width)?;
            let (work, list, table) = (Work::Sum, List::new(&run.sums(), width), &[&sums][..]);
            let stage = Stage { work, list, width, table, grads: gradients, shared: None };
            self.bind(&stage, &mut bound.sums)?;
            let run = run.summed();
            let list = |table_width| List::new(&run, table_width);
            self.bind_run(scratch, width, (&sums, rows), list, &mut bound.steps)?;
            bound.summed.push(sums);
        }
        Ok(bound)
    }

    /// Binds the step of all rows of a row-wise optimizer, each with one row of gradients.
    pub(in crate::gpu) fn all(
        &self,
        memory: &mut RowsMemory,
        gradients: &GpuVec,
    ) -> Result<Pass, StepError> {
        let width = self.row_width.unwrap_or(1);
        let rows = self.table[0].len() / width;
        if !self.can_be_read(gradients) || gradients.len() > MAX_GRADIENTS {
            // Sum them first, as if all rows were named.
            let last = u32::try_from(rows).map_err(|_| too_many(gradients.len(), rows))?;
            let indices: Vec<u32> = (0..last).collect();
            let mut bound = self.named(memory, gradients, &indices, false)?;
            bound.sums.append(bound.steps);
            return Ok(bound.sums);
        }
        let per_run = (self.max_words() / self.step.formula.shared_words()).clamp(1, rows);
        let mut pass = Pass::default();
        for first in (0..rows).step_by(per_run) {
            let run = first as u64..rows.min(first + per_run) as u64;
            let count = (run.end - run.start) as usize;
            let list = |_| List::all(run.clone());
            self.bind_run(&mut memory.scratch, width, (gradients, count), list, &mut pass)?;
        }
        Ok(pass)
    }

    /// Whether a step can read gradients in place: they lie in one binding, and in no buffer that
    /// it writes to. WebGPU allows only one kind of binding for each buffer in a dispatch.
    fn can_be_read(&self, gradients: &GpuVec) -> bool {
        let mut written = self.table.iter().chain(&self.shared);
        self.gradients(gradients).len() == 1 && !written.any(|v| v.shares_buffer(gradients))
    }

    fn max_words(&self) -> usize {
        (self.allowed / 4).min(u64::from(u32::MAX)) as usize
    }

    fn too_long(&self, words: usize) -> StepError {
        let (limit, needed) = ("max_storage_buffer_binding_size", 4 * words as u64);
        StepError::Limit { limit, needed, allowed: self.allowed }
    }

    /// Splits the named rows into runs.
    fn runs<'n>(
        &self,
        named: &'n NamedRows,
        sum_all: bool,
        max_inline: u32,
    ) -> Result<Vec<Run<'n>>, StepError> {
        // Rows with many occurrences are in separate runs, unless all rows are summed first.
        let apart = if sum_all { u32::MAX } else { max_inline };
        let all = Run::of(named, 0..named.rows.len());
        // Shared values lie in one binding, and so do sums, unless a single row is larger.
        let sums = if sum_all || all.longest() > max_inline { named.width } else { 0 };
        let words = self.row_width.map_or(0, |_| self.step.formula.shared_words());
        let per_row = sums.max(words);
        let max_words = self.max_words();
        let max_rows = (max_words / 4 * 4).checked_div(per_row).unwrap_or(usize::MAX);
        if max_rows == 0 && self.row_width.is_some() {
            return Err(self.too_long(per_row));
        }
        runs(named, max_words, max_rows, apart).map_err(|words| self.too_long(words))
    }

    /// Binds the step of `rows` rows with the gradients `grads`, after their means if the
    /// parameters of a row share state. `list` makes the list for a table whose rows have a given
    /// length.
    fn bind_run(
        &self,
        scratch: &mut Scratch,
        width: usize,
        (grads, rows): (&GpuVec, usize),
        list: impl Fn(usize) -> List,
        pass: &mut Pass,
    ) -> Result<(), StepError> {
        let words = rows * self.step.formula.shared_words();
        let shared = self.row_width.map(|_| scratch.room(self.gpu, 0, words)).transpose()?;
        let shared = shared.as_ref();
        if shared.is_some() {
            let (work, list, table) = (Work::Mean, list(1), &self.shared[..]);
            self.bind(&Stage { work, list, width, table, grads, shared }, pass)?;
        }
        let (work, list, table) = (Work::Step, list(width), &self.table[..]);
        self.bind(&Stage { work, list, width, table, grads, shared }, pass)
    }

    /// The pieces of the gradients: one, if a binding can hold them all.
    fn gradients(&self, vector: &GpuVec) -> Vec<Piece> {
        let pieces = plan(&[vector.spans()], &self.limits);
        let (first, len) = (pieces[0].bindings[0], vector.len());
        let size = 4 * (u64::from(first.shift) + len as u64);
        let fits = vector.segments().len() == 1 && size <= self.limits.binding;
        if pieces.len() == 1 || !fits || len > MAX_GRADIENTS {
            return pieces;
        }
        // Without padding, `plan` puts the last few elements into their own piece.
        let (element, bindings) = (Element::Scalars, vec![Binding { size, ..first }]);
        vec![Piece { element, first: 0, len: len as u32, bindings }]
    }

    /// Binds the dispatches of one stage.
    fn bind(&self, stage: &Stage<'_>, pass: &mut Pass) -> Result<(), StepError> {
        let spans: Vec<_> = stage.table.iter().map(|vector| vector.spans()).collect();
        let (table, grads) = (plan(&spans, &self.limits), self.gradients(stage.grads));
        let limits = if stage.work == Work::Mean { &self.mean_limits } else { &self.limits };
        let width = stage.width as u32; // at most as many as there are row gradients
        let found = dispatches(stage.work, &stage.list, width, (&table, &grads), limits);
        let mut upload = Upload::new(self.gpu);
        let list = (!stage.list.words.is_empty()).then(|| upload.push(&stage.list.words));
        let group = self.group;
        let jobs: Vec<_> =
            found.iter().map(|found| upload.push(&[Job { group, ..found.job }])).collect();
        let uploaded = upload.send(self.gpu)?;
        for (dispatch, job) in found.iter().zip(&jobs) {
            let step = StepChoice {
                element: dispatch.element,
                workgroup_size: limits.workgroup_size,
                ..self.step.clone()
            };
            let kernel = match stage.work {
                Work::Sum => {
                    let StepChoice { precision, workgroup_size, .. } = step;
                    self.gpu.kernel(&SumKernel { precision, workgroup_size })?
                }
                Work::Mean | Work::Step => self.gpu.kernel(&RowsKernel {
                    step,
                    rows: if list.is_some() { WhichRows::Named } else { WhichRows::All },
                    row_wise: stage.shared.is_some(),
                    means: stage.work == Work::Mean,
                    grads_in_parts: grads.len() > 1,
                })?,
            };
            let head = [job].into_iter().chain(&list).map(|place| uploaded.binding(place));
            let parts = (&table[dispatch.table], &grads[dispatch.grads]);
            pass.add(self.gpu, &kernel, head.chain(vectors(stage, parts)), dispatch.grid)?;
        }
        pass.hold(uploaded.guards());
        Ok(())
    }
}

fn too_many(gradients: usize, indices: usize) -> StepError {
    RowsError::Count { gradients, indices, max: MAX_GRADIENTS }.into()
}

/// What a dispatch binds after job and list: parameters or sums, gradients, state and shared
/// values; for means, gradients, state and shared values.
fn vectors<'b>(
    stage: &'b Stage<'_>,
    (table, grads): (&Piece, &Piece),
) -> Vec<wgpu::BufferBinding<'b>> {
    let bound = |(vector, bound): (&&'b GpuVec, &Binding)| {
        range(&vector.segments()[bound.span].buffer, bound.offset, bound.size)
    };
    let mut vectors: Vec<_> = stage.table.iter().zip(&table.bindings).map(bound).collect();
    let place = usize::from(stage.work != Work::Mean);
    vectors.insert(place, bound((&stage.grads, &grads.bindings[0])));
    // `runs` has made sure that they lie in one piece.
    let shared = stage.shared.map(|vector| &vector.segments()[0]);
    vectors.extend(shared.map(|s| range(&s.buffer, s.span.offset, 4 * s.span.len)));
    vectors
}
