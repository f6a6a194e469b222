//! Lengths on both sides of every limit, and every kind of offset, with guard zones around them.

use wgpu_optim::{
    Adagrad, AnyRule, Gpu, GpuOptimizer, GpuVec, KernelShape, Precision, Rule, with_rule,
};

use crate::Check;
use crate::driver::{Driver, POISON, USAGES, placed};
use crate::reference::{Reference, by_state, patterns, values};

pub(crate) const CHECKS: &[Check] = &[
    ("every choice of formula of every rule at small lengths", small_lengths),
    ("every choice of formula of every rule with unaligned vectors", unaligned),
    ("exact precision over all bit patterns", all_patterns),
    ("every kernel shape gives the same bits", shapes),
    ("around 65535 workgroups of 256", workgroup_limit),
    ("around the binding limit", binding_limit),
    ("every element offset modulo 64 within guard zones", offsets),
    ("parameters and gradients in one buffer", arena),
    ("a vector of several buffers", several_buffers),
    ("limits lowered to WebGPU's defaults and below", lowered_limits),
];

/// Steps a rule on a device and on the reference, and compares them.
pub(crate) fn agree_in<R: Rule>(
    precision: Precision,
    driver: &Driver,
    gpu: &Gpu,
    len: usize,
    steps: u32,
    rule: R,
) {
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

/// Steps `rule` natively on `gpu`, and compares it with the reference.
pub(crate) fn agree(driver: &Driver, gpu: &Gpu, rule: impl Into<AnyRule>, len: usize, steps: u32) {
    let rule = rule.into();
    with_rule!(rule, |rule| agree_in(Precision::Native, driver, gpu, len, steps, rule));
}

const PRECISIONS: [Precision; 2] = [Precision::Native, Precision::Exact];

fn small_lengths(driver: &Driver) {
    for rule in AnyRule::examples() {
        for len in [1, 2, 3, 4, 5, 63, 64, 65, 255, 256, 257] {
            for precision in PRECISIONS {
                with_rule!(rule, |rule| agree_in(precision, driver, driver.gpu(), len, 3, rule));
            }
        }
    }
}

/// All formulas natively, and one formula for each set of state vectors in exact precision: loading
/// elements does not depend on the formula, and exact kernels take long to compile.
fn unaligned(driver: &Driver) {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| step_at(driver, Precision::Native, 1, rule));
    }
    for rule in by_state() {
        with_rule!(rule, |rule| step_at(driver, Precision::Exact, 1, rule));
    }
}

/// One exact step over parameters, gradients and state of random patterns.
fn step_patterns<R: Rule>(driver: &Driver, len: usize, rule: R) {
    let gpu = driver.gpu();
    let (host, gradient) = (patterns(len, 1), patterns(len, 2));
    let mut reference = Reference::new(rule, &host);
    let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap().with_precision(Precision::Exact);
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

/// Includes subnormals, infinities and NaN, and an epsilon of 0 for rules that have an epsilon.
fn all_patterns(driver: &Driver) {
    for rule in AnyRule::examples() {
        let len = if rule.name() == "adagrad" { 1 << 20 } else { 1 << 17 };
        with_rule!(rule, |rule| step_patterns(driver, len, rule));
        let mut without_epsilon = rule;
        if without_epsilon.set("epsilon", "0").is_ok() {
            with_rule!(without_epsilon, |rule| step_patterns(driver, len, rule));
        }
    }
}

fn shapes(driver: &Driver) {
    for rule in by_state() {
        with_rule!(rule, |rule| shapes_of(driver, rule));
    }
}

/// Lengths around the share of one workgroup and of two, in aligned and unaligned views.
fn shapes_of<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    let all = [(64, 3), (1, 1), (32, 1), (64, 2), (256, 4), (1024, 8), (96, 64)];
    // All shapes with one rule, one shape with the others: each shape compiles a kernel.
    let count = if R::NAME == "adagrad" { all.len() } else { 1 };
    for (size, quads) in all.into_iter().take(count) {
        let shape = KernelShape::new(size, quads);
        let share = (4 * size * quads) as usize;
        for len in [1, 5, share - 1, share, share + 1, 2 * share + 7] {
            for offset in [GUARD, GUARD + 1] {
                let (host, gradient) = (values(len, 11, 10), values(len, 12, 10));
                let params = guarded(gpu, &host, offset);
                let grads = gpu.upload(&gradient).unwrap();
                let optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
                let mut optimizer = optimizer.with_precision(Precision::Exact).with_shape(shape);
                assert_eq!(optimizer.shape().quads_per_invocation, quads);
                optimizer.step(&params, &grads).unwrap();
                let mut reference = Reference::new(rule, &host);
                reference.step(&gradient);
                let what = format!("{len} elements at {offset}, {shape:?}, {rule:?}");
                let stepped = unguarded(gpu, &params);
                driver.check_exactly(&what, &reference, &stepped, &optimizer, gpu);
            }
        }
    }
}

/// With one rule only: the plan does not depend on the rule, and lowered limits cover all rules.
fn workgroup_limit(driver: &Driver) {
    for len in [65535 * 256 - 1, 65535 * 256, 65535 * 256 + 1] {
        agree(driver, driver.gpu(), Adagrad::default(), len, 1);
    }
}

/// With one rule only, as above.
fn binding_limit(driver: &Driver) {
    for len in [33_554_431, 33_554_432, 33_554_433, 33_554_433 + 5] {
        agree(driver, driver.gpu(), Adagrad::default(), len, 1);
    }
}

/// Elements before and after a view.
pub(crate) const GUARD: usize = 96;

/// `content` at element `offset` of a caller's buffer, between zones that [`unguarded`] checks.
pub(crate) fn guarded(gpu: &Gpu, content: &[f32], offset: usize) -> GpuVec {
    placed(gpu, content, offset, GUARD, USAGES)
}

/// The content of a view. Asserts that its guard zones are unchanged.
pub(crate) fn unguarded(gpu: &Gpu, vector: &GpuVec) -> Vec<f32> {
    let (buffer, bytes) = vector.buffers().next().unwrap();
    let (offset, len) = (bytes.start as usize / 4, vector.len());
    let whole = GpuVec::from_buffer(buffer, 0, (buffer.size() / 4) as usize).unwrap();
    let host = whole.download_blocking(gpu).unwrap();
    let untouched = |values: &[f32]| values.iter().all(|v| v.to_bits() == POISON.to_bits());
    assert!(untouched(&host[..offset]), "the zone before element {offset} was overwritten");
    assert!(untouched(&host[offset + len..]), "the zone after {offset} + {len} was overwritten");
    host[offset..offset + len].to_vec()
}

fn offsets(driver: &Driver) {
    for offset in 0..64 {
        for rule in by_state() {
            // All offsets with one rule, every fifth with the others.
            if rule.name() == "adagrad" || offset % 5 == 0 {
                with_rule!(rule, |rule| step_at(driver, Precision::Native, offset, rule));
            }
        }
    }
}

/// A step over vectors at an offset in the caller's buffers.
fn step_at<R: Rule>(driver: &Driver, precision: Precision, offset: usize, rule: R) {
    let gpu = driver.gpu();
    // The gradients have another offset, so all differences modulo 4 occur.
    let (params_at, grads_at) = (GUARD + offset, GUARD + (offset / 4 * 5 + 3) % 64);
    for len in [1, 6, 131] {
        let (host, gradient) = (values(len, 5, 10), values(len, 6, 10));
        let params = guarded(gpu, &host, params_at);
        let grads = guarded(gpu, &gradient, grads_at);
        let optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
        let mut optimizer = optimizer.with_precision(precision);
        optimizer.step(&params, &grads).unwrap();
        let mut reference = Reference::new(rule, &host);
        reference.step(&gradient);
        let what = format!("{len} elements at {params_at} and {grads_at}, {rule:?}");
        let stepped = unguarded(gpu, &params);
        driver.check(&what, &reference, &stepped, &optimizer, gpu);
        assert_eq!(unguarded(gpu, &grads), gradient);
    }
}

/// Parameters and gradients in one buffer need the kernel that binds gradients as `read_write`.
fn arena(driver: &Driver) {
    for rule in by_state() {
        with_rule!(rule, |rule| arena_of(driver, rule));
    }
}

fn arena_of<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    for (len, grads_at) in [(64, 64), (67, 67), (1000, 1001)] {
        let (host, gradient) = (values(len, 7, 10), values(len, 8, 10));
        let mut content = host.clone();
        content.resize(grads_at, POISON);
        content.extend(&gradient);
        let both = guarded(gpu, &content, 0);
        let params = both.slice(0..len).unwrap();
        let grads = both.slice(grads_at..grads_at + len).unwrap();
        let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
        optimizer.step(&params, &grads).unwrap();
        let mut reference = Reference::new(rule, &host);
        reference.step(&gradient);
        let stepped = params.download_blocking(gpu).unwrap();
        driver.check_native("an arena", &reference, &stepped, &optimizer, gpu);
        assert_eq!(grads.download_blocking(gpu).unwrap(), gradient);
        unguarded(gpu, &both);
    }
}

fn several_buffers(driver: &Driver) {
    for rule in by_state() {
        with_rule!(rule, |rule| several_buffers_of(driver, rule));
    }
}

fn several_buffers_of<R: Rule>(driver: &Driver, rule: R) {
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
    // Split at different places, one of them unaligned.
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

fn lowered_limits(driver: &Driver) {
    let defaults = driver.with_limits(|_| ());
    let small = driver.with_low_limits();
    for rule in by_state() {
        agree(driver, &defaults, rule, 100_003, 2);
        for len in [5, 1023, 1024, 1025, 70_001] {
            for precision in PRECISIONS {
                with_rule!(rule, |rule| agree_in(precision, driver, &small, len, 2, rule));
            }
        }
    }
}
