//! The guard over a step's gradients on a GPU: a pass before the step that scans, reduces and
//! decides, and the report that it keeps. Nothing is read back until the report is requested.

mod blocks;
mod kernels;
mod outcome;

use super::context::Gpu;
use super::errors::{DownloadError, StepError};
use super::limits::{LimitError, Needs};
use super::mapping::Wait;
use super::memory::{range, whole};
use super::pass::Pass;
use super::plan::DispatchLimits;
use super::readback::Readback;
use super::table::{Place, windows};
use super::tensors::Region;
use super::upload::Upload;
use crate::numerics::Precision;
use crate::numerics::sum::BLOCK;
use crate::step::{GradientGuard, GuardReport};
use blocks::{CARRIED_BLOCKS, ScanLimits, plan};
use kernels::{CARRIED_BYTES, PARTIAL_BYTES, WORKGROUP_BYTES, WORKGROUP_SIZE};
pub(super) use kernels::{DecideKernel, ReduceKernel, ScanKernel};
use outcome::{Outcome, Policy};

/// The number of storage buffers of a scan, without its windows.
const SCAN_BUFFERS: u32 = 3;

/// A guard that scans the gradients before the step, and its memory.
#[derive(Debug)]
pub(super) struct GuardMemory {
    guard: GradientGuard,
    limits: DispatchLimits,
    scan: ScanLimits,
    outcome: wgpu::Buffer,
    /// The outcome, bound for the step kernels.
    pub(super) decision: wgpu::BindGroup,
    /// Cut blocks, carried from one dispatch to the next: for quads, for scalars.
    carried: [wgpu::Buffer; 2],
    /// One partial for each block; then one for each block of partials, until one is left. The
    /// buffers grow on demand.
    levels: Vec<wgpu::Buffer>,
}

impl GuardMemory {
    pub(super) fn new(gpu: &Gpu, guard: GradientGuard) -> Result<Self, StepError> {
        let device = gpu.device();
        let limits = device.limits();
        check_limits(&limits, 1)?;
        let storage = wgpu::BufferUsages::STORAGE;
        let transfer = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let outcome =
            gpu.buffer("guard outcome", size_of::<Outcome>() as u64, storage | transfer)?;
        let carried = || gpu.buffer("guard carried sums", CARRIED_BLOCKS * CARRIED_BYTES, storage);
        let memory = Self {
            guard,
            limits: DispatchLimits::of(&limits, WORKGROUP_SIZE),
            scan: scan_limits(&limits),
            decision: gpu.decision_group(&outcome)?,
            outcome,
            carried: [carried()?, carried()?],
            levels: Vec::new(),
        };
        memory.clear(gpu)?;
        Ok(memory)
    }

    /// Empties the report before everything that is submitted from now on.
    pub(super) fn clear(&self, gpu: &Gpu) -> Result<(), StepError> {
        if gpu.is_lost() {
            return Err(StepError::DeviceLost);
        }
        let bytes = bytemuck::bytes_of(&Outcome::EMPTY);
        Ok(gpu.catch(|| gpu.queue().write_buffer(&self.outcome, 0, bytes))?)
    }

    /// Reads the report.
    pub(super) async fn report(&self, gpu: &Gpu, wait: Wait) -> Result<GuardReport, DownloadError> {
        let size = size_of::<Outcome>() as u64;
        let readback = Readback::start(gpu, &self.outcome, 0, size)?;
        let outcome = readback.read(gpu, wait, bytemuck::pod_read_unaligned::<Outcome>).await?;
        Ok(outcome.report())
    }

    /// Binds the dispatches that scan the gradients of each tensor, which lie in `regions`, and
    /// decide.
    pub(super) fn bind(
        &mut self,
        gpu: &Gpu,
        precision: Precision,
        gradients: &[Vec<Place>],
        regions: &[Region],
    ) -> Result<Pass, StepError> {
        let plan = plan(gradients, &self.scan);
        check_limits(&gpu.device().limits(), plan.blocks as u64)?;
        let counts = self.grow(gpu, plan.blocks as u64)?;
        let mut pass = Pass::default();
        let mut upload = Upload::new(gpu);
        let entries: Vec<_> =
            plan.dispatches.iter().map(|dispatch| upload.push(&dispatch.entries())).collect();
        let policy = upload.push(&[Policy::of(&self.guard)]);
        // Without blocks no partial is written, so an old one would be read.
        let nothing = (plan.blocks == 0).then(|| upload.push(&[0_u8; PARTIAL_BYTES as usize]));
        let uploaded = upload.send(gpu)?;
        let partials = |level: usize| range(&self.levels[level], 0, PARTIAL_BYTES * counts[level]);
        let with_norm = self.guard.max_norm.is_some();
        let grid = |blocks: u64| self.limits.grid(blocks * u64::from(WORKGROUP_SIZE));
        for (dispatch, entries) in plan.dispatches.iter().zip(&entries) {
            let scan = gpu.kernel(&ScanKernel {
                precision,
                element: dispatch.element,
                windows: dispatch.windows.len(),
                with_norm,
                only_finite: self.guard.skips_elements(),
            })?;
            let carried = &self.carried[dispatch.element as usize];
            let head = [uploaded.binding(entries), whole(carried), partials(0)];
            let windows = dispatch.windows.iter();
            let windows = windows.map(|w| regions[w.buffer].part(w.offset, self.scan.cell));
            let buffers = head.into_iter().chain(windows);
            pass.add(gpu, &scan, buffers, grid(dispatch.blocks.len() as u64))?;
        }
        let reduce = gpu.kernel(&ReduceKernel { precision, with_norm })?;
        for (level, &count) in counts.iter().enumerate().skip(1) {
            pass.add(gpu, &reduce, [partials(level - 1), partials(level)], grid(count))?;
        }
        let all = match &nothing {
            Some(nothing) => uploaded.binding(nothing),
            None => partials(counts.len() - 1),
        };
        let decide = gpu.kernel(&DecideKernel { precision })?;
        let buffers = [uploaded.binding(&policy), all, whole(&self.outcome)];
        pass.add(gpu, &decide, buffers, [1, 1])?;
        pass.hold(uploaded.guards());
        Ok(pass)
    }

    /// Makes room for the partials of `blocks` blocks. Returns the number of partials of each
    /// level.
    fn grow(&mut self, gpu: &Gpu, blocks: u64) -> Result<Vec<u64>, StepError> {
        let mut counts = vec![blocks.max(1)];
        while let Some(&last) = counts.last().filter(|&&last| last > 1) {
            counts.push(last.div_ceil(BLOCK as u64));
        }
        for (level, count) in counts.iter().enumerate() {
            let size = PARTIAL_BYTES * count;
            if self.levels.get(level).is_none_or(|buffer| buffer.size() < size) {
                let new = gpu.buffer("guard partials", size, wgpu::BufferUsages::STORAGE)?;
                self.levels.truncate(level);
                self.levels.push(new);
            }
        }
        Ok(counts)
    }
}

fn scan_limits(limits: &wgpu::Limits) -> ScanLimits {
    let entries = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) / 16;
    let workgroups = u64::from(limits.max_compute_workgroups_per_dimension).pow(2);
    ScanLimits {
        cell: DispatchLimits::of(limits, WORKGROUP_SIZE).cell(),
        windows: windows(limits, SCAN_BUFFERS, 0).max(1),
        entries: usize::try_from(entries).unwrap_or(usize::MAX).max(4),
        blocks: usize::try_from(workgroups).unwrap_or(usize::MAX),
    }
}

/// Checks that the device's limits allow a scan of `blocks` blocks.
fn check_limits(limits: &wgpu::Limits, blocks: u64) -> Result<(), LimitError> {
    let partials = (PARTIAL_BYTES * blocks).max(CARRIED_BLOCKS * CARRIED_BYTES);
    Needs::of(limits)
        .buffers(u64::from(SCAN_BUFFERS) + 1, 0)
        .workgroup(WORKGROUP_SIZE, WORKGROUP_BYTES)
        .binding(partials)
        .buffer(partials)
        .check()
}
