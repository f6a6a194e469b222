//! Steps recorded into the caller's encoder.

use wgpu_optim::{
    Adagrad, AnyRule, CpuOptimizer, Gpu, GpuOptimizer, Precision, Rule, Schedule, wgpu, with_rule,
};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{Reference, by_state, values};

pub(crate) const CHECKS: &[Check] = &[
    ("N steps in one encoder with N learning rates", learning_rates),
    ("N steps in one encoder by a schedule", schedules),
    ("encoders submitted out of order, and dropped ones", out_of_order),
    ("a device wrapped from wgpu", wrapped),
    ("pairs of vectors in turn, and a change of precision", pairs_in_turn),
    ("every choice of formula of every rule resumes from a saved state", resumed),
    ("uniforms that differ only in the sign of zero", signed_zero),
    ("a learning rate that is refused changes nothing", refused_learning_rate),
];

const LEN: usize = 1001;

fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device().create_command_encoder(&Default::default())
}

/// An optimizer that has the reference's bits over any number of steps. Where a driver does not
/// round correctly, each native step would add an error.
fn optimizer<R: Rule>(driver: &Driver, rule: R) -> GpuOptimizer<R> {
    let optimizer = GpuOptimizer::new(driver.gpu(), rule, LEN).unwrap();
    let native = driver.rounds_correctly();
    optimizer.with_precision(if native { Precision::Native } else { Precision::Exact })
}

fn learning_rates(driver: &Driver) {
    for rule in by_state() {
        with_rule!(rule, |rule| learning_rates_of(driver, rule));
    }
}

fn learning_rates_of<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    let rates: Vec<f32> = (1..=100).map(|n| 1.0 / n as f32).collect();
    let (host, gradient) = (values(LEN, 1, 5), values(LEN, 2, 5));
    let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&gradient).unwrap());
    let mut optimizer = optimizer(driver, rule);
    let mut reference = Reference::new(rule, &host);
    // Twice, so that the second round reuses the slots of the first.
    for _ in 0..2 {
        let mut encoder = encoder(gpu);
        for &rate in &rates {
            optimizer.set_learning_rate(rate).unwrap();
            optimizer.record(&mut encoder, &params, &grads).unwrap();
            reference.optimizer.set_learning_rate(rate).unwrap();
            reference.step(&gradient);
        }
        gpu.queue().submit([encoder.finish()]);
        gpu.wait_blocking().unwrap();
    }
    let stepped = params.download_blocking(gpu).unwrap();
    driver.check_exactly("200 steps", &reference, &stepped, &optimizer, gpu);
}

/// Each recorded step has the learning rate of its step number, whenever it is submitted.
fn schedules(driver: &Driver) {
    for rule in by_state() {
        with_rule!(rule, |rule| scheduled(driver, rule));
    }
}

fn scheduled<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    let schedule: Schedule = "warmup:5,cosine:30@30,exponential:0.5".parse().unwrap();
    let (host, gradient) = (values(LEN, 1, 5), values(LEN, 2, 5));
    let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&gradient).unwrap());
    let mut optimizer = optimizer(driver, rule).with_schedule(schedule.clone()).unwrap();
    let mut encoder = encoder(gpu);
    for _ in 0..40 {
        optimizer.record(&mut encoder, &params, &grads).unwrap();
    }
    gpu.queue().submit([encoder.finish()]);
    let stepped = params.download_blocking(gpu).unwrap();

    // The CPU engine with the same schedule, and with learning rates set by hand that are exact in
    // f32.
    let mut reference = Reference::new(rule, &host);
    reference.optimizer = reference.optimizer.with_schedule(schedule).unwrap();
    for _ in 0..40 {
        reference.step(&gradient);
    }
    driver.check_exactly("a schedule", &reference, &stepped, &optimizer, gpu);
    let rates: Schedule = "step:1:0.5".parse().unwrap();
    let mut scheduled = CpuOptimizer::new(rule, LEN).unwrap().with_schedule(rates).unwrap();
    let mut set = CpuOptimizer::new(rule, LEN).unwrap();
    let (mut by_schedule, mut by_hand) = (host.clone(), host.clone());
    for step in 0..5 {
        set.set_learning_rate(rule.learning_rate() / 2_f32.powi(step)).unwrap();
        set.step(&mut by_hand, &gradient).unwrap();
        scheduled.step(&mut by_schedule, &gradient).unwrap();
    }
    driver.check_exact("halved rates", &by_hand, &by_schedule);
}

fn out_of_order(driver: &Driver) {
    for rule in by_state() {
        with_rule!(rule, |rule| out_of_order_of(driver, rule));
    }
}

/// A step keeps the uniforms with which it was recorded, whenever its encoder is submitted.
fn out_of_order_of<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    let (start, gradient) = (vec![0.0; LEN], values(LEN, 2, 5));
    let grads = gpu.upload(&gradient).unwrap();
    let mut optimizer = optimizer(driver, rule);
    let (first, second) = (gpu.upload(&start).unwrap(), gpu.upload(&start).unwrap());
    let (mut early, mut late) = (encoder(gpu), encoder(gpu));
    optimizer.set_learning_rate(1.0).unwrap();
    optimizer.record(&mut late, &second, &grads).unwrap();
    optimizer.set_learning_rate(2.0).unwrap();
    optimizer.record(&mut early, &first, &grads).unwrap();
    // A dropped encoder frees its slot, and nothing waits for an encoder that was never submitted.
    let mut dropped = encoder(gpu);
    optimizer.set_learning_rate(3.0).unwrap();
    optimizer.record(&mut dropped, &first, &grads).unwrap();
    drop(dropped);
    gpu.queue().submit([early.finish()]);
    optimizer.set_learning_rate(4.0).unwrap();
    optimizer.step(&first, &grads).unwrap();
    gpu.queue().submit([late.finish()]);

    // The steps share the state, so they take effect in the order of submission. But each has the
    // step number with which it was recorded.
    let mut reference = Reference::new(rule, &start);
    let mut step = |number: u64, params: &[f32]| {
        reference.params.copy_from_slice(params);
        reference.optimizer.set_steps(number - 1);
        reference.optimizer.set_learning_rate(number as f32).unwrap();
        reference.step(&gradient);
        reference.params.clone()
    };
    let expected = step(2, &start);
    let expected = step(4, &expected);
    let what = format!("submitted early, {rule:?}");
    driver.check_exact(&what, &expected, &first.download_blocking(gpu).unwrap());
    step(1, &start);
    let stepped = second.download_blocking(gpu).unwrap();
    let what = format!("submitted late, {rule:?}");
    driver.check_exactly(&what, &reference, &stepped, &optimizer, gpu);
}

/// The caller's device and queue, wrapped twice: nothing is installed, and nothing is shared.
fn wrapped(driver: &Driver) {
    let own = driver.gpu();
    let gpu = Gpu::from_wgpu(own.device().clone(), own.queue().clone());
    assert_eq!(gpu.info().name, own.info().name);
    crate::boundaries::agree(driver, &gpu, Adagrad::default(), 77, 2);
}

fn pairs_in_turn(driver: &Driver) {
    for rule in by_state() {
        with_rule!(rule, |rule| pairs_in_turn_of(driver, rule));
    }
}

/// More pairs of vectors than cached bindings, in an order with cache hits and misses.
fn pairs_in_turn_of<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    let mut optimizer = optimizer(driver, rule);
    let mut reference = Reference::new(rule, &vec![0.0; LEN]);
    let gradients: Vec<_> = (0..6).map(|seed| values(LEN, seed, 5)).collect();
    let grads: Vec<_> = gradients.iter().map(|host| gpu.upload(host).unwrap()).collect();
    let params = gpu.zeros(LEN).unwrap();
    for index in [0, 1, 2, 0, 2, 1, 3, 4, 5, 0, 5, 1] {
        if index == 3 {
            optimizer = optimizer.with_precision(Precision::Exact);
        }
        optimizer.step(&params, &grads[index]).unwrap();
        reference.step(&gradients[index]);
    }
    optimizer.forget_bindings();
    optimizer.step(&params, &grads[0]).unwrap();
    reference.step(&gradients[0]);
    let stepped = params.download_blocking(gpu).unwrap();
    driver.check_exactly("pairs in turn", &reference, &stepped, &optimizer, gpu);
}

fn resumed(driver: &Driver) {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| resumed_of(driver, rule));
    }
}

/// Parameters, state and the number of steps are all that a run needs: a run that changes its
/// engine twice has the bits of a run that does not.
fn resumed_of<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    let host = values(LEN, 1, 5);
    let gradients: Vec<_> = (0..6).map(|step| values(LEN, 10 + step, 5)).collect();
    let mut whole = Reference::new(rule, &host);
    gradients.iter().for_each(|gradient| whole.step(gradient));

    let (params, grads) = (gpu.upload(&host).unwrap(), gpu.zeros(LEN).unwrap());
    let mut first = optimizer(driver, rule);
    for gradient in &gradients[..2] {
        gpu.write(&grads, gradient).unwrap();
        first.step(&params, &grads).unwrap();
    }
    let mut on_host = CpuOptimizer::new(rule, LEN).unwrap();
    on_host.set_steps(first.steps());
    for k in 0..first.state_count() {
        let saved = first.state(k).download_blocking(gpu).unwrap();
        on_host.state_mut(k).copy_from_slice(&saved);
    }
    let mut x = params.download_blocking(gpu).unwrap();
    for gradient in &gradients[2..4] {
        on_host.step(&mut x, gradient).unwrap();
    }
    let mut last = optimizer(driver, rule);
    last.set_steps(on_host.steps());
    for k in 0..last.state_count() {
        gpu.write(last.state(k), on_host.state(k)).unwrap();
    }
    gpu.write(&params, &x).unwrap();
    for gradient in &gradients[4..] {
        gpu.write(&grads, gradient).unwrap();
        last.step(&params, &grads).unwrap();
    }
    let resumed = params.download_blocking(gpu).unwrap();
    let what = format!("resumed, {rule:?}");
    driver.check_exactly(&what, &whole, &resumed, &last, gpu);
}

/// -0 - 0 * 1 / 1 is -0, but -0 - (-0 * 1 / 1) is +0.
fn signed_zero(driver: &Driver) {
    let gpu = driver.gpu();
    let params = gpu.upload(&[-0.0; 4]).unwrap();
    let grads = gpu.upload(&[1.0; 4]).unwrap();
    let mut optimizer =
        GpuOptimizer::new(gpu, Adagrad::default(), 4).unwrap().with_precision(Precision::Exact);
    for (rate, expected) in [(0.0, 0x8000_0000_u32), (-0.0, 0)] {
        optimizer.set_learning_rate(rate).unwrap();
        optimizer.step(&params, &grads).unwrap();
        let host = params.download_blocking(gpu).unwrap();
        assert!(host.iter().all(|x| x.to_bits() == expected), "{host:?} after {rate}");
    }
}

fn refused_learning_rate(driver: &Driver) {
    let gpu = driver.gpu();
    let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), 4).unwrap();
    assert!(optimizer.set_learning_rate(f32::NAN).is_err());
    assert_eq!(optimizer.rule().learning_rate, Adagrad::default().learning_rate);
}
