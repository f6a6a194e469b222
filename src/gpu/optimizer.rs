//! An optimizer over vectors in device memory.

use super::checks::check_limits;
use super::context::Gpu;
use super::errors::{StepError, VectorError};
use super::guard::{DECISION_GROUP, Prepass};
use super::plan::plan;
use super::rows::{RowsMemory, check_row_length};
use super::scope::caught;
use super::shape::KernelShape;
use super::slots::{SLOT_BYTES, Slot};
use super::step_kernel::{Guarded, StepKernels, Variant, bind, chunk_words};
use super::vector::GpuVec;
use crate::numerics::Precision;
use crate::rules::{
    GradientGuard, Rule, Schedule, StateVector, check_row_wise, check_state, scheduled,
    state_vectors,
};

/// Pairs of vectors whose bindings are kept. Callers who alternate between a few gradient
/// buffers stay warm; older pairs are forgotten, and with them the hold on their memory.
const KEPT_BINDINGS: usize = 4;

/// Applies a rule to a parameter vector in device memory: one fused pass a step.
///
/// The optimizer holds the rule's state, one f32 a parameter and state vector. Once a pair of
/// vectors has been stepped, stepping it again allocates nothing on the device: the bindings of
/// the last four pairs are kept, and their buffers stay alive with them until
/// [`GpuOptimizer::forget_bindings`] or newer pairs take their place.
#[derive(Debug)]
pub struct GpuOptimizer<R: Rule> {
    pub(super) gpu: Gpu,
    pub(super) rule: R,
    len: usize,
    /// The length of a row, if rows share what they can of the state.
    pub(super) row_wise: Option<usize>,
    pub(super) precision: Precision,
    pub(super) state: Vec<GpuVec>,
    pub(super) steps: u64,
    schedule: Schedule,
    pub(super) kernels: StepKernels,
    /// The uniforms of the last step, and where they are: steps with the same ones share them.
    uniforms: Option<(R::Uniforms, Slot)>,
    /// Most recently used first.
    pub(super) bindings: Vec<Bindings>,
    pub(super) guard: GradientGuard,
    /// What the guard needs if it looks at the gradients before the step.
    pub(super) prepass: Option<Prepass>,
    /// What steps over rows keep.
    pub(super) rows: RowsMemory,
}

/// The dispatches of a step over one pair of vectors.
#[derive(Debug)]
pub(super) struct Bindings {
    params: GpuVec,
    grads: GpuVec,
    /// Those of the guard before those of the step.
    dispatches: Vec<BoundDispatch>,
}

#[derive(Debug)]
pub(super) struct BoundDispatch {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bind_group: wgpu::BindGroup,
    pub(super) grid: [u32; 2],
}

impl<R: Rule> GpuOptimizer<R> {
    /// An optimizer for `len` parameters, its state allocated at the rule's initial values.
    ///
    /// # Errors
    /// [`StepError`] if a hyper-parameter is outside its domain, the device's limits are too low
    /// or its memory too small.
    pub fn new(gpu: &Gpu, rule: R, len: usize) -> Result<Self, StepError> {
        Self::with_rows(gpu, rule, len, None)
    }

    /// An optimizer for a table of `rows` rows of `width` parameters, to be stepped by
    /// [`GpuOptimizer::step_rows`], whose rows have one accumulator each, as
    /// [`crate::CpuOptimizer::row_wise`] has it; in exact precision with the same bits. A state vector
    /// that rows share has `rows` elements and not `rows * width`. A dispatch goes before those of a
    /// step, and finds the mean squares.
    ///
    /// # Errors
    /// As [`GpuOptimizer::new`]; [`StepError::Rule`] too if rows can share nothing of the rule's state,
    /// [`StepError::EmptyRow`] if `width` is 0, and [`StepError::RowTooLong`] if it is more than 698,560.
    pub fn row_wise(gpu: &Gpu, rule: R, rows: usize, width: usize) -> Result<Self, StepError> {
        check_row_wise(&rule)?;
        if width == 0 {
            return Err(StepError::EmptyRow);
        }
        check_row_length(width)?;
        // More elements than can be counted are more than any device has memory for.
        let too_many = StepError::State(VectorError::OutOfMemory { bytes: u64::MAX });
        let len = rows.checked_mul(width).ok_or(too_many)?;
        Self::with_rows(gpu, rule, len, Some(width))
    }

    fn with_rows(
        gpu: &Gpu,
        rule: R,
        len: usize,
        row_wise: Option<usize>,
    ) -> Result<Self, StepError> {
        const { assert!(size_of::<R::Uniforms>() as u64 <= SLOT_BYTES) };
        const { check_state::<R>() };
        rule.validate()?;
        check_limits(rule.state_names().len(), &gpu.device().limits())?;
        if gpu.is_lost() {
            return Err(StepError::DeviceLost);
        }
        let mut state = Vec::new();
        for StateVector { initial, shared, .. } in state_vectors(&rule) {
            let width = row_wise.filter(|_| shared).unwrap_or(1);
            let vector = gpu.zeros(len / width).map_err(StepError::State)?;
            // New memory is zero; a buffer is cleared by the device, with no traffic from here.
            if initial.to_bits() != 0 {
                gpu.fill(&vector, initial).map_err(StepError::State)?;
            }
            state.push(vector);
        }
        Ok(Self {
            gpu: gpu.clone(),
            rule,
            len,
            row_wise,
            precision: Precision::Native,
            state,
            steps: 0,
            schedule: Schedule::Constant,
            kernels: StepKernels::new(&gpu.device().limits(), KernelShape::default()),
            uniforms: None,
            bindings: Vec::new(),
            guard: GradientGuard::default(),
            prepass: None,
            rows: RowsMemory::default(),
        })
    }

    /// The same optimizer with another precision. Default: [`Precision::Native`].
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.bindings.clear();
        self
    }

    /// The same optimizer with its step kernel in another shape, or the nearest that the device
    /// allows. Default: [`KernelShape::default`]. In exact precision no bit of a result depends on
    /// it.
    #[must_use]
    pub fn with_shape(mut self, shape: KernelShape) -> Self {
        self.kernels = StepKernels::new(&self.gpu.device().limits(), shape);
        self.bindings.clear();
        self
    }

    /// The same optimizer with a learning-rate schedule: step number t, counted from 1, has the base
    /// learning rate times `schedule.factor(t)`. Default: the base learning rate throughout.
    ///
    /// # Errors
    /// [`StepError::Schedule`] if a number of the schedule is outside its domain.
    pub fn with_schedule(mut self, schedule: Schedule) -> Result<Self, StepError> {
        schedule.validate()?;
        self.schedule = schedule;
        Ok(self)
    }

    /// The learning-rate schedule.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The uniforms of step number `step`.
    fn uniforms_of(&self, step: u64) -> R::Uniforms {
        scheduled(&self.rule, &self.schedule, step)
    }

    /// Encodes one step and submits it.
    ///
    /// `params` and `grads` have the optimizer's length. The gradients are only read.
    ///
    /// # Errors
    /// [`StepError`]; nothing has changed then.
    pub fn step(&mut self, params: &GpuVec, grads: &GpuVec) -> Result<(), StepError> {
        self.prepare(params, grads)?;
        let device = self.gpu.device();
        caught(device, || {
            let mut encoder = device.create_command_encoder(&Default::default());
            self.encode(&mut encoder);
            self.gpu.queue().submit([encoder.finish()]);
        })?;
        self.steps += 1;
        Ok(())
    }

    /// Encodes one step into the caller's encoder, which must be of the same device. The step
    /// happens when the encoder's commands are submitted; its learning rate is the present one.
    ///
    /// # Errors
    /// [`StepError`]; nothing has been encoded then.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &GpuVec,
        grads: &GpuVec,
    ) -> Result<(), StepError> {
        self.prepare(params, grads)?;
        caught(self.gpu.device(), || self.encode(encoder))?;
        self.steps += 1;
        Ok(())
    }

    /// Sets the base learning rate from the next step or record on.
    ///
    /// # Errors
    /// [`StepError::Rule`] if it is NaN, infinite or negative; the old one stays then.
    pub fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), StepError> {
        let mut rule = self.rule;
        rule.set_learning_rate(learning_rate);
        rule.validate()?;
        self.rule = rule;
        Ok(())
    }

    /// State vector number `index`, in the order of [`Rule::state_names`]. To resume from a saved
    /// state, [`Gpu::write`] it.
    ///
    /// # Panics
    /// If the rule has no such vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, index: usize) -> &GpuVec {
        &self.state[index]
    }

    /// The length of a row, if this optimizer was made by [`GpuOptimizer::row_wise`].
    #[must_use]
    pub fn row_width(&self) -> Option<usize> {
        self.row_wise
    }

    /// The state vectors that rows share, or the others; all are others but in a row-wise optimizer.
    pub(super) fn row_state(&self, shared: bool) -> impl Iterator<Item = &GpuVec> {
        let vectors = state_vectors(&self.rule).into_iter().zip(&self.state);
        let is_shared = move |v: StateVector| v.shared && self.row_wise.is_some();
        vectors.filter(move |(v, _)| is_shared(*v) == shared).map(|(_, vector)| vector)
    }

    /// How many state vectors there are.
    #[must_use]
    pub fn state_count(&self) -> usize {
        self.state.len()
    }

    /// The rule with its present hyper-parameters.
    #[must_use]
    pub fn rule(&self) -> &R {
        &self.rule
    }

    /// The shape of the step kernel, within the device's limits.
    #[must_use]
    pub fn shape(&self) -> KernelShape {
        self.kernels.shape
    }

    /// The precision of the arithmetic.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// How many steps have been submitted or recorded, those that a guard skipped included.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets the number of steps taken: for resuming from a saved state.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// The uniforms of the next step, which a kernel of the caller's takes; it counts.
    pub(crate) fn next_uniforms(&mut self) -> R::Uniforms {
        self.steps += 1;
        self.uniforms_of(self.steps)
    }

    /// Lets go of the vectors stepped so far, so that their memory can be freed. The next step
    /// binds its own again.
    pub fn forget_bindings(&mut self) {
        self.bindings.clear();
    }

    /// How many parameters there are; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a vector is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Encodes the dispatches of the first bindings.
    fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        if let Some(bindings) = self.bindings.first() {
            self.encode_dispatches(encoder, &bindings.dispatches, self.prepass.as_ref());
        }
    }

    /// Encodes dispatches that read the prepared uniforms.
    pub(super) fn encode_dispatches(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        dispatches: &[BoundDispatch],
        prepass: Option<&Prepass>,
    ) {
        let Some((_, slot)) = &self.uniforms else {
            return; // they have been prepared
        };
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(R::NAME),
            timestamp_writes: None,
        });
        pass.set_bind_group(1, &slot.bind_group, &[slot.offset()]);
        if let Some(prepass) = prepass {
            pass.set_bind_group(DECISION_GROUP, &prepass.decision, &[]);
        }
        for dispatch in dispatches {
            pass.set_pipeline(&dispatch.pipeline);
            pass.set_bind_group(0, &dispatch.bind_group, &[]);
            pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
        }
        drop(pass);
        // The slot is free again when the device has read it, or when the commands are dropped.
        let guard = slot.guard();
        encoder.on_submitted_work_done(move || drop(guard));
    }

    /// Makes ready what `encode` needs for this pair of vectors and the next step.
    fn prepare(&mut self, params: &GpuVec, grads: &GpuVec) -> Result<(), StepError> {
        if self.gpu.is_lost() {
            return Err(StepError::DeviceLost);
        }
        if let Some(width) = self.row_wise {
            return Err(StepError::RowWise { width });
        }
        self.prepare_bindings(params, grads)?;
        self.prepare_uniforms()
    }

    /// Uploads the uniforms of the next step, if they are new.
    pub(super) fn prepare_uniforms(&mut self) -> Result<(), StepError> {
        let uniforms = self.uniforms_of(self.steps + 1);
        // By their bytes: 0 and -0 are equal numbers, but not the same uniforms.
        let same = |known: &R::Uniforms| bytemuck::bytes_of(known) == bytemuck::bytes_of(&uniforms);
        if !self.uniforms.as_ref().is_some_and(|(known, _)| same(known)) {
            let device = self.gpu.device();
            let slot = self.gpu.slots().take(device)?;
            caught(device, || slot.write(self.gpu.queue(), bytemuck::bytes_of(&uniforms)))?;
            self.uniforms = Some((uniforms, slot));
        }
        Ok(())
    }

    /// Brings the bindings of this pair to the front; checks the pair and makes them if new.
    fn prepare_bindings(&mut self, params: &GpuVec, grads: &GpuVec) -> Result<(), StepError> {
        let known = self.bindings.iter().position(|b| b.params == *params && b.grads == *grads);
        if let Some(index) = known {
            self.bindings[..=index].rotate_right(1);
            return Ok(());
        }
        self.check(params, grads)?;
        let bindings = self.bind(params, grads)?;
        self.bindings.truncate(KEPT_BINDINGS - 1);
        self.bindings.insert(0, bindings);
        Ok(())
    }

    fn bind(&self, params: &GpuVec, grads: &GpuVec) -> Result<Bindings, StepError> {
        let device = self.gpu.device();
        let vectors: Vec<&GpuVec> = [params, grads].into_iter().chain(&self.state).collect();
        let spans: Vec<_> = vectors.iter().map(|vector| vector.spans()).collect();
        let dispatches = plan(&spans, &self.kernels.limits);
        let grads_writable =
            [params].into_iter().chain(&self.state).any(|v| v.shares_buffer(grads));
        let stride = u64::from(device.limits().min_uniform_buffer_offset_alignment);
        let stride = stride.max((4 * (4 + self.state.len()) as u64).next_multiple_of(16));
        let chunks = caught(device, || {
            let chunks = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgpu-optim chunks"),
                size: stride * dispatches.len() as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            for (offset, dispatch) in (0..).step_by(stride as usize).zip(&dispatches) {
                let words = chunk_words(dispatch);
                self.gpu.queue().write_buffer(&chunks, offset, bytemuck::cast_slice(&words));
            }
            chunks
        })?;
        let mut bound = Vec::new();
        for (offset, dispatch) in (0..).step_by(stride as usize).zip(&dispatches) {
            let variant = Variant {
                precision: self.precision,
                access: dispatch.access,
                grads_writable,
                guarded: Guarded {
                    decided: self.prepass.is_some(),
                    only_finite: self.guard.skips_elements(),
                },
            };
            let pipeline = self.kernels.pipeline(&self.gpu, &self.rule, variant)?;
            let bind_group =
                caught(device, || bind(device, variant, dispatch, (&chunks, offset), &vectors))?;
            bound.push(BoundDispatch { pipeline, bind_group, grid: dispatch.grid });
        }
        if let Some(prepass) = &self.prepass {
            // Behind the step's own, which have found out whether the buffers are usable.
            bound.splice(0..0, prepass.bind(&self.gpu, self.precision, grads)?);
        }
        Ok(Bindings { params: params.clone(), grads: grads.clone(), dispatches: bound })
    }
}

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
