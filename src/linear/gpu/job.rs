//! What a dispatch of a linear kernel works on: the CPU side of `shaders/linear/job.wgsl`.

use crate::gpu::{Gpu, StepError, uniform_group};

/// `struct Job` of the WGSL; the meaning of each field stands there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Job {
    pub(super) rows: u32,
    pub(super) first: u32,
    pub(super) ordered: u32,
    pub(super) row_first: u32,
    pub(super) table_first: u32,
    pub(super) gathered: u32,
    pub(super) batch_rows: u32,
    pub(super) batches: u32,
    pub(super) first_step: u32,
    pub(super) columns: u32,
    pub(super) column_groups: u32,
    pub(super) group_first: u32,
    pub(super) groups: u32,
    pub(super) fresh: u32,
    pub(super) terms: u32,
    pub(super) output: u32,
    pub(super) divisor: f32,
    pub(super) l1: f32,
    pub(super) l2: f32,
    pub(super) skip: u32,
}

/// The maximum number of dispatches of one submission.
const SUBMISSION_JOBS: u64 = 1024;

/// The jobs of one submission, written at once and bound with dynamic offsets.
#[derive(Debug)]
pub(super) struct JobBuffer {
    stride: u64,
    capacity: u64,
    buffer: wgpu::Buffer,
    bind_group: wgpu::BindGroup,
}

impl JobBuffer {
    /// Room for as many jobs as a submission has, or as the device's largest buffer holds.
    pub(super) fn new(gpu: &Gpu, layout: &wgpu::BindGroupLayout) -> Result<Self, StepError> {
        let device = gpu.device();
        let size = size_of::<Job>() as u64;
        let alignment = u64::from(device.limits().min_uniform_buffer_offset_alignment);
        let stride = size.next_multiple_of(alignment.max(1));
        let capacity = SUBMISSION_JOBS.min(device.limits().max_buffer_size / stride).max(1);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("jobs", stride * capacity, usage)?;
        let bind_group = gpu.catch(|| uniform_group(device, layout, &buffer, size))?;
        Ok(Self { stride, capacity, buffer, bind_group })
    }

    /// How many jobs fit.
    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize // at most `SUBMISSION_JOBS`
    }

    /// Queues the jobs, ahead of all that is submitted from now on.
    pub(super) fn write(&self, queue: &wgpu::Queue, jobs: &[Job]) {
        let stride = self.stride as usize;
        let mut bytes = vec![0; stride * jobs.len()];
        for (place, job) in bytes.chunks_mut(stride).zip(jobs) {
            place[..size_of::<Job>()].copy_from_slice(bytemuck::bytes_of(job));
        }
        queue.write_buffer(&self.buffer, 0, &bytes);
    }

    /// Makes job number `index` the one that the next dispatch reads.
    pub(super) fn bind(&self, pass: &mut wgpu::ComputePass<'_>, index: usize) {
        // Within one binding's range by construction; a submission has far fewer than 2^24 jobs.
        pass.set_bind_group(1, &self.bind_group, &[(index as u64 * self.stride) as u32]);
    }
}
