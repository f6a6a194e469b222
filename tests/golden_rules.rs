//! Parity of every rule but Adagrad with PyTorch, optax and Keras, step by step.
//!
//! The golden files hold the frameworks' parameters and state before and after single steps of a
//! run. We take theirs from before the step, make ours, and compare with theirs. Both lie within
//! their running error bound of the exact step, so that they differ by at most the sum:
//! tests/golden/README.md. `cargo test --test golden_rules -- --nocapture` prints how much of it
//! is used.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its table on request"
)]

#[path = "golden/gradients.rs"]
mod gradients;

use std::collections::BTreeMap;

use wgpu_optim::numerics::{Nearest, Rounding, Running, UNIT};
use wgpu_optim::rules::{OwnSquare, StateElement};
use wgpu_optim::{AdaDelta, Adam, AnyRule, CpuOptimizer, RmsProp, Rule, RuleVisitor, Sgd};

/// A framework: at most twice as many roundings of each kind as ours, whose root is at most 2.8
/// units of 2^-24 off where it is not exact, and whose hyper-parameters are rounded elsewhere.
#[derive(Clone, Copy, Debug, Default)]
struct Framework;

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

/// One optimizer, and what the framework made of the inputs.
#[derive(Debug)]
struct Case {
    call: String,
    rule: AnyRule,
    change: Option<(u64, f32)>,
    /// The shown elements, by vector and step.
    vectors: BTreeMap<(String, u64), Vec<f32>>,
}

/// Our preset for a framework's rule; optax has no learning rates, and its cases set them.
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

/// Compares one case, and tells how much of the bound its steps use.
struct Compare<'a> {
    golden: &'a Golden,
    case: &'a Case,
}

impl RuleVisitor for Compare<'_> {
    type Output = f64;

    fn visit<R: Rule>(self, rule: R) -> f64 {
        let Self { golden, case } = self;
        let count = golden.indices.len();
        let shown =
            |values: Vec<f32>| golden.indices.iter().map(|&i| values[i]).collect::<Vec<_>>();
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
            let mut x = at("x", step - 1);
            let grads = shown(gradients::gradients(golden.seed, step, golden.length));
            let mut optimizer = CpuOptimizer::new(rule, count).unwrap();
            for (k, name) in names.iter().enumerate() {
                optimizer.state_mut(k).copy_from_slice(&at(name, step - 1));
            }
            optimizer.set_steps(step - 1);
            let before: Vec<Vec<f32>> =
                (0..names.len()).map(|k| optimizer.state(k).to_vec()).collect();
            let start = x.clone();
            optimizer.step(&mut x, &grads).unwrap();

            let after = [("x", &*x)].into_iter();
            let after =
                after.chain(names.iter().enumerate().map(|(k, n)| (*n, optimizer.state(k))));
            for (vector, (name, ours)) in after.enumerate() {
                let theirs = at(name, step);
                for index in 0..count {
                    let input =
                        (start[index], grads[index], before.iter().map(|s| s[index]).collect());
                    let own = error::<R, Nearest>(&rule, step, &input)[vector];
                    let other = error::<R, Framework>(&rule, step, &input)[vector];
                    let (Some(own), Some(other)) = (own, other) else { continue };
                    bounded += 1;
                    let update = f64::from(x[index]) - f64::from(start[index]);
                    let scalars =
                        if vector == 0 { correction_units(golden, &rule, step) } else { 0.0 };
                    let allowed = own + other + scalars * UNIT * update.abs();
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
}

/// The bounds of parameter and state after one step.
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

/// How far Adam's corrections, which optax and Keras compute in f32, may be off, in units of 2^-23
/// of the update. `beta^t` has the rounding of beta t times and a few of its own; from 1 it leaves
/// that over `1 - beta^t`; of the root of the second, half.
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

fn compare(framework: &'static str, text: &str, cases: usize) {
    let golden = parse(framework, text);
    assert_eq!(golden.cases.len(), cases, "the file has been cut");
    for case in &golden.cases {
        let worst = case.rule.visit(Compare { golden: &golden, case });
        println!("{worst:.3} of the bound: {}", case.call);
    }
}

#[test]
fn pytorch() {
    compare("pytorch", include_str!("golden/pytorch_rules.txt"), 21);
}

#[test]
fn optax() {
    compare("optax", include_str!("golden/optax_rules.txt"), 14);
}

#[test]
fn keras() {
    compare("keras", include_str!("golden/keras_rules.txt"), 12);
}
