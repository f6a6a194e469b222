//! Lengths on both sides of every limit, offsets of every kind, guard zones around them.

use wgpu_optim::{
    Adagrad, AnyRule, Gpu, GpuOptimizer, GpuVec, KernelShape, Precision, Rule, RuleVisitor, wgpu,
};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{Reference, by_state, patterns, values};

pub(crate) const CHECKS: &[Check] = &[
    ("every rule's every choice of formula at every small length", small_lengths),
    ("every rule's every choice of formula where vectors are not aligned", unaligned),
    ("exact precision over all bit patterns", all_patterns),
    ("every shape of the kernel, the same bits", shapes),
    ("around 65535 workgroups of 256", workgroup_limit),
    ("around the binding limit", binding_limit),
    ("every element offset modulo 64 within guard zones", offsets),
    ("all vectors in one arena", arena),
    ("a vector of several buffers", several_buffers),
    ("limits lowered to WebGPU's defaults and below", lowered_limits),
];

/// Steps a rule on a device and on the reference, and compares.
pub(crate) struct Agree<'a> {
    pub(crate) precision: Precision,
    pub(crate) driver: &'a Driver,
    pub(crate) gpu: &'a Gpu,
    pub(crate) len: usize,
    pub(crate) steps: u32,
}

impl RuleVisitor for Agree<'_> {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self { precision, driver, gpu, len, steps } = self;
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
        let params = params.download_blocking(gpu).unwrap();
        driver.check(&what, &reference, &params, &optimizer, gpu);
    }
}

/// Steps `rule` natively on `gpu`, and compares.
pub(crate) fn agree(driver: &Driver, gpu: &Gpu, rule: impl Into<AnyRule>, len: usize, steps: u32) {
    let rule = rule.into();
    rule.visit(Agree { precision: Precision::Native, driver, gpu, len, steps });
}

const PRECISIONS: [Precision; 2] = [Precision::Native, Precision::Exact];

fn small_lengths(driver: &Driver) {
    for rule in AnyRule::examples() {
        for len in [1, 2, 3, 4, 5, 63, 64, 65, 255, 256, 257] {
            for precision in PRECISIONS {
                rule.visit(Agree { precision, driver, gpu: driver.gpu(), len, steps: 3 });
            }
        }
    }
}

/// Natively, and exactly with one formula for each set of state vectors: the gathering of elements
/// knows nothing of the formula, and exact kernels take long to compile.
fn unaligned(driver: &Driver) {
    for rule in AnyRule::examples() {
        rule.visit(Offset { driver, precision: Precision::Native, offset: 1 });
    }
    for rule in by_state() {
        rule.visit(Offset { driver, precision: Precision::Exact, offset: 1 });
    }
}

/// Parameters, gradients and state of random patterns, one exact step.
struct Patterns<'a> {
    driver: &'a Driver,
    len: usize,
}

impl RuleVisitor for Patterns<'_> {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self { driver, len } = self;
        let gpu = driver.gpu();
        let (host, gradient) = (patterns(len, 1), patterns(len, 2));
        let mut reference = Reference::new(rule, &host);
        let mut optimizer =
            GpuOptimizer::new(gpu, rule, len).unwrap().with_precision(Precision::Exact);
        for (k, seed) in (0..optimizer.state_count()).zip(3..) {
            let state = patterns(len, seed);
            reference.optimizer.state_mut(k).copy_from_slice(&state);
            gpu.write(optimizer.state(k), &state).unwrap();
        }
        reference.step(&gradient);
        let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&gradient).unwrap());
        optimizer.step(&params, &grads).unwrap();
        let params = params.download_blocking(gpu).unwrap();
        let what = format!("all patterns, {rule:?}");
        driver.check_exactly(&what, &reference, &params, &optimizer, gpu);
    }
}

/// Subnormals, infinities and NaN included, and epsilon 0 where there is one.
fn all_patterns(driver: &Driver) {
    for rule in AnyRule::examples() {
        let len = if rule.name() == "adagrad" { 1 << 20 } else { 1 << 17 };
        rule.visit(Patterns { driver, len });
        let mut without_epsilon = rule;
        if without_epsilon.set("epsilon", "0").is_ok() {
            without_epsilon.visit(Patterns { driver, len });
        }
    }
}

fn shapes(driver: &Driver) {
    for rule in by_state() {
        rule.visit(Shapes(driver));
    }
}

/// Lengths on both sides of a workgroup's share, and of several; aligned views and others.
struct Shapes<'a>(&'a Driver);

impl RuleVisitor for Shapes<'_> {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self(driver) = self;
        let gpu = driver.gpu();
        let all = [(64, 3), (1, 1), (32, 1), (64, 2), (256, 4), (1024, 8), (96, 64)];
        // All shapes with one rule, one with the others: each is a kernel to compile.
        let count = if R::NAME == "adagrad" { all.len() } else { 1 };
        for (size, quads) in all.into_iter().take(count) {
            let shape = KernelShape::new(size, quads);
            let share = (4 * size * quads) as usize;
            for len in [1, 5, share - 1, share, share + 1, 2 * share + 7] {
                for offset in [GUARD, GUARD + 1] {
                    let (host, gradient) = (values(len, 11, 10), values(len, 12, 10));
                    let buffer = guarded(gpu, &host, offset);
                    let params = GpuVec::from_buffer(&buffer, 4 * offset as u64, len).unwrap();
                    let grads = gpu.upload(&gradient).unwrap();
                    let optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
                    let mut optimizer =
                        optimizer.with_precision(Precision::Exact).with_shape(shape);
                    assert_eq!(optimizer.shape().quads_per_invocation, quads);
                    optimizer.step(&params, &grads).unwrap();
                    let mut reference = Reference::new(rule, &host);
                    reference.step(&gradient);
                    let what = format!("{len} elements at {offset}, {shape:?}, {rule:?}");
                    let stepped = unguarded(gpu, &buffer, offset, len);
                    driver.check_exactly(&what, &reference, &stepped, &optimizer, gpu);
                }
            }
        }
    }
}

/// With one rule: what others have cut at full size is the same plan of as many vectors as under
/// lowered limits, where all are.
fn workgroup_limit(driver: &Driver) {
    for len in [65535 * 256 - 1, 65535 * 256, 65535 * 256 + 1] {
        agree(driver, driver.gpu(), Adagrad::default(), len, 1);
    }
}

/// With one rule, as above.
fn binding_limit(driver: &Driver) {
    for len in [33_554_431, 33_554_432, 33_554_433, 33_554_433 + 5] {
        agree(driver, driver.gpu(), Adagrad::default(), len, 1);
    }
}

/// What lies around a view, and what nothing may touch.
const POISON: f32 = f32::from_bits(0x7fa5_a5a5_u32);
/// Elements before and behind a view.
pub(crate) const GUARD: usize = 96;

/// A buffer of poison with `content` at element `offset`.
pub(crate) fn guarded(gpu: &Gpu, content: &[f32], offset: usize) -> wgpu::Buffer {
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
pub(crate) fn unguarded(gpu: &Gpu, buffer: &wgpu::Buffer, offset: usize, len: usize) -> Vec<f32> {
    let whole = GpuVec::from_buffer(buffer, 0, (buffer.size() / 4) as usize).unwrap();
    let host = whole.download_blocking(gpu).unwrap();
    let untouched = |values: &[f32]| values.iter().all(|v| v.to_bits() == POISON.to_bits());
    assert!(untouched(&host[..offset]), "the zone before element {offset} was touched");
    assert!(untouched(&host[offset + len..]), "the zone behind {offset} + {len} was touched");
    host[offset..offset + len].to_vec()
}

fn offsets(driver: &Driver) {
    for offset in 0..64 {
        for rule in by_state() {
            // All offsets with one rule, every fifth with the others.
            if rule.name() == "adagrad" || offset % 5 == 0 {
                rule.visit(Offset { driver, precision: Precision::Native, offset });
            }
        }
    }
}

/// Vectors at an offset of the caller's buffers.
struct Offset<'a> {
    driver: &'a Driver,
    precision: Precision,
    offset: usize,
}

impl RuleVisitor for Offset<'_> {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self { driver, precision, offset } = self;
        let gpu = driver.gpu();
        // The gradients at an offset of their own, so that the two differ in every way modulo 4.
        let (params_at, grads_at) = (GUARD + offset, GUARD + (offset / 4 * 5 + 3) % 64);
        for len in [1, 6, 131] {
            let (host, gradient) = (values(len, 5, 10), values(len, 6, 10));
            let params = guarded(gpu, &host, params_at);
            let grads = guarded(gpu, &gradient, grads_at);
            let view = |buffer: &wgpu::Buffer, at: usize| {
                GpuVec::from_buffer(buffer, 4 * at as u64, len).unwrap()
            };
            let optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
            let mut optimizer = optimizer.with_precision(precision);
            optimizer.step(&view(&params, params_at), &view(&grads, grads_at)).unwrap();
            let mut reference = Reference::new(rule, &host);
            reference.step(&gradient);
            let what = format!("{len} elements at {params_at} and {grads_at}, {rule:?}");
            let stepped = unguarded(gpu, &params, params_at, len);
            driver.check(&what, &reference, &stepped, &optimizer, gpu);
            assert_eq!(unguarded(gpu, &grads, grads_at, len), gradient);
        }
    }
}

/// Parameters and gradients of one buffer: the kernel whose gradients are bound read_write.
fn arena(driver: &Driver) {
    for rule in by_state() {
        rule.visit(Arena(driver));
    }
}

struct Arena<'a>(&'a Driver);

impl RuleVisitor for Arena<'_> {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self(driver) = self;
        let gpu = driver.gpu();
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
            driver.check_native("an arena", &reference, &stepped, &optimizer, gpu);
            assert_eq!(grads.download_blocking(gpu).unwrap(), gradient);
            unguarded(gpu, &buffer, 0, grads_at + len);
        }
    }
}

fn several_buffers(driver: &Driver) {
    for rule in by_state() {
        rule.visit(SeveralBuffers(driver));
    }
}

struct SeveralBuffers<'a>(&'a Driver);

impl RuleVisitor for SeveralBuffers<'_> {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self(driver) = self;
        let gpu = driver.gpu();
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
        driver.check_native("several buffers", &reference, &stepped, &optimizer, gpu);
        // A slice across buffers is a view of the same memory.
        let slice = params.slice(990..1030).unwrap();
        assert_eq!(slice.download_blocking(gpu).unwrap(), stepped[990..1030]);
    }
}

fn lowered_limits(driver: &Driver) {
    let defaults = driver.with_limits(|_| ());
    let small = driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 64 << 10;
        limits.max_compute_workgroups_per_dimension = 2;
        limits.max_compute_invocations_per_workgroup = 64;
        limits.max_compute_workgroup_size_x = 64;
        limits.max_compute_workgroup_size_y = 64;
    });
    for rule in by_state() {
        agree(driver, &defaults, rule, 100_003, 2);
        for len in [5, 1023, 1024, 1025, 70_001] {
            for precision in PRECISIONS {
                rule.visit(Agree { precision, driver, gpu: &small, len, steps: 2 });
            }
        }
    }
}
