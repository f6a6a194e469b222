//! The shape of the step kernel: how the work is divided among invocations.

use super::context::Gpu;

/// The size of a workgroup, and the work of each invocation. A *quad* is four consecutive elements,
/// which are loaded and stored at once where their alignment allows it.
///
/// The shape determines the speed of a step. In exact precision no bit of the result depends on it,
/// because every element is computed independently. In native precision the result stays within the
/// same bounds but may differ, because a compiler may fuse the operations of another kernel
/// differently. [`KernelShape::for_device`] is the default, chosen by measurements on lavapipe and
/// SwiftShader; no hardware GPU has been measured. `cargo bench --bench shape` measures all shapes on
/// every device that it finds; pass the best one to
/// [`GpuOptimizer::with_shape`](super::GpuOptimizer::with_shape).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KernelShape {
    /// Invocations in a workgroup, or the device's limit if that is lower. Default: 256, a multiple
    /// of every subgroup size and the maximum that WebGPU guarantees.
    pub workgroup_size: u32,
    /// The number of quads that an invocation computes in sequence, from 1 to
    /// [`KernelShape::MAX_QUADS`]. They are one workgroup's size apart, so that neighbouring
    /// invocations always access neighbouring memory. Default: 1.
    pub quads_per_invocation: u32,
}

impl Default for KernelShape {
    fn default() -> Self {
        Self { workgroup_size: 256, quads_per_invocation: 1 }
    }
}

impl KernelShape {
    /// The maximum number of quads per invocation.
    pub const MAX_QUADS: u32 = 128;

    /// A shape with these values.
    #[must_use]
    pub fn new(workgroup_size: u32, quads_per_invocation: u32) -> Self {
        Self { workgroup_size, quads_per_invocation }
    }

    /// The nearest shape that a device with these limits can run.
    pub(crate) fn within(self, limits: &wgpu::Limits) -> Self {
        let max = limits
            .max_compute_invocations_per_workgroup
            .min(limits.max_compute_workgroup_size_x)
            .max(1);
        Self {
            workgroup_size: self.workgroup_size.clamp(1, max),
            quads_per_invocation: self.quads_per_invocation.clamp(1, Self::MAX_QUADS),
        }
    }

    /// The default for a GPU, or for a software driver whose largest subgroup has `subgroup_size`
    /// invocations. Software drivers run a workgroup one subgroup after
    /// another, so there a workgroup is a single subgroup with a long block.
    #[must_use]
    pub fn for_device(software: bool, subgroup_size: u32) -> Self {
        let lanes = subgroup_size.clamp(4, 8);
        if software { Self::new(lanes, 512 / lanes) } else { Self::default() }
    }

    /// The same for this device, within its limits.
    pub(crate) fn of_device(gpu: &Gpu) -> Self {
        let info = gpu.info();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        Self::for_device(software, info.subgroup_max_size).within(&gpu.device().limits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_keeps_within_the_devices_limits() {
        let limits = wgpu::Limits {
            max_compute_invocations_per_workgroup: 128,
            max_compute_workgroup_size_x: 64,
            ..wgpu::Limits::default()
        };
        assert_eq!(KernelShape::default().within(&limits), KernelShape::new(64, 1));
        assert_eq!(KernelShape::new(0, 0).within(&limits), KernelShape::new(1, 1));
        assert_eq!(KernelShape::new(32, 1000).within(&limits), KernelShape::new(32, 128));
    }
}
