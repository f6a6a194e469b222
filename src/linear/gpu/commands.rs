//! Collects the commands of a run into submissions: copies, dispatches with their jobs, and steps
//! of an optimizer, in order.

use super::super::errors::Result;
use super::job::{Job, Structs};
use super::kernels::{BoundKernel, WORKGROUP_SIZE, largest_binding};
use crate::gpu::{DispatchLimits, Gpu, Staging, Wait, uniform_group};

/// The number of multiplications after which a submission ends: some tenths of a second on the
/// slowest device, so that no watchdog considers it hung.
const SUBMISSION_WORK: u64 = 50_000_000;
/// The maximum numbers of dispatches and of steps of one submission.
const SUBMISSION_JOBS: u64 = 1024;
const SUBMISSION_STEPS: u64 = 4096;

/// The submission under construction.
pub(super) struct Commands {
    gpu: Gpu,
    pub(super) limits: DispatchLimits,
    encoder: Option<wgpu::CommandEncoder>,
    /// The jobs of all dispatches of this submission, bound with dynamic offsets.
    jobs: Structs,
    job_group: wgpu::BindGroup,
    /// The latest dispatches, which are not encoded yet, with their grids.
    dispatches: Vec<(BoundKernel, [u32; 2])>,
    /// The hyper-parameters of this submission's steps, if the linear kernels step.
    steps: Option<Structs>,
    /// Buffers that the host fills in turn, if anything is copied. The first one is filled next, or
    /// has been filled for this submission.
    staging: Vec<Staging>,
    is_staged: bool,
    /// The number of multiplications so far.
    pub(super) work: u64,
    /// The number of loss samples in this submission, and in the submissions before.
    pub(super) samples: u64,
    pub(super) sampled: u64,
}

impl Commands {
    /// Starts the first submission. Each one copies at most `staged` bytes.
    pub(super) fn new(gpu: &Gpu, staged: u64) -> Result<Self> {
        let device = gpu.device();
        let limits = device.limits();
        let size = size_of::<Job>() as u64;
        let stride = size.next_multiple_of(limits.min_uniform_buffer_offset_alignment.into());
        let (usage, max_bytes) = (wgpu::BufferUsages::UNIFORM, limits.max_buffer_size);
        let jobs = Structs::new(gpu, "jobs", usage, stride, SUBMISSION_JOBS, max_bytes)?;
        let layout = gpu.slots().layout(device)?;
        let buffers = if staged > 0 { 2 } else { 0 };
        Ok(Self {
            limits: DispatchLimits::of(&limits, WORKGROUP_SIZE),
            encoder: None,
            job_group: gpu.catch(|| uniform_group(device, &layout, &jobs.buffer, size))?,
            jobs,
            dispatches: Vec::new(),
            steps: None,
            staging: (0..buffers).map(|_| Staging::new(gpu, staged)).collect::<Result<_, _>>()?,
            is_staged: false,
            work: 0,
            samples: 0,
            sampled: 0,
            gpu: gpu.clone(),
        })
    }

    /// Allocates a buffer for hyper-parameters of `size` bytes per step, and returns it.
    pub(super) fn prepare_steps(&mut self, size: usize) -> Result<wgpu::Buffer> {
        let max_bytes = largest_binding(&self.gpu.device().limits());
        let (label, usage) = ("hyper-parameters", wgpu::BufferUsages::STORAGE);
        let steps =
            Structs::new(&self.gpu, label, usage, size as u64, SUBMISSION_STEPS, max_bytes)?;
        Ok(self.steps.insert(steps).buffer.clone())
    }

    /// Adds the hyper-parameters of a step. Returns its number in the submission.
    pub(super) fn push_step(&mut self, uniforms: &[u8]) -> u32 {
        self.steps.as_mut().map_or(0, |steps| steps.push(uniforms))
    }

    /// Whether there is room for `dispatches` dispatches and a step, and no other reason to submit.
    /// If so, there is also room for one more dispatch.
    pub(super) fn has_room(&self, dispatches: usize) -> bool {
        self.jobs.has_room(dispatches + 1)
            && self.steps.as_ref().is_none_or(|steps| steps.has_room(1))
            && self.work < SUBMISSION_WORK
    }

    /// Adds a dispatch of `threads` invocations. Submits the collected commands first if there is
    /// no room.
    pub(super) fn dispatch(&mut self, kernel: &BoundKernel, threads: u64, job: Job) -> Result<()> {
        if !self.has_room(1) {
            self.submit()?;
        }
        self.push(kernel, threads, job);
        Ok(())
    }

    /// Adds a dispatch of `threads` invocations, for which there must be room.
    pub(super) fn push(&mut self, kernel: &BoundKernel, threads: u64, job: Job) {
        self.jobs.push(bytemuck::bytes_of(&job));
        self.dispatches.push((kernel.clone(), self.limits.grid(threads)));
    }

    /// The encoder, after all dispatches.
    pub(super) fn encoder(&mut self) -> Result<&mut wgpu::CommandEncoder> {
        let encoder = begin(&self.gpu, &mut self.encoder)?;
        if self.dispatches.is_empty() {
            return Ok(encoder);
        }
        self.gpu.catch(|| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("linear"),
                timestamp_writes: None,
            });
            let first = self.jobs.count() - self.dispatches.len();
            for (number, (kernel, grid)) in (first..).zip(&self.dispatches) {
                pass.set_pipeline(&kernel.pipeline);
                pass.set_bind_group(0, &kernel.bind_group, &[]);
                pass.set_bind_group(1, &self.job_group, &[self.jobs.offset(number)]);
                pass.dispatch_workgroups(grid[0], grid[1], 1);
            }
        })?;
        self.dispatches.clear();
        Ok(encoder)
    }

    /// Lets `fill` write the bytes for these buffers, one after another, and copies them there
    /// before this submission's dispatches. Call it at most once per submission, and before
    /// [`Commands::encoder`].
    pub(super) async fn copy(
        &mut self,
        wait: Wait,
        buffers: &[(&wgpu::Buffer, u64)],
        fill: impl FnOnce(wgpu::WriteOnly<'_, [u8]>),
    ) -> Result<()> {
        let staging = &mut self.staging[0];
        let bytes = buffers.iter().map(|(_, bytes)| bytes).sum();
        staging.fill(&self.gpu, wait, bytes, fill).await?;
        let encoder = begin(&self.gpu, &mut self.encoder)?;
        self.gpu.catch(|| {
            let mut first = 0;
            for &(buffer, bytes) in buffers {
                encoder.copy_buffer_to_buffer(&staging.buffer, first, buffer, 0, bytes);
                first += bytes;
            }
        })?;
        self.is_staged = true;
        Ok(())
    }

    /// Submits the collected commands, if there are any.
    pub(super) fn submit(&mut self) -> Result<()> {
        if !self.dispatches.is_empty() {
            self.encoder()?;
        }
        let Some(encoder) = self.encoder.take() else { return Ok(()) };
        for structs in [Some(&mut self.jobs), self.steps.as_mut()].into_iter().flatten() {
            structs.write(&self.gpu)?;
        }
        let submission = self.gpu.submit(encoder)?;
        self.work = 0;
        self.sampled += std::mem::take(&mut self.samples);
        if std::mem::take(&mut self.is_staged) {
            self.staging[0].submitted(&self.gpu, submission)?;
            self.staging.swap(0, 1);
        }
        Ok(())
    }
}

/// The encoder of this submission. Creates it if there is none.
fn begin<'a>(
    gpu: &Gpu,
    encoder: &'a mut Option<wgpu::CommandEncoder>,
) -> Result<&'a mut wgpu::CommandEncoder> {
    Ok(match encoder {
        Some(encoder) => encoder,
        none => {
            none.insert(gpu.catch(|| gpu.device().create_command_encoder(&Default::default()))?)
        }
    })
}
