//! What all GPU optimizers share. The optimizers of one tensor and of many tensors wrap this core,
//! and so does the stepper.

mod passes;

use crate::gpu::context::Gpu;
use crate::gpu::errors::{DownloadError, StepError};
use crate::gpu::group_error::GroupError;
use crate::gpu::guard::GuardMemory;
use crate::gpu::limits::Needs;
use crate::gpu::mapping::Wait;
use crate::gpu::pass::{Pass, encode};
use crate::gpu::rows::RowsMemory;
use crate::gpu::shape::KernelShape;
use crate::gpu::slots::SLOT_BYTES;
use crate::gpu::state::StateMemory;
use crate::gpu::table::{Block, TableLimits};
use crate::gpu::tensors::Grads;
use crate::gpu::uniforms::StepUniforms;
use crate::gpu::vector::GpuVec;
use crate::gpu::wgsl::Formula;
use crate::numerics::Precision;
use crate::rules::{Rule, check_state};
use crate::step::{self, GradientGuard, GuardReport, Schedule, Tensors, TensorsError};

/// The number of pairs of lists whose passes are kept, so that callers may alternate between a few
/// gradient buffers. Older passes are dropped, which releases their memory.
const KEPT_PASSES: usize = 4;

/// Rule, schedule, steps, precision, state, uniforms, guard and kept passes of an optimizer.
#[derive(Debug)]
pub(in crate::gpu) struct Core<R: Rule> {
    pub(in crate::gpu) gpu: Gpu,
    pub(in crate::gpu) tensors: Tensors<R>,
    /// One for each group. Groups with equal formulas share kernels.
    formulas: Vec<Formula>,
    /// The length of a row, if the parameters of a row share state.
    pub(in crate::gpu) row_width: Option<usize>,
    pub(in crate::gpu) precision: Precision,
    pub(in crate::gpu) shape: KernelShape,
    /// The number of invocations in a workgroup of the row kernels. Each computes one quad.
    rows_workgroup: u32,
    limits: TableLimits,
    pub(in crate::gpu) schedule: Schedule,
    pub(in crate::gpu) steps: u64,
    pub(in crate::gpu) state: StateMemory,
    uniforms: StepUniforms<R>,
    /// Scratch memory: the uniforms of a step.
    scheduled: Vec<R::Uniforms>,
    pub(in crate::gpu) guard: GradientGuard,
    guard_memory: Option<GuardMemory>,
    /// Most recently used first.
    kept: Vec<KeptPass>,
    /// For each tensor, the memory of its steps over rows.
    rows: Vec<RowsMemory>,
}

/// The dispatches over a pair of lists.
#[derive(Debug)]
struct KeptPass {
    params: Vec<GpuVec>,
    /// `None` for a tensor without gradients or with row gradients.
    grads: Vec<Option<GpuVec>>,
    /// The guard's dispatches, unless the step has row gradients too.
    scan: Option<Pass>,
    steps: Pass,
}

impl KeptPass {
    fn is_of(&self, params: &[GpuVec], grads: Grads<'_>) -> bool {
        self.grads.iter().map(Option::as_ref).eq(grads.dense()) && self.params == params
    }
}

/// The passes of a step that are not kept.
#[derive(Debug, Default)]
pub(in crate::gpu) struct RowPasses {
    /// Sums of row gradients, before the guard.
    sums: Pass,
    scan: Option<Pass>,
    steps: Pass,
    /// Whether the first kept pass is part of the step.
    with_kept: bool,
}

impl<R: Rule> Core<R> {
    /// Creates a core with new state at the rules' initial values. `row_width` is the length of a
    /// row, if the parameters of a row share state.
    pub(in crate::gpu) fn new(
        gpu: &Gpu,
        tensors: Tensors<R>,
        row_width: Option<usize>,
    ) -> Result<Self, GroupError> {
        check_needs(gpu, &tensors, false)?;
        gpu.check_lost()?;
        let state = StateMemory::new(gpu, &tensors, row_width)?;
        Self::over(gpu, tensors, row_width, state)
    }

    /// Creates a core over existing state.
    pub(in crate::gpu) fn over(
        gpu: &Gpu,
        tensors: Tensors<R>,
        row_width: Option<usize>,
        state: StateMemory,
    ) -> Result<Self, GroupError> {
        const { assert!(size_of::<R::Uniforms>() as u64 <= SLOT_BYTES) };
        const { assert!(size_of::<R::Uniforms>().is_multiple_of(16)) };
        const { check_state::<R>() };
        check_needs(gpu, &tensors, false)?;
        gpu.check_lost()?;
        let limits = gpu.device().limits();
        let shape = KernelShape::of_device(gpu);
        Ok(Self {
            gpu: gpu.clone(),
            formulas: formulas(&tensors),
            row_width,
            precision: Precision::Native,
            shape,
            rows_workgroup: KernelShape::default().within(&limits).workgroup_size,
            limits: TableLimits::new(&limits, shape, 0, false),
            schedule: Schedule::Constant,
            steps: 0,
            state,
            uniforms: StepUniforms::default(),
            scheduled: Vec::new(),
            guard: GradientGuard::default(),
            guard_memory: None,
            kept: Vec::new(),
            rows: (0..tensors.lens.len()).map(|_| RowsMemory::default()).collect(),
            tensors,
        })
    }

    pub(in crate::gpu) fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.kept.clear();
        self
    }

    pub(in crate::gpu) fn with_shape(mut self, shape: KernelShape) -> Self {
        let limits = self.gpu.device().limits();
        self.shape = shape.within(&limits);
        self.rows_workgroup = self.shape.workgroup_size;
        self.set_limits();
        self
    }

    /// Chooses kernels for vectors that move from step to step.
    pub(in crate::gpu) fn with_separate_routes(mut self) -> Self {
        self.limits.separate = true;
        self.set_limits();
        self
    }

    fn set_limits(&mut self) {
        // A step that obeys a guard also binds the decision.
        let others = u32::from(self.guard.scans());
        let limits = self.gpu.device().limits();
        self.limits = TableLimits::new(&limits, self.shape, others, self.limits.separate);
        self.kept.clear();
    }

    pub(in crate::gpu) fn with_schedule(mut self, schedule: Schedule) -> Result<Self, StepError> {
        schedule.validate()?;
        self.schedule = schedule;
        Ok(self)
    }

    pub(in crate::gpu) fn with_guard(mut self, guard: GradientGuard) -> Result<Self, StepError> {
        guard.validate()?;
        self.guard_memory = if guard.scans() {
            check_needs(&self.gpu, &self.tensors, true)?;
            Some(GuardMemory::new(&self.gpu, guard)?)
        } else {
            None
        };
        self.guard = guard;
        // The kernels now bind another number of buffers.
        self.set_limits();
        Ok(self)
    }

    /// Sets the tensors and the state of the next steps, if they have changed.
    pub(in crate::gpu) fn set_tensors(
        &mut self,
        tensors: Tensors<R>,
        state: StateMemory,
    ) -> Result<(), GroupError> {
        if tensors != self.tensors || state != self.state {
            check_needs(&self.gpu, &tensors, self.guard.scans())?;
            self.formulas = formulas(&tensors);
            self.rows.resize_with(tensors.lens.len(), RowsMemory::default);
            (self.tensors, self.state) = (tensors, state);
            self.kept.clear();
        }
        Ok(())
    }

    /// The uniforms of each group in the next step, in reused memory.
    fn scheduled(&mut self) -> Vec<R::Uniforms> {
        let mut uniforms = std::mem::take(&mut self.scheduled);
        uniforms.clear();
        let (schedule, next) = (&self.schedule, self.steps + 1);
        uniforms
            .extend(self.tensors.rules.iter().map(|rule| step::scheduled(rule, schedule, next)));
        uniforms
    }

    /// Encodes one step and submits it.
    pub(in crate::gpu) fn step(
        &mut self,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<(), GroupError> {
        let uniforms = self.scheduled();
        let result = self.step_with(&uniforms, params, grads);
        self.scheduled = uniforms;
        result
    }

    /// The same, with given uniforms for each group.
    pub(in crate::gpu) fn step_with(
        &mut self,
        uniforms: &[R::Uniforms],
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<(), GroupError> {
        let rows = self.prepare(uniforms, params, grads)?;
        let device = self.gpu.device();
        let encoder = self.gpu.catch(|| {
            let mut encoder = device.create_command_encoder(&Default::default());
            self.encode(&mut encoder, &rows);
            encoder
        })?;
        self.gpu.submit(encoder)?;
        self.steps += 1;
        Ok(())
    }

    /// Encodes one step into the caller's encoder.
    pub(in crate::gpu) fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<(), GroupError> {
        let uniforms = self.scheduled();
        let result = self.record_with(encoder, &uniforms, params, grads);
        self.scheduled = uniforms;
        result
    }

    /// The same, with given uniforms for each group.
    pub(in crate::gpu) fn record_with(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        uniforms: &[R::Uniforms],
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<(), GroupError> {
        let rows = self.prepare(uniforms, params, grads)?;
        self.gpu.catch(|| self.encode(encoder, &rows))?;
        self.steps += 1;
        Ok(())
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder, rows: &RowPasses) {
        let Some(slot) = &self.uniforms.slot else {
            return; // `prepare` has taken it
        };
        let kept = self.kept.first().filter(|_| rows.with_kept);
        let scan = rows.scan.as_ref().or(kept.and_then(|kept| kept.scan.as_ref()));
        let steps = kept.map(|kept| &kept.steps);
        let passes = [Some(&rows.sums), scan, steps, Some(&rows.steps)];
        let decision = self.guard_memory.as_ref().map(|guard| &guard.decision);
        encode(encoder, R::NAME, passes, slot, decision);
    }

    /// Prepares what `encode` needs for the next step over these lists.
    fn prepare(
        &mut self,
        uniforms: &[R::Uniforms],
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<RowPasses, GroupError> {
        self.gpu.check_lost()?;
        let passes = if grads.has_rows() {
            if self.state.held {
                return Err(TensorsError::HeldRows.into());
            }
            self.bind_rows(params, grads)?
        } else {
            self.keep(params, grads, true)?;
            RowPasses { with_kept: true, ..RowPasses::default() }
        };
        self.uniforms.prepare(&self.gpu, uniforms)?;
        Ok(passes)
    }

    /// Returns the first group's uniforms of the next step, for a kernel of the caller, and counts
    /// the step.
    #[cfg(feature = "linear")]
    pub(in crate::gpu) fn next_uniforms(&mut self) -> R::Uniforms {
        self.steps += 1;
        step::scheduled(&self.tensors.rules[0], &self.schedule, self.steps)
    }

    /// The number of dispatches of a step over these lists, without those of a guard.
    pub(in crate::gpu) fn dispatches(
        &mut self,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<usize, GroupError> {
        self.keep(params, grads, true)?;
        Ok(self.kept.first().map_or(0, |kept| kept.steps.dispatches.len()))
    }

    /// The number of dispatches of the last step, including those of a guard.
    pub(in crate::gpu) fn kept_dispatches(&self) -> usize {
        let passes = |kept: &KeptPass| {
            kept.scan.as_ref().map_or(0, |scan| scan.dispatches.len()) + kept.steps.dispatches.len()
        };
        self.kept.first().map_or(0, passes)
    }

    pub(in crate::gpu) fn forget_passes(&mut self) {
        self.kept.clear();
    }

    pub(in crate::gpu) fn clear_report(&self) -> Result<(), StepError> {
        self.guard_memory.as_ref().map_or(Ok(()), |guard| guard.clear(&self.gpu))
    }

    pub(in crate::gpu) async fn report(&self, wait: Wait) -> Result<GuardReport, DownloadError> {
        match &self.guard_memory {
            Some(guard) => guard.report(&self.gpu, wait).await,
            None => Ok(GuardReport::default()),
        }
    }
}

/// The formula of each group. Groups with equal formulas share kernels.
fn formulas<R: Rule>(tensors: &Tensors<R>) -> Vec<Formula> {
    let used = tensors.used_state();
    tensors.rules.iter().map(|rule| Formula::new(rule, &used)).collect()
}

/// Checks that the device's limits allow a step over these tensors, with or without a guard.
fn check_needs<R: Rule>(gpu: &Gpu, tensors: &Tensors<R>, guarded: bool) -> Result<(), GroupError> {
    let limits = gpu.device().limits();
    let alignment = u64::from(limits.min_storage_buffer_offset_alignment).max(16);
    let bytes = StepUniforms::<R>::bytes(tensors.rules.len()).next_multiple_of(SLOT_BYTES);
    // Buffers: blocks, parameters, gradients and state, and the decision of a guard. Smallest
    // binding: one quad after the worst alignment.
    let buffers = 3 + tensors.used_state().len() as u64 + u64::from(guarded);
    Needs::of(&limits)
        .buffers(buffers, 1)
        .binding((alignment + 16).max(size_of::<Block>() as u64))
        .uniform(bytes)
        .bind_groups(if guarded { 3 } else { 2 })
        .check()?;
    Ok(())
}
