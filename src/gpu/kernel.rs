//! Kernels: from a description to the compiled pipeline, its layout and its bind groups.

use std::any::Any;
use std::fmt::Debug;
use std::hash::Hash;

use super::context::Gpu;
use super::errors::DeviceError;
use super::memory::whole;

/// The bind group of a kernel's own buffers.
pub(crate) const OWN_GROUP: u32 = 0;
/// The bind group with one uniform at a dynamic offset: hyper-parameters, or a job.
pub(crate) const UNIFORM_GROUP: u32 = 1;
/// The bind group of a guard's decision.
pub(crate) const DECISION_GROUP: u32 = 2;

/// The description of a kernel: its WGSL and its constants. It is the key under which a device
/// caches the compiled kernel.
pub(crate) trait Kernel: Any + Clone + Eq + Hash + Debug + Send {
    /// The entry point.
    fn entry(&self) -> &'static str;

    /// The complete WGSL. The pipeline's layout is read from its `@group` lines.
    fn text(&self) -> String;

    /// The values of the WGSL's overrides.
    fn constants(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}

/// A compiled kernel.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    pub(crate) pipeline: wgpu::ComputePipeline,
    /// The layout of [`OWN_GROUP`].
    layout: wgpu::BindGroupLayout,
}

impl Gpu {
    /// Returns the compiled kernel. The first call compiles it.
    pub(crate) fn kernel<K: Kernel>(&self, kernel: &K) -> Result<Compiled, DeviceError> {
        if let Some(compiled) = self.kernels().get(kernel) {
            return Ok(compiled);
        }
        let compiled = self.catch(|| compile(self.device(), kernel))?;
        self.kernels().insert(kernel.clone(), compiled.clone());
        Ok(compiled)
    }

    /// The bind group through which step kernels read a guard's decision.
    pub(crate) fn decision_group(
        &self,
        outcome: &wgpu::Buffer,
    ) -> Result<wgpu::BindGroup, DeviceError> {
        let device = self.device();
        let text = include_str!("../../shaders/guard/decision.wgsl");
        self.catch(|| {
            let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some("wgpu-optim decision"),
                entries: &entries(text)[DECISION_GROUP as usize],
            });
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("wgpu-optim decision"),
                layout: &layout,
                entries: &[entry((0, whole(outcome)))],
            })
        })
    }
}

fn compile<K: Kernel>(device: &wgpu::Device, kernel: &K) -> Compiled {
    let (entry, text) = (kernel.entry(), kernel.text());
    let layouts: Vec<_> = entries(&text)
        .into_iter()
        .map(|entries| {
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(entry),
                entries: &entries,
            })
        })
        .collect();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(entry),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(entry),
        bind_group_layouts: &layouts.iter().map(Some).collect::<Vec<_>>(),
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(entry),
        layout: Some(&layout),
        module: &module,
        entry_point: Some(entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &kernel.constants(),
            ..Default::default()
        },
        cache: None,
    });
    Compiled { pipeline, layout: layouts[0].clone() } // every kernel has this group
}

/// The bindings of each group, read from the WGSL lines that declare them. A test compares them
/// with what naga reads.
fn entries(text: &str) -> Vec<Vec<wgpu::BindGroupLayoutEntry>> {
    let mut groups = Vec::new();
    for line in text.lines() {
        if let Some((group, binding, space)) = declaration(line) {
            let ty = match space {
                "uniform" => wgpu::BufferBindingType::Uniform,
                "storage, read_write" => wgpu::BufferBindingType::Storage { read_only: false },
                _ => wgpu::BufferBindingType::Storage { read_only: true },
            };
            groups.resize(groups.len().max(group as usize + 1), Vec::new());
            groups[group as usize].push(wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty,
                    has_dynamic_offset: group == UNIFORM_GROUP,
                    min_binding_size: None,
                },
                count: None,
            });
        }
    }
    groups
}

/// Group, binding and address space of a line such as
/// `@group(0) @binding(1) var<storage, read> a: A;`.
pub(crate) fn declaration(line: &str) -> Option<(u32, u32, &str)> {
    let (group, rest) = line.strip_prefix("@group(")?.split_once(") @binding(")?;
    let (binding, rest) = rest.split_once(") var<")?;
    let (space, _) = rest.split_once('>')?;
    Some((group.parse().ok()?, binding.parse().ok()?, space))
}

impl Compiled {
    /// The bind group of the kernel's own buffers, in the order of their bindings.
    pub(crate) fn bind<'a>(
        &self,
        gpu: &Gpu,
        buffers: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
    ) -> Result<wgpu::BindGroup, DeviceError> {
        let entries: Vec<_> = (0..).zip(buffers).map(entry).collect();
        gpu.catch(|| {
            gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("wgpu-optim"),
                layout: &self.layout,
                entries: &entries,
            })
        })
    }
}

fn entry((binding, buffer): (u32, wgpu::BufferBinding<'_>)) -> wgpu::BindGroupEntry<'_> {
    wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(buffer) }
}
