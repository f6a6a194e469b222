//! Property tests for every rule: random lengths, offsets and hyper-parameters.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wgpu_optim::rules::{Domain, Setting, SettingKind};
use wgpu_optim::{AnyRule, GpuOptimizer, Rule, with_rule};

use crate::Check;
use crate::driver::{Driver, USAGES, placed};
use crate::reference::{Reference, mix, values};

pub(crate) const CHECKS: &[Check] =
    &[("any length, offset and hyper-parameters agree with the CPU engine", any_step)];

/// A number in 0..1 for each setting and each `seed`.
fn fraction(seed: u64, setting: usize) -> f64 {
    (mix(seed ^ (setting as u64) << 32) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A value of a setting. An epsilon is never 0, because nothing is promised for 0 / 0.
fn value<R>(setting: &Setting<R>, fraction: f64) -> f64 {
    let log = |min: f64, max: f64| min * (max / min).powf(fraction);
    match setting.kind {
        SettingKind::Number(_) if setting.name == "epsilon" => log(1e-10, 10.0),
        SettingKind::Number(_) if fraction < 0.3 => 0.0,
        SettingKind::Number(Domain::BelowOne) => fraction,
        SettingKind::Number(_) => log(1e-3, 10.0),
        SettingKind::Flag => f64::from(u8::from(fraction < 0.5)),
        SettingKind::Choice(names) => (fraction * names.len() as f64).floor(),
    }
}

fn step<R: Rule>(
    driver: &Driver,
    len: usize,
    params_at: usize,
    grads_at: usize,
    seed: u32,
    mut rule: R,
) {
    for (index, setting) in R::SETTINGS.iter().enumerate() {
        (setting.set)(&mut rule, value(setting, fraction(seed.into(), index)));
    }
    if rule.validate().is_err() {
        return; // settings that exclude each other
    }
    let gpu = driver.gpu();
    let (host, gradient) = (values(len, seed, 15), values(len, seed ^ 1, 15));
    let view = |host: &[f32], at: usize| placed(gpu, host, at, 0, USAGES);
    let (params, grads) = (view(&host, params_at), view(&gradient, grads_at));
    let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
    let mut reference = Reference::new(rule, &host);
    optimizer.step(&params, &grads).unwrap();
    reference.step(&gradient);
    let what = format!("{len} elements at {params_at} and {grads_at}, {rule:?}");
    let stepped = params.download_blocking(gpu).unwrap();
    driver.check_native(&what, &reference, &stepped, &optimizer, gpu);
}

fn any_step(driver: &Driver) {
    let presets = AnyRule::presets();
    let cases = (0..presets.len(), 1_usize..3000, 0_usize..64, 0_usize..64, any::<u32>());
    // Each new combination of choices compiles a kernel.
    let mut runner =
        TestRunner::new(Config { cases: 160, failure_persistence: None, ..Config::default() });
    let result = runner.run(&cases, |(preset, len, params_at, grads_at, seed)| {
        with_rule!(presets[preset].rule, |rule| step(driver, len, params_at, grads_at, seed, rule));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
