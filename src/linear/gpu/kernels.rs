//! The linear kernels, compiled for one device and precision.

use super::super::errors::TrainError;
use super::super::loss::Loss;
use super::super::order::RUNS;
use crate::gpu::{DispatchLimits, Gpu, StepError, arithmetic, caught};
use crate::numerics::Precision;

/// `workgroup_size` of `shaders/linear/job.wgsl`.
pub(super) const WORKGROUP_SIZE: u32 = 64;
/// Invocations that share a row: `row_width` of the WGSL.
pub(super) const ROW_WIDTH: u64 = 8;

/// What a dispatch works on.
pub(super) const JOB: &str = include_str!("../../../shaders/linear/job.wgsl");
/// The prediction for a row by one invocation.
pub(super) const PREDICT: &str = include_str!("../../../shaders/linear/predict.wgsl");

/// What is kept of a prediction.
pub(super) const RESIDUAL: &str = include_str!("../../../shaders/linear/loss/residual.wgsl");
/// The penalty's share of a gradient.
pub(super) const PENALTY: &str = include_str!("../../../shaders/linear/penalty.wgsl");

/// One of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Residual,
    ResidualNarrow,
    Accumulate,
    Finish,
    Sum,
    SparseResidual,
}

impl Kernel {
    /// Those of dense rows, in the order of their numbers.
    const DENSE: [Self; 4] = [Self::Residual, Self::ResidualNarrow, Self::Accumulate, Self::Finish];

    /// The kernel for residuals of rows of `column_groups` groups of columns, and its invocations
    /// a row.
    pub(super) fn residual(column_groups: u32) -> (Self, u64) {
        if u64::from(column_groups) <= ROW_WIDTH {
            (Self::ResidualNarrow, 1)
        } else {
            (Self::Residual, ROW_WIDTH)
        }
    }

    /// The entry point.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Residual => "residual",
            Self::ResidualNarrow => "residual_narrow",
            Self::Accumulate => "accumulate",
            Self::Finish => "finish",
            Self::Sum => "sum",
            Self::SparseResidual => "sparse_residual",
        }
    }

    fn shader(self) -> &'static str {
        match self {
            Self::Residual => include_str!("../../../shaders/linear/residual.wgsl"),
            Self::ResidualNarrow => include_str!("../../../shaders/linear/residual_narrow.wgsl"),
            Self::Accumulate => include_str!("../../../shaders/linear/accumulate.wgsl"),
            Self::Finish => include_str!("../../../shaders/linear/finish.wgsl"),
            Self::Sum => include_str!("../../../shaders/linear/sum.wgsl"),
            Self::SparseResidual => include_str!("../../../shaders/linear/sparse/residual.wgsl"),
        }
    }

    /// For each binding of group 0, whether the kernel writes it.
    pub(super) fn writes(self) -> &'static [bool] {
        match self {
            Self::Residual | Self::ResidualNarrow => &[false, false, false, false, true, true],
            Self::Accumulate => &[false, false, false, true],
            Self::Finish => &[false, false, true],
            Self::Sum => &[false, true],
            Self::SparseResidual => &[false, false, true],
        }
    }

    /// The whole WGSL.
    pub(super) fn source(self, precision: Precision, loss: Loss) -> String {
        let mut parts = vec![arithmetic(precision), JOB];
        match self {
            Self::Residual | Self::SparseResidual => parts.extend([loss.shader(), RESIDUAL]),
            Self::ResidualNarrow => parts.extend([loss.shader(), RESIDUAL, PREDICT]),
            Self::Finish => parts.push(PENALTY),
            Self::Accumulate | Self::Sum => {}
        }
        parts.push(self.shader());
        parts.join("\n")
    }
}

/// All kernels with their layouts.
#[derive(Debug)]
pub(super) struct Kernels {
    pub(super) limits: DispatchLimits,
    compiled: Vec<Compiled>,
}

impl Kernels {
    pub(super) fn new(gpu: &Gpu, precision: Precision, loss: Loss) -> Result<Self, TrainError> {
        let limits = gpu.device().limits();
        check(&limits)?;
        let compiled = Kernel::DENSE
            .map(|kernel| Compiled::of(gpu, kernel, precision, loss))
            .into_iter()
            .collect::<Result<_, _>>()?;
        Ok(Self { limits: DispatchLimits::of(&limits, WORKGROUP_SIZE), compiled })
    }

    pub(super) fn get(&self, kernel: Kernel) -> &Compiled {
        &self.compiled[kernel as usize]
    }
}

/// A kernel whose group 0 is storage buffers, and whose group 1 is a job.
#[derive(Debug)]
pub(super) struct Compiled {
    layout: wgpu::BindGroupLayout,
    pub(super) pipeline: wgpu::ComputePipeline,
}

impl Compiled {
    /// One of the kernels.
    pub(super) fn of(
        gpu: &Gpu,
        kernel: Kernel,
        precision: Precision,
        loss: Loss,
    ) -> Result<Self, TrainError> {
        let key = format!("linear {} {precision} {loss}", kernel.name());
        let source = || kernel.source(precision, loss);
        Self::new(gpu, &key, kernel.name(), source, kernel.writes(), &[])
    }

    /// Compiles `entry` of `source`, unless the device knows it as `key`; `writes` says of each
    /// binding whether the kernel writes it.
    pub(super) fn new(
        gpu: &Gpu,
        key: &str,
        entry: &'static str,
        source: impl FnOnce() -> String,
        writes: &[bool],
        constants: &[(&str, f64)],
    ) -> Result<Self, TrainError> {
        let entries: Vec<_> =
            (0..).zip(writes).map(|(n, &writes)| storage_entry(n, writes)).collect();
        let layout = caught(gpu.device(), || {
            gpu.device().create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(entry),
                entries: &entries,
            })
        });
        let layout = layout.map_err(StepError::from)?;
        let jobs = gpu.slots().layout(gpu.device()).map_err(StepError::from)?;
        let pipeline = gpu.pipeline(key, |device| {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(entry),
                source: wgpu::ShaderSource::Wgsl(source().into()),
            });
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(entry),
                bind_group_layouts: &[Some(&layout), Some(&jobs)],
                immediate_size: 0,
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants,
                    ..Default::default()
                },
                cache: None,
            })
        });
        Ok(Self { layout, pipeline: pipeline.map_err(StepError::from)? })
    }

    /// A bind group of whole buffers, in the order of the kernel's bindings.
    pub(super) fn bind(
        &self,
        gpu: &Gpu,
        buffers: &[&wgpu::Buffer],
    ) -> Result<wgpu::BindGroup, TrainError> {
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = caught(gpu.device(), || {
            gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &self.layout,
                entries: &entries,
            })
        });
        Ok(group.map_err(StepError::from)?)
    }
}

fn storage_entry(binding: u32, writes: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: !writes },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}

/// Whether the device can run the kernels at all.
fn check(limits: &wgpu::Limits) -> Result<(), TrainError> {
    let size = u64::from(WORKGROUP_SIZE);
    let needs = [
        (
            "max_compute_invocations_per_workgroup",
            size,
            u64::from(limits.max_compute_invocations_per_workgroup),
        ),
        ("max_compute_workgroup_size_x", size, u64::from(limits.max_compute_workgroup_size_x)),
        (
            "max_compute_workgroup_storage_size",
            16 * size,
            u64::from(limits.max_compute_workgroup_storage_size),
        ),
        (
            "max_storage_buffers_per_shader_stage",
            6,
            u64::from(limits.max_storage_buffers_per_shader_stage),
        ),
        // The partial sums of one group of columns.
        (
            "max_storage_buffer_binding_size",
            16 * RUNS as u64,
            limits.max_storage_buffer_binding_size,
        ),
    ];
    for (limit, needed, allowed) in needs {
        if needed > allowed {
            return Err(TrainError::Limit { limit, needed, allowed });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
