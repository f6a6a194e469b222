//! What all optimizers on a GPU share. An optimizer of one tensor, of many, or of rows is this core and
//! a place.

use super::context::Gpu;
use super::errors::{DownloadError, StepError};
use super::group_error::GroupError;
use super::guard::{Gradients, GuardMemory};
use super::kernels::{StepChoice, TableKernel};
use super::limits::Needs;
use super::mapping::Wait;
use super::pass::{BoundDispatch, Pass, encode};
use super::plan::Element;
use super::rows::{RowsContext, RowsMemory, bind_all_rows, bind_named_rows};
use super::shape::KernelShape;
use super::slots::SLOT_BYTES;
use super::state::StateMemory;
use super::table::{Block, Place, TableDispatch, TableLimits, Tensor, table};
use super::tensors::{Buffers, Grads, check, dense};
use super::uniforms::StepUniforms;
use super::upload::Upload;
use super::vector::GpuVec;
use super::wgsl::{Formula, Treatment};
use crate::numerics::Precision;
use crate::rules::{Rule, check_state};
use crate::step::{GradientGuard, GuardReport, Schedule, TensorGradient, Tensors};

/// Pairs of lists whose passes are kept. Callers who alternate between a few gradient buffers stay
/// warm; older pairs are forgotten, and with them the hold on their memory.
const KEPT_PASSES: usize = 4;

/// Rule, schedule, steps, precision, state, uniforms, guard and kept passes of an optimizer.
#[derive(Debug)]
pub(super) struct Core<R: Rule> {
    pub(super) gpu: Gpu,
    pub(super) tensors: Tensors<R>,
    /// One for each group; groups whose formulas are equal share kernels.
    formulas: Vec<Formula>,
    /// The length of a row, if rows share what they can of the state.
    pub(super) row_width: Option<usize>,
    pub(super) precision: Precision,
    pub(super) shape: KernelShape,
    /// Invocations in a workgroup of the kernels over rows, each of which has one quad.
    rows_workgroup: u32,
    limits: TableLimits,
    pub(super) schedule: Schedule,
    pub(super) steps: u64,
    pub(super) state: StateMemory,
    uniforms: StepUniforms<R>,
    pub(super) guard: GradientGuard,
    guard_memory: Option<GuardMemory>,
    /// Most recently used first.
    kept: Vec<KeptPass>,
    /// What steps over rows keep, for each tensor.
    rows: Vec<RowsMemory>,
    /// Stands for a pass that a step does not have.
    nothing: Pass,
}

/// The dispatches over a pair of lists.
#[derive(Debug)]
struct KeptPass {
    params: Vec<GpuVec>,
    /// None for a tensor without gradients, or with gradients of rows.
    grads: Vec<Option<GpuVec>>,
    /// Those of the guard, unless rows are stepped too.
    scan: Option<Pass>,
    steps: Pass,
}

impl KeptPass {
    fn is_of(&self, params: &[GpuVec], grads: Grads<'_>) -> bool {
        let own = self.grads.iter().map(Option::as_ref);
        let same = match grads {
            Grads::Dense(list) => own.eq(list.iter().map(Some)),
            Grads::Mixed(list) => own.eq(list.iter().map(dense)),
        };
        same && self.params == params
    }
}

/// The passes of a step that are not kept.
#[derive(Debug, Default)]
pub(super) struct RowPasses {
    /// Sums of row gradients, ahead of the guard.
    sums: Pass,
    scan: Option<Pass>,
    steps: Pass,
    /// Whether the first kept pass is part of the step.
    with_kept: bool,
}

impl<R: Rule> Core<R> {
    /// Of tensors whose state is at the rules' initial values; `row_width` is the length of a row, if rows
    /// share what they can of the state.
    pub(super) fn new(
        gpu: &Gpu,
        tensors: Tensors<R>,
        row_width: Option<usize>,
    ) -> Result<Self, GroupError> {
        const { assert!(size_of::<R::Uniforms>() as u64 <= SLOT_BYTES) };
        const { assert!(size_of::<R::Uniforms>().is_multiple_of(16)) };
        const { check_state::<R>() };
        let used = tensors.used_state();
        let limits = gpu.device().limits();
        let alignment = u64::from(limits.min_storage_buffer_offset_alignment).max(16);
        let bytes = StepUniforms::<R>::bytes(tensors.rules.len()).next_multiple_of(SLOT_BYTES);
        // Blocks, parameters, gradients, state; one group of four behind the worst alignment.
        Needs::of(&limits)
            .buffers(3 + used.len() as u64, 1)
            .binding((alignment + 16).max(size_of::<Block>() as u64))
            .uniform(bytes)
            .bind_groups(2)
            .check()?;
        gpu.check_lost()?;
        let shape = KernelShape::of_device(gpu);
        Ok(Self {
            gpu: gpu.clone(),
            formulas: tensors.rules.iter().map(|rule| Formula::new(rule, &used)).collect(),
            row_width,
            precision: Precision::Native,
            shape,
            rows_workgroup: KernelShape::default().within(&limits).workgroup_size,
            limits: TableLimits::new(&limits, shape, used.len() as u32),
            schedule: Schedule::Constant,
            steps: 0,
            state: StateMemory::new(gpu, &tensors, &used, row_width)?,
            uniforms: StepUniforms::new(tensors.rules.len()),
            guard: GradientGuard::default(),
            guard_memory: None,
            kept: Vec::new(),
            rows: (0..tensors.lens.len()).map(|_| RowsMemory::default()).collect(),
            nothing: Pass::default(),
            tensors,
        })
    }

    pub(super) fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.kept.clear();
        self
    }

    pub(super) fn with_shape(mut self, shape: KernelShape) -> Self {
        let limits = self.gpu.device().limits();
        self.shape = shape.within(&limits);
        self.rows_workgroup = self.shape.workgroup_size;
        self.set_limits();
        self
    }

    fn set_limits(&mut self) {
        // A step that obeys a guard reads the decision too.
        let others = self.state.vectors.len() as u32 + u32::from(self.guard.scans());
        self.limits = TableLimits::new(&self.gpu.device().limits(), self.shape, others);
        self.kept.clear();
    }

    pub(super) fn with_schedule(mut self, schedule: Schedule) -> Result<Self, StepError> {
        schedule.validate()?;
        self.schedule = schedule;
        Ok(self)
    }

    pub(super) fn with_guard(mut self, guard: GradientGuard) -> Result<Self, StepError> {
        guard.validate()?;
        self.guard_memory = if guard.scans() {
            let limits = self.gpu.device().limits();
            // A step that obeys reads the decision too.
            let buffers = 4 + self.state.vectors.len() as u64;
            Needs::of(&limits).buffers(buffers, 1).bind_groups(3).check()?;
            Some(GuardMemory::new(&self.gpu, guard)?)
        } else {
            None
        };
        self.guard = guard;
        // For kernels with another number of buffers.
        self.set_limits();
        Ok(self)
    }

    /// Encodes one step and submits it.
    pub(super) fn step(&mut self, params: &[GpuVec], grads: Grads<'_>) -> Result<(), GroupError> {
        let rows = self.prepare(params, grads)?;
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
    pub(super) fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<(), GroupError> {
        let rows = self.prepare(params, grads)?;
        self.gpu.catch(|| self.encode(encoder, &rows))?;
        self.steps += 1;
        Ok(())
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder, rows: &RowPasses) {
        let Some(slot) = self.uniforms.slot() else {
            return; // `prepare` has taken it
        };
        let kept = self.kept.first().filter(|_| rows.with_kept);
        let scan = rows.scan.as_ref().or(kept.and_then(|kept| kept.scan.as_ref()));
        let steps = kept.map_or(&self.nothing, |kept| &kept.steps);
        let passes = [&rows.sums, scan.unwrap_or(&self.nothing), steps, &rows.steps];
        let decision = self.guard_memory.as_ref().map(|guard| &guard.decision);
        encode(encoder, R::NAME, passes, slot, decision);
    }

    /// Makes ready what `encode` needs for these lists and the next step.
    fn prepare(&mut self, params: &[GpuVec], grads: Grads<'_>) -> Result<RowPasses, GroupError> {
        self.gpu.check_lost()?;
        let passes = if grads.has_rows() {
            self.bind_rows(params, grads)?
        } else {
            self.keep(params, grads, true)?;
            RowPasses { with_kept: true, ..RowPasses::default() }
        };
        self.uniforms.prepare(&self.gpu, &self.tensors, &self.schedule, self.steps + 1)?;
        Ok(passes)
    }

    /// The uniforms of the next step of the first group, which a kernel of the caller's takes; it counts.
    #[cfg(feature = "linear")]
    pub(super) fn next_uniforms(&mut self) -> R::Uniforms {
        self.steps += 1;
        crate::step::scheduled(&self.tensors.rules[0], &self.schedule, self.steps)
    }

    /// How many dispatches the step over these lists takes, less those of a guard.
    pub(super) fn dispatches(
        &mut self,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<usize, GroupError> {
        self.keep(params, grads, true)?;
        Ok(self.kept.first().map_or(0, |kept| kept.steps.dispatches.len()))
    }

    /// How many dispatches the last step had, those of a guard included.
    #[cfg(test)]
    pub(super) fn kept_dispatches(&self) -> usize {
        let passes = |kept: &KeptPass| {
            kept.scan.as_ref().map_or(0, |scan| scan.dispatches.len()) + kept.steps.dispatches.len()
        };
        self.kept.first().map_or(0, passes)
    }

    pub(super) fn forget_passes(&mut self) {
        self.kept.clear();
    }

    pub(super) fn clear_report(&self) -> Result<(), StepError> {
        self.guard_memory.as_ref().map_or(Ok(()), |guard| guard.clear(&self.gpu))
    }

    pub(super) async fn report(&self, wait: Wait) -> Result<GuardReport, DownloadError> {
        match &self.guard_memory {
            Some(guard) => guard.report(&self.gpu, wait).await,
            None => Ok(GuardReport::default()),
        }
    }

    /// Brings the pass over the tensors with a gradient for every parameter to the front; checks the lists
    /// and makes it if new. `alone`: there are no other gradients, and the guard sees these.
    fn keep(&mut self, params: &[GpuVec], grads: Grads<'_>, alone: bool) -> Result<(), GroupError> {
        let scans = alone && self.guard_memory.is_some();
        let known = self.kept.iter().position(|kept| kept.is_of(params, grads));
        if let Some(index) = known.filter(|&index| self.kept[index].scan.is_some() == scans) {
            self.kept[..=index].rotate_right(1);
            return Ok(());
        }
        check(&self.gpu, &self.tensors, &self.state, params, grads)?;
        let mut buffers = Buffers::default();
        let (steps, places) = self.bind_dense(&mut buffers, params, grads)?;
        let scan = match &mut self.guard_memory {
            // Behind the steps' own, which have found out whether the buffers are usable.
            Some(guard) if scans => {
                let gradients = Gradients { vectors: &places, buffers: &buffers.list };
                Some(guard.bind(&self.gpu, self.precision, &gradients)?)
            }
            _ => None,
        };
        let kept = KeptPass {
            params: params.to_vec(),
            grads: (0..grads.len()).map(|index| grads.dense(index).cloned()).collect(),
            scan,
            steps,
        };
        self.kept.truncate(KEPT_PASSES - 1);
        self.kept.insert(0, kept);
        Ok(())
    }

    /// The steps of the tensors with a gradient for every parameter, and where those gradients lie.
    fn bind_dense(
        &mut self,
        buffers: &mut Buffers,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<(Pass, Vec<Vec<Place>>), GroupError> {
        let mut tensors = Vec::new();
        for (index, params) in params.iter().enumerate() {
            let Some(grads) = grads.dense(index) else { continue };
            let group = self.tensors.group_of[index];
            let formula = &self.formulas[group as usize];
            tensors.push(Tensor {
                group,
                kernel: self.formulas.iter().position(|known| known == formula).unwrap_or(0),
                params: buffers.places(params, true),
                grads: buffers.places(grads, false),
                state: self.state.places(index, params.len()),
            });
        }
        let steps = match (self.row_width, grads.dense(0)) {
            (Some(_), Some(grads)) => {
                let (step, group) = self.rows_choice(0);
                let (gpu, width, state) = (&self.gpu, self.row_width, &self.state);
                let context = RowsContext::new(gpu, step, width, (0, group), &params[0], state);
                let mut bound = bind_all_rows(&context, &mut self.rows[0], grads)?;
                bound.hold_all(self.state.guards());
                bound
            }
            _ => {
                self.state.buffers().for_each(|buffer| buffers.mark_written(buffer));
                self.bind_tables(&table(&tensors, &self.limits), buffers)?
            }
        };
        Ok((steps, tensors.into_iter().map(|tensor| tensor.grads).collect()))
    }

    fn bind_tables(
        &self,
        dispatches: &[TableDispatch],
        buffers: &Buffers,
    ) -> Result<Pass, GroupError> {
        let mut upload = Upload::storage(&self.gpu);
        let blocks: Vec<_> = dispatches.iter().map(|d| upload.push(&d.blocks)).collect();
        let uploaded = upload.send(&self.gpu)?;
        let mut pass = Pass::default();
        for (dispatch, blocks) in dispatches.iter().zip(&blocks) {
            let kernel = self.gpu.kernel(&TableKernel {
                step: self.choice(dispatch.kernel, dispatch.element),
                written: dispatch.windows.iter().map(|w| buffers.written[w.buffer]).collect(),
                routes: dispatch.routes.clone(),
            })?;
            let state = self.state.parts(dispatch.state, self.limits.cell());
            let windows = dispatch
                .windows
                .iter()
                .map(|&window| self.limits.part(&buffers.list[window.buffer], window));
            let bound = [uploaded.binding(blocks)].into_iter().chain(state).chain(windows);
            let bind_group = kernel.bind(&self.gpu, bound)?;
            let grid = dispatch.grid(&self.limits.dispatch);
            pass.dispatches.push(BoundDispatch::new(&kernel, bind_group, grid));
        }
        pass.hold(uploaded);
        pass.hold_all(self.state.guards());
        Ok(pass)
    }

    fn choice(&self, group: usize, element: Element) -> StepChoice {
        StepChoice {
            formula: self.formulas[group].clone(),
            precision: self.precision,
            treatment: Treatment::of(&self.guard),
            element,
            groups: self.tensors.rules.len(),
            workgroup_size: self.shape.workgroup_size,
        }
    }

    /// The kernels over rows of a tensor, and its group.
    fn rows_choice(&self, tensor: usize) -> (StepChoice, u32) {
        let group = self.tensors.group_of[tensor];
        let choice = self.choice(group as usize, Element::Scalars);
        (StepChoice { workgroup_size: self.rows_workgroup, ..choice }, group)
    }

    /// The passes of a step in which some tensors have gradients of rows.
    fn bind_rows(&mut self, params: &[GpuVec], grads: Grads<'_>) -> Result<RowPasses, GroupError> {
        check(&self.gpu, &self.tensors, &self.state, params, grads)?;
        let with_kept = (0..grads.len()).any(|index| grads.dense(index).is_some());
        if with_kept {
            self.keep(params, grads, false)?;
        }
        let mut passes = RowPasses { with_kept, ..RowPasses::default() };
        passes.steps.hold_all(self.state.guards());
        let (mut buffers, mut places) = (Buffers::default(), Vec::new());
        for (index, params) in params.iter().enumerate() {
            match grads.get(index) {
                TensorGradient::Dense(vector) => places.push(buffers.places(vector, false)),
                TensorGradient::Missing => {}
                TensorGradient::Rows { gradients, indices } => {
                    let (step, group) = self.rows_choice(index);
                    let (gpu, width, scans) = (&self.gpu, self.row_width, self.guard.scans());
                    let place = (index, group);
                    let context = RowsContext::new(gpu, step, width, place, params, &self.state);
                    let memory = &mut self.rows[index];
                    let bound = bind_named_rows(&context, memory, gradients, indices, scans)
                        .map_err(|error| GroupError::of_tensor(index, error))?;
                    passes.sums.append(bound.sums);
                    passes.steps.append(bound.steps);
                    let summed = bound.summed.iter().flat_map(|v| buffers.places(v, false));
                    places.push(summed.collect());
                }
            }
        }
        if let Some(guard) = &mut self.guard_memory {
            let gradients = Gradients { vectors: &places, buffers: &buffers.list };
            passes.scan = Some(guard.bind(&self.gpu, self.precision, &gradients)?);
        }
        Ok(passes)
    }
}
