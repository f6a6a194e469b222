//! What a guard skips keeps its bits, and the report says what was wrong.

use wgpu_optim::{
    Adagrad, GpuOptimizer, GradientError, GradientGuard, GuardReport, NonFinite, Precision,
    ReportError, Rule, WeightDecay, with_rule,
};

use crate::Check;
use crate::driver::Driver;
use crate::guard::PRECISIONS;
use crate::reference::{by_state, patterns, values};

pub(crate) const CHECKS: &[Check] = &[
    ("guard: a skipped step changes no bit, and the next step works", skipped),
    ("guard: a skipped element changes no bit", skipped_element),
    ("guard: one element of nine is skipped, by hand", skipped_by_hand),
];

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn skipped(driver: &Driver) {
    for rule in by_state() {
        for precision in PRECISIONS {
            for non_finite in [NonFinite::SkipStep, NonFinite::Report] {
                with_rule!(rule, |rule| untouched(driver, precision, non_finite, rule));
            }
        }
    }
}

fn skipped_element(driver: &Driver) {
    for rule in by_state() {
        for precision in PRECISIONS {
            with_rule!(rule, |rule| untouched(driver, precision, NonFinite::SkipElement, rule));
        }
    }
}

/// Parameters and state with all kinds of bits keep them.
fn untouched<R: Rule>(driver: &Driver, precision: Precision, non_finite: NonFinite, rule: R) {
    let gpu = driver.gpu();
    let len = 1003;
    // NaN and subnormals included, unless an element is skipped natively: it passes through native
    // arithmetic, which WGSL allows to flush subnormals.
    let whole = non_finite != NonFinite::SkipElement;
    let content = |seed| match (whole, precision) {
        (false, Precision::Native) => values(len, seed, 20),
        _ => patterns(len, seed),
    };
    let max_norm = if whole { None } else { Some(1.0) };
    let guard = GradientGuard { non_finite, max_norm };
    let optimizer = GpuOptimizer::new(gpu, rule, len).unwrap().with_precision(precision);
    let mut optimizer = optimizer.with_guard(guard).unwrap();
    let hosts: Vec<_> = (4..).take(1 + optimizer.state_count()).map(content).collect();
    let params = gpu.upload(&hosts[0]).unwrap();
    for (k, host) in hosts[1..].iter().enumerate() {
        gpu.write(optimizer.state(k), host).unwrap();
    }
    let found = |optimizer: &GpuOptimizer<R>| -> Vec<Vec<u32>> {
        let state = (0..optimizer.state_count()).map(|k| optimizer.state(k));
        let all = [&params].into_iter().chain(state);
        all.map(|vector| bits(&vector.download_blocking(gpu).unwrap())).collect()
    };
    let expected: Vec<_> = hosts.iter().map(|host| bits(host)).collect();
    // One non-finite gradient skips the whole step; an element is skipped because of its own.
    let mut gradient = vec![if whole { 1.0 } else { f32::NAN }; len];
    gradient[len - 1] = f32::NEG_INFINITY;
    let grads = gpu.upload(&gradient).unwrap();
    optimizer.step(&params, &grads).unwrap();
    let what = format!("{precision}, {non_finite:?}, {rule:?} on {}", driver.name);
    assert_eq!(found(&optimizer), expected, "{what}");

    let error = optimizer.check_gradients_blocking().unwrap_err();
    let (count, first) = if whole { (1, len as u64 - 1) } else { (len as u64, 0) };
    let wrong = GradientError::NonFinite { count, first };
    assert_eq!(error, ReportError::Gradient(wrong), "{what}");
    optimizer.clear_report().unwrap();
    assert_eq!(optimizer.report_blocking().unwrap(), GuardReport::default());
    gpu.write(&grads, &vec![1.0; len]).unwrap();
    optimizer.step(&params, &grads).unwrap();
    for (now, before) in found(&optimizer).iter().zip(&expected) {
        assert_ne!(now, before, "{what}");
    }
    let report = optimizer.check_gradients_blocking().unwrap();
    assert_eq!((report.non_finite, report.skipped_steps), (0, 0), "{what}");
}

/// Eight elements of nine are stepped. The last keeps its initial values.
fn skipped_by_hand(driver: &Driver) {
    let gpu = driver.gpu();
    let weight_decay = WeightDecay::Decoupled(0.3);
    let rule = Adagrad { learning_rate: 0.1, initial_accumulator: 0.01, ..Adagrad::default() };
    let rule = Adagrad { weight_decay, ..rule };
    let guard = GradientGuard { non_finite: NonFinite::SkipElement, max_norm: Some(1.0) };
    let params = gpu.upload(&[1.0; 9]).unwrap();
    let mut optimizer = GpuOptimizer::new(gpu, rule, 9).unwrap().with_guard(guard).unwrap();
    let mut gradient = [1.0; 9];
    gradient[8] = f32::NAN;
    optimizer.step(&params, &gpu.upload(&gradient).unwrap()).unwrap();
    let stepped = params.download_blocking(gpu).unwrap();
    assert_eq!(stepped[8].to_bits(), 1.0_f32.to_bits());
    assert!(stepped[..8].iter().all(|&x| x < 1.0));
    assert_eq!(optimizer.state(0).download_blocking(gpu).unwrap()[8], 0.01);
}
