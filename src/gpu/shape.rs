//! The shape of the step kernel: how the work is shared out among invocations.

/// Invocations in a workgroup, and what each of them does. A *quad* is four consecutive elements,
/// which are loaded and stored at once where their alignment allows it.
///
/// The shape decides how fast a step is. In exact precision no bit of the result depends on it, as
/// every element is computed alone; in native precision the result keeps within the same bounds,
/// since a compiler may fuse the operations of another kernel in another way. The default is what was
/// fastest, or as fast as any within the noise, where it has been measured; `cargo bench --bench shape` measures all shapes on every device that it finds, and
/// [`GpuOptimizer::with_shape`](super::GpuOptimizer::with_shape) takes the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct KernelShape {
    /// Invocations in a workgroup, or the device's limit if that is lower. Default: 256, a
    /// multiple of every subgroup size and the most that WebGPU promises.
    pub workgroup_size: u32,
    /// Quads that an invocation computes, one after the other, from 1 to
    /// [`KernelShape::MOST_QUADS`]; they lie a workgroup's size apart, so that neighbouring
    /// invocations always reach neighbouring memory. Default: 1, with no loop in the kernel.
    pub quads_per_invocation: u32,
}

impl Default for KernelShape {
    fn default() -> Self {
        Self { workgroup_size: 256, quads_per_invocation: 1 }
    }
}

impl KernelShape {
    /// The most quads that an invocation computes.
    pub const MOST_QUADS: u32 = 64;

    /// A shape of these.
    #[must_use]
    pub fn new(workgroup_size: u32, quads_per_invocation: u32) -> Self {
        Self { workgroup_size, quads_per_invocation }
    }

    /// The nearest shape that a device with these limits can run.
    pub(crate) fn within(self, limits: &wgpu::Limits) -> Self {
        let most = limits
            .max_compute_invocations_per_workgroup
            .min(limits.max_compute_workgroup_size_x)
            .max(1);
        Self {
            workgroup_size: self.workgroup_size.clamp(1, most),
            quads_per_invocation: self.quads_per_invocation.clamp(1, Self::MOST_QUADS),
        }
    }

    /// A step kernel's WGSL in this shape: as it is where an invocation has one quad, else with its
    /// entry point turned into a function that another one calls for each.
    pub(crate) fn apply(self, source: String) -> String {
        const INDEX: &str = "+ lane;\n";
        if self.quads_per_invocation == 1 {
            return source;
        }
        let (Some(entry), Some(index)) = (source.find("@compute"), source.find(INDEX)) else {
            return source; // a test holds the shipped files to having both
        };
        let (before, body) = (&source[..entry], &source[index + INDEX.len()..]);
        let many = include_str!("../../shaders/step_many.wgsl");
        [before, "fn step_quad(index: u32) {\n", body, "\n", many].concat()
    }

    /// The values of the overrides in the WGSL.
    pub(crate) fn constants(self) -> impl Iterator<Item = (&'static str, f64)> {
        let quads = (self.quads_per_invocation > 1)
            .then_some(("quads_per_invocation", f64::from(self.quads_per_invocation)));
        [("workgroup_size", f64::from(self.workgroup_size))].into_iter().chain(quads)
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
        assert_eq!(KernelShape::new(32, 1000).within(&limits), KernelShape::new(32, 64));
    }

    #[test]
    fn one_quad_leaves_the_kernel_as_it_is() {
        let text = "a\n@compute\nfn step() {\n    let index = x + lane;\n    b\n}\n".to_owned();
        assert_eq!(KernelShape::new(64, 1).apply(text.clone()), text);
        let many = KernelShape::new(64, 2).apply(text);
        assert!(many.starts_with("a\nfn step_quad(index: u32) {\n    b\n}\n"), "{many}");
    }
}
