//! Optimizer steps inside a wgpu program that has its own device, buffers and gradient kernel.
//!
//! Minimizes f(x) = sum of (x[i] - i)^2 / 2. Each of 400 steps encodes a kernel that computes the
//! gradient `x[i] - i`, then an Adagrad step with its own learning rate. One command encoder holds
//! all steps and is submitted once; only the result is read back.
//!
//! Run with `cargo run --release --example own_device`. Any adapter works, even a software driver.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use wgpu_optim::{Adagrad, Gpu, GpuOptimizer, GpuVec, wgpu};

const LEN: usize = 1000;
const STEPS: u16 = 400;

const GRADIENT: &str = "
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&x)) { gradient[id.x] = x[id.x] - f32(id.x); }
}";

fn main() -> Result<(), Box<dyn Error>> {
    let (device, queue) = pollster::block_on(open())?;
    let buffer = |label, usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: 4 * LEN as u64,
            usage: usage | wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        })
    };
    // wgpu clears new buffers, so x starts at 0. COPY_SRC allows the download at the end.
    let x = buffer("x", wgpu::BufferUsages::COPY_SRC);
    let gradient = buffer("gradient", wgpu::BufferUsages::empty());

    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("gradient"),
        source: wgpu::ShaderSource::Wgsl(GRADIENT.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("gradient"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("gradient"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: x.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: gradient.as_entire_binding() },
        ],
    });

    let gpu = Gpu::from_wgpu(device.clone(), queue.clone());
    let params = GpuVec::from_buffer(&x, 0, LEN)?;
    let grads = GpuVec::from_buffer(&gradient, 0, LEN)?;
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), LEN)?;

    let mut encoder = device.create_command_encoder(&Default::default());
    for step in 0..STEPS {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(LEN.div_ceil(64) as u32, 1, 1);
        drop(pass);
        // The rate falls linearly from 500. Each recorded step keeps the rate that was set for it.
        optimizer.set_learning_rate(500.0 * (1.0 - f32::from(step) / f32::from(STEPS)))?;
        optimizer.record(&mut encoder, &params, &grads)?;
    }
    queue.submit([encoder.finish()]);

    let result = params.download_blocking(&gpu)?;
    let errors = result.iter().zip(0_u16..).map(|(&x, i)| (x - f32::from(i)).abs());
    println!("adapter: {}", gpu.info().name);
    println!("steps:   {}, in one submission", optimizer.steps());
    println!("x[999]:  {} (the minimum is at 999)", result[LEN - 1]);
    println!("maximum error over all x: {:e}", errors.fold(0.0, f32::max));
    Ok(())
}

/// The program's own device. The optimizer needs no features.
async fn open() -> Result<(wgpu::Device, wgpu::Queue), Box<dyn Error>> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(descriptor);
    let adapter = instance.request_adapter(&Default::default()).await?;
    Ok(adapter.request_device(&Default::default()).await?)
}
