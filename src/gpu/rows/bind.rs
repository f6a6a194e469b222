//! From the rows named to bound dispatches, whose lists and jobs are uploaded.

use super::super::context::Gpu;
use super::super::errors::{Caught, StepError};
use super::super::optimizer::{BoundDispatch, GpuOptimizer};
use super::super::plan::{Access, Dispatch, DispatchLimits, plan};
use super::super::scope::caught;
use super::super::vector::GpuVec;
use super::dispatches::{JOB_WORDS, RowsDispatch, dispatches};
use super::kernel::{Kernel, RowsVariant, bind, pipeline};
use super::lists::{List, runs};
use super::memory::{ListGuard, RowsMemory};
use crate::rules::Rule;

/// The dispatches of a step, and what frees the lists that they read.
pub(super) struct RowsCommands {
    pub(super) dispatches: Vec<BoundDispatch>,
    pub(super) guards: Vec<ListGuard>,
}

/// The dispatches over one list, from gradients to a table.
struct Pass<'a> {
    /// Whether the table is one of sums, and not of parameters and state.
    sums: bool,
    list: List,
    table: &'a [&'a GpuVec],
    grads: &'a GpuVec,
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
        let runs = runs(&self.named, most).map_err(too_long)?;
        let binder = Binder::new(optimizer);
        let table: Vec<_> = [params].into_iter().chain(&optimizer.state).collect();
        let in_parts = binder.parts(&[row_gradients]).len() > 1;
        let mut commands = RowsCommands { dispatches: Vec::new(), guards: Vec::new() };
        for run in runs {
            if in_parts {
                let sums = self.sums(&optimizer.gpu, run.len() * self.named.width)?;
                let to = List::to_sums(&self.named, run.clone());
                let from = List::from_sums(&self.named, run);
                let sum = Pass { sums: true, list: to, table: &[&sums], grads: row_gradients };
                let step = Pass { sums: false, list: from, table: &table, grads: &sums };
                for pass in [sum, step] {
                    binder.bind(&pass, self, &mut commands)?;
                }
            } else {
                let list = List::direct(&self.named, run);
                let step = Pass { sums: false, list, table: &table, grads: row_gradients };
                binder.bind(&step, self, &mut commands)?;
            }
        }
        Ok(commands)
    }
}

/// What is the same for all passes of a step.
struct Binder<'a, R: Rule> {
    optimizer: &'a GpuOptimizer<R>,
    gpu: &'a Gpu,
    limits: DispatchLimits,
    /// The alignment of a job in its buffer, in bytes.
    uniform: u64,
    /// The largest buffer, in bytes.
    largest: u64,
}

impl<'a, R: Rule> Binder<'a, R> {
    fn new(optimizer: &'a GpuOptimizer<R>) -> Self {
        let limits = optimizer.gpu.device().limits();
        Self {
            optimizer,
            gpu: &optimizer.gpu,
            // A kernel over rows has one quad an invocation.
            limits: DispatchLimits::of(&limits, optimizer.kernels.shape.workgroup_size),
            uniform: u64::from(limits.min_uniform_buffer_offset_alignment).max(16),
            largest: limits.max_buffer_size,
        }
    }

    /// The parts of vectors that one dispatch can bind.
    fn parts(&self, vectors: &[&GpuVec]) -> Vec<Dispatch> {
        let spans: Vec<_> = vectors.iter().map(|vector| vector.spans()).collect();
        plan(&spans, &self.limits)
    }

    /// Binds the dispatches of one pass.
    fn bind(
        &self,
        pass: &Pass<'_>,
        memory: &mut RowsMemory,
        commands: &mut RowsCommands,
    ) -> Result<(), StepError> {
        let width = memory.named.width as u32; // at most as many as there are row gradients
        let (table, grads) = (self.parts(pass.table), self.parts(&[pass.grads]));
        let found = dispatches(&pass.list, width, &table, &grads, &self.limits);
        let (words, list) =
            self.upload(bytemuck::cast_slice(&pass.list.words), memory, commands)?;
        // The starts: one for each vector of the table, and one for the gradients.
        let bytes = 4 * (JOB_WORDS + pass.table.len() + 1) as u64;
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
        let kernel = if pass.sums { Kernel::Sum } else { Kernel::Step(dispatch.access) };
        let variant = RowsVariant {
            kernel,
            precision: self.optimizer.precision,
            grads_writable: pass.table.iter().any(|vector| vector.shares_buffer(pass.grads)),
        };
        let workgroup_size = self.limits.workgroup_size;
        let pipeline = pipeline(self.gpu, &self.optimizer.rule, variant, workgroup_size)?;
        // Parameters, gradients, state.
        let vectors = pass.table.iter().zip(&table.bindings);
        let bound = vectors.map(|(vector, bound)| {
            range(&vector.segments()[bound.span].buffer, bound.offset, bound.size)
        });
        let mut bound: Vec<_> = bound.collect();
        let of_grads = &grads.bindings[0];
        let buffer = &pass.grads.segments()[of_grads.span].buffer;
        bound.insert(1, range(buffer, of_grads.offset, of_grads.size));
        let device = self.gpu.device();
        let bind_group = caught(device, || bind(device, &pipeline, head.into_iter().chain(bound)))?;
        Ok(BoundDispatch { pipeline, bind_group, grid: dispatch.grid })
    }
}

/// The words of a job with its starts: parameters, gradients, state.
fn job_words(dispatch: &RowsDispatch, table: &[Dispatch], grads: &[Dispatch]) -> Vec<u32> {
    let unit = match dispatch.access {
        Access::Vector => 4,
        Access::Scalar => 1,
    };
    let table = table[dispatch.table].bindings.iter();
    let mut starts: Vec<_> = table.map(|binding| binding.shift / unit).collect();
    starts.insert(1, grads[dispatch.grads].bindings[0].shift / unit);
    dispatch.job.words(&starts)
}

fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}
