//! From the rows named to bound dispatches, whose lists and jobs are uploaded.

use super::super::context::Gpu;
use super::super::errors::{Caught, StepError};
use super::super::optimizer::{BoundDispatch, GpuOptimizer};
use super::super::plan::{Access, Binding, Dispatch, DispatchLimits, Span, plan};
use super::super::scope::caught;
use super::super::vector::GpuVec;
use super::dispatches::{
    JOB_WORDS, MEAN_LANES, MEAN_WORKGROUP, RowsDispatch, Work, dispatches, seldom,
};
use super::kernel::{Kernel, RowsVariant, bind, pipeline, shared_words};
use super::lists::{List, longest, runs};
use super::memory::{ListGuard, RowsMemory};
use crate::rules::{NamedRows, Rule};

/// The dispatches of a step, and what frees the lists that they read.
pub(super) struct RowsCommands {
    pub(super) dispatches: Vec<BoundDispatch>,
    pub(super) guards: Vec<ListGuard>,
}

/// The dispatches over one list, from gradients to a table.
struct Pass<'a> {
    work: Work,
    list: List,
    table: &'a [&'a GpuVec],
    grads: &'a GpuVec,
    /// What the parameters of a row share, if they do: written by the means, read by the steps.
    shared: Option<&'a GpuVec>,
}

impl RowsMemory {
    /// Uploads the lists of the rows named and binds the dispatches over them.
    pub(super) fn bind<R: Rule>(
        &mut self,
        optimizer: &GpuOptimizer<R>,
        params: &GpuVec,
        row_gradients: &GpuVec,
    ) -> Result<RowsCommands, StepError> {
        let limits = optimizer.gpu.device().limits();
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let most = (allowed / 4).min(u64::from(u32::MAX)) as usize;
        let too_long = |words| {
            let limit = "max_storage_buffer_binding_size";
            StepError::Limit { limit, needed: 4 * words as u64, allowed }
        };
        let binder = Binder::new(optimizer);
        let in_parts = binder.parts(&[row_gradients]).len() > 1;
        let width = self.named.width;
        // What rows share lies in one buffer and one binding, and so do the sums that means are of.
        let seldom = seldom(optimizer.row_wise);
        // Rows named often are apart from others, unless all are summed first.
        let apart = if in_parts { u32::MAX } else { seldom };
        let to_sums = in_parts || longest(&self.named, &(0..self.named.rows.len())) > seldom;
        let per_row = match (optimizer.row_wise, to_sums) {
            (Some(_), true) => shared_words(&optimizer.rule).max(width),
            (Some(_), false) => shared_words(&optimizer.rule),
            (None, _) => 0,
        };
        let most_rows = (most / 4 * 4).checked_div(per_row).unwrap_or(usize::MAX);
        if most_rows == 0 {
            return Err(too_long(per_row));
        }
        let runs = runs(&self.named, most, most_rows, apart).map_err(too_long)?;
        let mut commands = RowsCommands { dispatches: Vec::new(), guards: Vec::new() };
        for run in runs {
            if in_parts || longest(&self.named, &run) > seldom {
                let sums = self.sums.room(&optimizer.gpu, run.len() * width)?;
                let list = List::to_sums(&self.named, run.clone());
                let sum = Pass {
                    work: Work::Sum,
                    list,
                    table: &[&sums],
                    grads: row_gradients,
                    shared: None,
                };
                binder.bind(&sum, self, &mut commands)?;
                let list = |named: &NamedRows, width| List::from_sums(named, run.clone(), width);
                self.bind_run(&binder, params, &sums, run.len(), list, &mut commands)?;
            } else {
                let list = |named: &NamedRows, width| List::direct(named, run.clone(), width);
                self.bind_run(&binder, params, row_gradients, run.len(), list, &mut commands)?;
            }
        }
        Ok(commands)
    }

    /// Binds the step of `rows` rows whose gradients `grads` has, after their means if they share state;
    /// `list` makes their list for a table whose rows have a certain length.
    fn bind_run<R: Rule>(
        &mut self,
        binder: &Binder<'_, R>,
        params: &GpuVec,
        grads: &GpuVec,
        rows: usize,
        list: impl Fn(&NamedRows, usize) -> List,
        commands: &mut RowsCommands,
    ) -> Result<(), StepError> {
        let optimizer = binder.optimizer;
        let shared = match optimizer.row_wise {
            Some(_) => {
                let words = shared_words(&optimizer.rule);
                Some(self.shared.room(&optimizer.gpu, rows * words)?)
            }
            None => None,
        };
        if shared.is_some() {
            let table: Vec<_> = optimizer.row_state(true).collect();
            let list = list(&self.named, 1);
            let mean =
                Pass { work: Work::Mean, list, table: &table, grads, shared: shared.as_ref() };
            binder.bind(&mean, self, commands)?;
        }
        let table: Vec<_> = [params].into_iter().chain(optimizer.row_state(false)).collect();
        let list = list(&self.named, self.named.width);
        let step = Pass { work: Work::Step, list, table: &table, grads, shared: shared.as_ref() };
        binder.bind(&step, self, commands)
    }
}

/// What is the same for all passes of a step.
struct Binder<'a, R: Rule> {
    optimizer: &'a GpuOptimizer<R>,
    gpu: &'a Gpu,
    limits: DispatchLimits,
    /// The same for means.
    mean_limits: DispatchLimits,
    /// The alignment of a job in its buffer, in bytes.
    uniform: u64,
    /// The largest buffer, in bytes.
    largest: u64,
}

impl<'a, R: Rule> Binder<'a, R> {
    fn new(optimizer: &'a GpuOptimizer<R>) -> Self {
        let limits = optimizer.gpu.device().limits();
        let mean_limits = DispatchLimits::of(&limits, MEAN_WORKGROUP);
        let whole_rows = mean_limits.workgroup_size / MEAN_LANES * MEAN_LANES;
        Self {
            optimizer,
            gpu: &optimizer.gpu,
            // A kernel over rows has one quad an invocation.
            limits: DispatchLimits::of(&limits, optimizer.kernels.shape.workgroup_size),
            mean_limits: DispatchLimits { workgroup_size: whole_rows, ..mean_limits },
            uniform: u64::from(limits.min_uniform_buffer_offset_alignment).max(16),
            largest: limits.max_buffer_size,
        }
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
        let (access, len) = (Access::Scalar, len as u32);
        Dispatch { access, first: 0, len, grid: [1, 1], bindings: vec![binding] }
    }

    /// Binds the dispatches of one pass.
    fn bind(
        &self,
        pass: &Pass<'_>,
        memory: &mut RowsMemory,
        commands: &mut RowsCommands,
    ) -> Result<(), StepError> {
        let width = memory.named.width as u32; // at most as many as there are row gradients
        let (table, grads) = match pass.work {
            Work::Mean => (self.parts(pass.table), vec![self.whole(pass.grads)]),
            Work::Sum | Work::Step => (self.parts(pass.table), self.parts(&[pass.grads])),
        };
        let limits = self.limits_of(pass.work);
        let found = dispatches(pass.work, &pass.list, width, (&table, &grads), limits);
        let (words, list) =
            self.upload(bytemuck::cast_slice(&pass.list.words), memory, commands)?;
        // The starts: one for each vector of the table, and one for the gradients; a word more for means.
        let bytes = 4 * (JOB_WORDS + pass.table.len() + 2) as u64;
        let stride = bytes.next_multiple_of(self.uniform);
        for found in found.chunks((self.largest / stride).max(1) as usize) {
            let mut content = vec![0_u8; stride as usize * found.len()];
            for (bytes, dispatch) in content.chunks_mut(stride as usize).zip(found) {
                let words = job_words(dispatch, &table, &grads);
                bytes[..4 * words.len()].copy_from_slice(bytemuck::cast_slice(&words));
            }
            let (jobs, _) = self.upload(&content, memory, commands)?;
            for (offset, dispatch) in (0..).step_by(stride as usize).zip(found) {
                let head = [range(&jobs, offset, stride), range(&words, 0, list)];
                let parts = (&table[dispatch.table], &grads[dispatch.grads]);
                commands.dispatches.push(self.dispatch(pass, dispatch, head, parts)?);
            }
        }
        Ok(())
    }

    /// A buffer with `bytes`, and their number. It is the step's until the device has done it.
    fn upload(
        &self,
        bytes: &[u8],
        memory: &mut RowsMemory,
        commands: &mut RowsCommands,
    ) -> Result<(wgpu::Buffer, u64), Caught> {
        let (device, size) = (self.gpu.device(), bytes.len() as u64);
        let (buffer, guard) = memory.lists.take(device, size)?;
        commands.guards.push(guard);
        caught(device, || self.gpu.queue().write_buffer(&buffer, 0, bytes))?;
        Ok((buffer, size))
    }

    /// One bound dispatch, its job and list at `head`.
    fn dispatch(
        &self,
        pass: &Pass<'_>,
        dispatch: &RowsDispatch,
        head: [wgpu::BufferBinding<'_>; 2],
        (table, grads): (&Dispatch, &Dispatch),
    ) -> Result<BoundDispatch, Caught> {
        let variant = RowsVariant {
            kernel: dispatch.kernel,
            precision: self.optimizer.precision,
            grads_writable: pass.table.iter().any(|vector| vector.shares_buffer(pass.grads)),
            row_wise: pass.shared.is_some(),
        };
        let workgroup_size = self.limits_of(pass.work).workgroup_size;
        let pipeline = pipeline(self.gpu, &self.optimizer.rule, variant, workgroup_size)?;
        let vectors = pass.table.iter().zip(&table.bindings);
        let bound = vectors.map(|(vector, bound)| {
            range(&vector.segments()[bound.span].buffer, bound.offset, bound.size)
        });
        let mut bound: Vec<_> = bound.collect();
        // It lies in one piece: `room` has made it so.
        let shared = pass.shared.map(|vector| &vector.segments()[0]);
        let shared = shared.map(|part| range(&part.buffer, part.span.offset, 4 * part.span.len));
        match pass.work {
            Work::Mean => bound.splice(0..0, shared).for_each(drop),
            Work::Sum | Work::Step => bound.extend(shared),
        }
        // Parameters, sums or what is shared; gradients; state; and what is shared, to be read.
        let of_grads = &grads.bindings[0];
        let buffer = &pass.grads.segments()[of_grads.span].buffer;
        bound.insert(1, range(buffer, of_grads.offset, of_grads.size));
        let device = self.gpu.device();
        let bind_group = caught(device, || bind(device, &pipeline, head.into_iter().chain(bound)))?;
        Ok(BoundDispatch { pipeline, bind_group, grid: dispatch.grid })
    }

    fn limits_of(&self, work: Work) -> &DispatchLimits {
        match work {
            Work::Mean => &self.mean_limits,
            Work::Sum | Work::Step => &self.limits,
        }
    }
}

/// The words of a job with its starts: parameters, gradients, state. For a mean, in place of the
/// parameters, the length of a row as a real number.
fn job_words(dispatch: &RowsDispatch, table: &[Dispatch], grads: &[Dispatch]) -> Vec<u32> {
    let unit = match dispatch.kernel {
        Kernel::Step(Access::Vector) => 4,
        Kernel::Step(Access::Scalar) | Kernel::Sum | Kernel::Mean => 1,
    };
    let table = table[dispatch.table].bindings.iter();
    let mut starts: Vec<_> = table.map(|binding| binding.shift / unit).collect();
    if dispatch.kernel == Kernel::Mean {
        starts.insert(0, (dispatch.job.width as f32).to_bits());
    }
    starts.insert(1, grads[dispatch.grads].bindings[0].shift / unit);
    dispatch.job.words(&starts)
}

fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}
