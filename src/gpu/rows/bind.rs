//! From the rows named to bound dispatches: lists and jobs are uploaded, each run of rows in a
//! buffer of its own.

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

/// Where the jobs and the list of a pass are in the buffer, in bytes.
#[derive(Clone, Copy, Debug)]
struct Place {
    jobs: u64,
    list: u64,
    end: u64,
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
        // Two lists at most, with their jobs, go into one buffer.
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size / 4);
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
                binder.bind(&[sum, step], self, &mut commands)?;
            } else {
                let list = List::direct(&self.named, run);
                let step = Pass { sums: false, list, table: &table, grads: row_gradients };
                binder.bind(&[step], self, &mut commands)?;
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
    /// Alignments of a job and of a list in their buffer, in bytes.
    uniform: u64,
    storage: u64,
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
            storage: u64::from(limits.min_storage_buffer_offset_alignment).max(16),
        }
    }

    /// The parts of vectors that one dispatch can bind.
    fn parts(&self, vectors: &[&GpuVec]) -> Vec<Dispatch> {
        let spans: Vec<_> = vectors.iter().map(|vector| vector.spans()).collect();
        plan(&spans, &self.limits)
    }

    /// Binds the dispatches of passes, one after the other.
    fn bind(
        &self,
        passes: &[Pass<'_>],
        memory: &mut RowsMemory,
        commands: &mut RowsCommands,
    ) -> Result<(), StepError> {
        let device = self.gpu.device();
        let width = memory.named.width as u32; // at most as many as there are row gradients
        let (mut planned, mut places, mut end) = (Vec::new(), Vec::new(), 0);
        for pass in passes {
            let (table, grads) = (self.parts(pass.table), self.parts(&[pass.grads]));
            let found = dispatches(&pass.list.starts, width, &table, &grads, &self.limits);
            let place = self.place(end, found.len(), self.job_bytes(pass), &pass.list);
            end = place.end;
            places.push(place);
            planned.push((found, table, grads));
        }
        let (buffer, guard) = memory.lists.take(device, end)?;
        commands.guards.push(guard);
        for ((pass, place), (found, table, grads)) in passes.iter().zip(&places).zip(&planned) {
            let stride = self.job_bytes(pass);
            let mut jobs = vec![0_u8; stride as usize * found.len()];
            for (bytes, dispatch) in jobs.chunks_mut(stride as usize).zip(found) {
                let words = job_words(dispatch, table, grads);
                bytes[..4 * words.len()].copy_from_slice(bytemuck::cast_slice(&words));
            }
            caught(device, || {
                self.gpu.queue().write_buffer(&buffer, place.jobs, &jobs);
                let words = bytemuck::cast_slice(&pass.list.words);
                self.gpu.queue().write_buffer(&buffer, place.list, words);
            })?;
            for (number, dispatch) in found.iter().enumerate() {
                let job = range(&buffer, place.jobs + stride * number as u64, stride);
                let list = range(&buffer, place.list, 4 * pass.list.words.len() as u64);
                let parts = (&table[dispatch.table], &grads[dispatch.grads]);
                commands.dispatches.push(self.dispatch(pass, dispatch, [job, list], parts)?);
            }
        }
        Ok(())
    }

    /// From one job of a pass to the next, in bytes.
    fn job_bytes(&self, pass: &Pass<'_>) -> u64 {
        // The starts: one for each vector of the table, and one for the gradients.
        let words = JOB_WORDS + pass.table.len() + 1;
        (4 * words as u64).next_multiple_of(self.uniform)
    }

    fn place(&self, from: u64, jobs: usize, job_bytes: u64, list: &List) -> Place {
        let jobs_at = from.next_multiple_of(self.uniform);
        let list_at = (jobs_at + job_bytes * jobs as u64).next_multiple_of(self.storage);
        Place { jobs: jobs_at, list: list_at, end: list_at + 4 * list.words.len() as u64 }
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
