//! The kernel of a step, for hosts that compile and launch WGSL themselves.

use super::kernel::Kernel;
use super::plan::Element;
use super::shape::KernelShape;
use super::wgsl::{Bound, Formula, SquareOf, Text, Treatment};
use crate::numerics::Precision;
use crate::rules::Rule;

/// The WGSL of a step over one tensor, with its bindings in group 0, for hosts that compile, bind
/// and launch kernels themselves, such as tensor libraries. Results have the same bits as those of
/// [`crate::GpuOptimizer`].
///
/// Bindings, in order: the job ([`PortableStep::job`]), parameters, gradients, and the rule's state
/// vectors ([`Rule::state_names`]). Each vector has as many f32 elements as the job says. All
/// bindings are storage declared `read_write`, but only parameters and state are written.
#[derive(Clone, Debug, PartialEq)]
pub struct PortableStep {
    /// The complete WGSL.
    pub wgsl: String,
    /// The entry point.
    pub entry: &'static str,
    /// The values of its pipeline-overridable constants.
    pub constants: Vec<(&'static str, f64)>,
    /// The shape that the constants hold.
    pub shape: KernelShape,
}

impl PortableStep {
    /// The kernel of a rule, in a shape that the device's limits allow; [`KernelShape::for_device`]
    /// gives the fastest. With `quads`, it loads four elements at once. Every vector must then
    /// start at a multiple of 16 bytes. Its binding must extend to the next multiple of 16 bytes
    /// after its last element, and the bytes after that element may be overwritten.
    #[must_use]
    pub fn new<R: Rule>(rule: &R, precision: Precision, quads: bool, shape: KernelShape) -> Self {
        let element = if quads { Element::Quads } else { Element::Scalars };
        let shape = KernelShape {
            workgroup_size: shape.workgroup_size.max(1),
            quads_per_invocation: shape.quads_per_invocation.clamp(1, KernelShape::MAX_QUADS),
        };
        let kernel = WholeKernel { formula: Formula::of(rule), precision, element, shape };
        let (wgsl, entry, constants) = (kernel.text(), kernel.entry(), kernel.constants());
        Self { wgsl, entry, constants, shape }
    }

    /// The content of the job's binding, for step number `step`, counted from 1, over `len`
    /// elements at this learning rate.
    #[must_use]
    pub fn job<R: Rule>(rule: &R, learning_rate: f64, step: u64, len: u32) -> Vec<u8> {
        let mut bytes = bytemuck::bytes_of(&rule.uniforms_at(step, learning_rate)).to_vec();
        bytes.extend_from_slice(bytemuck::bytes_of(&[len, 0, 0, 0]));
        bytes
    }

    /// The workgroups to launch for `len` elements, with at most `max_per_dimension` in each
    /// dimension.
    #[must_use]
    pub fn workgroups(&self, len: u32, max_per_dimension: u32) -> [u32; 2] {
        let KernelShape { workgroup_size, quads_per_invocation } = self.shape;
        let quads = workgroup_size.saturating_mul(quads_per_invocation).max(1);
        let groups = len.div_ceil(4).div_ceil(quads).max(1);
        let rows = groups.div_ceil(max_per_dimension.max(1));
        [groups.div_ceil(rows), rows]
    }
}

/// A step over a whole tensor. Bindings: job, parameters, gradients, state vectors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WholeKernel {
    formula: Formula,
    precision: Precision,
    element: Element,
    shape: KernelShape,
}

impl Kernel for WholeKernel {
    fn entry(&self) -> &'static str {
        "step"
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.formula.constants();
        let KernelShape { workgroup_size, quads_per_invocation } = self.shape;
        constants.push(("workgroup_size", f64::from(workgroup_size)));
        constants.push(("quads_per_invocation", f64::from(quads_per_invocation)));
        constants
    }

    fn text(&self) -> String {
        let mut text = Text::new(&[]);
        text.rule(&self.formula, self.precision, SquareOf::Own);
        text.file(self.element.file());
        text.bound("job", "Job", true);
        text.vector("params", self.element, true);
        text.vector("grads", self.element, true);
        text.state(&self.formula, Bound::All, self.element);
        text.step(Treatment::None, 1);
        text.file(include_str!("../../shaders/place/whole.wgsl"));
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::shader_check::{check, structure};
    use crate::rules::{AnyRule, with_rule};

    #[test]
    fn every_rule_is_valid_and_its_job_has_the_layout_of_the_wgsl() {
        fn check_rule<R: Rule>(rule: &R) {
            for precision in [Precision::Native, Precision::Exact] {
                for element in [Element::Quads, Element::Scalars] {
                    let (formula, shape) = (Formula::of(rule), KernelShape::new(64, 3));
                    check(&WholeKernel { formula, precision, element, shape });
                }
            }
            let text =
                PortableStep::new(rule, Precision::Native, true, KernelShape::default()).wgsl;
            let (size, members) = structure(&text, "Job");
            let len = size_of::<R::Uniforms>();
            assert_eq!(members, [("hyper".to_owned(), 0), ("len".to_owned(), len)]);
            let job = PortableStep::job(rule, 0.5, 3, 77);
            assert!(size <= job.len());
            assert_eq!(job[..len], *bytemuck::bytes_of(&rule.uniforms_at(3, 0.5)));
            assert_eq!(job[len..len + 4], 77_u32.to_ne_bytes());
        }
        for rule in AnyRule::examples() {
            with_rule!(rule, |rule| check_rule(&rule));
        }
    }

    #[test]
    fn workgroups_cover_every_element() {
        let workgroups = |len, max, shape| {
            let rule = crate::Adagrad::default();
            PortableStep::new(&rule, Precision::Native, true, shape).workgroups(len, max)
        };
        // 1024 elements a workgroup.
        let shape = KernelShape::new(256, 1);
        assert_eq!(workgroups(1, 65535, shape), [1, 1]);
        assert_eq!(workgroups(1024, 65535, shape), [1, 1]);
        assert_eq!(workgroups(1025, 65535, shape), [2, 1]);
        assert_eq!(workgroups(7 * 1024, 3, shape), [3, 3]);
        assert_eq!(workgroups(u32::MAX, 65535, shape), [64528, 65]);
        // 2048 elements.
        let shape = KernelShape::new(8, 64);
        assert_eq!(workgroups(2048, 65535, shape), [1, 1]);
        assert_eq!(workgroups(2049, 65535, shape), [2, 1]);
    }
}
