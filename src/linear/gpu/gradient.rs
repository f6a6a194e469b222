//! Dispatches of the linear kernels, collected for a submission.

use super::super::batches::Batch;
use super::super::errors::TrainError;
use super::super::order::{BLOCK, RUNS};
use super::job::{Job, JobBuffer};
use super::kernels::{Kernel, Kernels, ROW_WIDTH};
use super::table::{Shape, Table};
use crate::data::Dataset;
use crate::gpu::{Gpu, StepError, caught};
use crate::numerics::Precision;

/// One dispatch to come.
#[derive(Debug)]
pub(super) struct Operation {
    kernel: Kernel,
    bind_group: wgpu::BindGroup,
    threads: u64,
    job: Job,
}

/// A dataset on a device with all that its gradients need.
#[derive(Debug)]
pub(super) struct GpuGradient {
    gpu: Gpu,
    kernels: Kernels,
    shape: Shape,
    rows: u64,
    /// Groups of columns whose partial sums fit one binding.
    block_groups: u32,
    tables: Vec<Table>,
    /// Where the rows of a batch are gathered; empty if all rows lie in one table.
    pieces: Vec<Table>,
    pub(super) parameters: wgpu::Buffer,
    pub(super) gradient: wgpu::Buffer,
    pub(super) order: wgpu::Buffer,
    pub(super) residuals: wgpu::Buffer,
    groups: Groups,
    jobs: JobBuffer,
}

/// Bind groups, made once.
#[derive(Debug)]
struct Groups {
    /// From each table to each piece.
    gather: Vec<Vec<wgpu::BindGroup>>,
    /// For each table: all rows, as they lie.
    residual_tables: Vec<wgpu::BindGroup>,
    /// For each part that a batch is read from.
    residual_batch: Vec<wgpu::BindGroup>,
    accumulate: Vec<wgpu::BindGroup>,
    finish: wgpu::BindGroup,
    /// For each level of the sum of squares, with the number of its values.
    sums: Vec<(wgpu::BindGroup, u64)>,
}

impl GpuGradient {
    /// Uploads `data` and prepares for batches of up to `batch_size` rows. Losses go to `history`.
    pub(super) fn new(
        gpu: &Gpu,
        precision: Precision,
        data: &Dataset,
        batch_size: usize,
        history: &wgpu::Buffer,
    ) -> Result<Self, TrainError> {
        let kernels = Kernels::new(gpu, precision)?;
        let limits = gpu.device().limits();
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let rows = data.rows() as u64;
        if 4 * rows > binding {
            // Row numbers and residuals are bound whole.
            return Err(TrainError::Limit {
                limit: "max_storage_buffer_binding_size",
                needed: 4 * rows,
                allowed: binding,
            });
        }
        let shape = Shape::new(data.feature_count(), &limits)?;
        let tables = shape.upload(gpu, data)?;
        let pieces = match tables.len() {
            1 => Vec::new(),
            _ => shape.allocate(gpu, batch_size as u64)?,
        };
        check_grid(&kernels, &shape, rows)?;
        let row_bytes = 16 * u64::from(shape.column_groups);
        let block_groups = (binding / (16 * RUNS as u64)).min(u64::from(shape.column_groups));
        let parameters = storage(gpu, "parameters", row_bytes)?;
        let gradient = storage(gpu, "gradient", row_bytes)?;
        let partials = storage(gpu, "partial gradients", 16 * RUNS as u64 * block_groups)?;
        let order = storage(gpu, "order", 4 * rows)?;
        let residuals = storage(gpu, "residuals", 4 * rows)?;
        let parts = if pieces.is_empty() { &tables } else { &pieces };
        let bind = |kernel, buffers: &[&wgpu::Buffer]| kernels.bind(gpu, kernel, buffers);
        let residual = |table: &Table| {
            bind(Kernel::Residual, &[&table.rows, &table.target, &order, &parameters, &residuals])
        };
        let gather = |table: &Table| {
            let to = |piece: &Table| {
                let (rows, target) = (&table.rows, &table.target);
                bind(Kernel::Gather, &[rows, target, &order, &piece.rows, &piece.target])
            };
            pieces.iter().map(to).collect::<Result<Vec<_>, _>>()
        };
        let accumulate =
            |part: &Table| bind(Kernel::Accumulate, &[&part.rows, &order, &residuals, &partials]);
        let groups = Groups {
            gather: tables.iter().map(gather).collect::<Result<_, _>>()?,
            residual_tables: tables.iter().map(residual).collect::<Result<_, _>>()?,
            residual_batch: parts.iter().map(residual).collect::<Result<_, _>>()?,
            accumulate: parts.iter().map(accumulate).collect::<Result<_, _>>()?,
            finish: bind(Kernel::Finish, &[&partials, &gradient])?,
            sums: sum_levels(gpu, &kernels, &residuals, rows, history)?,
        };
        let layout = gpu.slots().layout(gpu.device()).map_err(StepError::from)?;
        let jobs = caught(gpu.device(), || JobBuffer::new(gpu.device(), &layout));
        let jobs = jobs.map_err(StepError::from)?;
        Ok(Self {
            gpu: gpu.clone(),
            kernels,
            shape,
            rows,
            block_groups: block_groups as u32, // at most `column_groups`
            tables,
            pieces,
            parameters,
            gradient,
            order,
            residuals,
            groups,
            jobs,
        })
    }

    fn job(&self, rows: u32) -> Job {
        Job {
            rows,
            columns: self.shape.columns,
            column_groups: self.shape.column_groups,
            ..Job::default()
        }
    }

    /// The dispatches from the rows of `batch`, which lie in the epoch's order, to the gradient.
    pub(super) fn batch(&self, batch: &Batch, operations: &mut Vec<Operation>) {
        let order_first = batch.rows.start as u32; // at most the number of rows, a u32
        let batch_rows = batch.rows.len() as u32;
        let whole = Job { order_first, batch_rows, ..self.job(batch_rows) };
        // Each part of the batch with its bind groups' number.
        let parts: Vec<(usize, Job)> = if self.pieces.is_empty() {
            vec![(0, Job { ordered: 1, ..whole })]
        } else {
            self.pieces
                .iter()
                .enumerate()
                .filter(|(_, piece)| piece.first < batch_rows)
                .map(|(index, piece)| {
                    let rows = piece.count.min(batch_rows - piece.first);
                    (index, Job { first: piece.first, rows, ..whole })
                })
                .collect()
        };
        let mut push = |kernel, bind_group: &wgpu::BindGroup, threads, job| {
            operations.push(Operation { kernel, bind_group: bind_group.clone(), threads, job });
        };
        for (index, job) in &parts {
            let threads = ROW_WIDTH * u64::from(job.rows);
            if !self.pieces.is_empty() {
                for (table, groups) in self.tables.iter().zip(&self.groups.gather) {
                    let job = Job { table_first: table.first, ..*job };
                    push(Kernel::Gather, &groups[*index], threads, job);
                }
            }
            push(Kernel::Residual, &self.groups.residual_batch[*index], threads, *job);
        }
        for group_first in (0..self.shape.column_groups).step_by(self.block_groups as usize) {
            let groups = self.block_groups.min(self.shape.column_groups - group_first);
            for (number, (index, job)) in parts.iter().enumerate() {
                let job = Job { group_first, groups, fresh: u32::from(number == 0), ..*job };
                let threads = RUNS as u64 * u64::from(groups);
                push(Kernel::Accumulate, &self.groups.accumulate[*index], threads, job);
            }
            let job = Job { group_first, groups, divisor: batch_rows as f32, ..whole };
            push(Kernel::Finish, &self.groups.finish, u64::from(groups), job);
        }
    }

    /// The dispatches to the residuals of all rows, as they lie.
    pub(super) fn residuals_of_all(&self, operations: &mut Vec<Operation>) {
        for (table, bind_group) in self.tables.iter().zip(&self.groups.residual_tables) {
            operations.push(Operation {
                kernel: Kernel::Residual,
                bind_group: bind_group.clone(),
                threads: ROW_WIDTH * u64::from(table.count),
                job: Job { first: table.first, ..self.job(table.count) },
            });
        }
    }

    /// The dispatches to the sum of all squared residuals, which goes to place `slot` of the
    /// history.
    pub(super) fn squared_error(&self, slot: u32, operations: &mut Vec<Operation>) {
        self.residuals_of_all(operations);
        for (level, (bind_group, values)) in self.groups.sums.iter().enumerate() {
            let last = level + 1 == self.groups.sums.len();
            operations.push(Operation {
                kernel: Kernel::Sum,
                bind_group: bind_group.clone(),
                threads: values.div_ceil(BLOCK as u64)
                    * u64::from(self.kernels.limits.workgroup_size),
                job: Job {
                    squared: u32::from(level == 0),
                    output: if last { slot } else { 0 },
                    ..self.job(*values as u32) // at most the number of rows
                },
            });
        }
    }

    /// The most operations of one submission.
    pub(super) fn submission_capacity(&self) -> usize {
        self.jobs.capacity()
    }

    /// Queues the jobs of a submission's operations.
    pub(super) fn write_jobs<'a>(
        &self,
        operations: impl Iterator<Item = &'a Operation>,
    ) -> Result<(), TrainError> {
        let jobs: Vec<Job> = operations.map(|operation| operation.job).collect();
        caught(self.gpu.device(), || self.jobs.write(self.gpu.queue(), &jobs))
            .map_err(StepError::from)?;
        Ok(())
    }

    /// Encodes operations; `first` is the number of the first among the submission's jobs.
    pub(super) fn encode<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operations: impl Iterator<Item = &'a Operation>,
        first: usize,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("linear"),
            timestamp_writes: None,
        });
        for (index, operation) in (first..).zip(operations) {
            let [x, y] = self.kernels.limits.grid(operation.threads);
            pass.set_pipeline(self.kernels.pipeline(operation.kernel));
            pass.set_bind_group(0, &operation.bind_group, &[]);
            self.jobs.bind(&mut pass, index);
            pass.dispatch_workgroups(x, y, 1);
        }
    }

    /// How many rows the dataset has.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Features and the bias.
    pub(super) fn columns(&self) -> usize {
        self.shape.columns as usize
    }
}

/// Whether the largest dispatch fits in the device's grid.
fn check_grid(kernels: &Kernels, shape: &Shape, rows: u64) -> Result<(), TrainError> {
    let limits = kernels.limits;
    let sums = rows.div_ceil(BLOCK as u64) * u64::from(limits.workgroup_size);
    let threads = (ROW_WIDTH * rows).max(RUNS as u64 * u64::from(shape.column_groups)).max(sums);
    let [_, needed] = limits.grid(threads);
    let allowed = limits.workgroups;
    if needed <= allowed {
        return Ok(());
    }
    Err(TrainError::Limit {
        limit: "max_compute_workgroups_per_dimension",
        needed: u64::from(needed),
        allowed: u64::from(allowed),
    })
}

/// A storage buffer, padded to whole groups of four.
pub(super) fn storage(gpu: &Gpu, label: &str, bytes: u64) -> Result<wgpu::Buffer, TrainError> {
    let buffer = caught(gpu.device(), || {
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.next_multiple_of(16),
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    });
    Ok(buffer.map_err(StepError::from)?)
}

/// Bind groups that sum `rows` residuals block by block until one value is left, in `history`.
fn sum_levels(
    gpu: &Gpu,
    kernels: &Kernels,
    residuals: &wgpu::Buffer,
    rows: u64,
    history: &wgpu::Buffer,
) -> Result<Vec<(wgpu::BindGroup, u64)>, TrainError> {
    let mut levels = Vec::new();
    let mut values = rows;
    let mut input = residuals.clone();
    loop {
        let blocks = values.div_ceil(BLOCK as u64);
        let output = match blocks {
            1 => history.clone(),
            _ => storage(gpu, "block sums", 4 * blocks)?,
        };
        levels.push((kernels.bind(gpu, Kernel::Sum, &[&input, &output])?, values));
        if blocks == 1 {
            return Ok(levels);
        }
        (input, values) = (output, blocks);
    }
}
