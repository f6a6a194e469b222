//! Parity of every rule but Adagrad with PyTorch, optax and Keras, step by step, for any engine.
//! Start at [`compare_all`].
//!
//! The golden files hold the frameworks' parameters and state before and after single steps of a
//! run. We start from their numbers before the step, take our step, and compare with their result.
//! Both lie within their running error bound of the exact step, so they differ by at most the sum
//! (tests/golden/README.md).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use wgpu_optim::numerics::{Nearest, Rounding, Running, Wgsl};
use wgpu_optim::rules::{OwnSquare, StateElement};
use wgpu_optim::{AdaDelta, Adam, AnyRule, RmsProp, Rule, Sgd, with_rule};

use super::gradients;

/// Something that takes steps of any rule.
pub(crate) trait Stepper {
    /// Whether it rounds each operation to nearest and keeps subnormals. Otherwise it has WGSL's
    /// accuracy.
    fn rounds_to_nearest(&self) -> bool;

    /// The parameters and each state vector after step number `step`.
    fn step<R: Rule>(
        &self,
        rule: R,
        step: u64,
        vectors: &[Vec<f32>],
        grads: &[f32],
    ) -> Vec<Vec<f32>>;
}

/// A framework's arithmetic: at most twice our rounding errors of each kind, a root that is at most
/// 2.8 units of 2^-24 off, and hyper-parameters with roundings of their own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Framework;

impl Rounding for Framework {
    const SUM: f64 = 1.0;
    const PRODUCT: f64 = 1.0;
    const QUOTIENT: f64 = 1.0;
    const ROOT: f64 = 2.0;
    const FLUSHES: bool = true;

    fn scalar() -> f64 {
        1.0
    }
}

/// A golden file.
struct Golden {
    framework: &'static str,
    seed: u64,
    length: usize,
    indices: Vec<usize>,
    compared: Vec<u64>,
    cases: Vec<Case>,
}

/// One optimizer, and the framework's results.
#[derive(Debug)]
struct Case {
    call: String,
    rule: AnyRule,
    change: Option<(u64, f32)>,
    /// The shown elements, by vector and step.
    vectors: BTreeMap<(String, u64), Vec<f32>>,
}

/// Our preset for a framework's rule. optax has no default learning rates; its cases set them.
fn preset(framework: &str, rule: &str) -> AnyRule {
    match (framework, rule) {
        ("pytorch", "adamw") => Adam::adamw().into(),
        ("pytorch", "sgd") => Sgd::pytorch().into(),
        ("pytorch", "rmsprop") => RmsProp::pytorch().into(),
        ("pytorch", "adadelta") => AdaDelta::pytorch().into(),
        ("pytorch", "adam") => Adam::pytorch().into(),
        ("optax", "sgd") => Sgd::optax(f32::NAN).into(),
        ("optax", "rmsprop") => RmsProp::optax(f32::NAN).into(),
        ("optax", "adadelta") => AdaDelta::optax(f32::NAN).into(),
        ("optax", "adam") => Adam::optax(f32::NAN).into(),
        ("optax", "adamw") => Adam::optax_adamw(f32::NAN).into(),
        ("keras", "sgd") => Sgd::keras().into(),
        ("keras", "rmsprop") => RmsProp::keras().into(),
        ("keras", "adadelta") => AdaDelta::keras().into(),
        ("keras", "adam") => Adam::keras().into(),
        ("keras", "adamw") => Adam::keras_adamw().into(),
        _ => panic!("no preset {rule} for {framework}"),
    }
}

fn parse(framework: &'static str, text: &str) -> Golden {
    let mut golden = Golden {
        framework,
        seed: 0,
        length: 0,
        indices: Vec::new(),
        compared: Vec::new(),
        cases: Vec::new(),
    };
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(' ').filter(|(key, _)| *key != "#") else {
            continue;
        };
        let words: Vec<&str> = rest.split(' ').collect();
        match (key, golden.cases.last_mut()) {
            ("seed", _) => golden.seed = rest.parse().unwrap(),
            ("length", _) => golden.length = rest.parse().unwrap(),
            ("indices", _) => golden.indices = words.iter().map(|w| w.parse().unwrap()).collect(),
            ("compared", _) => golden.compared = words.iter().map(|w| w.parse().unwrap()).collect(),
            ("case", _) => golden.cases.push(Case {
                call: String::new(),
                rule: preset(framework, rest),
                change: None,
                vectors: BTreeMap::new(),
            }),
            ("call", Some(case)) => case.call = rest.to_owned(),
            ("set", Some(case)) => case.rule.set(words[0], words[1]).unwrap(),
            ("change", Some(case)) => {
                case.change = Some((words[0].parse().unwrap(), words[1].parse().unwrap()));
            }
            (vector, Some(case)) => {
                let float = |word: &&str| f32::from_bits(u32::from_str_radix(word, 16).unwrap());
                let values = words[1..].iter().map(float).collect();
                case.vectors.insert((vector.to_owned(), words[0].parse().unwrap()), values);
            }
            _ => panic!("{framework}: {line}"),
        }
    }
    golden
}

/// Compares one case. Returns the maximum share of the bound that its steps use.
fn compare_case<S: Stepper, R: Rule>(engine: &S, golden: &Golden, case: &Case, rule: R) -> f64 {
    let count = golden.indices.len();
    let shown = |values: Vec<f32>| golden.indices.iter().map(|&i| values[i]).collect::<Vec<_>>();
    let (mut worst, mut bounded) = (0.0_f64, 0);
    for &step in &golden.compared {
        let mut rule = rule;
        if let Some((from, rate)) = case.change.filter(|(from, _)| step >= *from) {
            assert!(step >= from);
            rule.set_learning_rate(rate);
        }
        let names = rule.state_names();
        let at = |name: &str, step: u64| match step {
            0 if name == "x" => shown(gradients::initial(golden.seed, golden.length)),
            0 => vec![0.0; count],
            _ => case.vectors.get(&(name.to_owned(), step)).unwrap().clone(),
        };
        let vectors: Vec<_> = ["x"].iter().chain(&names).copied().collect();
        let before: Vec<_> = vectors.iter().map(|name| at(name, step - 1)).collect();
        let grads = shown(gradients::gradients(golden.seed, step, golden.length));
        let after = engine.step(rule, step, &before, &grads);
        let (start, x) = (&before[0], &after[0]);
        for (vector, (&name, ours)) in vectors.iter().zip(&after).enumerate() {
            let theirs = at(name, step);
            for index in 0..count {
                let input =
                    (start[index], grads[index], before[1..].iter().map(|s| s[index]).collect());
                let own = if engine.rounds_to_nearest() {
                    error::<R, Nearest>(&rule, step, &input)[vector]
                } else {
                    error::<R, Wgsl>(&rule, step, &input)[vector]
                };
                let other = error::<R, Framework>(&rule, step, &input)[vector];
                let (Some(own), Some(other)) = (own, other) else { continue };
                bounded += 1;
                let update = f64::from(x[index]) - f64::from(start[index]);
                let scalars = if vector == 0 { correction_units(golden, &rule, step) } else { 0.0 };
                let allowed = own + other + scalars * f64::from(f32::EPSILON) * update.abs();
                let off = (f64::from(ours[index]) - f64::from(theirs[index])).abs();
                assert!(
                    off <= allowed,
                    "{}: {}: step {step}, {name}[{index}] is {:e}, theirs {:e}: {off:e} apart, \
                     allowed {allowed:e}",
                    golden.framework,
                    case.call,
                    ours[index],
                    theirs[index]
                );
                worst = worst.max(if off == 0.0 { 0.0 } else { off / allowed });
            }
        }
    }
    let all = count * golden.compared.len() * (1 + rule.state_names().len());
    assert!(20 * bounded >= 19 * all, "{}: {bounded} of {all} have a bound", case.call);
    worst
}

/// The bounds of the parameter and the state after one step.
fn error<R: Rule, A: Rounding>(
    rule: &R,
    step: u64,
    (x, g, state): &(f32, f32, Vec<f32>),
) -> Vec<Option<f64>> {
    let mut used = state.iter();
    let mut state = R::State::<Running<A>>::from_fn(|k| {
        let value = if rule.uses_state(k) { used.next() } else { None };
        Running::input(value.copied().unwrap_or(0.0))
    });
    let x = rule.update(
        &rule.uniforms(step),
        Running::input(*x),
        Running::input(*g),
        OwnSquare,
        &mut state,
    );
    let state = state.as_ref().iter().enumerate().filter(|(k, _)| rule.uses_state(*k));
    [x.error()].into_iter().chain(state.map(|(_, value)| value.error())).collect()
}

/// The error of Adam's bias corrections, which optax and Keras compute in f32, in units of 2^-23 of
/// the update. `beta^t` has t times the rounding error of beta, and a few of its own. The relative
/// error of `1 - beta^t` is that over `1 - beta^t`. The root halves the second correction's error.
fn correction_units<R: Rule>(golden: &Golden, rule: &R, step: u64) -> f64 {
    if golden.framework == "pytorch" || R::NAME != "adam" {
        return 0.0;
    }
    let beta = |name: &str| {
        let setting = R::SETTINGS.iter().find(|setting| setting.name == name).unwrap();
        (setting.get)(rule)
    };
    let units = |beta: f64| {
        let power = beta.powf(step as f64);
        (0.5 * step as f64 + 2.0) * power / (1.0 - power) + 0.5
    };
    units(beta("beta1")) + 0.5 * units(beta("beta2")) + 2.0
}

/// Compares every case of a framework. Returns each call and its maximum share of the bound.
fn compare(
    engine: &impl Stepper,
    framework: &'static str,
    text: &str,
    cases: usize,
) -> Vec<(String, f64)> {
    let golden = parse(framework, text);
    assert_eq!(golden.cases.len(), cases, "the file is incomplete");
    let compare =
        |case: &Case| with_rule!(case.rule, |rule| compare_case(engine, &golden, case, rule));
    golden.cases.iter().map(|case| (case.call.clone(), compare(case))).collect()
}

/// Compares every case of every framework.
pub(crate) fn compare_all(engine: &impl Stepper) -> Vec<(String, f64)> {
    [
        compare(engine, "pytorch", include_str!("pytorch_rules.txt"), 21),
        compare(engine, "optax", include_str!("optax_rules.txt"), 14),
        compare(engine, "keras", include_str!("keras_rules.txt"), 12),
    ]
    .concat()
}
