//! The kernel over many tensors: its WGSL, put together for the windows and routes of a dispatch,
//! and its bindings.

use super::super::context::Gpu;
use super::super::errors::Caught;
use super::super::plan::Access;
use super::super::slots::SlotPool;
use super::super::step_kernel::{
    FIRST_STATE_BINDING, OWN_SQUARE, StateNames, arithmetic, expand_state,
};
use super::table::TableDispatch;
use crate::numerics::Precision;
use crate::rules::Rule;

const BLOCKS_BINDING: u32 = 0;

/// What tells one compiled kernel of a rule from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupVariant {
    pub(crate) precision: Precision,
    pub(crate) access: Access,
    /// The names of the state vectors.
    pub(crate) state: Vec<&'static str>,
    /// For each window, whether it is bound read_write: parameters lie in its buffer.
    pub(crate) writable: Vec<bool>,
    /// The windows of parameters and of gradients of each route.
    pub(crate) routes: Vec<[usize; 2]>,
    /// How many parameter groups there are.
    pub(crate) groups: usize,
}

impl GroupVariant {
    /// The kernel for `dispatch`; `written` tells of each buffer whether it has parameters.
    pub(crate) fn of(
        dispatch: &TableDispatch,
        written: &[bool],
        precision: Precision,
        groups: usize,
        state: &[&'static str],
    ) -> Self {
        Self {
            precision,
            access: dispatch.access,
            state: state.to_vec(),
            writable: dispatch.windows.iter().map(|window| written[window.buffer]).collect(),
            routes: dispatch.routes.clone(),
            groups,
        }
    }

    /// The binding of window number `index`, behind those of the state.
    fn window_binding(&self, index: usize) -> u32 {
        FIRST_STATE_BINDING + (self.state.len() + index) as u32
    }
}

/// The whole WGSL of `R`'s kernel.
pub(crate) fn source<R: Rule>(variant: &GroupVariant) -> String {
    let (element, route) = match variant.access {
        Access::Vector => ("Real", include_str!("../../../shaders/groups/route.wgsl")),
        Access::Scalar => ("Scalar", include_str!("../../../shaders/groups/route_unaligned.wgsl")),
    };
    let mut harness = String::new();
    for line in include_str!("../../../shaders/groups/step.wgsl").lines() {
        expand_line(&mut harness, line, variant);
    }
    let harness =
        harness.replace("ELEMENT", element).replace("GROUPS", &variant.groups.to_string());
    let routes = variant.routes.iter().enumerate().map(|(index, [params, grads])| {
        route
            .replace("ROUTE", &index.to_string())
            .replace("PARAMS", &params.to_string())
            .replace("GRADS", &grads.to_string())
    });
    let routes: Vec<_> = routes.collect();
    let harness = expand_state(
        &[&harness, routes.join("\n").as_str()].join("\n"),
        StateNames { members: R::STATE, vectors: &variant.state },
        FIRST_STATE_BINDING,
    );
    [arithmetic(variant.precision), OWN_SQUARE, R::SHADER, &harness].join("\n")
}

/// Repeats a line that names WINDOW or ROUTE once for each; comments stand as they are.
fn expand_line(text: &mut String, line: &str, variant: &GroupVariant) {
    let mut push = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    if line.starts_with("//") {
        push(line);
    } else if line.contains("WINDOW") {
        for (index, &writable) in variant.writable.iter().enumerate() {
            let binding = variant.window_binding(index).to_string();
            let access = if writable { "read_write" } else { "read" };
            let line = line.replace("BINDING_OF_WINDOW", &binding);
            push(&line.replace("ACCESS_OF_WINDOW", access).replace("WINDOW", &index.to_string()));
        }
    } else if line.contains("ROUTE") {
        for index in 0..variant.routes.len() {
            push(&line.replace("ROUTE", &index.to_string()));
        }
    } else {
        push(line);
    }
}

/// Bindings of group 0: the blocks, the state vectors, the windows.
pub(crate) fn layout(device: &wgpu::Device, variant: &GroupVariant) -> wgpu::BindGroupLayout {
    let entry = |binding, read_only| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    let mut entries = vec![entry(BLOCKS_BINDING, true)];
    entries.extend(
        (0..variant.state.len() as u32).map(|index| entry(FIRST_STATE_BINDING + index, false)),
    );
    entries.extend(
        variant
            .writable
            .iter()
            .enumerate()
            .map(|(index, &w)| entry(variant.window_binding(index), !w)),
    );
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("wgpu-optim groups"),
        entries: &entries,
    })
}

/// The bind group of a dispatch: its blocks, the part of each state arena, its windows.
pub(crate) fn bind<'a>(
    device: &wgpu::Device,
    variant: &GroupVariant,
    blocks: wgpu::BufferBinding<'a>,
    state: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
    windows: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
) -> wgpu::BindGroup {
    let entry = |(binding, buffer)| wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(buffer),
    };
    let mut entries = vec![entry((BLOCKS_BINDING, blocks))];
    entries.extend((FIRST_STATE_BINDING..).zip(state.into_iter().chain(windows)).map(entry));
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("wgpu-optim groups"),
        layout: &layout(device, variant),
        entries: &entries,
    })
}

/// The compiled kernel; cached on the device by rule, variant and choices of formula.
pub(crate) fn pipeline<R: Rule>(
    gpu: &Gpu,
    rule: &R,
    variant: &GroupVariant,
    workgroup_size: u32,
    uniforms: &SlotPool,
) -> Result<wgpu::ComputePipeline, Caught> {
    let mut constants = rule.constants();
    constants.push(("workgroup_size", f64::from(workgroup_size)));
    let label = format!("step of groups {} {variant:?}", R::NAME);
    // With the text of the shader: two rules may have one name.
    let key = format!("{label} {constants:?} {}", R::SHADER);
    let uniforms = uniforms.layout(gpu.device())?;
    gpu.pipeline(&key, |device| {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("step of groups"),
            source: wgpu::ShaderSource::Wgsl(source::<R>(variant).into()),
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("step of groups"),
            bind_group_layouts: &[Some(&layout(device, variant)), Some(&uniforms)],
            immediate_size: 0,
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("step of groups"),
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
#[path = "kernel_tests.rs"]
mod tests;
