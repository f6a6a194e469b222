//! Lengths on both sides of every limit, offsets of every kind, guard zones around them.

use wgpu_optim::{Adagrad, Gpu, GpuOptimizer, GpuVec, KernelShape, Precision, wgpu};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{Reference, patterns, values, variants};

pub(crate) const CHECKS: &[Check] = &[
    ("every choice of formula at every small length", small_lengths),
    ("exact precision over all bit patterns", all_patterns),
    ("every shape of the kernel, the same bits", shapes),
    ("around 65535 workgroups of 256", workgroup_limit),
    ("around the binding limit", binding_limit),
    ("every element offset modulo 64 within guard zones", offsets),
    ("all vectors in one arena", arena),
    ("a vector of several buffers", several_buffers),
    ("limits lowered to WebGPU's defaults and below", lowered_limits),
];

/// Steps `rule` on a device and on the reference, natively, and compares.
pub(crate) fn agree(driver: &Driver, gpu: &Gpu, rule: Adagrad, len: usize, steps: u32) {
    agree_in(Precision::Native, driver, gpu, rule, len, steps);
}

/// The same in either precision; exact means equal bits everywhere.
fn agree_in(
    precision: Precision,
    driver: &Driver,
    gpu: &Gpu,
    rule: Adagrad,
    len: usize,
    steps: u32,
) {
    let bounded = precision == Precision::Native && !driver.rounds_correctly();
    let (rule, steps) = if bounded { (driver.bounded(rule), 1) } else { (rule, steps) };
    let what = format!("{len} elements, {precision}, {rule:?}");
    let host = values(len, 1, 20);
    let mut reference = Reference::new(rule, &host);
    let params = gpu.upload(&host).unwrap();
    let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap().with_precision(precision);
    let grads = gpu.zeros(len).unwrap();
    for step in 0..steps {
        let gradient = values(len, 100 + step, 20);
        reference.step(&gradient);
        gpu.write(&grads, &gradient).unwrap();
        optimizer.step(&params, &grads).unwrap();
        assert_eq!(grads.download_blocking(gpu).unwrap(), gradient, "gradients are only read");
    }
    let state = optimizer.state(0).download_blocking(gpu).unwrap();
    let params = params.download_blocking(gpu).unwrap();
    if precision == Precision::Exact {
        driver.check_exact(&what, reference.optimizer.state(0), &state);
        driver.check_exact(&what, &reference.params, &params);
    } else {
        driver.check_state(&what, reference.optimizer.state(0), &state);
        driver.check_params(&what, &reference.params, &params, &reference.before);
    }
}

fn small_lengths(driver: &Driver) {
    for rule in variants() {
        for len in [1, 2, 3, 4, 5, 63, 64, 65, 255, 256, 257] {
            agree(driver, driver.gpu(), rule, len, 3);
            agree_in(Precision::Exact, driver, driver.gpu(), rule, len, 3);
        }
    }
}

/// Subnormals, infinities and NaN included: a million random patterns of each operand.
fn all_patterns(driver: &Driver) {
    let gpu = driver.gpu();
    let len = 1 << 20;
    let no_epsilon = variants().into_iter().map(|rule| Adagrad { epsilon: 0.0, ..rule });
    for rule in variants().into_iter().chain(no_epsilon) {
        let (host, gradient, state) = (patterns(len, 1), patterns(len, 2), patterns(len, 3));
        let mut reference = Reference::new(rule, &host);
        reference.optimizer.state_mut(0).copy_from_slice(&state);
        reference.step(&gradient);
        let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&gradient).unwrap());
        let mut optimizer =
            GpuOptimizer::new(gpu, rule, len).unwrap().with_precision(Precision::Exact);
        gpu.write(optimizer.state(0), &state).unwrap();
        optimizer.step(&params, &grads).unwrap();
        let what = format!("all patterns, {rule:?}");
        let state = optimizer.state(0).download_blocking(gpu).unwrap();
        driver.check_exact(&what, reference.optimizer.state(0), &state);
        driver.check_exact(&what, &reference.params, &params.download_blocking(gpu).unwrap());
    }
}

/// Lengths on both sides of a workgroup's share, and of several; aligned views and others.
fn shapes(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad::default();
    for (size, quads) in [(1, 1), (32, 1), (64, 2), (64, 3), (256, 4), (1024, 8), (96, 64)] {
        let shape = KernelShape::new(size, quads);
        let share = (4 * size * quads) as usize;
        for len in [1, 5, share - 1, share, share + 1, 2 * share + 7] {
            for offset in [GUARD, GUARD + 1] {
                let (host, gradient) = (values(len, 11, 10), values(len, 12, 10));
                let buffer = guarded(gpu, &host, offset);
                let params = GpuVec::from_buffer(&buffer, 4 * offset as u64, len).unwrap();
                let grads = gpu.upload(&gradient).unwrap();
                let optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
                let mut optimizer = optimizer.with_precision(Precision::Exact).with_shape(shape);
                assert_eq!(optimizer.shape().quads_per_invocation, quads);
                optimizer.step(&params, &grads).unwrap();
                let mut reference = Reference::new(rule, &host);
                reference.step(&gradient);
                let what = format!("{len} elements at {offset}, {shape:?}");
                let stepped = unguarded(gpu, &buffer, offset, len);
                driver.check_exact(&what, &reference.params, &stepped);
                let state = optimizer.state(0).download_blocking(gpu).unwrap();
                driver.check_exact(&what, reference.optimizer.state(0), &state);
            }
        }
    }
}

fn workgroup_limit(driver: &Driver) {
    for len in [65535 * 256 - 1, 65535 * 256, 65535 * 256 + 1] {
        agree(driver, driver.gpu(), Adagrad::default(), len, 1);
    }
}

fn binding_limit(driver: &Driver) {
    for len in [33_554_431, 33_554_432, 33_554_433, 33_554_433 + 5] {
        agree(driver, driver.gpu(), Adagrad::default(), len, 1);
    }
}

/// What lies around a view, and what nothing may touch.
const POISON: f32 = f32::from_bits(0x7fa5_a5a5_u32);
/// Elements before and behind a view.
const GUARD: usize = 96;

/// A buffer of poison with `content` at element `offset`.
fn guarded(gpu: &Gpu, content: &[f32], offset: usize) -> wgpu::Buffer {
    let mut host = vec![POISON; offset + content.len() + GUARD];
    host[offset..offset + content.len()].copy_from_slice(content);
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("a caller's buffer"),
        size: 4 * host.len() as u64,
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let bytes: Vec<u8> = host.iter().flat_map(|value| value.to_bits().to_ne_bytes()).collect();
    gpu.queue().write_buffer(&buffer, 0, &bytes);
    buffer
}

/// The view's content, once the guard zones have been found untouched.
fn unguarded(gpu: &Gpu, buffer: &wgpu::Buffer, offset: usize, len: usize) -> Vec<f32> {
    let whole = GpuVec::from_buffer(buffer, 0, (buffer.size() / 4) as usize).unwrap();
    let host = whole.download_blocking(gpu).unwrap();
    let untouched = |values: &[f32]| values.iter().all(|v| v.to_bits() == POISON.to_bits());
    assert!(untouched(&host[..offset]), "the zone before element {offset} was touched");
    assert!(untouched(&host[offset + len..]), "the zone behind {offset} + {len} was touched");
    host[offset..offset + len].to_vec()
}

fn offsets(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad::default();
    for offset in 0..64 {
        // The gradients at an offset of their own, so that the two differ in every way modulo 4.
        let (params_at, grads_at) = (GUARD + offset, GUARD + (offset / 4 * 5 + 3) % 64);
        for len in [1, 6, 131] {
            let (host, gradient) = (values(len, 5, 10), values(len, 6, 10));
            let params = guarded(gpu, &host, params_at);
            let grads = guarded(gpu, &gradient, grads_at);
            let view = |buffer: &wgpu::Buffer, at: usize| {
                GpuVec::from_buffer(buffer, 4 * at as u64, len).unwrap()
            };
            let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
            optimizer.step(&view(&params, params_at), &view(&grads, grads_at)).unwrap();
            let mut reference = Reference::new(rule, &host);
            reference.step(&gradient);
            let what = format!("{len} elements at {params_at} and {grads_at}");
            let stepped = unguarded(gpu, &params, params_at, len);
            driver.check_params(&what, &reference.params, &stepped, &host);
            let state = optimizer.state(0).download_blocking(gpu).unwrap();
            driver.check_state(&what, reference.optimizer.state(0), &state);
            assert_eq!(unguarded(gpu, &grads, grads_at, len), gradient);
        }
    }
}

/// Parameters and gradients of one buffer: the kernel whose gradients are bound read_write.
fn arena(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad::default();
    for (len, grads_at) in [(64, 64), (67, 67), (1000, 1001)] {
        let (host, gradient) = (values(len, 7, 10), values(len, 8, 10));
        let mut content = host.clone();
        content.resize(grads_at, POISON);
        content.extend(&gradient);
        let buffer = guarded(gpu, &content, 0);
        let params = GpuVec::from_buffer(&buffer, 0, len).unwrap();
        let grads = GpuVec::from_buffer(&buffer, 4 * grads_at as u64, len).unwrap();
        let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
        optimizer.step(&params, &grads).unwrap();
        let mut reference = Reference::new(rule, &host);
        reference.step(&gradient);
        let stepped = params.download_blocking(gpu).unwrap();
        driver.check_params("an arena", &reference.params, &stepped, &host);
        assert_eq!(grads.download_blocking(gpu).unwrap(), gradient);
        unguarded(gpu, &buffer, 0, grads_at + len);
    }
}

fn several_buffers(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad::default();
    let len = 3000;
    let (host, gradient) = (values(len, 9, 10), values(len, 10, 10));
    let split = |values: &[f32], cuts: &[usize]| {
        let ends = cuts.iter().copied().chain([values.len()]);
        let mut first = 0;
        let parts = ends.map(|end| {
            let part = gpu.upload(&values[first..end]).unwrap();
            first = end;
            part
        });
        GpuVec::concatenate(parts.collect::<Vec<_>>()).unwrap()
    };
    // Cut at different places, one of them unaligned.
    let params = split(&host, &[1000, 1024]);
    let grads = split(&gradient, &[7, 2048]);
    let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
    optimizer.step(&params, &grads).unwrap();
    let mut reference = Reference::new(rule, &host);
    reference.step(&gradient);
    let stepped = params.download_blocking(gpu).unwrap();
    driver.check_params("several buffers", &reference.params, &stepped, &host);
    let state = optimizer.state(0).download_blocking(gpu).unwrap();
    driver.check_state("several buffers", reference.optimizer.state(0), &state);
    // A slice across buffers is a view of the same memory.
    let slice = params.slice(990..1030).unwrap();
    assert_eq!(slice.download_blocking(gpu).unwrap(), stepped[990..1030]);
}

fn lowered_limits(driver: &Driver) {
    let defaults = driver.with_limits(|_| ());
    agree(driver, &defaults, Adagrad::default(), 100_003, 2);
    let small = driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 64 << 10;
        limits.max_compute_workgroups_per_dimension = 2;
        limits.max_compute_invocations_per_workgroup = 64;
        limits.max_compute_workgroup_size_x = 64;
        limits.max_compute_workgroup_size_y = 64;
    });
    for len in [5, 1023, 1024, 1025, 70_001] {
        agree(driver, &small, Adagrad::default(), len, 2);
    }
}
