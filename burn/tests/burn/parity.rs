//! Burn's own optimizers beside ours, rule by rule and option by option, in native precision.
//!
//! # The bound
//! Both compute one formula from the same gradients, with roundings of their own. For each element the
//! test follows the formula in f64, from the uniforms that our kernel gets, and adds up how far two
//! such computations may drift apart. With u = 2^-24:
//!
//! - Gradients of an element keep their sign, so that no sum of them cancels. A state after t steps
//!   then has a relative error of at most 4 t u (two products, the square or quotient that is added,
//!   and the sum, each step); a root halves that of its argument. Numerator and denominator together
//!   stay below 5 t u.
//! - The rest of a step is a root, of 5 ULP by WGSL's promise for `1 / inverseSqrt`, at most three
//!   quotients of 2.5 ULP, and some products: below 32 u, an ULP being at most 2 u.
//! - Burn corrects Adam's averages by `1 - beta^t` in f32. An error of t u in the power is one of
//!   t u beta^t / (1 - beta^t) <= u / (1 - beta) in the correction; the second one's is halved.
//! - Centred, the variance `v - a^2` has the errors of v and a^2 multiplied by
//!   (v + a^2) / (v - a^2), which the test takes from its f64 state.
//! - L2 decay carries the drift of a parameter into its gradient: by decay * drift, against gradients
//!   of at least 0.45.
//! - Each step rounds the parameter itself: at most three times on either side, 6 u |x|.
//!
//! Hyper-parameters that Burn keeps in f32 are given to our rules as those f32 numbers.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, AdamWConfig, ModuleOptimizer, RmsPropConfig, SgdConfig,
};
use wgpu_optim_burn::wgpu_optim::rules::{OwnSquare, StateElement};
use wgpu_optim_burn::wgpu_optim::{
    Adagrad, Adam, EpsilonPlacement, Precision, RmsProp, Rule, Sgd, WeightDecay,
};

use super::support::{Net, each, gradients, initial, of_burn};

const STEPS: u64 = 20;
const RATE: f32 = 0.01;
const EPSILON: f32 = 1e-5;
const DECAY: f32 = 0.01;
const U: f64 = 1.0 / 16_777_216.0;

/// Gradients of 0.5 to 1.5 in size, whose signs depend on the element alone.
fn one_signed(step: u64) -> Vec<Vec<f32>> {
    let signs = gradients(77);
    let sizes = gradients(step);
    let grad = |(sign, size): (&f32, &f32)| (1.0 + 0.5 * size).copysign(*sign);
    signs.iter().zip(&sizes).map(|(s, z)| s.iter().zip(z).map(grad).collect()).collect()
}

/// Of one element: how far it moves in all, and how far two computations may drift apart.
struct Drift {
    path: f64,
    bound: f64,
}

/// What is particular to a rule's bound.
struct Terms {
    /// Errors of corrections, in units of u.
    correction: f64,
    centered: bool,
    weight_decay: WeightDecay,
}

fn drift<R: Rule>(rule: &R, terms: &Terms, x: f32, grads: impl Iterator<Item = f32>) -> Drift {
    let initial = rule.initial_state();
    let mut state = R::State::<f64>::from_fn(|index| f64::from(initial.as_ref()[index]));
    let mut x = f64::from(x);
    let mut drift = Drift { path: 0.0, bound: 0.0 };
    let decay = f64::from(terms.weight_decay.coefficient());
    for (number, gradient) in (1..).zip(grads) {
        let uniforms = rule.uniforms_at(number, f64::from(RATE));
        let next = rule.update(&uniforms, x, f64::from(gradient), OwnSquare, &mut state);
        let (shrunk, carried) = match terms.weight_decay {
            WeightDecay::Decoupled(_) => (f64::from(RATE) * decay * x.abs(), 0.0),
            _ => (0.0, 2.0 * decay * drift.bound / 0.45),
        };
        let state = state.as_ref();
        let condition = match terms.centered {
            true => (state[0] + state[1].powi(2)) / (state[0] - state[1].powi(2)),
            false => 1.0,
        };
        let roundings = 5.0 * number as f64 + 32.0 + terms.correction;
        let moved = (next - x).abs() + 2.0 * shrunk;
        drift.bound += moved * (2.0 * roundings * condition * U + carried);
        drift.bound += 6.0 * U * x.abs().max(next.abs());
        drift.path += moved;
        x = next;
    }
    drift
}

fn parity<R: Rule>(name: &str, terms: Terms, burns: ModuleOptimizer, rule: R) {
    let start = initial(3);
    let run = |mut step: super::support::Step| {
        let mut net = Net::new(3);
        for number in 1..=STEPS {
            let grads = net.grads(&one_signed(number));
            net = step(f64::from(RATE).into(), net, grads);
        }
        net.values()
    };
    let burns = run(of_burn(burns));
    let all: Vec<_> = (1..=STEPS).map(one_signed).collect();
    for (ours, step) in each(rule, Precision::Native) {
        let values = run(step);
        let (mut worst, mut largest): (f64, f64) = (0.0, 0.0);
        for (param, x) in start.iter().enumerate() {
            for (element, x) in x.iter().enumerate() {
                let Drift { path, bound } =
                    drift(&rule, &terms, *x, all.iter().map(|grads| grads[param][element]));
                assert!(bound < 0.01 * path, "{name}: a bound of {bound:e} for a path of {path}");
                let (found, expected) = (values[param][element], burns[param][element]);
                let difference = (f64::from(found) - f64::from(expected)).abs();
                assert!(
                    difference <= bound,
                    "{name}, {ours}: element {element} of parameter {param} is {found:e}, Burn's \
                     {expected:e}, {difference:e} apart, over the bound of {bound:e}"
                );
                worst = worst.max(difference / bound);
                largest = largest.max(difference);
            }
        }
        println!("{name}, {ours}: {largest:.1e} apart, at most {worst:.3} of the bound");
    }
}

fn terms(weight_decay: WeightDecay) -> Terms {
    Terms { correction: 0.0, centered: false, weight_decay }
}

fn decays() -> [(Option<WeightDecayConfig>, WeightDecay); 2] {
    [(None, WeightDecay::None), (Some(WeightDecayConfig::new(DECAY)), WeightDecay::L2(DECAY))]
}

/// Burn's epsilon stands outside the root.
#[test]
fn adagrad() {
    for (burns, weight_decay) in decays() {
        for learning_rate_decay in [0.0_f32, 0.25] {
            let rule = Adagrad {
                epsilon: EPSILON,
                epsilon_placement: EpsilonPlacement::OutsideRoot,
                learning_rate_decay,
                weight_decay,
                ..Adagrad::default()
            };
            let config = AdaGradConfig::new()
                .with_epsilon(EPSILON)
                .with_lr_decay(f64::from(learning_rate_decay))
                .with_weight_decay(burns.clone());
            parity(&format!("{rule:?}"), terms(weight_decay), config.init(), rule);
        }
    }
}

#[test]
fn sgd() {
    for (burns, weight_decay) in decays() {
        for (momentum, dampening, nesterov) in
            [(0.0_f32, 0.0_f32, false), (0.9, 0.0, false), (0.9, 0.125, false), (0.9, 0.0, true)]
        {
            let rule = Sgd { momentum, dampening, nesterov, weight_decay, ..Sgd::default() };
            let of_burn = (momentum != 0.0).then(|| {
                MomentumConfig::new()
                    .with_momentum(f64::from(momentum))
                    .with_dampening(f64::from(dampening))
                    .with_nesterov(nesterov)
            });
            let config = SgdConfig::new().with_momentum(of_burn).with_weight_decay(burns.clone());
            parity(&format!("{rule:?}"), terms(weight_decay), config.init(), rule);
        }
    }
}

#[test]
fn rmsprop() {
    let smoothing = 0.9_f32;
    for (burns, weight_decay) in decays() {
        for (momentum, centered) in [(0.0, false), (0.9, false), (0.0, true), (0.9, true)] {
            let rule = RmsProp {
                smoothing: f64::from(smoothing),
                epsilon: EPSILON,
                momentum,
                centered,
                weight_decay,
                ..RmsProp::default()
            };
            let config = RmsPropConfig::new()
                .with_alpha(smoothing)
                .with_momentum(momentum)
                .with_epsilon(EPSILON)
                .with_centered(centered)
                .with_weight_decay(burns.clone());
            let terms = Terms { centered, ..terms(weight_decay) };
            parity(&format!("{rule:?}"), terms, config.init(), rule);
        }
    }
}

/// Adam with the averages' shares as Burn has them.
fn adam_rule(amsgrad: bool, weight_decay: WeightDecay) -> (Adam, Terms) {
    let (beta1, beta2) = (f64::from(0.9_f32), f64::from(0.999_f32));
    let rule = Adam { beta1, beta2, epsilon: EPSILON, amsgrad, weight_decay, ..Adam::default() };
    let correction = 1.0 / (1.0 - beta1) + 0.5 / (1.0 - beta2);
    (rule, Terms { correction, ..terms(weight_decay) })
}

#[test]
fn adam_and_amsgrad() {
    for (burns, weight_decay) in decays() {
        for amsgrad in [false, true] {
            let (rule, terms) = adam_rule(amsgrad, weight_decay);
            let config = AdamConfig::new()
                .with_epsilon(EPSILON)
                .with_amsgrad(amsgrad)
                .with_weight_decay(burns.clone());
            parity(&format!("{rule:?}"), terms, config.init(), rule);
        }
    }
}

#[test]
fn adamw() {
    for amsgrad in [false, true] {
        let (rule, terms) = adam_rule(amsgrad, WeightDecay::Decoupled(DECAY));
        let config =
            AdamWConfig::new().with_epsilon(EPSILON).with_amsgrad(amsgrad).with_weight_decay(DECAY);
        parity(&format!("{rule:?}"), terms, config.init(), rule);
    }
}
