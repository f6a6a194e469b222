//! The kernels of a step over rows: their WGSL, put together from arithmetic, rule and harness,
//! and their bindings.

use super::super::context::Gpu;
use super::super::errors::Caught;
use super::super::plan::Access;
use super::super::step_kernel::{StateNames, arithmetic, expand_state};
use crate::numerics::Precision;
use crate::rules::Rule;

/// The binding of the first state vector, behind job, list, parameters and gradients.
const FIRST_STATE_BINDING: u32 = 4;
const GRADS_BINDING: u32 = 3;

/// What a kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    /// Steps rows.
    Step(Access),
    /// Sums the gradients of rows.
    Sum,
}

/// What tells one compiled kernel of a rule from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RowsVariant {
    pub(super) kernel: Kernel,
    pub(super) precision: Precision,
    /// As in [`super::super::step_kernel::Variant`].
    pub(super) grads_writable: bool,
}

/// The whole WGSL of a kernel.
pub(super) fn source<R: Rule>(rule: &R, variant: RowsVariant) -> String {
    let harness = match variant.kernel {
        Kernel::Step(Access::Vector) => include_str!("../../../shaders/rows/step.wgsl"),
        Kernel::Step(Access::Scalar) => include_str!("../../../shaders/rows/step_unaligned.wgsl"),
        Kernel::Sum => include_str!("../../../shaders/rows/sum.wgsl"),
    };
    let mut harness = harness.to_owned();
    if variant.grads_writable {
        harness = harness.replace("var<storage, read> grads", "var<storage, read_write> grads");
    }
    if variant.kernel == Kernel::Sum {
        return [arithmetic(variant.precision), &harness].join("\n");
    }
    let state = StateNames { members: R::STATE, vectors: &rule.state_names() };
    let harness = expand_state(&harness, state, FIRST_STATE_BINDING);
    [arithmetic(variant.precision), R::SHADER, &harness].join("\n")
}

/// Bindings of group 0: job, list, parameters or sums, gradients, `state` state vectors.
fn layout(device: &wgpu::Device, variant: RowsVariant, state: usize) -> wgpu::BindGroupLayout {
    let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let mut entries = vec![
        entry(0, wgpu::BufferBindingType::Uniform),
        entry(1, storage(true)),
        entry(2, storage(false)),
        entry(GRADS_BINDING, storage(!variant.grads_writable)),
    ];
    let states = FIRST_STATE_BINDING..FIRST_STATE_BINDING + state as u32;
    entries.extend(states.map(|binding| entry(binding, storage(false))));
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("wgpu-optim rows"),
        entries: &entries,
    })
}

/// The bind group of a dispatch; `resources` in the order of [`layout`].
pub(super) fn bind<'a>(
    device: &wgpu::Device,
    pipeline: &wgpu::ComputePipeline,
    resources: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
) -> wgpu::BindGroup {
    let entry = |(binding, buffer)| wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(buffer),
    };
    let entries: Vec<_> = (0..).zip(resources).map(entry).collect();
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("wgpu-optim rows"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    })
}

/// The compiled kernel; cached on the device by rule, variant and choices of formula.
pub(super) fn pipeline<R: Rule>(
    gpu: &Gpu,
    rule: &R,
    variant: RowsVariant,
    workgroup_size: u32,
) -> Result<wgpu::ComputePipeline, Caught> {
    let sums = variant.kernel == Kernel::Sum;
    let (name, state) = if sums { ("any", Vec::new()) } else { (R::NAME, rule.state_names()) };
    let mut constants = if sums { Vec::new() } else { rule.constants() };
    constants.push(("workgroup_size", f64::from(workgroup_size)));
    let label = format!("step over rows {name} {variant:?}");
    // With the text of the shader: two rules may have one name.
    let text = if sums { "" } else { R::SHADER };
    let key = format!("{label} {constants:?} {state:?} {text}");
    let uniforms = gpu.slots().layout(gpu.device())?;
    gpu.pipeline(&key, |device| {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(source(rule, variant).into()),
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&layout(device, variant, state.len())), Some(&uniforms)],
            immediate_size: 0,
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&layout),
            module: &module,
            entry_point: Some("step"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                ..Default::default()
            },
            cache: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::shader_check::translate;
    use super::*;
    use crate::rules::{AnyRule, RuleVisitor};

    /// The kernels of any rule can be translated, and have the bindings that they are bound to.
    struct Check(RowsVariant);

    impl RuleVisitor for Check {
        type Output = ();

        fn visit<R: Rule>(self, rule: R) {
            let text = source(&rule, self.0);
            let mut constants = rule.constants();
            if self.0.kernel == Kernel::Sum {
                constants.clear();
            }
            constants.push(("workgroup_size", 64.0));
            translate(&format!("{rule:?} {:?}", self.0), &text, &constants);
            let module = naga::front::wgsl::parse_str(&text).unwrap();
            let storage = |global: &naga::GlobalVariable| match (&global.binding, global.space) {
                (Some(place), naga::AddressSpace::Storage { access }) if place.group == 0 => {
                    Some((place.binding, access.contains(naga::StorageAccess::STORE)))
                }
                _ => None,
            };
            let mut found: Vec<_> =
                module.global_variables.iter().filter_map(|(_, global)| storage(global)).collect();
            found.sort_unstable();
            let state = if self.0.kernel == Kernel::Sum { 0 } else { rule.state_names().len() };
            let mut expected = vec![(1, false), (2, true), (3, self.0.grads_writable)];
            expected.extend((4..4 + state as u32).map(|binding| (binding, true)));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn every_kernel_of_every_rule_is_valid_and_has_its_bindings() {
        for rule in AnyRule::examples() {
            for kernel in [Kernel::Step(Access::Vector), Kernel::Step(Access::Scalar), Kernel::Sum]
            {
                for (precision, grads_writable) in
                    [(Precision::Native, false), (Precision::Exact, true)]
                {
                    rule.visit(Check(RowsVariant { kernel, precision, grads_writable }));
                }
            }
        }
    }
}
