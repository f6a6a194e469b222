//! The kernels of a step over rows: their WGSL, put together from arithmetic, rule and harness,
//! and their bindings.

use super::super::context::Gpu;
use super::super::errors::Caught;
use super::super::plan::Access;
use super::super::step_kernel::{OWN_SQUARE, StateNames, arithmetic, expand_state};
use crate::numerics::Precision;
use crate::rules::{Rule, state_vectors};

/// The binding of the first state vector, behind job, list, parameters and gradients.
const FIRST_STATE_BINDING: u32 = 4;
const GRADS_BINDING: u32 = 3;

/// The square that a rule's update asks for, where a row shares it.
const MEAN_SQUARE: &str = include_str!("../../../shaders/rows/mean_square.wgsl");

/// What a kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    /// Steps rows.
    Step(Access),
    /// Sums the gradients of rows.
    Sum,
    /// Finds the mean squares of rows and steps the state that they share.
    Mean,
}

/// What tells one compiled kernel of a rule from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RowsVariant {
    pub(super) kernel: Kernel,
    pub(super) precision: Precision,
    /// As in [`super::super::step_kernel::Variant`].
    pub(super) grads_writable: bool,
    /// Whether rows share what they can of the state, so that a step has the mean square given.
    pub(super) row_wise: bool,
}

impl RowsVariant {
    /// The state vectors that the kernel reads and writes: all, those that rows share, or the others.
    fn vectors<R: Rule>(self, rule: &R) -> Vec<&'static str> {
        let (mean, row_wise) = (self.kernel == Kernel::Mean, self.row_wise);
        let all = state_vectors(rule).into_iter();
        let own =
            all.filter(|vector| self.kernel != Kernel::Sum && (vector.shared && row_wise) == mean);
        own.map(|vector| vector.name).collect()
    }

    /// The binding of what rows share, if a step reads it.
    fn shared_binding(self, vectors: usize) -> Option<u32> {
        let reads = self.row_wise && matches!(self.kernel, Kernel::Step(_));
        reads.then_some(FIRST_STATE_BINDING + vectors as u32)
    }
}

/// The whole WGSL of a kernel.
pub(super) fn source<R: Rule>(rule: &R, variant: RowsVariant) -> String {
    let harness = match variant.kernel {
        Kernel::Step(Access::Vector) => include_str!("../../../shaders/rows/step.wgsl"),
        Kernel::Step(Access::Scalar) => include_str!("../../../shaders/rows/step_unaligned.wgsl"),
        Kernel::Sum => include_str!("../../../shaders/rows/sum.wgsl"),
        Kernel::Mean => include_str!("../../../shaders/rows/mean.wgsl"),
    };
    let mut harness = harness.to_owned();
    if variant.grads_writable {
        harness = harness.replace("var<storage, read> grads", "var<storage, read_write> grads");
    }
    let arithmetic = arithmetic(variant.precision);
    if variant.kernel == Kernel::Sum {
        return [arithmetic, &harness].join("\n");
    }
    let vectors = variant.vectors(rule);
    let state = StateNames { members: R::STATE, vectors: &vectors };
    let mut harness = expand_state(&harness, state, FIRST_STATE_BINDING);
    if !variant.row_wise {
        return [arithmetic, OWN_SQUARE, R::SHADER, &harness].join("\n");
    }
    let shared = RowsVariant { kernel: Kernel::Mean, ..variant }.vectors(rule);
    if let Some(binding) = variant.shared_binding(vectors.len()) {
        let declared = "var state: State;\n";
        let taken = format!("{declared}    take_shared(record / 2u, &state);\n");
        let state = StateNames { members: R::STATE, vectors: &shared };
        let take = expand_state(include_str!("../../../shaders/rows/shared.wgsl"), state, 0);
        harness = [harness.replace(declared, &taken), take].join("\n");
        harness = harness.replace("SHARED_BINDING", &binding.to_string());
    }
    harness = harness.replace("SHARED_WORDS", &shared_words(rule).to_string());
    [arithmetic, MEAN_SQUARE, R::SHADER, &harness].join("\n")
}

/// Numbers that are kept of each row for its parameters to share: the mean square, and state.
pub(super) fn shared_words<R: Rule>(rule: &R) -> usize {
    1 + state_vectors(rule).iter().filter(|vector| vector.shared).count()
}

/// Bindings of group 0: job, list, parameters or sums or what rows share, gradients, `vectors` state
/// vectors; and what rows share, to be read.
fn layout(device: &wgpu::Device, variant: RowsVariant, vectors: usize) -> wgpu::BindGroupLayout {
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
    let states = FIRST_STATE_BINDING..FIRST_STATE_BINDING + vectors as u32;
    entries.extend(states.map(|binding| entry(binding, storage(false))));
    entries.extend(variant.shared_binding(vectors).map(|binding| entry(binding, storage(true))));
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
    let name = if sums { "any" } else { R::NAME };
    let state = variant.vectors(rule);
    let mut constants = if sums { Vec::new() } else { rule.constants() };
    constants.push(("workgroup_size", f64::from(workgroup_size)));
    let label = format!("step over rows {name} {variant:?}");
    // With the text of the shader: two rules may have one name. With what rows share: a step reads it.
    let text = if sums { "" } else { R::SHADER };
    let means = RowsVariant { kernel: Kernel::Mean, ..variant };
    let shared = if sums { Vec::new() } else { means.vectors(rule) };
    let key = format!("{label} {constants:?} {state:?} {shared:?} {text}");
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
    use crate::rules::{AnyRule, RuleVisitor, check_row_wise};

    /// The kernels of any rule can be translated, and have the bindings that they are bound to.
    struct Check(RowsVariant);

    impl RuleVisitor for Check {
        type Output = ();

        fn visit<R: Rule>(self, rule: R) {
            if self.0.row_wise && check_row_wise(&rule).is_err() {
                return;
            }
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
            let state = state_vectors(&rule).into_iter().map(|vector| match self.0.kernel {
                Kernel::Sum => false,
                Kernel::Mean => vector.shared,
                Kernel::Step(_) => !(self.0.row_wise && vector.shared),
            });
            let end = 4 + state.filter(|&bound| bound).count() as u32;
            let mut expected = vec![(1, false), (2, true), (3, self.0.grads_writable)];
            expected.extend((4..end).map(|binding| (binding, true)));
            if self.0.row_wise && matches!(self.0.kernel, Kernel::Step(_)) {
                expected.push((end, false));
            }
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn every_kernel_of_every_rule_is_valid_and_has_its_bindings() {
        for rule in AnyRule::examples() {
            let steps = [Access::Vector, Access::Scalar].map(Kernel::Step);
            let all = steps.map(|kernel| (kernel, false)).into_iter();
            let all = all.chain(steps.map(|kernel| (kernel, true)));
            for (kernel, row_wise) in all.chain([(Kernel::Sum, false), (Kernel::Mean, true)]) {
                for (precision, grads_writable) in
                    [(Precision::Native, false), (Precision::Exact, true)]
                {
                    let variant = RowsVariant { kernel, precision, grads_writable, row_wise };
                    rule.visit(Check(variant));
                }
            }
        }
    }
}
