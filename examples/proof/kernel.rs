//! Runs operations of shaders/arithmetic/exact.wgsl, unchanged or with parts of its text replaced.

use std::error::Error;

use wgpu_optim::{Gpu, wgpu};

use crate::operation::Operation;

const EXACT: &str = include_str!("../../shaders/arithmetic/exact.wgsl");

/// Operands in a batch: few enough that most of a batch stays in the processor's caches.
pub(crate) const BATCH: usize = 1 << 20;

const WORKGROUP_SIZE: u32 = 256;

const BINDINGS: &str = "
@group(0) @binding(0) var<storage, read> left: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> right: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> results: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> perturbation: vec4<u32>;
";

/// Text of the file, and its replacement.
pub(crate) type Replacement = (&'static str, &'static str);

/// The kernel of some operations, and the memory for a batch.
pub(crate) struct Kernel<'a> {
    gpu: &'a Gpu,
    operations: &'static [Operation],
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    operands: [wgpu::Buffer; 2],
    results: wgpu::Buffer,
    readback: wgpu::Buffer,
    perturbation: wgpu::Buffer,
}

impl<'a> Kernel<'a> {
    /// Compiles `operations`, with `replacements` applied to the arithmetic.
    pub(crate) fn new(
        gpu: &'a Gpu,
        operations: &'static [Operation],
        replacements: &[Replacement],
    ) -> Result<Self, Box<dyn Error>> {
        use wgpu::BufferUsages as Usage;
        let text = source(operations, replacements)?;
        let bytes = 4 * BATCH as u64;
        let result_bytes = bytes * operations.len() as u64;
        let buffer = |size, usage| {
            gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("proof"),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let operands = [0, 1].map(|_| buffer(bytes, Usage::STORAGE | Usage::COPY_DST));
        let results = buffer(result_bytes, Usage::STORAGE | Usage::COPY_SRC);
        let readback = buffer(result_bytes, Usage::MAP_READ | Usage::COPY_DST);
        let perturbation = buffer(16, Usage::UNIFORM | Usage::COPY_DST);
        let layout = layout(gpu.device());
        let pipeline = pipeline(gpu.device(), &layout, &text);
        let buffers = [&operands[0], &operands[1], &results, &perturbation];
        let bindings = bind(gpu.device(), &layout, buffers);
        Ok(Self { gpu, operations, pipeline, bindings, operands, results, readback, perturbation })
    }

    /// Sets the error of the guesses of quotients and of roots, in ULP, from the next run on.
    pub(crate) fn perturb(&self, quotient: i32, root: i32) {
        let words = [quotient, root, 0, 0];
        self.gpu.queue().write_buffer(&self.perturbation, 0, bytemuck::cast_slice(&words));
    }

    /// Runs one batch, and passes the results of each operation to `judge`.
    pub(crate) fn run(
        &self,
        left: &[u32],
        right: &[u32],
        mut judge: impl FnMut(Operation, &[u32]),
    ) -> Result<(), Box<dyn Error>> {
        let (device, queue) = (self.gpu.device(), self.gpu.queue());
        queue.write_buffer(&self.operands[0], 0, bytemuck::cast_slice(left));
        queue.write_buffer(&self.operands[1], 0, bytemuck::cast_slice(right));
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups((BATCH / 4) as u32 / WORKGROUP_SIZE, 1, 1);
        drop(pass);
        encoder.copy_buffer_to_buffer(&self.results, 0, &self.readback, 0, None);
        queue.submit([encoder.finish()]);

        let (sender, receiver) = std::sync::mpsc::channel();
        self.readback.slice(..).map_async(wgpu::MapMode::Read, move |mapped| {
            // The receiver waits below.
            let _ = sender.send(mapped);
        });
        device.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.recv()??;
        let view = self.readback.slice(..).get_mapped_range()?;
        let results: &[u32] = bytemuck::cast_slice(&view);
        for (operation, results) in self.operations.iter().zip(results.chunks(BATCH)) {
            judge(*operation, results);
        }
        drop(view);
        self.readback.unmap();
        Ok(())
    }
}

/// The arithmetic with the replacements, and an entry point that calls it.
fn source(
    operations: &[Operation],
    replacements: &[Replacement],
) -> Result<String, Box<dyn Error>> {
    let mut text = EXACT.to_owned();
    for (old, new) in replacements {
        if text.matches(old).count() != 1 {
            return Err(format!("exact.wgsl must contain \"{old}\" exactly once").into());
        }
        text = text.replace(old, new);
    }
    text.push_str(BINDINGS);
    text.push_str(&format!(
        "@compute @workgroup_size({WORKGROUP_SIZE})
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
            let a = from_bits(left[id.x]);
            let b = from_bits(right[id.x]);\n"
    ));
    for (index, operation) in operations.iter().enumerate() {
        let name = operation.name();
        let call =
            if operation.is_unary() { format!("{name}(a)") } else { format!("{name}(a, b)") };
        let first = index * BATCH / 4;
        text.push_str(&format!("results[{first}u + id.x] = to_bits({call});\n"));
    }
    text.push('}');
    Ok(text)
}

fn layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    use wgpu::BufferBindingType::{Storage, Uniform};
    let kinds = [
        Storage { read_only: true },
        Storage { read_only: true },
        Storage { read_only: false },
        Uniform,
    ];
    let entries = [0, 1, 2, 3].map(|binding| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: kinds[binding as usize],
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    });
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("proof"),
        entries: &entries,
    })
}

fn pipeline(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    text: &str,
) -> wgpu::ComputePipeline {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("proof"),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    });
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("proof"),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("proof"),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    })
}

fn bind(
    device: &wgpu::Device,
    layout: &wgpu::BindGroupLayout,
    buffers: [&wgpu::Buffer; 4],
) -> wgpu::BindGroup {
    let entries = [0, 1, 2, 3].map(|binding| wgpu::BindGroupEntry {
        binding,
        resource: buffers[binding as usize].as_entire_binding(),
    });
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("proof"),
        layout,
        entries: &entries,
    })
}
