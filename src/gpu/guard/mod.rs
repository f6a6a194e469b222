//! The guard over a step's gradients on a GPU: a pass before the step that scans, reduces and
//! decides, and the report that it keeps. Nothing is read back unless the report is asked for.

mod kernels;
mod outcome;
mod pieces;

use super::context::Gpu;
use super::errors::{DownloadError, ReportError, StepError};
use super::mapping::Wait;
use super::optimizer::{BoundDispatch, GpuOptimizer};
use super::plan::{Access, DispatchLimits};
use super::readback::Readback;
use super::scope::caught;
use super::vector::GpuVec;
use crate::numerics::Precision;
use crate::numerics::sum::BLOCK;
use crate::rules::{GradientGuard, GuardReport, Rule};
use kernels::{CARRIED_BYTES, Kernel, PARTIAL_BYTES, WORKGROUP_BYTES, WORKGROUP_SIZE};
use outcome::{Outcome, Policy};
use pieces::{PieceWords, pieces};

pub(super) use kernels::{OUTCOME, decision_layout};

/// The bind group of a step kernel that holds the decision.
pub(super) const DECISION_GROUP: u32 = 2;

/// The memory of a guard that looks at the gradients before the step.
#[derive(Debug)]
pub(super) struct Prepass {
    guard: GradientGuard,
    limits: DispatchLimits,
    /// Sums of the block that one piece ends in and the next goes on with.
    carried: wgpu::Buffer,
    /// One partial a block; then one for each block of those, until there is one.
    levels: Vec<wgpu::Buffer>,
    policy: wgpu::Buffer,
    outcome: wgpu::Buffer,
    /// The outcome, for the step kernel.
    pub(super) decision: wgpu::BindGroup,
}

impl Prepass {
    /// Allocates for vectors of `len` elements and a rule of `state` state vectors.
    fn new(gpu: &Gpu, guard: GradientGuard, len: usize, state: usize) -> Result<Self, StepError> {
        let device = gpu.device();
        let block = BLOCK as u64;
        let mut counts = vec![(len as u64).div_ceil(block)];
        while let Some(&last) = counts.last().filter(|&&last| last > 1) {
            counts.push(last.div_ceil(block));
        }
        check_limits(&device.limits(), counts[0], state as u64)?;
        let storage = wgpu::BufferUsages::STORAGE;
        let transfer = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let uniform = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = |label, size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let prepass = caught(device, || {
            let outcome = buffer("guard outcome", size_of::<Outcome>() as u64, storage | transfer);
            let policy = buffer("guard policy", size_of::<Policy>() as u64, uniform);
            gpu.queue().write_buffer(&policy, 0, bytemuck::bytes_of(&Policy::of(&guard)));
            let layout = decision_layout(device);
            Self {
                guard,
                limits: DispatchLimits::of(&device.limits(), WORKGROUP_SIZE),
                carried: buffer("guard carried sums", CARRIED_BYTES, storage),
                levels: counts
                    .iter()
                    .map(|count| buffer("guard partials", PARTIAL_BYTES * count, storage))
                    .collect(),
                decision: kernels::bind(device, "decided", &layout, &[outcome.as_entire_binding()]),
                policy,
                outcome,
            }
        })?;
        prepass.clear(gpu)?;
        Ok(prepass)
    }

    /// Empties the report, ahead of all that is submitted from now on.
    fn clear(&self, gpu: &Gpu) -> Result<(), StepError> {
        let bytes = bytemuck::bytes_of(&Outcome::EMPTY);
        Ok(caught(gpu.device(), || gpu.queue().write_buffer(&self.outcome, 0, bytes))?)
    }

    /// The dispatches that look at `grads` and decide.
    pub(super) fn bind(
        &self,
        gpu: &Gpu,
        precision: Precision,
        grads: &GpuVec,
    ) -> Result<Vec<BoundDispatch>, StepError> {
        let device = gpu.device();
        let pipeline = |kernel: Kernel| kernel.pipeline(gpu, precision, &self.guard);
        let pieces = pieces(&grads.spans(), &self.limits);
        let size = size_of::<PieceWords>() as u64;
        let alignment = device.limits().min_uniform_buffer_offset_alignment;
        let stride = size.next_multiple_of(u64::from(alignment.max(1)));
        let mut bytes = vec![0; stride as usize * pieces.len()];
        for (place, piece) in bytes.chunks_mut(stride as usize).zip(&pieces) {
            place[..size as usize].copy_from_slice(bytemuck::bytes_of(&piece.words));
        }
        let mut scans = [None, None];
        for access in [Access::Vector, Access::Scalar] {
            if pieces.iter().any(|piece| piece.access == access) {
                scans[access as usize] = Some(pipeline(Kernel::Scan(access))?);
            }
        }
        let (reduce, decide) = (pipeline(Kernel::Reduce)?, pipeline(Kernel::Decide)?);
        let bound = caught(device, || {
            let words = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("guard pieces"),
                size: bytes.len() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            gpu.queue().write_buffer(&words, 0, &bytes);
            let mut bound = Vec::new();
            for (piece, offset) in pieces.iter().zip((0..).step_by(stride as usize)) {
                let Some(pipeline) = scans[piece.access as usize].clone() else { continue };
                let gradients = &grads.segments()[piece.binding.span].buffer;
                let resources = [
                    part(&words, offset, size),
                    part(gradients, piece.binding.offset, piece.binding.size),
                    self.carried.as_entire_binding(),
                    self.levels[0].as_entire_binding(),
                ];
                let bind_group = Kernel::Scan(piece.access).bind(device, &resources);
                bound.push(BoundDispatch { pipeline, bind_group, grid: piece.grid });
            }
            for pair in self.levels.windows(2) {
                let resources = [pair[0].as_entire_binding(), pair[1].as_entire_binding()];
                let bind_group = Kernel::Reduce.bind(device, &resources);
                let groups = pair[1].size() / PARTIAL_BYTES;
                let grid = self.limits.grid(groups * u64::from(WORKGROUP_SIZE));
                bound.push(BoundDispatch { pipeline: reduce.clone(), bind_group, grid });
            }
            let whole = &self.levels[self.levels.len() - 1];
            let resources =
                [&self.policy, whole, &self.outcome].map(wgpu::Buffer::as_entire_binding);
            let bind_group = Kernel::Decide.bind(device, &resources);
            bound.push(BoundDispatch { pipeline: decide, bind_group, grid: [1, 1] });
            bound
        })?;
        Ok(bound)
    }
}

/// A part of a buffer.
fn part(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BindingResource<'_> {
    let size = wgpu::BufferSize::new(size);
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
}

/// Whether the device can run the pass over vectors of `blocks` blocks, and a step kernel that
/// obeys.
fn check_limits(limits: &wgpu::Limits, blocks: u64, state: u64) -> Result<(), StepError> {
    let storage = (PARTIAL_BYTES * blocks).max(CARRIED_BYTES);
    let needs = [
        (
            "max_storage_buffers_per_shader_stage",
            3 + state,
            u64::from(limits.max_storage_buffers_per_shader_stage),
        ),
        ("max_bind_groups", u64::from(DECISION_GROUP) + 1, u64::from(limits.max_bind_groups)),
        (
            "max_compute_invocations_per_workgroup",
            u64::from(WORKGROUP_SIZE),
            u64::from(limits.max_compute_invocations_per_workgroup),
        ),
        (
            "max_compute_workgroup_size_x",
            u64::from(WORKGROUP_SIZE),
            u64::from(limits.max_compute_workgroup_size_x),
        ),
        (
            "max_compute_workgroup_storage_size",
            WORKGROUP_BYTES,
            u64::from(limits.max_compute_workgroup_storage_size),
        ),
        // A short piece may touch two blocks.
        (
            "max_compute_workgroups_per_dimension",
            2,
            u64::from(limits.max_compute_workgroups_per_dimension),
        ),
        ("max_storage_buffer_binding_size", storage, limits.max_storage_buffer_binding_size),
        ("max_buffer_size", storage, limits.max_buffer_size),
    ];
    for (limit, needed, allowed) in needs {
        if needed > allowed {
            return Err(StepError::Limit { limit, needed, allowed });
        }
    }
    Ok(())
}

impl<R: Rule> GpuOptimizer<R> {
    /// The same optimizer with a guard over its gradients, whose report starts empty. Default:
    /// none.
    ///
    /// # Errors
    /// [`StepError::Rule`] if `max_norm` is outside its domain, [`StepError::Limit`] if the
    /// device's limits are too low for the guard.
    pub fn with_guard(mut self, guard: GradientGuard) -> Result<Self, StepError> {
        guard.validate()?;
        self.prepass = if guard.scans() {
            Some(Prepass::new(&self.gpu, guard, self.len(), self.state_count())?)
        } else {
            None
        };
        self.guard = guard;
        self.bindings.clear();
        Ok(self)
    }

    /// The guard over the gradients.
    #[must_use]
    pub fn guard(&self) -> &GradientGuard {
        &self.guard
    }

    /// What the guard has seen in all steps submitted since it was set or its report was cleared.
    /// The future asks the device each time it is polled.
    ///
    /// # Errors
    /// [`DownloadError`] if the device fails.
    pub async fn report(&self) -> Result<GuardReport, DownloadError> {
        self.report_waiting(Wait::Yield).await
    }

    /// [`GpuOptimizer::report`], blocking the thread.
    ///
    /// # Errors
    /// As [`GpuOptimizer::report`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn report_blocking(&self) -> Result<GuardReport, DownloadError> {
        pollster::block_on(self.report_waiting(Wait::Block))
    }

    /// Reads the report, and tells as an error what was wrong with any gradients in it: how a
    /// device tells what [`crate::NonFinite::Report`] asks for.
    ///
    /// # Errors
    /// [`ReportError::Gradient`] if a gradient was not finite or a step was skipped,
    /// [`ReportError::Download`] if the device fails.
    pub async fn check_gradients(&self) -> Result<GuardReport, ReportError> {
        let report = self.report().await?;
        report.check()?;
        Ok(report)
    }

    /// [`GpuOptimizer::check_gradients`], blocking the thread.
    ///
    /// # Errors
    /// As [`GpuOptimizer::check_gradients`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn check_gradients_blocking(&self) -> Result<GuardReport, ReportError> {
        let report = self.report_blocking()?;
        report.check()?;
        Ok(report)
    }

    /// Empties the report, ahead of all that is submitted from now on, steps recorded earlier
    /// included.
    ///
    /// # Errors
    /// [`StepError`] if the device fails.
    pub fn clear_report(&self) -> Result<(), StepError> {
        self.prepass.as_ref().map_or(Ok(()), |prepass| prepass.clear(&self.gpu))
    }

    async fn report_waiting(&self, wait: Wait) -> Result<GuardReport, DownloadError> {
        let Some(prepass) = &self.prepass else { return Ok(GuardReport::default()) };
        let size = size_of::<Outcome>() as u64;
        let readback = Readback::start(&self.gpu, &prepass.outcome, 0, size)?;
        let outcome =
            readback.read(&self.gpu, wait, bytemuck::pod_read_unaligned::<Outcome>).await?;
        Ok(outcome.report())
    }
}
