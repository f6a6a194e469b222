//! Commands of a run on their way to the device: dispatches with their jobs, copies, and steps of
//! an optimizer, in order, a submission at a time.

use super::super::errors::TrainError;
use super::job::{Job, JobBuffer};
use crate::gpu::{Gpu, StepError};

/// Multiplications of one submission: some tenths of a second on the slowest device, so that no
/// watchdog takes it for hung.
const SUBMISSION_WORK: u64 = 50_000_000;

/// One dispatch to come.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bind_group: wgpu::BindGroup,
    pub(super) grid: [u32; 2],
    pub(super) job: Job,
}

/// The submission in the making.
pub(super) struct Commands {
    gpu: Gpu,
    encoder: Option<wgpu::CommandEncoder>,
    buffer: JobBuffer,
    /// The jobs of all dispatches of this submission.
    jobs: Vec<Job>,
    /// Dispatches that are not encoded yet: the last ones.
    operations: Vec<Operation>,
    /// Multiplications so far.
    pub(super) work: u64,
}

impl Commands {
    pub(super) fn new(gpu: &Gpu) -> Result<Self, TrainError> {
        let layout = gpu.slots().layout(gpu.device()).map_err(StepError::from)?;
        let buffer = JobBuffer::new(gpu, &layout)?;
        Ok(Self {
            gpu: gpu.clone(),
            encoder: None,
            buffer,
            jobs: Vec::new(),
            operations: Vec::new(),
            work: 0,
        })
    }

    /// Whether it is time to submit.
    pub(super) fn is_full(&self) -> bool {
        self.jobs.len() >= self.buffer.capacity() || self.work >= SUBMISSION_WORK
    }

    pub(super) fn push(&mut self, operation: Operation) {
        self.jobs.push(operation.job);
        self.operations.push(operation);
    }

    /// The encoder, behind all that was pushed.
    pub(super) fn encoder(&mut self) -> Result<&mut wgpu::CommandEncoder, TrainError> {
        let encoder = begin(&self.gpu, &mut self.encoder)?;
        if !self.operations.is_empty() {
            let first = self.jobs.len() - self.operations.len();
            let (operations, buffer) = (&self.operations, &self.buffer);
            self.gpu
                .catch(|| encode(encoder, operations, buffer, first))
                .map_err(StepError::from)?;
            self.operations.clear();
        }
        Ok(encoder)
    }

    /// The encoder, ahead of what was pushed since the last submission; nothing may have been encoded
    /// behind that.
    pub(super) fn begin(&mut self) -> Result<&mut wgpu::CommandEncoder, TrainError> {
        begin(&self.gpu, &mut self.encoder)
    }

    /// Whether there is room for some more dispatches and no reason to submit.
    pub(super) fn has_room(&self, dispatches: usize) -> bool {
        self.jobs.len() + dispatches <= self.buffer.capacity() && self.work < SUBMISSION_WORK
    }

    /// Submits what there is.
    pub(super) fn submit(&mut self) -> Result<Option<wgpu::SubmissionIndex>, TrainError> {
        if !self.operations.is_empty() {
            self.encoder()?;
        }
        let Some(encoder) = self.encoder.take() else { return Ok(None) };
        let index = self
            .gpu
            .catch(|| self.buffer.write(self.gpu.queue(), &self.jobs))
            .and_then(|()| self.gpu.submit(encoder));
        self.jobs.clear();
        self.work = 0;
        Ok(Some(index.map_err(StepError::from)?))
    }
}

/// The encoder of this submission, a new one if there is none.
fn begin<'a>(
    gpu: &Gpu,
    encoder: &'a mut Option<wgpu::CommandEncoder>,
) -> Result<&'a mut wgpu::CommandEncoder, TrainError> {
    match encoder {
        Some(encoder) => Ok(encoder),
        none => {
            let new = gpu.catch(|| gpu.device().create_command_encoder(&Default::default()));
            Ok(none.insert(new.map_err(StepError::from)?))
        }
    }
}

fn encode(
    encoder: &mut wgpu::CommandEncoder,
    operations: &[Operation],
    buffer: &JobBuffer,
    first: usize,
) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: Some("linear"),
        timestamp_writes: None,
    });
    for (index, operation) in (first..).zip(operations) {
        pass.set_pipeline(&operation.pipeline);
        pass.set_bind_group(0, &operation.bind_group, &[]);
        buffer.bind(&mut pass, index);
        pass.dispatch_workgroups(operation.grid[0], operation.grid[1], 1);
    }
}
