//! The kernels of the pass over the gradients: their WGSL, bindings and compilation.

use super::super::context::Gpu;
use super::super::errors::Caught;
use super::super::plan::Access;
use super::super::step_kernel::arithmetic;
use crate::numerics::Precision;
use crate::rules::GradientGuard;

/// `workgroup_size` of `shaders/guard/partial.wgsl`: invocations that share a block.
pub(super) const WORKGROUP_SIZE: u32 = 64;
/// `struct Partial` of the WGSL.
pub(super) const PARTIAL_BYTES: u64 = 32;
/// The binding `carried` of `shaders/guard/scan.wgsl`.
pub(super) const CARRIED_BYTES: u64 = 2 * 64 * 32;
/// The most memory that a workgroup of any kernel shares.
pub(super) const WORKGROUP_BYTES: u64 = 64 * (16 + 16);

/// One of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Scan(Access),
    Reduce,
    Decide,
}

const UNIFORM: wgpu::BufferBindingType = wgpu::BufferBindingType::Uniform;
const READ: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: true };
const WRITE: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: false };

/// `struct Outcome`, shared by the kernel that decides and those that obey.
pub(crate) const OUTCOME: &str = include_str!("../../../shaders/guard/outcome.wgsl");

impl Kernel {
    /// The entry point, which is also the stem of the WGSL file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scan(_) => "scan",
            Self::Reduce => "reduce",
            Self::Decide => "decide",
        }
    }

    /// What each binding of group 0 is.
    pub(super) fn bindings(self) -> &'static [wgpu::BufferBindingType] {
        match self {
            Self::Scan(_) => &[UNIFORM, READ, WRITE, WRITE],
            Self::Reduce => &[READ, WRITE],
            Self::Decide => &[UNIFORM, READ, WRITE],
        }
    }

    /// The whole WGSL.
    pub(super) fn source(self, precision: Precision) -> String {
        let kernel: &[&str] = match self {
            Self::Scan(Access::Vector) => &[
                include_str!("../../../shaders/guard/load.wgsl"),
                include_str!("../../../shaders/guard/scan.wgsl"),
            ],
            Self::Scan(Access::Scalar) => &[
                include_str!("../../../shaders/guard/load_unaligned.wgsl"),
                include_str!("../../../shaders/guard/scan.wgsl"),
            ],
            Self::Reduce => &[include_str!("../../../shaders/guard/reduce.wgsl")],
            Self::Decide => &[OUTCOME, include_str!("../../../shaders/guard/decide.wgsl")],
        };
        let partial = include_str!("../../../shaders/guard/partial.wgsl");
        [&[arithmetic(precision), partial], kernel].concat().join("\n")
    }

    /// The overrides of the WGSL.
    pub(super) fn constants(self, guard: &GradientGuard) -> Vec<(&'static str, f64)> {
        let with_norm = ("with_norm", f64::from(u8::from(guard.max_norm.is_some())));
        let only_finite = ("only_finite", f64::from(u8::from(guard.skips_elements())));
        match self {
            Self::Scan(_) => vec![with_norm, only_finite],
            Self::Reduce => vec![with_norm],
            Self::Decide => Vec::new(),
        }
    }

    fn layout(self, device: &wgpu::Device) -> wgpu::BindGroupLayout {
        layout(device, self.name(), self.bindings())
    }

    /// The compiled kernel, cached on the device.
    pub(super) fn pipeline(
        self,
        gpu: &Gpu,
        precision: Precision,
        guard: &GradientGuard,
    ) -> Result<wgpu::ComputePipeline, Caught> {
        let constants = self.constants(guard);
        let key = format!("guard {self:?} {precision} {constants:?}");
        gpu.pipeline(&key, |device| {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&key),
                source: wgpu::ShaderSource::Wgsl(self.source(precision).into()),
            });
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&key),
                bind_group_layouts: &[Some(&self.layout(device))],
                immediate_size: 0,
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&key),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(self.name()),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    ..Default::default()
                },
                cache: None,
            })
        })
    }

    /// A bind group of these, in the order of the bindings.
    pub(super) fn bind(
        self,
        device: &wgpu::Device,
        buffers: &[wgpu::BindingResource<'_>],
    ) -> wgpu::BindGroup {
        bind(device, self.name(), &self.layout(device), buffers)
    }
}

/// The layout of the bind group through which a step kernel reads the decision.
pub(crate) fn decision_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    layout(device, "decided", &[READ])
}

fn layout(
    device: &wgpu::Device,
    label: &str,
    bindings: &[wgpu::BufferBindingType],
) -> wgpu::BindGroupLayout {
    let entry = |(binding, &ty)| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(label),
        entries: &(0..).zip(bindings).map(entry).collect::<Vec<_>>(),
    })
}

/// A bind group of `buffers`, in the order of its bindings.
pub(super) fn bind(
    device: &wgpu::Device,
    label: &str,
    layout: &wgpu::BindGroupLayout,
    buffers: &[wgpu::BindingResource<'_>],
) -> wgpu::BindGroup {
    let entries = (0..)
        .zip(buffers)
        .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource: resource.clone() });
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(label),
        layout,
        entries: &entries.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
