//! The optimizer over groups of tensors.

use super::super::context::Gpu;
use super::super::errors::StepError;
use super::super::scope::caught;
use super::super::slots::{SLOT_BYTES, Slot, SlotPool};
use super::super::vector::GpuVec;
use super::arena::{starts, views};
use super::bindings::Bindings;
use super::error::GroupError;
use super::limits::{check_limits, table_limits};
use super::table::TableLimits;
use crate::numerics::Precision;
use crate::rules::{Rule, Schedule, check_state, scheduled};

/// Tensors that share hyper-parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamGroup<R> {
    /// The rule that steps them.
    pub rule: R,
    /// The length of each tensor, in elements.
    pub lens: Vec<usize>,
}

/// Applies a rule to many tensors in device memory at once: where buffers and limits allow, one
/// dispatch a step, however many there are.
///
/// The tensors of all groups make one list, group after group; a step is given the parameters and
/// the gradients of all of it, in this order. Tensors that are views of few buffers
/// ([`Gpu::zeros_many`], [`Gpu::upload_many`]) need the fewest dispatches. Each tensor's
/// parameters and state get the bits that a [`crate::GpuOptimizer`] of its own would give them.
///
/// More dispatches are needed for more buffers than a dispatch can bind
/// (`max_storage_buffers_per_shader_stage`), for tensors past the largest binding, for groups whose
/// rules choose different formulas, and for the caller's own tensors at offsets that are no multiple
/// of 16 bytes or of lengths that are no multiple of 4. [`GpuGroupOptimizer::dispatches`] says how
/// many there are. A [`crate::GradientGuard`] is not taken here.
///
/// Once a pair of lists has been stepped, stepping it again allocates nothing on the device: the
/// bindings of the last four pairs are kept, and their buffers stay alive with them until
/// [`GpuGroupOptimizer::forget_bindings`] or newer pairs take their place.
///
/// ```no_run
/// use wgpu_optim::{Adagrad, Gpu, GpuGroupOptimizer, ParamGroup};
///
/// let gpu = Gpu::request_blocking(&Default::default())?;
/// let (weights, biases) = (vec![4096, 1024], vec![64, 16]);
/// let params = gpu.zeros_many(&[4096, 1024, 64, 16])?;
/// let grads = gpu.zeros_many(&[4096, 1024, 64, 16])?; // for your kernels to write
/// let rule = Adagrad { learning_rate: 0.1, ..Default::default() };
/// let slower = Adagrad { learning_rate: 0.01, ..rule };
/// let groups =
///     [ParamGroup { rule, lens: weights }, ParamGroup { rule: slower, lens: biases }];
/// let mut optimizer = GpuGroupOptimizer::new(&gpu, &groups)?;
/// optimizer.step(&params, &grads)?; // one dispatch
/// optimizer.set_learning_rate(1, 0.005)?; // of the biases
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GpuGroupOptimizer<R: Rule> {
    pub(super) gpu: Gpu,
    pub(super) rules: Vec<R>,
    /// For each group, the first whose rule chooses the same formulas: they share kernels.
    pub(super) kernels: Vec<usize>,
    /// The group of each tensor.
    pub(super) group_of: Vec<u32>,
    pub(super) lens: Vec<usize>,
    pub(super) precision: Precision,
    /// The state vectors that the rule of some group uses.
    pub(super) state_names: Vec<&'static str>,
    /// One for each of them.
    pub(super) arenas: Vec<GpuVec>,
    /// For each of those, its tensors.
    pub(super) state: Vec<Vec<GpuVec>>,
    steps: u64,
    schedule: Schedule,
    pub(super) limits: TableLimits,
    pub(super) slots: SlotPool,
    /// The uniforms of all groups at the last step, and where they are.
    uniforms: Option<(Vec<R::Uniforms>, Slot)>,
    /// Those of the next step, in memory that is used again.
    next_uniforms: Vec<R::Uniforms>,
    /// Most recently used first.
    pub(super) bindings: Vec<Bindings>,
}

impl<R: Rule> GpuGroupOptimizer<R> {
    /// An optimizer for the tensors of `groups`, its state allocated at the rules' initial values.
    ///
    /// # Errors
    /// [`GroupError`] if there is no tensor or an empty one, a hyper-parameter is outside its
    /// domain, the device's limits are too low or its memory too small.
    pub fn new(gpu: &Gpu, groups: &[ParamGroup<R>]) -> Result<Self, GroupError> {
        const { assert!(size_of::<R::Uniforms>() as u64 <= SLOT_BYTES) };
        const { assert!(size_of::<R::Uniforms>().is_multiple_of(16)) };
        const { check_state::<R>() };
        let lens: Vec<usize> = groups.iter().flat_map(|group| group.lens.clone()).collect();
        if lens.is_empty() {
            return Err(GroupError::Empty);
        }
        if let Some(tensor) = lens.iter().position(|&len| len == 0) {
            return Err(GroupError::EmptyTensor { tensor });
        }
        for (group, ParamGroup { rule, .. }) in groups.iter().enumerate() {
            rule.validate().map_err(|error| GroupError::Rule { group, error })?;
        }
        let uniforms = (groups.len() * size_of::<R::Uniforms>()) as u64;
        let used = used_state(groups);
        check_limits(&gpu.device().limits(), used.len() as u32, uniforms)?;
        if gpu.is_lost() {
            return Err(StepError::DeviceLost.into());
        }
        let constants: Vec<_> = groups.iter().map(|group| group.rule.constants()).collect();
        let alike = |own| constants.iter().position(|known| known == own).unwrap_or(0);
        let (arenas, state) = allocate(gpu, groups, &used, &lens)?;
        Ok(Self {
            gpu: gpu.clone(),
            rules: groups.iter().map(|group| group.rule).collect(),
            kernels: constants.iter().map(alike).collect(),
            group_of: (0..)
                .zip(groups)
                .flat_map(|(index, group)| group.lens.iter().map(move |_| index))
                .collect(),
            lens,
            precision: Precision::Native,
            state_names: used.iter().map(|&index| R::STATE[index]).collect(),
            arenas,
            state,
            steps: 0,
            schedule: Schedule::Constant,
            limits: table_limits(gpu, used.len() as u32),
            slots: SlotPool::of_bytes(uniforms),
            uniforms: None,
            next_uniforms: Vec::with_capacity(groups.len()),
            bindings: Vec::new(),
        })
    }

    /// The same optimizer with a learning-rate schedule for all groups: step number t, counted
    /// from 1, has each group's base learning rate times `schedule.factor(t)`. Default: the base
    /// learning rates throughout.
    ///
    /// # Errors
    /// [`StepError::Schedule`] if a number of the schedule is outside its domain.
    pub fn with_schedule(mut self, schedule: Schedule) -> Result<Self, GroupError> {
        schedule.validate().map_err(StepError::from)?;
        self.schedule = schedule;
        Ok(self)
    }

    /// The same optimizer with another precision. Default: [`Precision::Native`].
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.bindings.clear();
        self
    }

    /// Encodes one step of all tensors and submits it.
    ///
    /// `params` and `grads` have a vector for each tensor, group after group, each of its tensor's
    /// length. The gradients are only read.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has changed then.
    pub fn step(&mut self, params: &[GpuVec], grads: &[GpuVec]) -> Result<(), GroupError> {
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

    /// Encodes one step of all tensors into the caller's encoder, which must be of the same
    /// device. The step happens when the encoder's commands are submitted; its learning rates are
    /// the present ones.
    ///
    /// # Errors
    /// [`GroupError`]; nothing has been encoded then.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        params: &[GpuVec],
        grads: &[GpuVec],
    ) -> Result<(), GroupError> {
        self.prepare(params, grads)?;
        caught(self.gpu.device(), || self.encode(encoder))?;
        self.steps += 1;
        Ok(())
    }

    /// Sets the base learning rate of a group from the next step or record on.
    ///
    /// # Errors
    /// [`GroupError::NoGroup`] if there is no such group, [`GroupError::Rule`] if the rate is NaN,
    /// infinite or negative; the old one stays then.
    pub fn set_learning_rate(&mut self, group: usize, rate: f32) -> Result<(), GroupError> {
        let groups = self.rules.len();
        let rule = self.rules.get_mut(group).ok_or(GroupError::NoGroup { group, groups })?;
        let mut changed = *rule;
        changed.set_learning_rate(rate);
        changed.validate().map_err(|error| GroupError::Rule { group, error })?;
        *rule = changed;
        Ok(())
    }

    /// The part of state vector number `index`, in the order of [`Rule::STATE`] among those
    /// that the rule of some group uses, that belongs to
    /// tensor number `tensor` of the list. To resume from a saved state, [`Gpu::write`] it.
    ///
    /// # Panics
    /// If there is no such tensor or vector, as indexing an array does.
    #[must_use]
    pub fn state(&self, tensor: usize, index: usize) -> &GpuVec {
        &self.state[index][tensor]
    }

    /// The rule of a group with its present hyper-parameters.
    ///
    /// # Panics
    /// If there is no such group, as indexing an array does.
    #[must_use]
    pub fn rule(&self, group: usize) -> &R {
        &self.rules[group]
    }

    /// The length of each tensor in elements, group after group.
    #[must_use]
    pub fn lens(&self) -> &[usize] {
        &self.lens
    }

    /// The precision of the arithmetic.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// How many steps have been submitted or recorded.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets the number of steps taken: for resuming from a saved state.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// How many dispatches a step over these two lists takes.
    ///
    /// # Errors
    /// [`GroupError`] if the lists could not be stepped.
    pub fn dispatches(&mut self, params: &[GpuVec], grads: &[GpuVec]) -> Result<usize, GroupError> {
        self.prepare_bindings(params, grads)?;
        Ok(self.bindings.first().map_or(0, |bindings| bindings.dispatches.len()))
    }

    /// Lets go of the vectors stepped so far, so that their memory can be freed. The next step
    /// binds its own again.
    pub fn forget_bindings(&mut self) {
        self.bindings.clear();
    }

    /// Encodes the dispatches of the first bindings.
    fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let (Some(bindings), Some((_, slot))) = (self.bindings.first(), &self.uniforms) else {
            return; // `prepare` has put both there
        };
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(R::NAME),
            timestamp_writes: None,
        });
        pass.set_bind_group(1, &slot.bind_group, &[slot.offset()]);
        for dispatch in &bindings.dispatches {
            pass.set_pipeline(&dispatch.pipeline);
            pass.set_bind_group(0, &dispatch.bind_group, &[]);
            pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
        }
        drop(pass);
        // The slot is free again when the device has read it, or when the commands are dropped.
        let guard = slot.guard();
        encoder.on_submitted_work_done(move || drop(guard));
    }

    /// Makes ready what `encode` needs for this pair of lists and the next step.
    fn prepare(&mut self, params: &[GpuVec], grads: &[GpuVec]) -> Result<(), GroupError> {
        if self.gpu.is_lost() {
            return Err(StepError::DeviceLost.into());
        }
        self.prepare_bindings(params, grads)?;
        let step = self.steps + 1;
        self.next_uniforms.clear();
        self.next_uniforms
            .extend(self.rules.iter().map(|rule| scheduled(rule, &self.schedule, step)));
        let next: &[u8] = bytemuck::cast_slice(&self.next_uniforms);
        // By their bytes: 0 and -0 are equal numbers, but not the same uniforms.
        let same = |known: &[R::Uniforms]| bytemuck::cast_slice::<_, u8>(known) == next;
        if !self.uniforms.as_ref().is_some_and(|(known, _)| same(known)) {
            let device = self.gpu.device();
            let slot = self.slots.take(device)?;
            caught(device, || slot.write(self.gpu.queue(), next))?;
            let known = self.uniforms.take().map_or_else(Vec::new, |(known, _)| known);
            self.uniforms = Some((std::mem::replace(&mut self.next_uniforms, known), slot));
        }
        Ok(())
    }
}

/// The numbers of the state vectors that the rule of some group uses.
fn used_state<R: Rule>(groups: &[ParamGroup<R>]) -> Vec<usize> {
    let used = |index: &usize| groups.iter().any(|group| group.rule.uses_state(*index));
    (0..R::STATE.len()).filter(used).collect()
}

/// An arena for each state vector in use, at the initial values of each group, and its tensors.
fn allocate<R: Rule>(
    gpu: &Gpu,
    groups: &[ParamGroup<R>],
    used: &[usize],
    lens: &[usize],
) -> Result<(Vec<GpuVec>, Vec<Vec<GpuVec>>), GroupError> {
    let (starts, total) = starts(lens)?;
    let (mut arenas, mut state) = (Vec::new(), Vec::new());
    for &index in used {
        let arena = gpu.zeros(total)?;
        let mut first = 0;
        for group in groups {
            let last = first + group.lens.len();
            let value = group.rule.initial_state().as_ref()[index];
            // New memory is zero; the tensors of a group lie side by side.
            if value.to_bits() != 0 && first < last {
                let end = starts[last - 1] + lens[last - 1];
                gpu.fill(&arena.slice(starts[first]..end)?, value)?;
            }
            first = last;
        }
        state.push(views(&arena, &starts, lens)?);
        arenas.push(arena);
    }
    Ok((arenas, state))
}
