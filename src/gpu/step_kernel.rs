//! The step kernel: its WGSL, put together from arithmetic, rule and harness, its bindings, and
//! the words that tell a dispatch where its elements are.

use super::context::Gpu;
use super::errors::Caught;
use super::guard::{OUTCOME, decision_layout};
use super::plan::{Access, Dispatch, DispatchLimits};
use super::shape::KernelShape;
use crate::numerics::Precision;
use crate::rules::Rule;

/// The arithmetic that a kernel is compiled with.
pub(crate) fn arithmetic(precision: Precision) -> &'static str {
    match precision {
        Precision::Native => include_str!("../../shaders/arithmetic/native.wgsl"),
        Precision::Exact => include_str!("../../shaders/arithmetic/exact.wgsl"),
    }
}

/// The square that a rule's update asks for, where no row shares it.
pub(crate) const OWN_SQUARE: &str = include_str!("../../shaders/square.wgsl");

/// What tells one compiled step kernel of a rule from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub(crate) precision: Precision,
    pub(crate) access: Access,
    /// Whether the gradients are bound read_write, because they share a buffer with a vector that
    /// is: WebGPU allows one buffer only one kind of binding in a dispatch. Never written.
    pub(crate) grads_writable: bool,
    pub(crate) guarded: Guarded,
}

/// What a step kernel does for a guard. By default nothing, and its WGSL is that of no guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Guarded {
    /// Whether it obeys a decision: to change nothing, or to scale the gradients.
    pub(crate) decided: bool,
    /// Whether an element keeps parameter and state if its gradient is not finite.
    pub(crate) only_finite: bool,
}

impl Guarded {
    /// Makes an expanded harness do it.
    fn apply(self, mut harness: String, state: StateNames<'_>) -> String {
        let mut gradient = "gradient";
        if self.decided {
            let bounds = "if (index >= chunk.threads";
            harness = harness.replace(bounds, &format!("{bounds} || is_skipped()"));
            gradient = "clipped(gradient)";
        }
        let call = if self.only_finite {
            format!("update_finite(hyper, x, gradient, {gradient}, &state)")
        } else {
            format!("update(hyper, x, {gradient}, &state)")
        };
        harness = harness.replace("update(hyper, x, gradient, &state)", &call);
        if self.decided {
            harness =
                [&harness, OUTCOME, include_str!("../../shaders/guard/decided.wgsl")].join("\n");
        }
        if self.only_finite {
            let text = include_str!("../../shaders/guard/only_finite.wgsl");
            harness = [harness, expand_state(text, state, FIRST_STATE_BINDING)].join("\n");
        }
        harness
    }
}

/// The state vectors of a rule, for the harness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateNames<'a> {
    /// The members of the struct that `update` is given.
    pub(crate) members: &'a [&'a str],
    /// Those that are read and written.
    pub(crate) vectors: &'a [&'a str],
}

/// The whole WGSL of the rule's step kernel.
pub(crate) fn source<R: Rule>(rule: &R, variant: Variant) -> String {
    let harness = match variant.access {
        Access::Vector => include_str!("../../shaders/step.wgsl"),
        Access::Scalar => include_str!("../../shaders/step_unaligned.wgsl"),
    };
    let state = StateNames { members: R::STATE, vectors: &rule.state_names() };
    let mut harness = expand_state(harness, state, FIRST_STATE_BINDING);
    if variant.grads_writable {
        harness = harness.replace("var<storage, read> grads", "var<storage, read_write> grads");
    }
    let harness = variant.guarded.apply(harness, state);
    [arithmetic(variant.precision), OWN_SQUARE, R::SHADER, &harness].join("\n")
}

/// Repeats each line that names STATE once for each state vector, whose bindings count from
/// `first_binding`, and its indices from 1; the line of the struct's members once for each member.
/// Comments stand as they are.
pub(crate) fn expand_state(harness: &str, state: StateNames<'_>, first_binding: u32) -> String {
    let mut text = String::new();
    for line in harness.lines() {
        if !line.contains("STATE") || line.starts_with("//") {
            text.push_str(line);
            text.push('\n');
            continue;
        }
        let names = if line.trim() == "STATE: Real," { state.members } else { state.vectors };
        for (index, name) in (0..).zip(names) {
            let line = line.replace("STATE_BINDING", &(first_binding + index).to_string());
            let line = line.replace("STATE_INDEX", &(1 + index).to_string()).replace("STATE", name);
            text.push_str(&line);
            text.push('\n');
        }
    }
    // A rule without state still has a struct, and WGSL wants a member in it.
    text.replace("struct State {\n}", "struct State {\n    nothing: u32,\n}")
}

const CHUNK_BINDING: u32 = 0;
const PARAMS_BINDING: u32 = 1;
const GRADS_BINDING: u32 = 2;
pub(super) const FIRST_STATE_BINDING: u32 = 3;

/// The binding of vector number `index` of a step: parameters, gradients, state.
fn vector_binding(index: usize) -> u32 {
    PARAMS_BINDING + index as u32
}

/// The content of `struct Chunk` in the harness.
pub(crate) fn chunk_words(dispatch: &Dispatch) -> Vec<u32> {
    let unit = match dispatch.access {
        Access::Vector => 4,
        Access::Scalar => 1,
    };
    let starts = dispatch.bindings.iter().map(|binding| binding.shift / unit);
    [dispatch.threads(), dispatch.len].into_iter().chain(starts).collect()
}

/// What the step kernels of one rule need of a device, decided once.
#[derive(Clone, Debug)]
pub(crate) struct StepKernels {
    pub(crate) limits: DispatchLimits,
    /// Within the device's limits.
    pub(crate) shape: KernelShape,
}

impl StepKernels {
    pub(crate) fn new(limits: &wgpu::Limits, shape: KernelShape) -> Self {
        let shape = shape.within(limits);
        Self { limits: DispatchLimits::with_shape(limits, shape), shape }
    }

    /// Bindings of so many vectors: `chunk`, then parameters, gradients and state.
    pub(crate) fn layout(
        device: &wgpu::Device,
        variant: Variant,
        vectors: usize,
    ) -> wgpu::BindGroupLayout {
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let mut entries = vec![entry(CHUNK_BINDING, wgpu::BufferBindingType::Uniform)];
        entries.extend((0..vectors).map(|index| {
            let binding = vector_binding(index);
            let read_only = binding == GRADS_BINDING && !variant.grads_writable;
            entry(binding, wgpu::BufferBindingType::Storage { read_only })
        }));
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("wgpu-optim step"),
            entries: &entries,
        })
    }

    /// The compiled kernel; cached on the device by rule, variant and choices of formula.
    pub(crate) fn pipeline<R: Rule>(
        &self,
        gpu: &Gpu,
        rule: &R,
        variant: Variant,
    ) -> Result<wgpu::ComputePipeline, Caught> {
        let mut constants = rule.constants();
        constants.extend(self.shape.constants());
        let label = format!("step {} {variant:?}", R::NAME);
        // With the text of the shader: two rules may have one name.
        let state = rule.state_names();
        let key = format!("{label} {constants:?} {state:?} {}", R::SHADER);
        let uniforms = gpu.slots().layout(gpu.device())?;
        gpu.pipeline(&key, |device| {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&label),
                source: wgpu::ShaderSource::Wgsl(self.shape.apply(source(rule, variant)).into()),
            });
            let vectors = Self::layout(device, variant, 2 + state.len());
            let decision = variant.guarded.decided.then(|| decision_layout(device));
            let mut groups = vec![Some(&vectors), Some(&uniforms)];
            groups.extend(decision.as_ref().map(Some));
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&label),
                bind_group_layouts: &groups,
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
}

/// The bind group of one dispatch: its chunk at `chunk_offset` of `chunks`, and its vectors.
pub(crate) fn bind(
    device: &wgpu::Device,
    variant: Variant,
    dispatch: &Dispatch,
    chunks: (&wgpu::Buffer, u64),
    vectors: &[&super::GpuVec],
) -> wgpu::BindGroup {
    let (chunks, chunk_offset) = chunks;
    let entry = |binding, buffer, offset, size| wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset,
            size: wgpu::BufferSize::new(size),
        }),
    };
    let words = chunk_words(dispatch).len() as u64;
    let mut entries =
        vec![entry(CHUNK_BINDING, chunks, chunk_offset, (4 * words).next_multiple_of(16))];
    for (index, (vector, bound)) in vectors.iter().zip(&dispatch.bindings).enumerate() {
        let buffer = &vector.segments()[bound.span].buffer;
        entries.push(entry(vector_binding(index), buffer, bound.offset, bound.size));
    }
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("wgpu-optim step"),
        layout: &StepKernels::layout(device, variant, vectors.len()),
        entries: &entries,
    })
}

#[cfg(test)]
#[path = "step_kernel_tests.rs"]
mod tests;
