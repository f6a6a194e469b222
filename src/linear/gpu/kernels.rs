//! The linear kernels, compiled for one device and precision.

use super::super::errors::TrainError;
use super::super::order::RUNS;
use crate::gpu::{DispatchLimits, Gpu, StepError, arithmetic, caught};
use crate::numerics::Precision;

/// `workgroup_size` of `shaders/linear/job.wgsl`.
pub(super) const WORKGROUP_SIZE: u32 = 64;
/// Invocations that share a row: `row_width` of the WGSL.
pub(super) const ROW_WIDTH: u64 = 8;

/// One of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Gather,
    Residual,
    Accumulate,
    Finish,
    Sum,
}

impl Kernel {
    pub(super) const ALL: [Self; 5] =
        [Self::Gather, Self::Residual, Self::Accumulate, Self::Finish, Self::Sum];

    /// The entry point, which is also the stem of the WGSL file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Residual => "residual",
            Self::Accumulate => "accumulate",
            Self::Finish => "finish",
            Self::Sum => "sum",
        }
    }

    fn shader(self) -> &'static str {
        match self {
            Self::Gather => include_str!("../../../shaders/linear/gather.wgsl"),
            Self::Residual => include_str!("../../../shaders/linear/residual.wgsl"),
            Self::Accumulate => include_str!("../../../shaders/linear/accumulate.wgsl"),
            Self::Finish => include_str!("../../../shaders/linear/finish.wgsl"),
            Self::Sum => include_str!("../../../shaders/linear/sum.wgsl"),
        }
    }

    /// For each binding of group 0, whether the kernel writes it.
    pub(super) fn writes(self) -> &'static [bool] {
        match self {
            Self::Gather => &[false, false, false, true, true],
            Self::Residual => &[false, false, false, false, true],
            Self::Accumulate => &[false, false, false, true],
            Self::Finish | Self::Sum => &[false, true],
        }
    }

    /// The whole WGSL.
    pub(super) fn source(self, precision: Precision) -> String {
        let job = include_str!("../../../shaders/linear/job.wgsl");
        [arithmetic(precision), job, self.shader()].join("\n")
    }
}

/// All kernels with their layouts.
#[derive(Debug)]
pub(super) struct Kernels {
    pub(super) limits: DispatchLimits,
    compiled: Vec<(wgpu::BindGroupLayout, wgpu::ComputePipeline)>,
}

impl Kernels {
    pub(super) fn new(gpu: &Gpu, precision: Precision) -> Result<Self, TrainError> {
        let limits = gpu.device().limits();
        check(&limits)?;
        let compiled = Kernel::ALL
            .map(|kernel| compile(gpu, kernel, precision))
            .into_iter()
            .collect::<Result<_, _>>()?;
        Ok(Self { limits: DispatchLimits::of(&limits, WORKGROUP_SIZE), compiled })
    }

    pub(super) fn pipeline(&self, kernel: Kernel) -> &wgpu::ComputePipeline {
        &self.compiled[kernel as usize].1
    }

    /// A bind group of whole buffers, in the order of the kernel's bindings.
    pub(super) fn bind(
        &self,
        gpu: &Gpu,
        kernel: Kernel,
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
                label: Some(kernel.name()),
                layout: &self.compiled[kernel as usize].0,
                entries: &entries,
            })
        });
        Ok(group.map_err(StepError::from)?)
    }
}

fn compile(
    gpu: &Gpu,
    kernel: Kernel,
    precision: Precision,
) -> Result<(wgpu::BindGroupLayout, wgpu::ComputePipeline), TrainError> {
    let entries: Vec<_> = (0..)
        .zip(kernel.writes())
        .map(|(binding, writes)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: !writes },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let layout = caught(gpu.device(), || {
        gpu.device().create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(kernel.name()),
            entries: &entries,
        })
    });
    let layout = layout.map_err(StepError::from)?;
    let jobs = gpu.slots().layout(gpu.device()).map_err(StepError::from)?;
    let key = format!("linear {} {precision}", kernel.name());
    let pipeline = gpu.pipeline(&key, |device| {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&key),
            source: wgpu::ShaderSource::Wgsl(kernel.source(precision).into()),
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&key),
            bind_group_layouts: &[Some(&layout), Some(&jobs)],
            immediate_size: 0,
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&key),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(kernel.name()),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        })
    });
    Ok((layout, pipeline.map_err(StepError::from)?))
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
            5,
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
